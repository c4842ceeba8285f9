/* SPDX-License-Identifier: Apache-2.0 */
/* files.c – prefetch artifacts for files that a person names: where they lie in the image's layers,
 * and which spans hold them. */
#include "index/internal.h"

#include "base/log.h"
#include "base/system.h"
#include "tar/tar.h"
#include "ztoc/ztoc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A file that is looked for. */
struct wanted_file {
    const char *asked; /* as it was given */
    char *name;        /* from the image's root on, without a slash before or behind */
    bool settled;      /* some layer has it, or takes it away */
    bool found;
};

struct lookup {
    const struct index_content *content;
    const struct soci_index *index;
    struct wanted_file *files; /* by name */
    size_t count;
    struct soci_prefetch *of_ztoc; /* ranges for each ztoc of the index */
};

/* ---- names ----------------------------------------------------------------------------------- */

/* What a stored name is behind "/" and "./": many tars have one before each name. */
static const char *stored_name(const char *name)
{
    while (name[0] == '/' || (name[0] == '.' && name[1] == '/'))
        name += name[0] == '/' ? 1 : 2;
    return name;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct wanted_file *)a)->name, ((const struct wanted_file *)b)->name);
}

/* NULL: nobody wants it. Those that were asked for twice are there once. */
static struct wanted_file *find(struct lookup *lookup, const char *name)
{
    union { /* nothing is written through it */
        const char *in;
        char *out;
    } unconst = {.in = name};
    const struct wanted_file wanted = {.name = unconst.out};

    return bsearch(&wanted, lookup->files, lookup->count, sizeof(wanted), by_name);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static int add_range(struct soci_prefetch *ranges, uint32_t first, uint32_t last)
{
    struct soci_prefetch_range *more = system_grow(ranges->ranges, ranges->count, sizeof(*more));

    if (more == NULL)
        return -ENOMEM;
    ranges->ranges = more;
    ranges->ranges[ranges->count++] = (struct soci_prefetch_range){.first = first, .last = last};
    return 0;
}

static int by_span(const void *a, const void *b)
{
    const struct soci_prefetch_range *p = a, *q = b;

    if (p->first != q->first)
        return p->first < q->first ? -1 : 1;
    return p->last < q->last ? -1 : p->last > q->last;
}

/* Sorted, and what touches or overlaps becomes one. */
static void merge(struct soci_prefetch *ranges)
{
    size_t used = 0;

    if (ranges->count == 0)
        return;
    qsort(ranges->ranges, ranges->count, sizeof(*ranges->ranges), by_span);
    for (size_t i = 1; i < ranges->count; i++) {
        const struct soci_prefetch_range *next = &ranges->ranges[i];
        struct soci_prefetch_range *last = &ranges->ranges[used];

        if (next->first > last->last + 1)
            ranges->ranges[++used] = *next;
        else if (next->last > last->last)
            last->last = next->last;
    }
    ranges->count = used + 1;
}

/* The reference counts the span of the byte behind the file's last as the file's, too. */
static int add_spans(const struct ztoc *toc, const struct ztoc_file *file,
                     struct soci_prefetch *ranges)
{
    size_t first = ztoc_span_of(toc, file->uncomp_off);
    size_t last = ztoc_span_of(toc, file->uncomp_off + file->uncomp_size);

    return add_range(ranges, (uint32_t)first, (uint32_t)(last < first ? first : last));
}

/* ---- one layer ------------------------------------------------------------------------------- */

static int load(const struct index_content *content, const struct digest *digest, struct ztoc **ret,
                struct err *err)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    char text[DIGEST_TEXT_BYTES];
    int rc = index_content_read_all(content, digest, &blob, err);

    if (rc == 0)
        rc = ztoc_parse(buf_bytes(&blob), ret, err);
    digest_format(digest, text);
    return rc < 0 ? err_prefix(err, rc, "ztoc %s", text) : 0;
}

/* A hard link has its content elsewhere in the same layer. */
static void follow_hard_link(const struct ztoc *toc, struct ztoc_file *file)
{
    size_t target = file->type == ZTOC_HARDLINK ? ztoc_find(toc, file->linkname) : SIZE_MAX;

    if (target != SIZE_MAX)
        ztoc_file_at(toc, target, file);
}

static int take_file(const struct ztoc *toc, struct ztoc_file *file, struct wanted_file *wanted,
                     struct soci_prefetch *ranges)
{
    wanted->settled = wanted->found = true;
    follow_hard_link(toc, file);
    if (file->type != ZTOC_REG)
        log_warn("prefetch file has no content of its own", "file=%s type=%s target=%s",
                 wanted->asked, ztoc_type_name(file->type), file->linkname);
    return add_spans(toc, file, ranges);
}

