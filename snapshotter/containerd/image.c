/* SPDX-License-Identifier: Apache-2.0 */
/* image.c – containerd's image records. */
#include "internal.h"

#include "proto/images.pb-c.h"

#include <stdlib.h>

#define IMAGES CONTAINERD_SERVICE "images.v1.Images/"

void containerd_image_fini(struct containerd_image *image)
{
    free(image->name);
    free(image->media_type);
    free(image->digest);
    text_map_fini(&image->labels);
    *image = (struct containerd_image)CONTAINERD_IMAGE_NONE;
}

static int convert(const Wire__Image *wire, struct containerd_image *ret, struct err *err)
{
    SCOPED(containerd_image) struct containerd_image image = CONTAINERD_IMAGE_NONE;

    if (wire == NULL || wire->target == NULL || wire->target->size < 0)
        return err_set(err, -EBADMSG, "the record has no proper target");
    image.name = text_copy(wire->name);
    image.media_type = text_copy(wire->target->media_type);
    image.digest = text_copy(wire->target->digest);
    image.size_bytes = (uint64_t)wire->target->size;
    if (image.name == NULL || image.media_type == NULL || image.digest == NULL ||
        proto_pairs_to_map(wire->n_labels, wire->labels, &image.labels) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = image;
    image = (struct containerd_image)CONTAINERD_IMAGE_NONE;
    return 0;
}

int containerd_image_get(struct containerd *c, const char *name, struct containerd_image *ret,
                         struct err *err)
{
    static const struct containerd_method method = {
        .path = IMAGES "Get",
        .reply = &wire__image_response__descriptor,
    };
    SCOPED(proto) Wire__ImageResponse *reply = NULL;
    Wire__ImageGetRequest request;
    int rc;

    *ret = (struct containerd_image)CONTAINERD_IMAGE_NONE;
    wire__image_get_request__init(&request);
    request.name = containerd_lend(name);
    rc = containerd_call(c, &method, &request.base, &reply, NULL, err);
    if (rc == -ENOENT)
        return err_set(err, rc, "image \"%s\": not found", name);
    if (rc == 0)
        rc = convert(reply->image, ret, err);
    return rc < 0 ? err_prefix(err, rc, "image \"%s\"", name) : 0;
}

int containerd_image_list(struct containerd *c, const struct text_list *filters,
                          int (*each)(void *arg, const struct containerd_image *image), void *arg,
                          struct err *err)
{
    static const struct containerd_method method = {
        .path = IMAGES "List",
        .reply = &wire__image_list_response__descriptor,
    };
    SCOPED(proto) Wire__ImageListResponse *reply = NULL;
    Wire__ImageListRequest request;
    size_t i;
    int rc;

    wire__image_list_request__init(&request);
    if (filters != NULL) {
        request.n_filters = filters->count;
        request.filters = filters->items;
    }
    rc = containerd_call(c, &method, &request.base, &reply, NULL, err);
    if (rc < 0)
        return err_prefix(err, rc, "listing images");
    for (i = 0; i < reply->n_images && rc == 0; i++) {
        SCOPED(containerd_image) struct containerd_image image = CONTAINERD_IMAGE_NONE;

        rc = convert(reply->images[i], &image, err);
        if (rc < 0)
            return err_prefix(err, rc, "image \"%s\"", reply->images[i]->name);
        rc = each(arg, &image);
    }
    return rc;
}

/* One field of an image's record; `image` has it, and a target: without one containerd 2 crashes.
 */
static int update(struct containerd *c, Wire__Image *image, const char *field, struct err *err)
{
    static const struct containerd_method method = {.path = IMAGES "Update"};
    Wire__ImageUpdateRequest request;
    Wire__FieldMask mask;
    char *path = containerd_lend(field);

    wire__image_update_request__init(&request);
    wire__field_mask__init(&mask);
    mask.n_paths = 1;
    mask.paths = &path;
    request.image = image;
    request.update_mask = &mask;
    return containerd_call(c, &method, &request.base, NULL, NULL, err);
}

int containerd_image_set_label(struct containerd *c, const char *name, const char *key,
                               const char *value, struct err *err)
{
    SCOPED(mem) char *path = text_format("labels.%s", key);
    Wire__Descriptor target; /* the mask leaves it alone */
    Wire__Image image;
    Wire__Pair label;
    int rc;

    if (path == NULL)
        return err_set(err, -ENOMEM, "image \"%s\": out of memory", name);
    wire__image__init(&image);
    wire__descriptor__init(&target);
    wire__pair__init(&label);
    label.key = containerd_lend(key);
    label.value = containerd_lend(value);
    image.name = containerd_lend(name);
    image.target = &target;
    image.n_labels = 1;
    image.labels = (Wire__Pair *[]){&label};
    rc = update(c, &image, path, err);
    return rc < 0 ? err_prefix(err, rc, "image \"%s\": label %s", name, key) : 0;
}

/* The record `name` for `to`, in the caller's storage; all is lent. */
static void fill(Wire__Image *image, Wire__Descriptor *target, const char *name,
                 const struct containerd_target *to)
{
    wire__image__init(image);
    wire__descriptor__init(target);
    target->media_type = containerd_lend(to->media_type);
    target->digest = containerd_lend(to->digest);
    target->size = (int64_t)to->size_bytes;
    image->name = containerd_lend(name);
    image->target = target;
}

int containerd_image_create(struct containerd *c, const char *name,
                            const struct containerd_target *to, struct err *err)
{
    static const struct containerd_method method = {.path = IMAGES "Create"};
    Wire__ImageCreateRequest request;
    Wire__Descriptor target;
    Wire__Image image;
    int rc;

    fill(&image, &target, name, to);
    wire__image_create_request__init(&request);
    request.image = &image;
    rc = containerd_call(c, &method, &request.base, NULL, NULL, err);
    return rc < 0 ? err_prefix(err, rc, "image \"%s\"", name) : 0;
}

int containerd_image_set_target(struct containerd *c, const char *name,
                                const struct containerd_target *to, struct err *err)
{
    Wire__Descriptor target;
    Wire__Image image;
    int rc;

    fill(&image, &target, name, to);
    rc = update(c, &image, "target", err);
    return rc < 0 ? err_prefix(err, rc, "image \"%s\": target %s", name, to->digest) : 0;
}
