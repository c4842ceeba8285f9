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

/* The library checks no UTF-8, but a string that is none would make every Go program refuse the
 * message in which we hand it on. The types of this folder do not contain themselves, which bounds
 * the recursion. */
static bool strings_are_utf8(const ProtobufCMessage *message);

static bool member_is_utf8(const ProtobufCFieldDescriptor *field, const void *member)
{
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *const *s = member;
        return *s == NULL || text_is_utf8(bytes_of_str(*s));
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *const *inner = member;
        return *inner == NULL || strings_are_utf8(*inner);
    }
    return true;
}

static bool field_is_utf8(const ProtobufCFieldDescriptor *field, const uint8_t *message)
{
    const void *member = message + field->offset;
    const void *const *items;
    size_t i, count;

    if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
        return true;
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return member_is_utf8(field, member);
    items = *(const void *const *const *)member;
    count = *(const size_t *)(const void *)(message + field->quantifier_offset);
    for (i = 0; i < count; i++) {
        if (!member_is_utf8(field, &items[i]))
            return false;
    }
    return true;
}

static bool strings_are_utf8(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    unsigned i;

    for (i = 0; i < type->n_fields; i++) {
        if (!field_is_utf8(&type->fields[i], (const uint8_t *)message))
            return false;
    }
    return true;
}

int proto_unpack(const ProtobufCMessageDescriptor *type, struct bytes bytes, void *ret_message,
                 struct err *err)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, bytes.len, bytes.data);

    if (message == NULL)
        return err_set(err, -EBADMSG, "not a message of type %s", type->short_name);
    if (!strings_are_utf8(message)) {
        protobuf_c_message_free_unpacked(message, NULL);
        return err_set(err, -EBADMSG, "%s: a string is not UTF-8", type->short_name);
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
