/* SPDX-License-Identifier: Apache-2.0 */
/* proto.c – packing and unpacking, and the conversions of labels and times. */
#include "proto/proto.h"

#include <errno.h>
#include <stdlib.h>

int proto_pack(const ProtobufCMessage *message, struct buf *ret, struct err *err)
{
    size_t size = protobuf_c_message_get_packed_size(message);

    if (buf_reserve(ret, size) < 0)
        return err_set(err, -ENOMEM, "%s: out of memory", message->descriptor->short_name);
    if (size > 0) /* an empty message writes nothing, and the buffer may have no storage yet */
        ret->len += protobuf_c_message_pack(message, ret->data + ret->len);
    return 0;
}

/* ---- strings ---------------------------------------------------------------------------------
 *
 * The library checks no UTF-8, but a string that is none would make every Go program refuse the
 * message in which we hand it on; and it ends C strings at a NUL, so that two different keys would
 * be one. So the strings are looked at where they still have their length, in the encoded message.
 * The types of this folder do not contain themselves, which bounds the recursion. */

enum { WIRE_VARINT = 0, WIRE_64_BITS = 1, WIRE_BYTES = 2, WIRE_32_BITS = 5 };

static uint64_t take_varint(struct reader *r)
{
    uint64_t value = 0;
    uint8_t byte = 0x80;

    for (unsigned shift = 0; (byte & 0x80) != 0 && shift < 64; shift += 7) {
        byte = reader_u8(r);
        value |= (uint64_t)(byte & 0x7f) << shift;
    }
    return value;
}

static bool are_strings_good(const ProtobufCMessageDescriptor *type, struct bytes message);

static bool is_good(const ProtobufCFieldDescriptor *field, struct bytes value)
{
    if (field == NULL)
        return true;
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return text_is_utf8(value) && (value.len == 0 || memchr(value.data, 0, value.len) == NULL);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return are_strings_good(field->descriptor, value);
    return true;
}

/* Of a message that the library could take apart. */
static bool are_strings_good(const ProtobufCMessageDescriptor *type, struct bytes message)
{
    struct reader r = reader_of(message);
    bool good = true;

    while (good && reader_left(&r) > 0) {
        uint64_t tag = take_varint(&r), len;

        switch (tag & 7) {
        case WIRE_VARINT:
            (void)take_varint(&r);
            break;
        case WIRE_64_BITS:
            reader_skip(&r, 8);
            break;
        case WIRE_32_BITS:
            reader_skip(&r, 4);
            break;
        case WIRE_BYTES:
            len = take_varint(&r);
            good = len <= reader_left(&r) &&
                   is_good(protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3)),
                           reader_take(&r, (size_t)len));
            break;
        default:
            good = false;
            break;
        }
    }
    return good && !reader_failed(&r);
}

int proto_unpack(const ProtobufCMessageDescriptor *type, struct bytes bytes, void *ret_message,
                 struct err *err)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, bytes.len, bytes.data);

    if (message == NULL)
        return err_set(err, -EBADMSG, "not a message of type %s", type->short_name);
    if (!are_strings_good(type, bytes)) {
        protobuf_c_message_free_unpacked(message, NULL);
        return err_set(err, -EBADMSG, "%s: a string is not UTF-8, or holds a NUL",
                       type->short_name);
    }
    *(ProtobufCMessage **)ret_message = message;
    return 0;
}

void scoped_proto(void *message_pointer)
{
    ProtobufCMessage *message = *(ProtobufCMessage **)message_pointer;
    int saved_errno = errno;

    if (message != NULL)
        protobuf_c_message_free_unpacked(message, NULL);
    errno = saved_errno;
}

int proto_pairs_of(const struct text_map *map, struct proto_pairs *ret)
{
    SCOPED(proto_pairs) struct proto_pairs made = PROTO_PAIRS_NONE;
    size_t i;

    *ret = made;
    if (map == NULL || map->count == 0)
        return 0;
    made.count = map->count;
    made.items = calloc(map->count, sizeof(void *));
    made.storage = calloc(map->count, sizeof(made.storage[0]));
    if (made.items == NULL || made.storage == NULL)
        return -ENOMEM;
    for (i = 0; i < map->count; i++) {
        wire__pair__init(&made.storage[i]);
        made.storage[i].key = map->items[i].key;
        made.storage[i].value = map->items[i].value;
        made.items[i] = &made.storage[i];
    }
    *ret = made;
    made = (struct proto_pairs)PROTO_PAIRS_NONE;
    return 0;
}

void proto_pairs_fini(struct proto_pairs *pairs)
{
    free(pairs->items);
    free(pairs->storage);
    *pairs = (struct proto_pairs)PROTO_PAIRS_NONE;
}

int proto_pairs_to_map(size_t count, Wire__Pair *const *pairs, struct text_map *map)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (text_map_set(map, pairs[i]->key, pairs[i]->value) < 0)
            return -ENOMEM;
    }
    return 0;
}

int proto_strings_to_list(size_t count, char *const *strings, struct text_list *list)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (text_list_add(list, strings[i]) < 0)
            return -ENOMEM;
    }
    return 0;
}

Wire__Timestamp proto_time(int64_t since_1970_ns)
{
    Wire__Timestamp time = WIRE__TIMESTAMP__INIT;

    time.seconds = since_1970_ns / 1000000000;
    time.nanos = (int32_t)(since_1970_ns % 1000000000);
    if (time.nanos < 0) { /* the fraction counts forward, also before 1970 */
        time.nanos += 1000000000;
        time.seconds--;
    }
    return time;
}