/* dir/.wh.name says that the layers below have no dir/name any more. */
static int take_whiteout(struct lookup *lookup, const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash == NULL ? name : slash + 1;
    SCOPED(mem) char *hidden = NULL;
    struct wanted_file *wanted;

    if (!text_has_prefix(base, ".wh."))
        return 0;
    hidden = text_format("%.*s%s", (int)(base - name), name, base + strlen(".wh."));
    if (hidden == NULL)
        return -ENOMEM;
    wanted = find(lookup, hidden);
    if (wanted != NULL)
        wanted->settled = true;
    return 0;
}

/* Of a name that the layer has twice the later entry counts: so the walk is from the end. */
static int look_into(struct lookup *lookup, const struct ztoc *toc, struct soci_prefetch *ranges)
{
    int rc = 0;

    for (size_t i = ztoc_file_count(toc); rc == 0 && i > 0; i--) {
        struct wanted_file *wanted;
        struct ztoc_file file;

        ztoc_file_at(toc, i - 1, &file);
        wanted = find(lookup, stored_name(file.name));
        if (wanted == NULL)
            rc = take_whiteout(lookup, stored_name(file.name));
        else if (!wanted->settled)
            rc = take_file(toc, &file, wanted, ranges);
    }
    return rc;
}

/* ---- all layers ------------------------------------------------------------------------------ */

static bool all_settled(const struct lookup *lookup)
{
    for (size_t i = 0; i < lookup->count; i++) {
        if (!lookup->files[i].settled)
            return false;
    }
    return true;
}

/* From the top down: what is above hides what is below. */
static int look(struct lookup *lookup, struct err *err)
{
    for (size_t i = lookup->index->ztoc_count; i > 0 && !all_settled(lookup); i--) {
        SCOPED(ztoc) struct ztoc *toc = NULL;
        int rc = load(lookup->content, &lookup->index->ztocs[i - 1].ztoc, &toc, err);

        if (rc < 0)
            return rc;
        if (look_into(lookup, toc, &lookup->of_ztoc[i - 1]) < 0)
            return err_set(err, -ENOMEM, "out of memory");
        merge(&lookup->of_ztoc[i - 1]);
    }
    return 0;
}

static int write_artifacts(const struct lookup *lookup, const struct index_output *output,
                           struct soci_index *index, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < index->ztoc_count; i++) {
        if (lookup->of_ztoc[i].count > 0)
            rc = index_add_prefetch(lookup->content, output, &index->ztocs[i].layer,
                                    &lookup->of_ztoc[i], index, err);
    }
    return rc;
}

static void warn_of_missing(const struct lookup *lookup)
{
    for (size_t i = 0; i < lookup->count; i++) {
        SCOPED(mem) char *line = NULL;

        if (lookup->files[i].found)
            continue;
        line = text_format("prefetch file %s not found in any layer", lookup->files[i].asked);
        log_warn(line == NULL ? "prefetch file not found in any layer" : line, NULL);
    }
}

static int lookup_init(struct lookup *lookup, const struct text_list *files)
{
    size_t used = 0;

    lookup->files = calloc(files->count + 1, sizeof(*lookup->files));
    lookup->of_ztoc = calloc(lookup->index->ztoc_count + 1, sizeof(*lookup->of_ztoc));
    if (lookup->files == NULL || lookup->of_ztoc == NULL)
        return -ENOMEM;
    for (; lookup->count < files->count; lookup->count++) {
        struct wanted_file *file = &lookup->files[lookup->count];

        SCOPED(buf_value) struct buf clean = BUF_EMPTY;

        file->asked = files->items[lookup->count];
        if (tar_path_clean(bytes_of_str(file->asked), &clean) == 0)
            file->name = text_copy(buf_str(&clean));
        if (file->name == NULL)
            return -ENOMEM;
    }
    qsort(lookup->files, lookup->count, sizeof(*lookup->files), by_name);
    for (size_t i = 0; i < lookup->count; i++) {
        if (used > 0 && strcmp(lookup->files[used - 1].name, lookup->files[i].name) == 0)
            free(lookup->files[i].name);
        else
            lookup->files[used++] = lookup->files[i];
    }
    lookup->count = used;
    return 0;
}

static void lookup_fini(struct lookup *lookup)
{
    for (size_t i = 0; i < lookup->count; i++)
        free(lookup->files[i].name);
    for (size_t i = 0; lookup->of_ztoc != NULL && i < lookup->index->ztoc_count; i++)
        soci_prefetch_fini(&lookup->of_ztoc[i]);
    free(lookup->files);
    free(lookup->of_ztoc);
}

int index_prefetch_files(const struct index_content *content, const struct index_output *output,
                         const struct text_list *files, struct soci_index *index, struct err *err)
{
    struct lookup lookup = {.content = content, .index = index};
    int rc = lookup_init(&lookup, files);

    if (rc < 0)
        rc = err_set(err, rc, "out of memory");
    if (rc == 0)
        rc = look(&lookup, err);
    if (rc == 0)
        rc = write_artifacts(&lookup, output, index, err);
    if (rc == 0)
        warn_of_missing(&lookup);
    lookup_fini(&lookup);
    return rc < 0 ? err_prefix(err, rc, "failed to build prefetch layers") : 0;
}
