/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_erofs.c – whatever tree a layer has, its image reads back as that tree, or is refused.
 *
 * The input is text, a line per entry, its fields separated by tabs: type (f d l h c b p), name,
 * target, PAX key, PAX value, size, offset in the tar, time, owner. A value of the form *N is N
 * times a letter. This program defines the three functions of ztoc/ that the tree asks. */
#include "image_check.h"

#include "base/text.h"

enum { LINES_MAX = 4096, FIELDS = 9, VALUE_MAX = 70000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ztoc {
    char *fields[LINES_MAX][FIELDS];
    size_t count;
};

static uint8_t letters[VALUE_MAX];

size_t ztoc_file_count(const struct ztoc *toc)
{
    return toc->count;
}

static uint64_t number_of(const char *field)
{
    return strtoull(field, NULL, 10);
}

void ztoc_file_at(const struct ztoc *toc, size_t i, struct ztoc_file *ret)
{
    static const char types[] = "fdlhcbp"; /* in the order of enum ztoc_type */
    char *const *fields = toc->fields[i];
    const char *type = fields[0][0] == '\0' ? NULL : strchr(types, fields[0][0]);

    *ret = (struct ztoc_file){
        .name = fields[1],
        .linkname = fields[2],
        .type = type == NULL ? ZTOC_REG : (enum ztoc_type)(type - types),
        .mode = 0644,
        .uncomp_size = number_of(fields[5]),
        .uncomp_off = number_of(fields[6]),
        .mtime_sec = (int64_t)(number_of(fields[7]) & INT64_MAX),
        .mtime_nsec = (uint32_t)(number_of(fields[7]) % 1000000000),
        .has_mtime = true,
        .uid = (uint32_t)number_of(fields[8]),
        .gid = (uint32_t)(number_of(fields[8]) >> 1),
        .devmajor = (int64_t)(number_of(fields[5]) & 0xffff),
        .devminor = (int64_t)(number_of(fields[6]) & 0xffffff),
        .xattr_count = fields[3][0] == '\0' ? 0 : 1,
    };
}

void ztoc_xattr_at(const struct ztoc *toc, size_t file, size_t i, struct ztoc_xattr *ret)
{
    const char *value = toc->fields[file][4];

    (void)i;
    *ret = (struct ztoc_xattr){.key = toc->fields[file][3], .value = bytes_of_str(value)};
    if (value[0] == '*')
        ret->value = bytes_of(letters, (size_t)(number_of(value + 1) % VALUE_MAX));
}

/* Fields are cut out of `text`, which ends with a NUL. */
static void cut(struct ztoc *toc, char *text)
{
    static char none[] = "";

    for (char *line = text; line != NULL && toc->count < LINES_MAX; toc->count++) {
        char *rest = strsep(&text, "\n");

        for (size_t i = 0; i < FIELDS; i++) {
            char *field = rest == NULL ? NULL : strsep(&rest, "\t");

            toc->fields[toc->count][i] = field == NULL ? none : field;
        }
        line = text;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct idmap_range range = {.inside = 0, .outside = 100000, .length = 65536};
    const struct idmaps ids = {.uids = {&range, 1}, .gids = {&range, 1}};
    struct ztoc *toc = calloc(1, sizeof(*toc));
    SCOPED(tree) struct tree *tree = NULL;
    char *text = strndup((const char *)data, size);
    struct err err = ERR_NONE;

    memset(letters, 'v', sizeof(letters));
    check(toc != NULL && text != NULL, "memory");
    cut(toc, text);
    if (tree_build(toc, &tree, &err) == 0) {
        write_and_check(tree, &(struct erofs_options){.tar_bytes = UINT64_C(1) << 32});
        write_and_check(tree, &(struct erofs_options){.tar_bytes = 10240, .ids = &ids});
        write_and_check(tree, &(struct erofs_options){.tar_bytes = 10240, .no_xattrs = true});
    }
    tree_free(tree);
    tree = NULL;
    free(text);
    free(toc);
    return 0;
}
