/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch_record.c – `soci prefetch record`: what the daemon saw an image's containers read when
 * they started becomes prefetch artifacts in the image's index. */
#include "cli/prefetch.h"
#include "cli/reindex.h"

#include "base/clock.h"
#include "base/log.h"
#include "containerd/containerd.h"
#include "starts/starts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct record_options {
    struct cli_platforms platforms;
    const char *daemon_root; /* NULL: the same as of the list of artifacts */
};

static void fini(void *arg)
{
    struct record_options *options = arg;

    text_list_fini(&options->platforms.wanted);
}

/* What one run needs, opened once. */
struct record {
    const struct cli_globals *globals;
    const struct record_options *options;
    struct containerd *containerd;
    struct artifacts *artifacts;
    struct cli_content content;
};

static const char *daemon_root(const struct record *run)
{
    return run->options->daemon_root == NULL ? run->globals->root : run->options->daemon_root;
}

static int load_record(const struct record *run, const struct cli_manifest *manifest,
                       struct starts_record **ret, struct err *err)
{
    const char *root = daemon_root(run);
    int rc = starts_load(root, &manifest->desc.digest, ret, err);

    if (rc == -ENOENT)
        return err_set(err, rc,
                       "no start was recorded for platform %s in %s; run a container of the image "
                       "with the snapshotter soci first",
                       manifest->platform, root);
    return rc;
}

static int find_index(const struct record *run, const struct cli_manifest *manifest,
                      struct artifact *ret, struct err *err)
{
    int rc =
        artifacts_find_index(run->artifacts, &manifest->desc.digest, ARTIFACT_INDEX_V1, ret, err);

    if (rc == -ENOENT)
        return err_set(err, rc,
                       "could not find any soci index manifest v1 for platform %s; make one with "
                       "`soci create`",
                       manifest->platform);
    return rc;
}

static int build(struct record *run, const struct starts_record *starts, const struct digest *old,
                 struct index_built *ret, struct err *err)
{
    SCOPED(mem)
    struct index_wanted *wanted = calloc(starts->touch_count + 1, sizeof(*wanted));
    const struct index_prefetch_options options = {
        .content = cli_content_table(&run->content),
        .output = cli_stdout(),
        .wanted = wanted,
        .wanted_count = starts->touch_count,
    };

    if (wanted == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < starts->touch_count; i++) {
        const struct starts_layer *layer = &starts->layers[starts->touches[i].layer];

        wanted[i] = (struct index_wanted){
            .layer = layer->layer, .ztoc = layer->ztoc, .span = starts->touches[i].span};
    }
    return index_prefetch(&options, old, ret, err);
}

/* In a label of its own for each manifest, beside those of `soci create`: those are counted, and
 * which is whose is not known here. */
static int keep_with_image(struct record *run, const struct cli_image *image,
                           const struct cli_manifest *manifest, const struct digest *index,
                           struct err *err)
{
    char key[128], hex[2 * DIGEST_BYTES + 1], digest[DIGEST_TEXT_BYTES];

    digest_hex(&manifest->desc.digest, hex);
    digest_format(index, digest);
    (void)snprintf(key, sizeof(key), "containerd.io/gc.ref.content.soci-index.prefetch.%.12s", hex);
    return containerd_image_set_label(run->containerd, image->name, key, digest, err);
}

/* ---- an index beside the image (v1) ----------------------------------------------------------
 */

static int record_beside(struct record *run, const struct cli_image *image,
                         const struct cli_manifest *manifest, const struct starts_record *starts,
                         struct err *err)
{
    SCOPED(index_built) struct index_built built = {.index = NULL};
    struct artifact entry;
    int rc = find_index(run, manifest, &entry, err);

    if (rc == 0)
        rc = build(run, starts, &entry.digest, &built, err);
    if (rc == 0)
        rc = keep_with_image(run, image, manifest, &built.digest, err);
    if (rc < 0)
        return rc;
    entry.digest = built.digest;
    entry.size_bytes = built.size_bytes;
    entry.image = image->target;
    entry.created_ns = clock_wall_ns(); /* so that `push` takes this one */
    rc = cli_prefetch_keep(run->artifacts, built.index, entry.created_ns, err);
    return rc < 0 ? rc : artifacts_put(run->artifacts, &entry, err);
}

/* ---- an index that the image names (v2) ------------------------------------------------------
 */

