/* SPDX-License-Identifier: Apache-2.0 */
/* test_erofs_image.c – a tree becomes an image that reads back as that tree, or is refused. */
#include "entries_as_ztoc.h"

#include "erofs_check.h"

/* ---- helpers --------------------------------------------------------------------------------- */

static int collect(void *self, struct bytes piece, struct err *err)
{
    return buf_add(self, piece.data, piece.len) < 0 ? err_sys(err, -ENOMEM, "image") : 0;
}

static int write_image(const struct entry *entries, size_t count,
                       const struct erofs_options *options, struct buf *ret, struct err *err)
{
    struct ztoc toc = {.entries = entries, .count = count};
    const struct erofs_sink sink = {.write = collect, .self = ret};
    SCOPED(tree) struct tree *tree = NULL;
    int rc;

    assert_ok(tree_build(&toc, &tree, err));
    rc = erofs_write(tree, options, &sink, err);
    if (rc == 0)
        check_erofs(buf_bytes(ret), tree, options);
    return rc;
}

static const struct erofs_options plain = {.tar_bytes = 1 << 20};

/* The image, checked; NULL options are plain ones. */
static void make(const struct entry *entries, size_t count, const struct erofs_options *options,
                 struct buf *ret)
{
    struct err err = ERR_NONE;

    if (write_image(entries, count, options == NULL ? &plain : options, ret, &err) < 0)
        fail_msg("%s", err_text(&err));
}

static void assert_refused(const struct entry *entries, size_t count,
                           const struct erofs_options *options, const char *text)
{
    SCOPED(buf_value) struct buf image = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_int_equal(write_image(entries, count, options == NULL ? &plain : options, &image, &err),
                     -EOPNOTSUPP);
    if (strstr(err_text(&err), text) == NULL)
        fail_msg("said \"%s\", not \"%s\"", err_text(&err), text);
    assert_int_equal(image.len, 0);
}

static char *repeat(char c, size_t count)
{
    char *text = calloc(count + 1, 1);

    assert_non_null(text);
    memset(text, c, count);
    return text;
}

/* ---- what comes back ------------------------------------------------------------------------- */

static void every_kind_of_node_reads_back(void **state)
{
    static const struct entry entries[] = {
        {.name = "dir/", .type = ZTOC_DIR, .mode = 02755, .uid = 50, .mtime = 7},
        {.name = "dir/file", .mode = 04755, .uid = 70000, .off = 1024, .size = 700},
        {.name = "dir/name", .type = ZTOC_HARDLINK, .link = "dir/file", .mode = 0600},
        {.name = "empty", .mode = 0},
        {.name = "link", .type = ZTOC_SYMLINK, .link = "dir/file"},
        {.name = "null", .type = ZTOC_CHAR, .mode = 0666, .major = 1, .minor = 3},
        {.name = "disk", .type = ZTOC_BLOCK, .mode = 0660, .major = 4095, .minor = 1048575},
        {.name = "pipe", .type = ZTOC_FIFO, .mode = 0600},
        {.name = "capable", .xattr = "SCHILY.xattr.security.capability", .value = "\x01xyz"},
        {.name = "noted", .xattr = "SCHILY.xattr.user.note", .value = "n"},
        {.name = "acl", .xattr = "SCHILY.xattr.system.posix_acl_access", .value = "\x02"},
        {.name = "dacl/",
         .type = ZTOC_DIR,
         .xattr = "SCHILY.xattr.system.posix_acl_default",
         .value = "\x02"},
        {.name = "etc/.wh.gone"},
        {.name = "var/.wh..wh..opq"},
        {.name = "made/up/parent"},
    };
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    make(entries, ARRAY_LEN(entries), NULL, &image);
}

static void a_layer_without_entries_is_a_root(void **state)
{
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    make(NULL, 0, &(struct erofs_options){.tar_bytes = 0}, &image);
    assert_int_equal(image.len, 3 * EROFS_BLOCK_BYTES);
}

static void names_are_sorted_around_the_dots(void **state)
{
    static const struct entry entries[] = {
        {.name = "!"},   {.name = "-a"}, {.name = "..x"},  {.name = ".a"},   {.name = "a"},
        {.name = "..."}, {.name = ".-"}, {.name = "\x01"}, {.name = "\xff"}, {.name = "ab"},
    };
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    make(entries, ARRAY_LEN(entries), NULL, &image);
}

enum { MANY = 100000 };

