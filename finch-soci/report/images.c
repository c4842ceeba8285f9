/* SPDX-License-Identifier: Apache-2.0 */
/* images.c – the images that containerd has, beside what the snapshotter says of those that came
 * through it: each is a row, and one that is not lazy says why, and what makes it lazy. */
#include "report/internal.h"

#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

enum { IMAGE_TEXT_BYTES = 1024, COMMAND_WORD_MAX_BYTES = 256 };
#define OURS "soci"

DEFINE_SCOPED_VALUE(report_image, struct report_image, report_image_fini)

void report_image_fini(struct report_image *image)
{
    free(image->image);
    free(image->manifest);
    free(image->index);
    free(image->snapshotters);
    free(image->text);
    free(image->mend);
    *image = (struct report_image){.image = NULL};
}

bool report_image_is_whole(const struct report_image *image)
{
    return image->image != NULL && image->manifest != NULL && image->index != NULL &&
           image->snapshotters != NULL && image->text != NULL && image->mend != NULL;
}

const char *report_image_state_name(enum report_image_state state)
{
    static const char *const names[] = {
        [REPORT_IMAGE_LAZY] = "lazy",
        [REPORT_IMAGE_LOCAL] = "local",
        [REPORT_IMAGE_BROKEN] = "broken",
        [REPORT_IMAGE_NOT_LAZY] = "not-lazy",
        [REPORT_IMAGE_NOT_UNPACKED] = "not-unpacked",
        [REPORT_IMAGE_UNKNOWN] = "unknown",
    };

    return names[state];
}

static char *clean_copy(const char *text)
{
    char clean[IMAGE_TEXT_BYTES];

    report_clean(clean, sizeof(clean), text);
    return text_copy(clean);
}

/* ---- commands -------------------------------------------------------------------------------- */

/* Somebody will paste it into a shell: a word of a command is what every shell takes for one. */
static bool is_word(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= COMMAND_WORD_MAX_BYTES && text[0] != '-' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:@-") ==
               len;
}

/* "finch", or what works in a namespace that is not Finch's. New; NULL: no command, or no memory.
 */
static char *client(const struct report_found *found)
{
    if (strcmp(found->namespace_, "finch") == 0)
        return text_copy("finch");
    return is_word(found->namespace_) ? text_format("nerdctl --namespace %s", found->namespace_)
                                      : NULL;
}

enum remedy { ENABLE_AND_PULL, PULL, PULL_ANEW, PUSH };

static char *mend_text(const struct report_found *found, enum remedy remedy)
{
    SCOPED(mem) char *with = is_word(found->name) ? client(found) : NULL;
    const char *name = found->name;

    if (with == NULL)
        return text_copy("");
    switch (remedy) {
    case ENABLE_AND_PULL:
        return text_format("finch-soci enable%s%s pull --snapshotter soci %s", system_then, with,
                           name);
    case PULL:
        return text_format("%s pull --snapshotter soci %s", with, name);
    case PULL_ANEW:
        return text_format("%s rmi %s%s%s pull --snapshotter soci %s", with, name, system_then,
                           with, name);
    case PUSH:
        break;
    }
    return text_format("%s push --snapshotter soci %s%s%s rmi %s%s%s pull --snapshotter soci %s",
                       with, name, system_then, with, name, system_then, with, name);
}

/* ---- one image ------------------------------------------------------------------------------- */

/* `name` among those with commas between. */
static bool has_snapshotter(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = list; *at != '\0';) {
        size_t n = strcspn(at, ",");

        if (n == len && memcmp(at, name, n) == 0)
            return true;
        at += n + (at[n] == ',' ? 1 : 0);
    }
    return false;
}

/* Why the newest attempt at it left it to containerd; NULL: nobody remembers. */
static const char *reason(const struct report *report, const char *name)
{
    for (size_t i = 0; i < report->daemon.event_count; i++) {
        const struct report_event *event = &report->daemon.events[i];

        if (strcmp(event->image, name) == 0 && strcmp(event->kind, "deferred") == 0)
            return event->text;
    }
    return NULL;
}

/* It went through the snapshotter, which knows of no layer of it. */
static void explain_ours(const struct report *report, const struct report_found *found,
                         struct report_image *image)
{
    const char *why = reason(report, image->image);