/* The image has another manifest from now on; what is known of its starts is as true of that. */
static void keep_record(const struct record *run, struct starts_record *starts,
                        const struct digest *manifest)
{
    struct err err = ERR_NONE;

    starts->manifest = *manifest;
    if (starts_save(daemon_root(run), starts, &err) < 0)
        log_warn("the start that was recorded is not known of the new image", "err=%s",
                 err_text(&err));
}

static int record_within(struct record *run, const struct cli_image *image,
                         const struct cli_manifest *manifest, const char *index,
                         struct starts_record *starts, struct err *err)
{
    SCOPED(index_built) struct index_built built = {.index = NULL};
    struct cli_reindex change = {
        .containerd = run->containerd,
        .content = cli_content_table(&run->content),
        .image = image->name,
        .manifest = manifest->desc.digest,
    };
    char text[DIGEST_TEXT_BYTES];
    struct digest fresh;
    int rc = digest_parse(index, &change.old_index, err);

    if (rc == 0)
        rc = build(run, starts, &change.old_index, &built, err);
    if (rc < 0)
        return rc;
    change.new_index = built.digest;
    change.new_index_bytes = built.size_bytes;
    rc = cli_reindex(&change, &fresh, err);
    if (rc == 0)
        rc = cli_prefetch_keep(run->artifacts, built.index, clock_wall_ns(), err);
    if (rc < 0)
        return rc;
    keep_record(run, starts, &fresh);
    digest_format(&fresh, text);
    (void)printf("image %s has manifest %s for platform %s now\n", image->name, text,
                 manifest->platform);
    return 0;
}

static int record_platform(struct record *run, const struct cli_image *image,
                           const struct cli_manifest *manifest, struct err *err)
{
    SCOPED(starts_record) struct starts_record *starts = NULL;
    const char *index = text_map_get(&manifest->manifest->annotations, SOCI_ANNOTATION_INDEX);
    int rc = load_record(run, manifest, &starts, err);

    if (rc < 0)
        return rc;
    return index == NULL ? record_beside(run, image, manifest, starts, err)
                         : record_within(run, image, manifest, index, starts, err);
}

static int record_all(struct record *run, const char *ref, struct err *err)
{
    SCOPED(cli_image) struct cli_image image = {.name = NULL};
    int rc = cli_image_load(run->containerd, ref, &run->options->platforms, &image, err);

    for (size_t i = 0; rc == 0 && i < image.manifest_count; i++)
        rc = record_platform(run, &image, &image.manifests[i], err);
    return rc;
}

/* Nothing refers to what is written until the image's label is set. */
static int with_lease(struct record *run, const char *ref, struct err *err)
{
    SCOPED(mem) char *lease = NULL;
    struct err ignored = ERR_NONE;
    int rc = containerd_lease_create(run->containerd, 0, &lease, err);

    if (rc < 0)
        return rc;
    run->content.lease = lease;
    rc = record_all(run, ref, err);
    (void)!containerd_lease_delete(run->containerd, lease, &ignored); /* it expires by itself */
    return rc;
}

static int run_record(const struct cli_globals *globals, void *arg, const struct text_list *words,
                      struct err *err)
{
    SCOPED(containerd) struct containerd *containerd = NULL;
    SCOPED(artifacts) struct artifacts *artifacts = NULL;
    struct record run = {.globals = globals, .options = arg, .content = {.globals = globals}};
    int rc;

    if (words->count == 0)
        return err_set(err, -EINVAL, "source image needs to be specified");
    rc = artifacts_open(globals->root, &artifacts, err);
    if (rc == 0)
        rc = cli_connect(globals, &containerd, err);
    if (rc < 0)
        return rc;
    run.containerd = containerd;
    run.artifacts = artifacts;
    return with_lease(&run, words->items[0], err);
}

static const struct flag record_flags[] = {
    CLI_PLATFORM_FLAGS(struct record_options, platforms),
    {.name = "daemon-root",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct record_options, daemon_root),
     .value = "<dir>",
     .help = "root of the snapshotter that ran the image (default: --root)"},
};
const struct cli_verb cli_verb_prefetch_record = {
    .name = "record",
    .args = "[flags] <image>",
    .summary = "put what the image read when it last started into its index",
    .details =
        "The image must have an index, made by `soci create`, and a container of it must have "
        "run with the snapshotter soci on this machine. `soci push` then sends the index "
        "with what is fetched first. An image that names its index itself, as `soci convert` makes "
        "them, becomes another image of the same name; push it as any image.",
    .flags = record_flags,
    .flag_count = ARRAY_LEN(record_flags),
    .options_bytes = sizeof(struct record_options),
    .fini = fini,
    .needs_root_dir = true,
    .run = run_record,
};
