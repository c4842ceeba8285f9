/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tree.c – entries of a tar as a file system, whatever their names and links are.
 *
 * The input is text, a line per entry, its fields separated by tabs: type (f d l h c b p), name,
 * target, PAX key, PAX value. This program defines the three functions of ztoc/ that the tree asks.
 */
#include "tree_walk.h"

enum { LINES_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ztoc {
    char *fields[LINES_MAX][5];
    size_t count;
};

size_t ztoc_file_count(const struct ztoc *toc)
{
    return toc->count;
}

void ztoc_file_at(const struct ztoc *toc, size_t i, struct ztoc_file *ret)
{
    static const char letters[] = "fdlhcbp"; /* in the order of enum ztoc_type */
    char *const *fields = toc->fields[i];
    const char *type = fields[0][0] == '\0' ? NULL : strchr(letters, fields[0][0]);

    *ret = (struct ztoc_file){
        .name = fields[1],
        .linkname = fields[2],
        .type = type == NULL ? ZTOC_REG : (enum ztoc_type)(type - letters),
        .mode = 0644,
        .uncomp_size = i,
        .mtime_sec = (int64_t)i,
        .has_mtime = true,
        .xattr_count = fields[3][0] == '\0' ? 0 : 1,
    };
}

void ztoc_xattr_at(const struct ztoc *toc, size_t file, size_t i, struct ztoc_xattr *ret)
{
    (void)i;
    *ret = (struct ztoc_xattr){.key = toc->fields[file][3],
                               .value = bytes_of_str(toc->fields[file][4])};
}

/* Fields are cut out of `text`, which ends with a NUL. */
static void cut(struct ztoc *toc, char *text)
{
    static char none[] = "";

    for (char *line = text; line != NULL && toc->count < LINES_MAX; toc->count++) {
        char *rest = strsep(&text, "\n");

        for (size_t i = 0; i < 5; i++) {
            char *field = rest == NULL ? NULL : strsep(&rest, "\t");

            toc->fields[toc->count][i] = field == NULL ? none : field;
        }
        line = text;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ztoc *toc = calloc(1, sizeof(*toc));
    SCOPED(tree) struct tree *tree = NULL;
    char *text = strndup((const char *)data, size);
    struct err err = ERR_NONE;

    must(toc != NULL && text != NULL);
    cut(toc, text);
    if (tree_build(toc, &tree, &err) == 0)
        walk_tree(tree);
    tree_free(tree);
    tree = NULL;
    free(text);
    free(toc);
    return 0;
}
