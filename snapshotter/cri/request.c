/* SPDX-License-Identifier: Apache-2.0 */
/* request.c – image and credentials in requests of CRI, straight from protobuf's wire format: no
 * copies of secrets are made on the way, and what is not understood costs nothing.
 *
 *   PullImageRequest    { ImageSpec image = 1; AuthConfig auth = 2; … }
 *   RemoveImageRequest  { ImageSpec image = 1; }
 *   ImageSpec           { string image = 1; … }
 *   AuthConfig          { string username = 1, password = 2, auth = 3, server_address = 4,
 *                         identity_token = 5, registry_token = 6; } */
#include "cri/internal.h"

#include <errno.h>

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { VARINT_BYTES_MAX = 10 };

/* More than 64 bits fail the reader. */
static uint64_t read_varint(struct reader *r)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = reader_u8(r);

        if (i == VARINT_BYTES_MAX - 1 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0)
            return value;
    }
    r->failed = true;
    return 0;
}

static struct bytes read_bytes(struct reader *r)
{
    uint64_t len = read_varint(r);

    if (len > reader_left(r)) {
        r->failed = true;
        return bytes_of(NULL, 0);
    }
    return reader_take(r, (size_t)len);
}

/* The next field; false at the end, or when the reader has failed. *ret is empty for a number. */
static bool next_field(struct reader *r, uint64_t *ret_number, bool *ret_is_bytes,
                       struct bytes *ret)
{
    uint64_t tag;

    if (reader_left(r) == 0)
        return false;
    tag = read_varint(r);
    *ret_number = tag >> 3;
    *ret_is_bytes = (tag & 7) == WIRE_BYTES;
    *ret = bytes_of(NULL, 0);
    if (*ret_number == 0 || *ret_number >= UINT64_C(1) << 29) {
        r->failed = true;
        return false;
    }
    switch (tag & 7) {
    case WIRE_VARINT:
        (void)read_varint(r);
        break;
    case WIRE_64:
        reader_skip(r, 8);
        break;
    case WIRE_32:
        reader_skip(r, 4);
        break;
    case WIRE_BYTES:
        *ret = read_bytes(r);
        break;
    default: /* groups, which proto3 does not have */
        r->failed = true;
    }
    return !reader_failed(r);
}

/* The strings of a message, by number from 1; the last one counts. */
static int read_strings(struct bytes message, struct bytes *strings[], size_t count)
{
    struct reader r = reader_of(message);
    struct bytes value;
    uint64_t number;
    bool is_bytes;

    while (next_field(&r, &number, &is_bytes, &value)) {
        if (number > count)
            continue;
        if (!is_bytes)
            return -EBADMSG;
        *strings[number - 1] = value;
    }
    return reader_failed(&r) ? -EBADMSG : 0;
}

static int read_auth(struct bytes message, struct cri_auth *ret)
{
    struct bytes *strings[] = {&ret->username,       &ret->password,       &ret->auth,
                               &ret->server_address, &ret->identity_token, &ret->registry_token};

    return read_strings(message, strings, ARRAY_LEN(strings));
}

/* A message that comes twice is one, as protobuf has it. */
int cri_request_parse(struct bytes message, struct cri_request *ret, struct err *err)
{
    enum { IMAGE = 1, AUTH = 2 };
    struct reader r = reader_of(message);
    struct cri_request request = {.image = {NULL, 0}};
    struct bytes *image[] = {&request.image}, value;
    uint64_t number;
    bool is_bytes;
    int rc = 0;

    while (rc == 0 && next_field(&r, &number, &is_bytes, &value)) {
        if (number == IMAGE || number == AUTH)
            rc = !is_bytes         ? -EBADMSG
                 : number == IMAGE ? read_strings(value, image, 1)
                                   : read_auth(value, &request.auth);
    }
    if (rc < 0 || reader_failed(&r))
        return err_set(err, -EBADMSG, "no request of CRI");
    *ret = request;
    return 0;
}
