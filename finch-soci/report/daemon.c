/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.c – what the snapshotter in the machine says of itself, read as if it were an enemy's:
 * docs/status.md is the format. Fields of another type are as good as missing. */
#include "report/internal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

DEFINE_SCOPED_PTR(daemon_json, cJSON, cJSON_Delete)

enum { DAEMON_TEXT_BYTES = 1024 };

/* ---- values ---------------------------------------------------------------------------------- */

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *string_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(member(object, name));

    return text == NULL ? "" : text;
}

/* Numbers travel as doubles; what is above 2^53 is not exact, and above 2^62 not said. */
static uint64_t number_of(const cJSON *object, const char *name)
{
    const cJSON *value = member(object, name);

    return cJSON_IsNumber(value) && value->valuedouble >= 0 && value->valuedouble < 0x1p62
               ? (uint64_t)value->valuedouble
               : 0;
}

/* A new string, clean. */
static char *text_of(const cJSON *object, const char *name)
{
    char clean[DAEMON_TEXT_BYTES];

    report_clean(clean, sizeof(clean), string_of(object, name));
    return strdup(clean);
}

/* ---- images ---------------------------------------------------------------------------------- */

/* Images have no namespace, their layers have: the manifests of those that are in it, in order. */
struct manifests {
    const char **items; /* of the JSON */
    size_t count;
};

static void manifests_fini(struct manifests *manifests)
{
    free(manifests->items);
}
DEFINE_SCOPED_VALUE(manifests, struct manifests, manifests_fini)

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One that nobody has named counts for all. */
static bool is_wanted(const cJSON *layer, const char *namespace_)
{
    const char *name = string_of(layer, "namespace");

    return *namespace_ == '\0' || *name == '\0' || strcmp(name, namespace_) == 0;
}

static int find_manifests(const cJSON *layers, const char *namespace_, struct manifests *ret)
{
    int count = cJSON_GetArraySize(layers);
    const cJSON *layer;

    ret->items = calloc((size_t)count + 1, sizeof(*ret->items));
    if (ret->items == NULL)
        return -ENOMEM;
    cJSON_ArrayForEach(layer, layers)
    {
        if (cJSON_IsObject(layer) && is_wanted(layer, namespace_))
            ret->items[ret->count++] = string_of(layer, "manifest");
    }
    qsort(ret->items, ret->count, sizeof(*ret->items), compare);
    return 0;
}

static bool has(const struct manifests *manifests, const char *manifest)
{
    return bsearch(&manifest, manifests->items, manifests->count, sizeof(*manifests->items),
                   compare) != NULL;
}

static enum report_image_state state_of(const struct report_image *image)
{
    if (image->failed > 0)
        return REPORT_IMAGE_BROKEN;
    return image->lazy > 0 ? REPORT_IMAGE_LAZY : REPORT_IMAGE_LOCAL;
}

/* `told` gets the images, and the daemon's words; the caller's report stays until all is well. */
static int add_image(struct report *told, const cJSON *object)
{
    const cJSON *layers = member(object, "layers");
    struct report_image *image = &told->images[told->image_count++];

    *image = (struct report_image){
        .image = text_of(object, "image"),
        .manifest = text_of(object, "manifest"),
        .index = text_of(object, "index"),
        .snapshotters = strdup(""),
        .text = strdup(""),
        .mend = strdup(""),
        .lazy = number_of(layers, "lazy"),
        .local = number_of(layers, "local"),
        .pending = number_of(layers, "pending"),
        .failed = number_of(layers, "failed"),
        .size_bytes = number_of(object, "sizeBytes"),
        .present_bytes = number_of(object, "presentBytes"),
    };
    image->state = state_of(image);
    told->daemon.errors += image->failed;
    return report_image_is_whole(image) ? 0 : -ENOMEM;
}

static int add_images(struct report *told, const cJSON *root, const char *namespace_)
{
    SCOPED(manifests) struct manifests manifests = {.items = NULL};
    const cJSON *object;
    int rc = find_manifests(member(root, "layers"), namespace_, &manifests);

    if (rc < 0)
        return rc;
    told->images = calloc(REPORT_IMAGES_MAX, sizeof(*told->images));
    if (told->images == NULL)
        return -ENOMEM;
    cJSON_ArrayForEach(object, member(root, "images"))
    {
        if (told->image_count == REPORT_IMAGES_MAX || rc < 0)
            break;
        if (cJSON_IsObject(object) &&
            (*namespace_ == '\0' || has(&manifests, string_of(object, "manifest"))))
            rc = add_image(told, object);
    }
    return rc;
}

