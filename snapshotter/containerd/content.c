/* SPDX-License-Identifier: Apache-2.0 */
/* content.c – what containerd knows of a blob: size and labels. */
#include "internal.h"

#include "proto/content.pb-c.h"

#include <stdlib.h>

#define CONTENT CONTAINERD_SERVICE "content.v1.Content/"

void containerd_content_fini(struct containerd_content *content)
{
    text_map_fini(&content->labels);
    content->size_bytes = 0;
}

static int convert(const Wire__ContentInfo *wire, struct containerd_content *ret, struct err *err)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;

    if (wire == NULL || wire->size < 0)
        return err_set(err, -EBADMSG, "the record has no proper size");
    if (proto_pairs_to_map(wire->n_labels, wire->labels, &labels) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    ret->size_bytes = (uint64_t)wire->size;
    ret->labels = labels;
    labels = (struct text_map)TEXT_MAP_EMPTY;
    return 0;
}

int containerd_content_info(struct containerd *c, const char *digest,
                            struct containerd_content *ret, struct err *err)
{
    static const struct containerd_method method = {
        .path = CONTENT "Info",
        .reply = &wire__content_info_response__descriptor,
    };
    SCOPED(proto) Wire__ContentInfoResponse *reply = NULL;
    Wire__ContentDigestRequest request;
    int rc;

    if (ret != NULL)
        *ret = (struct containerd_content){.labels = TEXT_MAP_EMPTY};
    wire__content_digest_request__init(&request);
    request.digest = containerd_lend(digest);
    rc = containerd_call(c, &method, &request.base, &reply, NULL, err);
    if (rc == -ENOENT)
        return err_set(err, rc, "content digest %s: not found", digest);
    if (rc == 0 && ret != NULL)
        rc = convert(reply->info, ret, err);
    return rc < 0 ? err_prefix(err, rc, "content %s", digest) : 0;
}

struct listing {
    int (*each)(void *arg, const char *digest, const struct containerd_content *content);
    void *arg;
};

static int list_some(void *arg, const ProtobufCMessage *reply, struct err *err)
{
    const struct listing *listing = arg;
    const Wire__ContentListResponse *some = (const Wire__ContentListResponse *)(const void *)reply;
    size_t i;

    for (i = 0; i < some->n_info; i++) {
        SCOPED(containerd_content) struct containerd_content content = {.labels = TEXT_MAP_EMPTY};
        int rc = convert(some->info[i], &content, err);

        if (rc < 0)
            return rc;
        rc = listing->each(listing->arg, some->info[i]->digest, &content);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int containerd_content_list(struct containerd *c, const struct text_list *filters,
                            int (*each)(void *arg, const char *digest,
                                        const struct containerd_content *content),
                            void *arg, struct err *err)
{
    static const struct containerd_method method = {
        .path = CONTENT "List",
        .reply = &wire__content_list_response__descriptor,
    };
    struct listing listing = {.each = each, .arg = arg};
    Wire__ContentListRequest request;

    wire__content_list_request__init(&request);
    if (filters != NULL) {
        request.n_filters = filters->count;
        request.filters = filters->items;
    }
    return containerd_stream(c, &method, &request.base, list_some, &listing, err);
}

int containerd_content_set_labels(struct containerd *c, const char *digest,
                                  const struct text_map *labels, struct err *err)
{
    static const struct containerd_method method = {.path = CONTENT "Update"};
    SCOPED(proto_pairs) struct proto_pairs pairs = PROTO_PAIRS_NONE;
    SCOPED(text_list) struct text_list paths = TEXT_LIST_EMPTY;
    Wire__ContentUpdateRequest request;
    Wire__ContentInfo info;
    Wire__FieldMask mask;
    int rc;

    if (labels->count == 0) /* an empty mask would mean all fields */
        return 0;
    if (proto_pairs_of(labels, &pairs) < 0 || containerd_label_paths(labels, &paths) < 0)
        return err_set(err, -ENOMEM, "content %s: out of memory", digest);
    wire__content_update_request__init(&request);
    wire__content_info__init(&info);
    wire__field_mask__init(&mask);
    info.digest = containerd_lend(digest);
    info.n_labels = pairs.count;
    info.labels = pairs.items;
    mask.n_paths = paths.count;
    mask.paths = paths.items;
    request.info = &info;
    request.update_mask = &mask;
    rc = containerd_call(c, &method, &request.base, NULL, NULL, err);
    return rc < 0 ? err_prefix(err, rc, "content %s: labels", digest) : 0;
}

int containerd_content_delete(struct containerd *c, const char *digest, struct err *err)
{
    static const struct containerd_method method = {.path = CONTENT "Delete"};
    Wire__ContentDigestRequest request;
    int rc;

    wire__content_digest_request__init(&request);
    request.digest = containerd_lend(digest);
    rc = containerd_call(c, &method, &request.base, NULL, NULL, err);
    return rc < 0 ? err_prefix(err, rc, "deleting content %s", digest) : 0;
}