    if (!report->daemon.answers) {
        image->state = REPORT_IMAGE_UNKNOWN;
        image->text = text_copy("not known: the snapshotter does not answer");
        image->mend = text_copy("");
        return;
    }
    image->state = REPORT_IMAGE_NOT_LAZY;
    image->text = why == NULL ? text_copy("not lazy: no SOCI index was of use when it was pulled")
                              : text_format("not lazy: %s", why);
    image->mend =
        mend_text(found, why == NULL || strstr(why, "no SOCI index") != NULL ? PUSH : PULL_ANEW);
}

static void explain(const struct report *report, const struct report_found *found,
                    struct report_image *image)
{
    if (has_snapshotter(found->snapshotters, OURS)) {
        explain_ours(report, found, image);
    } else if (found->snapshotters[0] != '\0') {
        image->state = REPORT_IMAGE_NOT_LAZY;
        image->text = text_format("not lazy: pulled with %s", image->snapshotters);
        image->mend = mend_text(found, report->daemon.answers ? PULL : ENABLE_AND_PULL);
    } else {
        image->state = REPORT_IMAGE_NOT_UNPACKED;
        image->text = text_copy("not unpacked");
        image->mend = text_copy("");
    }
}

/* What the snapshotter says of the same manifest is true of every name of it. */
static int copy_image(const struct report_image *same, struct report_image *ret)
{
    *ret = *same;
    ret->image = NULL; /* the new one's own */
    ret->manifest = text_copy(same->manifest);
    ret->index = text_copy(same->index);
    ret->snapshotters = NULL;
    ret->text = text_copy("");
    ret->mend = text_copy("");
    return ret->manifest == NULL || ret->index == NULL || ret->text == NULL || ret->mend == NULL
               ? -ENOMEM
               : 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Among those of the snapshotter's, which are the first `count`: with that name, else of any. */
static struct report_image *find_same(struct report *report, size_t count,
                                      const struct report_found *found)
{
    struct report_image *other = NULL;

    if (!has_snapshotter(found->snapshotters, OURS))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        struct report_image *image = &report->images[i];
        bool is_same = found->manifest[0] != '\0' && strcmp(image->manifest, found->manifest) == 0;

        if (is_same && strcmp(image->image, found->name) == 0)
            return image;
        if (is_same)
            other = image;
    }
    return other;
}

static int add_found(struct report *report, size_t own_count, const struct report_found *found)
{
    struct report_image *same = find_same(report, own_count, found);
    SCOPED(report_image) struct report_image image = {.image = NULL};

    if (same != NULL && strcmp(same->image, found->name) == 0) {
        free(same->snapshotters);
        same->snapshotters = clean_copy(found->snapshotters);
        return same->snapshotters == NULL ? -ENOMEM : 0;
    }
    if (report->image_count == REPORT_IMAGES_MAX)
        return 0;
    if (same != NULL && copy_image(same, &image) < 0)
        return -ENOMEM;
    image.image = clean_copy(found->name);
    image.snapshotters = clean_copy(found->snapshotters);
    if (image.image == NULL || image.snapshotters == NULL)
        return -ENOMEM;
    if (same == NULL) {
        image.manifest = clean_copy(found->manifest);
        image.index = text_copy("");
        explain(report, found, &image);
    }
    if (!report_image_is_whole(&image))
        return -ENOMEM;
    report->images[report->image_count++] = image;
    image = (struct report_image){.image = NULL};
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct report_image *x = a, *y = b;
    int order = strcmp(x->image, y->image);

    return order != 0 ? order : strcmp(x->manifest, y->manifest);
}

int report_add_images(struct report *report, const struct report_found *found, size_t count,
                      struct err *err)
{
    size_t own_count;
    int rc = 0;

    if (report->images == NULL) {
        report->image_count = 0;
        report->images = calloc(REPORT_IMAGES_MAX, sizeof(*report->images));
    }
    if (report->images == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    own_count = report->image_count;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_found(report, own_count, &found[i]);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    if (report->image_count > 1)
        qsort(report->images, report->image_count, sizeof(*report->images), by_name);
    report->is_listed = true;
    return 0;
}
