/* SPDX-License-Identifier: Apache-2.0 */
/* layer.c – a layer of an image into the content store, as containerd's own pull leaves it: with
 * labels that say in which repositories it is to be had, for a push that need not send it, and what
 * it unpacks to, for those who unpack it another time.
 *
 * What keeps it is the image's manifest, in whose labels containerd lists the layers, when it is
 * there; until then a lease has to. An upload that nothing refers to stays for a day. */
#include "internal.h"

#include <stdlib.h>

#define LABEL_SOURCE "containerd.io/distribution.source."
#define LABEL_UNCOMPRESSED "containerd.io/uncompressed"
#define LABEL_REFERS "containerd.io/gc.ref.content."
enum { LABEL_MAX_BYTES = 4096 }; /* key and value; containerd refuses more */
#define LEASE_MS INT64_C(3600000)

struct containerd_layer {
    struct containerd *c;
    char *digest, *manifest, *source_label, *repository;
    struct containerd_upload *upload; /* NULL: it is there already */
    char *own_lease;                  /* NULL: the client's is used */
};

/* ---- labels ---------------------------------------------------------------------------------- */

/* The host without its port, in which containerd's labels do not tell registries apart. */
static char *source_label(const char *host)
{
    const char *end;

    if (host[0] == '[') {
        host++;
        end = strchr(host, ']');
    } else {
        end = strrchr(host, ':');
    }
    return text_format(LABEL_SOURCE "%.*s",
                       (int)(end == NULL ? strlen(host) : (size_t)(end - host)), host);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int containerd_source_add(const char *known, const char *repository, char **ret)
{
    SCOPED(text_list) struct text_list list = TEXT_LIST_EMPTY;
    SCOPED(buf_value) struct buf value = BUF_EMPTY;
    int rc = known == NULL || known[0] == '\0' ? 0 : text_list_split(&list, known, ',');

    if (rc == 0)
        rc = text_list_add(&list, repository);
    if (rc < 0)
        return rc;
    qsort(list.items, list.count, sizeof(*list.items), compare_texts);
    for (size_t i = 0; i < list.count && rc == 0; i++) {
        if (list.items[i][0] == '\0' || (i > 0 && strcmp(list.items[i], list.items[i - 1]) == 0))
            continue;
        rc = value.len > 0 ? buf_add_byte(&value, ',') : 0;
        if (rc == 0)
            rc = buf_add_str(&value, list.items[i]);
    }
    if (rc == 0)
        *ret = text_copy(buf_str(&value));
    return rc < 0 || *ret == NULL ? -ENOMEM : 0;
}

/* A layer that very many repositories have gets no more of them. */
static int add_source(const struct containerd_layer *layer, const struct text_map *known,
                      struct text_map *ret)
{
    const char *before = text_map_get(known, layer->source_label);
    SCOPED(mem) char *value = NULL;

    if (containerd_source_add(before, layer->repository, &value) < 0)
        return -ENOMEM;
    if ((before != NULL && strcmp(value, before) == 0) ||
        strlen(layer->source_label) + strlen(value) > LABEL_MAX_BYTES)
        return 0;
    return text_map_set(ret, layer->source_label, value);
}

/* Those that are not among `known`. */
static int missing_labels(const struct containerd_layer *layer, const struct text_map *known,
                          const char *diff_id, struct text_map *ret, struct err *err)
{
    const char *unpacked = text_map_get(known, LABEL_UNCOMPRESSED);
    int rc = add_source(layer, known, ret);

    if (rc == 0 && (unpacked == NULL || strcmp(unpacked, diff_id) != 0))
        rc = text_map_set(ret, LABEL_UNCOMPRESSED, diff_id);
    return rc < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int set_missing_labels(const struct containerd_layer *layer, const char *diff_id,
                              struct err *err)
{
    SCOPED(containerd_content) struct containerd_content known = {.labels = TEXT_MAP_EMPTY};
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    int rc = containerd_content_info(layer->c, layer->digest, &known, err);

    if (rc == 0)
        rc = missing_labels(layer, &known.labels, diff_id, &labels, err);
    return rc < 0 || labels.count == 0
               ? rc
               : containerd_content_set_labels(layer->c, layer->digest, &labels, err);
}

/* ---- leases ---------------------------------------------------------------------------------- */

static bool refers_to(const struct text_map *labels, const char *digest)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (text_has_prefix(labels->items[i].key, LABEL_REFERS) &&
            strcmp(labels->items[i].value, digest) == 0)
            return true;
    }
    return false;
}