static void a_directory_of_100000_names_reads_back(void **state)
{
    struct entry *entries = calloc(MANY, sizeof(*entries));
    char(*names)[32] = calloc(MANY, sizeof(*names));
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    assert_non_null(entries);
    assert_non_null(names);
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "huge/%zx%.*s", i * 7919, (int)(i % 9),
                       "abcdefgh");
        entries[i] = (struct entry){.name = names[i], .mtime = (int64_t)(i % 3)};
    }
    make(entries, MANY, NULL, &image);
    free(names);
    free(entries);
}

static void names_of_255_bytes_have_room(void **state)
{
    char *names[7];
    struct entry entries[ARRAY_LEN(names)];
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        names[i] = repeat((char)('a' + i), 255 - i % 2);
        entries[i] = (struct entry){.name = names[i]};
    }
    make(entries, ARRAY_LEN(names), NULL, &image);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        free(names[i]);
}

/* Directories that fill 1 block more and more, and then 2: the names' lengths go through all that
 * is left in a block. */
static void directories_of_all_sizes_read_back(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 255; len++) {
        char *names[6];
        struct entry entries[ARRAY_LEN(names)];
        SCOPED(buf_value) struct buf image = BUF_EMPTY;

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            names[i] = repeat((char)('a' + i), i < 3 ? len : len / 2 + 1);
            entries[i] = (struct entry){.name = names[i], .mtime = (int64_t)(len % 2)};
        }
        make(entries, ARRAY_LEN(names), NULL, &image);
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            free(names[i]);
    }
}

static void directories_go_as_deep_as_a_path_can(void **state)
{
    char path[4001] = "";
    struct entry entry = {.name = path};
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    for (size_t i = 0; i < 2000; i++)
        memcpy(path + 2 * i, "d/", 3);
    make(&entry, 1, NULL, &image);
}

static void targets_of_all_lengths_read_back(void **state)
{
    char *text = repeat('t', 4095);
    struct entry entries[2] = {{.name = "a", .type = ZTOC_SYMLINK, .mtime = 1},
                               {.name = "b", .type = ZTOC_SYMLINK, .mtime = 2}};

    (void)state;
    for (size_t len = 1; len <= 4095; len += len < 600 ? 1 : 499) {
        SCOPED(buf_value) struct buf image = BUF_EMPTY;

        entries[0].link = entries[1].link = text + 4095 - len;
        make(entries, 2, NULL, &image);
    }
    free(text);
}

static void an_image_is_a_function_of_the_tree(void **state)
{
    static const struct entry entries[] = {
        {.name = "a", .xattr = "SCHILY.xattr.user.x", .value = "1"},
        {.name = "b", .xattr = "SCHILY.xattr.user.x", .value = "1", .off = 512, .size = 9},
        {.name = "c/d", .mtime = 5},
    };
    SCOPED(buf_value) struct buf one = BUF_EMPTY, two = BUF_EMPTY;

    (void)state;
    make(entries, ARRAY_LEN(entries), NULL, &one);
    make(entries, ARRAY_LEN(entries), NULL, &two);
    assert_true(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
}

/* ---- what is small --------------------------------------------------------------------------- */

/* 16 nodes of 32 bytes fill a block, and so do 8 of 64. */
static void nodes_with_the_time_of_most_are_compact(void **state)
{
    struct entry entries[200];
    char names[200][8];
    SCOPED(buf_value) struct buf alike = BUF_EMPTY, apart = BUF_EMPTY;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%zu", i);
        entries[i] = (struct entry){.name = names[i], .mtime = 1700000000};
    }
    make(entries, ARRAY_LEN(entries), NULL, &alike);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        entries[i].mtime += (int64_t)i;
    make(entries, ARRAY_LEN(entries), NULL, &apart);
    assert_in_range(apart.len - alike.len, 199 * 32 - 512, 201 * 32 + 512);
}

static void owners_above_16_bits_are_kept(void **state)
{
    static const struct entry entries[] = {{.name = "a", .uid = 65535},
                                           {.name = "b", .uid = 65536},
                                           {.name = "c", .uid = UINT32_MAX - 1}};
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    make(entries, ARRAY_LEN(entries), NULL, &image);
}

static void an_attribute_of_many_files_is_stored_once(void **state)
{
    char *label = repeat('l', 300);
    struct entry entries[100];
    char names[100][8];
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%zu", i);
        entries[i] = (struct entry){
            .name = names[i], .xattr = "SCHILY.xattr.security.selinux", .value = label};
    }
    make(entries, ARRAY_LEN(entries), NULL, &image);
    assert_in_range(image.len, 100 * (32 + 16), 100 * (64 + 64));
    free(label);
}

