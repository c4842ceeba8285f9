/* SPDX-License-Identifier: Apache-2.0 */
/* index_list.c – `soci index list`: the indexes that were made here, newest first, and the images
 * that they are of. */
#include "cli/cli.h"

#include "artifacts/artifacts.h"
#include "base/system.h"
#include "cli/table.h"
#include "containerd/containerd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list_options {
    const char *ref;
    bool quiet;
    struct text_list platforms;
};

static void fini(void *arg)
{
    struct list_options *options = arg;

    text_list_fini(&options->platforms);
}

struct listing {
    const struct list_options *options;
    struct text_map images; /* name, digest of the target */
    struct artifact *rows;
    size_t count;
};

static void listing_fini(struct listing *listing)
{
    text_map_fini(&listing->images);
    free(listing->rows);
    *listing = (struct listing){.count = 0};
}
DEFINE_SCOPED_VALUE(listing, struct listing, listing_fini)

/* ---- what there is --------------------------------------------------------------------------- */

static int add_image(void *arg, const struct containerd_image *image)
{
    struct listing *listing = arg;

    return text_map_set(&listing->images, image->name, image->digest);
}

/* Without containerd nobody knows the images' names, and the indexes are listed all the same; but
 * one that is asked for by name has to be found. */
static int load_images(const struct cli_globals *globals, struct listing *listing, struct err *err)
{
    SCOPED(containerd) struct containerd *containerd = NULL;
    SCOPED(containerd_image) struct containerd_image image = CONTAINERD_IMAGE_NONE;
    int rc = cli_connect(globals, &containerd, err);

    if (rc == 0 && listing->options->ref == NULL)
        rc = containerd_image_list(containerd, NULL, add_image, listing, err);
    else if (rc == 0)
        rc = containerd_image_get(containerd, listing->options->ref, &image, err);
    if (listing->options->ref == NULL)
        return rc == -ENOMEM ? rc : 0;
    return rc < 0 ? rc : add_image(listing, &image);
}

static bool has_name(const struct listing *listing, const char *image)
{
    for (size_t i = 0; i < listing->images.count; i++) {
        if (strcmp(listing->images.items[i].value, image) == 0)
            return true;
    }
    return false;
}

static bool is_wanted(const struct listing *listing, const struct artifact *artifact)
{
    const struct list_options *options = listing->options;
    char image[DIGEST_TEXT_BYTES];

    digest_format(&artifact->image, image);
    return (options->platforms.count == 0 ||
            text_list_has(&options->platforms, artifact->platform)) &&
           (options->ref == NULL || has_name(listing, image));
}

static int add_row(void *arg, const struct artifact *artifact, struct err *err)
{
    struct listing *listing = arg;
    struct artifact *rows;

    if (!is_wanted(listing, artifact))
        return 0;
    rows = system_grow(listing->rows, listing->count, sizeof(*rows));
    if (rows == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rows[listing->count++] = *artifact;
    listing->rows = rows;
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    int64_t one = ((const struct artifact *)a)->created_ns;
    int64_t other = ((const struct artifact *)b)->created_ns;

    return one < other ? 1 : one > other ? -1 : 0;
}

static int load_rows(const struct cli_globals *globals, struct listing *listing, struct err *err)
{
    SCOPED(artifacts) struct artifacts *artifacts = NULL;
    int rc = artifacts_open(globals->root, &artifacts, err);

    if (rc == 0)
        rc = artifacts_list(artifacts, ARTIFACT_INDEX_V1, add_row, listing, err);
    if (rc == 0)
        rc = artifacts_list(artifacts, ARTIFACT_INDEX_V2, add_row, listing, err);
    if (rc == 0 && listing->count > 0)
        qsort(listing->rows, listing->count, sizeof(*listing->rows), newest_first);
    return rc;
}

/* ---- how it is printed ----------------------------------------------------------------------- */

static const char *const header[] = {
    "DIGEST", "SIZE", "IMAGE REF", "PLATFORM", "MEDIA TYPE", "MANIFEST VERSION", "CREATED"};

static int add_cells(struct text_list *cells, const struct artifact *row, const char *ref)
{
    char digest[DIGEST_TEXT_BYTES], size[24], age[CLI_AGE_BYTES];
    const char *const texts[] = {digest,
                                 size,
                                 ref,
                                 row->platform,
                                 OCI_MEDIA_MANIFEST,
                                 row->kind == ARTIFACT_INDEX_V2 ? "v2" : "v1",
                                 age};
    int rc = 0;

    digest_format(&row->digest, digest);
    (void)snprintf(size, sizeof(size), "%" PRIu64, row->size_bytes);
    cli_age(row->created_ns, age);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(texts); i++)
        rc = text_list_add(cells, texts[i]);
    return rc;
}

/* A row for each name of the image; one without a name when it has none. */
static int add_row_cells(const struct listing *listing, const struct artifact *row,
                         struct text_list *cells)
{
    char image[DIGEST_TEXT_BYTES];
    int rc = 0;

    digest_format(&row->image, image);
    if (!has_name(listing, image))
        return add_cells(cells, row, "");
    for (size_t i = 0; rc == 0 && i < listing->images.count; i++) {
        if (strcmp(listing->images.items[i].value, image) == 0)
            rc = add_cells(cells, row, listing->images.items[i].key);
    }
    return rc;
}

static void print_digests(const struct listing *listing)
{
    char digest[DIGEST_TEXT_BYTES];

    for (size_t i = 0; i < listing->count; i++) {
        digest_format(&listing->rows[i].digest, digest);
        (void)printf("%s\n", digest);
    }
}

static int print_table(const struct listing *listing, struct err *err)
{
    SCOPED(text_list) struct text_list cells = TEXT_LIST_EMPTY;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(header); i++)
        rc = text_list_add(&cells, header[i]);
    for (size_t i = 0; rc == 0 && i < listing->count; i++)
        rc = add_row_cells(listing, &listing->rows[i], &cells);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    cli_table_print(&cells, ARRAY_LEN(header));
    return 0;
}

static int run(const struct cli_globals *globals, void *arg, const struct text_list *words,
               struct err *err)
{
    const struct list_options *options = arg;
    SCOPED(listing) struct listing listing = {.options = options};
    struct err ignored = ERR_NONE;
    int rc;

    (void)words;
    rc = load_images(globals, &listing, options->ref == NULL ? &ignored : err);
    if (rc == 0)
        rc = load_rows(globals, &listing, err);
    if (rc < 0)
        return rc;
    if (!options->quiet)
        return print_table(&listing, err);
    print_digests(&listing);
    return 0;
}

static const struct flag flags[] = {
    {.name = "ref",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct list_options, ref),
     .value = "<image>",
     .help = "of this image alone"},
    {.name = "quiet",
     .alias = "q",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct list_options, quiet),
     .help = "print the digests alone"},
    {.name = "platform",
     .alias = "p",
     .kind = FLAG_LIST,
     .offset = offsetof(struct list_options, platforms),
     .value = "<os/arch>",
     .help = "for this platform alone; may be repeated"},
};
static const struct cli_verb list_verb = {
    .name = "list",
    .alias = "ls",
    .args = "[flags]",
    .summary = "list the indexes that were made on this machine",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct list_options),
    .fini = fini,
    .needs_root_dir = true,
    .run = run,
};

static const struct cli_verb *const verbs[] = {&list_verb, NULL};
const struct cli_verb cli_verb_index = {
    .name = "index",
    .args = "command [flags] [args]",
    .summary = "look at SOCI indexes",
    .verbs = verbs,
};