/* Does the manifest keep the layer? 1, 0, or an error. */
static int is_referred_to(const struct containerd_layer *layer, struct err *err)
{
    SCOPED(containerd_content) struct containerd_content manifest = {.labels = TEXT_MAP_EMPTY};
    int rc = containerd_content_info(layer->c, layer->manifest, &manifest, err);

    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    return refers_to(&manifest.labels, layer->digest) ? 1 : 0;
}

/* containerd names its lease to us in some of the ways to pull, and not in others. */
static int do_without_lease(struct containerd_layer *layer, struct err *err)
{
    int rc = containerd_use_lease(layer->c, NULL, err);

    if (rc == 0)
        rc = is_referred_to(layer, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = containerd_lease_create(layer->c, LEASE_MS, &layer->own_lease, err);
    return rc < 0 ? rc : containerd_use_lease(layer->c, layer->own_lease, err);
}

/* One that stays ends by itself. */
static void drop_own_lease(struct containerd_layer *layer)
{
    if (layer->own_lease != NULL)
        (void)!containerd_lease_delete(layer->c, layer->own_lease, NULL);
    free(TAKE(layer->own_lease));
}

/* ---- the layer ------------------------------------------------------------------------------- */

static int open_upload(struct containerd_layer *layer,
                       const struct containerd_layer_request *request, struct err *err)
{
    const struct containerd_write_request write = {
        .digest = layer->digest, .size_bytes = request->size_bytes, .ref = request->ref};
    int rc = containerd_upload_open(layer->c, &write, &layer->upload, err);

    if (rc == -ENOENT && request->lease != NULL) { /* which is gone */
        rc = do_without_lease(layer, err);
        if (rc == 0)
            rc = containerd_upload_open(layer->c, &write, &layer->upload, err);
    }
    return rc == -EEXIST ? 0 : rc;
}

static int copy_names(struct containerd_layer *layer,
                      const struct containerd_layer_request *request)
{
    layer->digest = text_copy(request->digest);
    layer->manifest = text_copy(request->manifest);
    layer->source_label = source_label(request->host);
    layer->repository = text_copy(request->repository);
    return layer->digest == NULL || layer->manifest == NULL || layer->source_label == NULL ||
                   layer->repository == NULL
               ? -ENOMEM
               : 0;
}

int containerd_layer_open(struct containerd *c, const struct containerd_layer_request *request,
                          struct containerd_layer **ret, struct err *err)
{
    SCOPED(containerd_layer) struct containerd_layer *layer = calloc(1, sizeof(*layer));
    int rc;

    if (layer == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    layer->c = c;
    if (copy_names(layer, request) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    rc = request->lease == NULL ? do_without_lease(layer, err)
                                : containerd_use_lease(c, request->lease, err);
    if (rc == 0)
        rc = open_upload(layer, request, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(layer);
    return 0;
}

bool containerd_layer_wants_bytes(const struct containerd_layer *layer)
{
    return layer->upload != NULL && !containerd_upload_is_full(layer->upload);
}

int containerd_layer_add(struct containerd_layer *layer, struct bytes bytes, struct err *err)
{
    return containerd_upload_add(layer->upload, bytes, err);
}

static int commit(struct containerd_layer *layer, const char *diff_id, struct err *err)
{
    const struct text_map none = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    int rc = missing_labels(layer, &none, diff_id, &labels, err);

    return rc < 0 ? rc : containerd_upload_commit(layer->upload, &labels, err);
}

int containerd_layer_finish(struct containerd_layer *layer, const char *diff_id, struct err *err)
{
    int rc = layer->upload == NULL ? -EEXIST : commit(layer, diff_id, err);

    if (rc == -EEXIST)
        rc = set_missing_labels(layer, diff_id, err);
    if (rc == 0 && layer->own_lease != NULL && is_referred_to(layer, NULL) != 1)
        free(TAKE(layer->own_lease));
    return rc;
}

void containerd_layer_close(struct containerd_layer *layer)
{
    if (layer == NULL)
        return;
    containerd_upload_close(layer->upload);
    drop_own_lease(layer);
    free(layer->digest);
    free(layer->manifest);
    free(layer->source_label);
    free(layer->repository);
    free(layer);
}