/* ---- events ---------------------------------------------------------------------------------- */

struct event_names {
    const char *time, *layer, *text;
};

/* `kind` NULL: as the object says. */
static int add_event(struct report_daemon *daemon, const cJSON *object, const char *kind,
                     struct event_names names)
{
    struct report_event *event;

    if (daemon->event_count == REPORT_EVENTS_MAX)
        return 0;
    event = &daemon->events[daemon->event_count++];
    *event = (struct report_event){
        .kind = kind == NULL ? text_of(object, "kind") : strdup(kind),
        .time = text_of(object, names.time),
        .image = text_of(object, "image"),
        .layer = text_of(object, names.layer),
        .text = text_of(object, names.text),
        .count = number_of(object, "count"),
    };
    if (event->count == 0)
        event->count = 1;
    return event->kind == NULL || event->time == NULL || event->image == NULL ||
                   event->layer == NULL || event->text == NULL
               ? -ENOMEM
               : 0;
}

/* The newest first; those of one moment stay as they came, which qsort() promises nowhere. Times
 * are RFC 3339 in UTC: as texts they are in order, but for fractions of a second. */
static void sort_events(struct report_event *events, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct report_event event = events[i];
        size_t at = i;

        for (; at > 0 && strcmp(events[at - 1].time, event.time) < 0; at--)
            events[at] = events[at - 1];
        events[at] = event;
    }
}

static int add_events(struct report_daemon *daemon, const cJSON *root, const char *namespace_)
{
    static const struct event_names event = {.time = "time", .layer = "layer", .text = "text"};
    static const struct event_names error = {
        .time = "errorTime", .layer = "digest", .text = "error"};
    const cJSON *object;
    int rc = 0;

    daemon->event_count = 0;
    daemon->events = calloc(REPORT_EVENTS_MAX, sizeof(*daemon->events));
    if (daemon->events == NULL)
        return -ENOMEM;
    cJSON_ArrayForEach(object, member(root, "layers"))
    {
        if (rc < 0 || *string_of(object, "error") == '\0' || !is_wanted(object, namespace_))
            continue;
        daemon->errors++;
        rc = add_event(daemon, object, "error", error);
    }
    cJSON_ArrayForEach(object, member(root, "events"))
    {
        if (rc == 0)
            rc = add_event(daemon, object, NULL, event);
    }
    if (rc == 0)
        sort_events(daemon->events, daemon->event_count);
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void take_numbers(struct report_daemon *daemon, const cJSON *root)
{
    const cJSON *self = member(root, "daemon"), *queue = member(root, "queue");
    const cJSON *cache = member(root, "cache");

    daemon->answers = true;
    report_clean(daemon->version, sizeof(daemon->version), string_of(self, "version"));
    daemon->uptime_s = number_of(self, "uptimeSeconds");
    daemon->rss_bytes = number_of(self, "rssBytes");
    daemon->layer_bytes = number_of(cache, "layerBytes");
    daemon->blob_bytes = number_of(cache, "blobBytes");
    daemon->waiting_readers = number_of(queue, "waitingReaders");
    daemon->fetching_bytes = number_of(queue, "fetchingBytes");
    daemon->bytes_per_s = number_of(queue, "bytesPerSecond");
}

int report_parse_daemon(struct report *report, struct bytes json, struct err *err)
{
    SCOPED(daemon_json)
    cJSON *root = json.len == 0 ? NULL : cJSON_ParseWithLength((const char *)json.data, json.len);
    SCOPED(report) struct report told = {.row_count = 0};
    struct report_daemon old_daemon = report->daemon;
    struct report_image *old_images = report->images;
    size_t old_count = report->image_count;
    int rc;

    if (!cJSON_IsObject(root) || !cJSON_IsObject(member(root, "daemon")))
        return err_set(err, -EBADMSG, "what the snapshotter says of itself makes no sense");
    take_numbers(&told.daemon, root);
    rc = add_images(&told, root, report->namespace_);
    if (rc == 0)
        rc = add_events(&told.daemon, root, report->namespace_);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    report->daemon = told.daemon;
    report->images = told.images;
    report->image_count = told.image_count;
    told.daemon = old_daemon; /* goes, with what this takes the place of */
    told.images = old_images;
    told.image_count = old_count;
    return 0;
}
