/* SPDX-License-Identifier: Apache-2.0 */
/* file.c – a record as bytes (docs/starts.md). */
#include "starts/starts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = {'S', 'O', 'C', 'I', 's', 't', 'r', 't'};

enum {
    VERSION = 1,
    HEAD_BYTES = 8 + 3 * 4 + DIGEST_BYTES, /* magic, version, layers, touches, manifest */
    LAYER_BYTES = 2 * DIGEST_BYTES,
    TOUCH_BYTES = 3 * 4,
};
static_assert(STARTS_FILE_MAX_BYTES == HEAD_BYTES + STARTS_LAYERS_MAX * LAYER_BYTES +
                                           STARTS_TOUCHES_MAX * TOUCH_BYTES + DIGEST_BYTES,
              "starts.h says what a file is made of");

/* ---- reading --------------------------------------------------------------------------------- */

static struct digest read_digest(struct reader *r)
{
    struct bytes bytes = reader_take(r, DIGEST_BYTES);
    struct digest digest = {.sha256 = {0}};

    if (bytes.len == DIGEST_BYTES)
        memcpy(digest.sha256, bytes.data, DIGEST_BYTES);
    return digest;
}

struct head {
    uint32_t layers, touches;
    struct digest manifest;
};

/* Afterwards the length is right for what the head says. */
static int read_head(struct reader *r, struct head *ret, struct err *err)
{
    struct bytes mark = reader_take(r, sizeof(magic));
    uint32_t version = reader_u32le(r);

    ret->layers = reader_u32le(r);
    ret->touches = reader_u32le(r);
    ret->manifest = read_digest(r);
    if (reader_failed(r) || memcmp(mark.data, magic, sizeof(magic)) != 0)
        return err_set(err, -EBADMSG, "not a record of a start");
    if (version != VERSION)
        return err_set(err, -EBADMSG, "version %u is not known", (unsigned)version);
    if (ret->layers > STARTS_LAYERS_MAX || ret->touches > STARTS_TOUCHES_MAX ||
        reader_left(r) !=
            (size_t)ret->layers * LAYER_BYTES + (size_t)ret->touches * TOUCH_BYTES + DIGEST_BYTES)
        return err_set(err, -EBADMSG, "%u layers and %u touches are not what it holds",
                       (unsigned)ret->layers, (unsigned)ret->touches);
    return 0;
}

static int check_sum(struct bytes file, struct err *err)
{
    struct digest digest;

    if (file.len < DIGEST_BYTES)
        return err_set(err, -EBADMSG, "not a record of a start");
    if (digest_of(bytes_of(file.data, file.len - DIGEST_BYTES), &digest) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (memcmp(digest.sha256, file.data + file.len - DIGEST_BYTES, DIGEST_BYTES) != 0)
        return err_set(err, -EBADMSG, "damaged: its checksum is of other bytes");
    return 0;
}

static int read_layers(struct reader *r, uint32_t count, struct starts_record *record,
                       struct err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        struct starts_layer layer = {.layer = read_digest(r)};
        uint32_t index;

        layer.ztoc = read_digest(r);
        if (starts_record_add_layer(record, &layer, &index) < 0)
            return err_set(err, -ENOMEM, "out of memory");
        if (index != i)
            return err_set(err, -EBADMSG, "layer %u is there twice", (unsigned)i);
    }
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    const uint64_t *p = a, *q = b;

    return *p < *q ? -1 : *p > *q;
}

static int check_unique(const struct starts_record *record, struct err *err)
{
    SCOPED(mem) uint64_t *keys = reallocarray(NULL, record->touch_count + 1, sizeof(*keys));

    if (keys == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < record->touch_count; i++)
        keys[i] = (uint64_t)record->touches[i].layer << 32 | record->touches[i].span;
    qsort(keys, record->touch_count, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < record->touch_count; i++) {
        if (keys[i] == keys[i - 1])
            return err_set(err, -EBADMSG, "span %u is there twice", (unsigned)(uint32_t)keys[i]);
    }
    return 0;
}

static int read_touches(struct reader *r, uint32_t count, struct starts_record *record,
                        struct err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        struct starts_touch touch = {.layer = reader_u32le(r)};

        touch.span = reader_u32le(r);
        touch.at_ms = reader_u32le(r);
        if (touch.layer >= record->layer_count)
            return err_set(err, -EBADMSG, "touch %u is of layer %u of %zu", (unsigned)i,
                           (unsigned)touch.layer, record->layer_count);
        if (starts_record_add_touch(record, &touch) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return check_unique(record, err);
}

int starts_parse(struct bytes file, struct starts_record **ret, struct err *err)
{
    SCOPED(starts_record) struct starts_record *record = NULL;
    struct reader r = reader_of(file);
    struct head head;
    int rc = read_head(&r, &head, err);

    if (rc == 0)
        rc = check_sum(file, err);
    if (rc < 0)
        return rc;
    record = starts_record_new(&head.manifest);
    if (record == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = read_layers(&r, head.layers, record, err);
    if (rc == 0)
        rc = read_touches(&r, head.touches, record, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(record);
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int add_u32(struct buf *out, uint32_t value)
{
    uint8_t raw[4];

    put_u32le(raw, value);
    return buf_add(out, raw, sizeof(raw));
}

static int add_digest(struct buf *out, const struct digest *digest)
{
    return buf_add(out, digest->sha256, DIGEST_BYTES);
}

static int add_all(struct buf *out, const struct starts_record *record)
{
    int rc = buf_add(out, magic, sizeof(magic));

    if (rc == 0)
        rc = add_u32(out, VERSION);
    if (rc == 0)
        rc = add_u32(out, (uint32_t)record->layer_count);
    if (rc == 0)
        rc = add_u32(out, (uint32_t)record->touch_count);
    if (rc == 0)
        rc = add_digest(out, &record->manifest);
    for (size_t i = 0; rc == 0 && i < record->layer_count; i++) {
        rc = add_digest(out, &record->layers[i].layer);
        if (rc == 0)
            rc = add_digest(out, &record->layers[i].ztoc);
    }
    for (size_t i = 0; rc == 0 && i < record->touch_count; i++) {
        rc = add_u32(out, record->touches[i].layer);
        if (rc == 0)
            rc = add_u32(out, record->touches[i].span);
        if (rc == 0)
            rc = add_u32(out, record->touches[i].at_ms);
    }
    return rc;
}

int starts_encode(const struct starts_record *record, struct buf *ret, struct err *err)
{
    size_t before = ret->len;
    struct digest digest;
    int rc = add_all(ret, record);

    if (rc == 0)
        rc = digest_of(bytes_of(ret->data + before, ret->len - before), &digest);
    if (rc == 0)
        rc = add_digest(ret, &digest);
    if (rc == 0)
        return 0;
    ret->len = before;
    return err_sys(err, rc, "record of a start");
}