/* An inode counts its shared attributes in 8 bits. A hard link adds its attributes to the node. */
static void more_shared_attributes_than_a_byte_counts_read_back(void **state)
{
    enum { COUNT = 300 };
    static struct entry entries[2 * COUNT];
    static char names[2 * COUNT][16], keys[COUNT][40];
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%zu", i);
        (void)snprintf(keys[i % COUNT], sizeof(keys[0]), "SCHILY.xattr.user.%zu", i % COUNT);
        entries[i] = (struct entry){.name = names[i], .xattr = keys[i % COUNT], .value = "v"};
        if (i % COUNT > 0) {
            entries[i].type = ZTOC_HARDLINK;
            entries[i].link = names[i / COUNT * COUNT];
        }
    }
    make(entries, ARRAY_LEN(entries), NULL, &image);
}

/* ---- options --------------------------------------------------------------------------------- */

static void attributes_are_left_out_when_told(void **state)
{
    static const struct entry entries[] = {
        {.name = "a", .xattr = "SCHILY.xattr.user.x", .value = "needle"}};
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    make(entries, 1, &(struct erofs_options){.tar_bytes = 512, .no_xattrs = true}, &image);
    assert_null(memmem(image.data, image.len, "needle", 6));
}

static void owners_are_mapped_when_told(void **state)
{
    static const struct entry entries[] = {
        {.name = "root"},
        {.name = "someone", .uid = 1000},
        {.name = "nobody", .uid = 70000},
        {.name = "noted", .uid = 5, .xattr = "SCHILY.xattr.user.x", .value = "kept"},
    };
    SCOPED(idmaps) struct idmaps ids = IDMAPS_EMPTY;
    SCOPED(buf_value) struct buf image = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(idmaps_parse("0:100000:65536", "0:200000:65536", &ids, &err));
    make(entries, ARRAY_LEN(entries), &(struct erofs_options){.tar_bytes = 512, .ids = &ids},
         &image);
    assert_non_null(memmem(image.data, image.len, "kept", 4));
}

