/* SPDX-License-Identifier: Apache-2.0 */
/* ztoc_info.c – `soci ztoc info`: a ztoc in words, as JSON. Written entry by entry: a table may
 * have a million. */
#include "cli/ztoc.h"

#include <errno.h>
#include <stdio.h>

struct file_spans {
    size_t first, last;
};

/* As the reference counts: the span of the exclusive end is the file's last. */
static struct file_spans spans_of(const struct ztoc *toc, const struct ztoc_file *file)
{
    return (struct file_spans){
        .first = ztoc_span_of(toc, file->uncomp_off),
        .last = ztoc_span_of(toc, file->uncomp_off + file->uncomp_size),
    };
}

static size_t count_multi_span(const struct ztoc *toc)
{
    size_t count = 0, i;

    for (i = 0; i < ztoc_file_count(toc); i++) {
        struct ztoc_file file;
        struct file_spans spans;

        ztoc_file_at(toc, i, &file);
        spans = spans_of(toc, &file);
        count += spans.first != spans.last ? 1 : 0;
    }
    return count;
}

static int print_string(struct buf *scratch, const char *key, const char *value)
{
    scratch->len = 0;
    if (text_add_json(scratch, bytes_of_str(value), true) < 0 || buf_str(scratch) == NULL)
        return -ENOMEM;
    (void)printf("%s: %s", key, buf_str(scratch));
    return 0;
}

static int print_file(struct buf *scratch, const struct ztoc *toc, size_t i)
{
    struct file_spans spans;
    struct ztoc_file file;

    ztoc_file_at(toc, i, &file);
    spans = spans_of(toc, &file);
    (void)printf("%s    {\n", i == 0 ? "" : ",\n");
    if (print_string(scratch, "      \"filename\"", file.name) < 0)
        return -ENOMEM;
    (void)printf(",\n      \"offset\": %llu,\n      \"size\": %llu,\n      \"type\": \"%s\",\n"
                 "      \"start_span\": %zu,\n      \"end_span\": %zu\n    }",
                 (unsigned long long)file.uncomp_off, (unsigned long long)file.uncomp_size,
                 ztoc_type_name(file.type), spans.first, spans.last);
    return 0;
}

static int print_info(const struct cli_ztoc *ztoc)
{
    SCOPED(buf_value) struct buf scratch = BUF_EMPTY;
    const struct ztoc *toc = ztoc->toc;
    size_t i, count = ztoc_file_count(toc);

    (void)printf("{\n");
    if (print_string(&scratch, "  \"version\"", ztoc_version(toc)) < 0)
        return -ENOMEM;
    (void)printf(",\n");
    if (print_string(&scratch, "  \"build_tool\"", ztoc_build_tool(toc)) < 0)
        return -ENOMEM;
    (void)printf(",\n  \"size\": %zu,\n  \"span_size\": %llu,\n  \"num_spans\": %zu,\n  "
                 "\"num_files\": %zu,\n"
                 "  \"num_multi_span_files\": %zu,\n  \"files\": %s",
                 ztoc->blob.len, (unsigned long long)ztoc_span_size(toc), ztoc_span_count(toc),
                 count, count_multi_span(toc), count == 0 ? "null" : "[\n");
    for (i = 0; i < count; i++) {
        if (print_file(&scratch, toc, i) < 0)
            return -ENOMEM;
    }
    (void)printf("%s\n}\n", count == 0 ? "" : "\n  ]");
    return 0;
}

static int run(const struct cli_globals *globals, void *options, const struct text_list *words,
               struct err *err)
{
    SCOPED(cli_ztoc) struct cli_ztoc ztoc = CLI_ZTOC_EMPTY;
    int rc;

    (void)options;
    if (words->count == 0)
        return err_set(err, -EINVAL, "please provide a ztoc digest, or the path of a ztoc file");
    rc = cli_ztoc_load(globals, words->items[0], &ztoc, err);
    if (rc < 0)
        return rc;
    return print_info(&ztoc) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

const struct cli_verb cli_verb_ztoc_info = {
    .name = "info",
    .args = "<ztoc digest or file>",
    .summary = "show what is in a ztoc, as JSON",
    .needs_root_dir = false,
    .run = run,
};