static void the_device_is_of_whole_blocks(void **state)
{
    (void)state;
    assert_int_equal(erofs_device_bytes(0), 0);
    assert_int_equal(erofs_device_bytes(1), 512);
    assert_int_equal(erofs_device_bytes(10240), 10240);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void content_that_starts_within_a_block_is_refused(void **state)
{
    static const struct entry entries[] = {{.name = "a", .off = 513, .size = 5}};

    (void)state;
    assert_refused(entries, 1, NULL, "content at 513, which is no block of the tar");
}

static void content_that_leaves_the_tar_is_refused(void **state)
{
    static const struct entry inside[] = {{.name = "a", .off = 512, .size = 588}};
    static const struct entry outside[] = {{.name = "a", .off = 512, .size = 589}};
    static const struct entry wraps[] = {{.name = "a", .off = 512, .size = UINT64_MAX - 511}};
    const struct erofs_options options = {.tar_bytes = 1100};
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    make(inside, 1, &options, &image);
    assert_refused(outside, 1, &options, "content at 512 that leaves the tar");
    assert_refused(wraps, 1, &options, "content at 512 that leaves the tar");
}

static void a_tar_of_2_tib_is_refused(void **state)
{
    static const struct entry last[] = {
        {.name = "a", .off = (UINT64_C(2) << 40) - 2048, .size = 1}};
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    make(last, 1, &(struct erofs_options){.tar_bytes = (UINT64_C(2) << 40) - 1024}, &image);
    assert_refused(NULL, 0, &(struct erofs_options){.tar_bytes = UINT64_C(2) << 40},
                   "a tar of 2199023255552 bytes");
}

static void a_file_of_more_than_1_tib_is_refused(void **state)
{
    static const struct entry fits[] = {{.name = "a", .off = 512, .size = UINT64_C(1) << 40}};
    static const struct entry large[] = {
        {.name = "a", .off = 512, .size = (UINT64_C(1) << 40) + 1}};
    const struct erofs_options options = {.tar_bytes = (UINT64_C(1) << 40) + 1024};
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    make(fits, 1, &options, &image);
    assert_refused(large, 1, &options, "a file of 1099511627777 bytes");
}

static void an_attribute_above_65535_bytes_is_refused(void **state)
{
    char *value = repeat('v', 65536);
    struct entry entries[] = {{.name = "a", .xattr = "SCHILY.xattr.user.large", .value = value}};
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    assert_refused(entries, 1, NULL, "attribute user.large with 65536 bytes");
    value[65535] = '\0';
    make(entries, 1, NULL, &image);
    free(value);
}

/* An inode counts them in words, in 16 bits. */
static void attributes_of_more_than_256_kib_on_a_file_are_refused(void **state)
{
    char *value = repeat('v', 65000);
    static const char *const keys[] = {"SCHILY.xattr.user.1", "SCHILY.xattr.user.2",
                                       "SCHILY.xattr.user.3", "SCHILY.xattr.user.4",
                                       "SCHILY.xattr.user.5"};
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    struct entry entries[ARRAY_LEN(keys)];
    SCOPED(buf_value) struct buf image = BUF_EMPTY;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        entries[i] = (struct entry){.name = names[i],
                                    .type = i == 0 ? ZTOC_REG : ZTOC_HARDLINK,
                                    .link = "a",
                                    .xattr = keys[i],
                                    .value = value};
    make(entries, 4, NULL, &image);
    assert_refused(entries, 5, NULL, "extended attributes of 325052 bytes on one file");
    free(value);
}

static void an_attribute_without_a_name_is_refused(void **state)
{
    static const struct entry entries[] = {
        {.name = "a", .xattr = "SCHILY.xattr.user.", .value = "v"}};

    (void)state;
    assert_refused(entries, 1, NULL, "attribute user.");
}

static void a_symlink_to_nowhere_is_refused(void **state)
{
    static const struct entry entries[] = {{.name = "a", .type = ZTOC_SYMLINK, .link = ""}};

    (void)state;
    assert_refused(entries, 1, NULL, "a symlink without a target");
}

static int fail_at(void *self, struct bytes piece, struct err *err)
{
    size_t *left = self;

    if (piece.len > *left)
        return err_set(err, -ENOSPC, "the disk is full");
    *left -= piece.len;
    return 0;
}

static void a_sink_that_fails_ends_it(void **state)
{
    static struct entry entries[2000];
    static char names[2000][16];
    struct ztoc toc = {.entries = entries, .count = ARRAY_LEN(entries)};
    SCOPED(tree) struct tree *tree = NULL;
    struct err err = ERR_NONE;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%zu", i);
        entries[i] = (struct entry){.name = names[i], .mtime = (int64_t)i};
    }
    assert_ok(tree_build(&toc, &tree, &err));
    for (size_t left = 0; left < 140000; left += 60000) {
        size_t room = left;
        const struct erofs_sink sink = {.write = fail_at, .self = &room};

        assert_int_equal(erofs_write(tree, &plain, &sink, &err), -ENOSPC);
        assert_string_equal(err_text(&err), "the disk is full");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_node_reads_back),
        cmocka_unit_test(a_layer_without_entries_is_a_root),
        cmocka_unit_test(names_are_sorted_around_the_dots),
        cmocka_unit_test(a_directory_of_100000_names_reads_back),
        cmocka_unit_test(names_of_255_bytes_have_room),
        cmocka_unit_test(directories_of_all_sizes_read_back),
        cmocka_unit_test(directories_go_as_deep_as_a_path_can),
        cmocka_unit_test(targets_of_all_lengths_read_back),
        cmocka_unit_test(an_image_is_a_function_of_the_tree),
        cmocka_unit_test(nodes_with_the_time_of_most_are_compact),
        cmocka_unit_test(owners_above_16_bits_are_kept),
        cmocka_unit_test(an_attribute_of_many_files_is_stored_once),
        cmocka_unit_test(more_shared_attributes_than_a_byte_counts_read_back),
        cmocka_unit_test(attributes_are_left_out_when_told),
        cmocka_unit_test(owners_are_mapped_when_told),
        cmocka_unit_test(the_device_is_of_whole_blocks),
        cmocka_unit_test(content_that_starts_within_a_block_is_refused),
        cmocka_unit_test(content_that_leaves_the_tar_is_refused),
        cmocka_unit_test(a_tar_of_2_tib_is_refused),
        cmocka_unit_test(a_file_of_more_than_1_tib_is_refused),
        cmocka_unit_test(an_attribute_above_65535_bytes_is_refused),
        cmocka_unit_test(attributes_of_more_than_256_kib_on_a_file_are_refused),
        cmocka_unit_test(an_attribute_without_a_name_is_refused),
        cmocka_unit_test(a_symlink_to_nowhere_is_refused),
        cmocka_unit_test(a_sink_that_fails_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
