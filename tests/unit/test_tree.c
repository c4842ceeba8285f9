/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree.c – entries of a tar as a file system. */
#include "entries_as_ztoc.h"

#include "tree/tree.h"

#include <sys/stat.h>

/* ---- helpers --------------------------------------------------------------------------------- */

struct fixture {
    struct ztoc toc;
    struct tree *tree;
};

static void fixture_fini(struct fixture *f)
{
    tree_free(f->tree);
}
DEFINE_SCOPED_VALUE(fixture, struct fixture, fixture_fini)

static void build(struct fixture *f, const struct entry *entries, size_t count)
{
    struct err err = ERR_NONE;

    f->toc = (struct ztoc){.entries = entries, .count = count};
    if (tree_build(&f->toc, &f->tree, &err) < 0)
        fail_msg("%s", err_text(&err));
}

static int refused(const struct entry *entries, size_t count, struct err *err)
{
    struct ztoc toc = {.entries = entries, .count = count};
    SCOPED(tree) struct tree *tree = NULL;
    int rc = tree_build(&toc, &tree, err);

    assert_null(tree);
    return rc;
}

/* The node at a path without symlinks; TREE_NONE: no such. */
static tree_id at(const struct fixture *f, const char *path)
{
    char copy[512];
    tree_id id = TREE_ROOT;

    (void)snprintf(copy, sizeof(copy), "%s", path);
    for (char *save = NULL, *part = strtok_r(copy, "/", &save); part != NULL && id != TREE_NONE;
         part = strtok_r(NULL, "/", &save))
        id = tree_lookup(f->tree, id, part);
    return id;
}

static struct tree_node node_at(const struct fixture *f, const char *path)
{
    struct tree_node node;
    tree_id id = at(f, path);

    if (id == TREE_NONE)
        fail_msg("%s is not there", path);
    tree_get(f->tree, id, &node);
    return node;
}

static void assert_xattr(const struct fixture *f, const char *path, size_t i, const char *name,
                         const char *value)
{
    const char *got;
    struct bytes bytes;

    assert_true(tree_xattr(f->tree, at(f, path), i, &got, &bytes));
    assert_string_equal(got, name);
    assert_true(bytes_equal(bytes, bytes_of_str(value)));
}

static void assert_no_xattr(const struct fixture *f, const char *path, size_t i)
{
    const char *got;
    struct bytes bytes;

    assert_false(tree_xattr(f->tree, at(f, path), i, &got, &bytes));
}

#define BUILD(f, entries) build(&(f), (entries), ARRAY_LEN(entries))

/* ---- names ----------------------------------------------------------------------------------- */

static void names_are_cleaned_from_the_root(void **state)
{
    static const struct entry entries[] = {
        {.name = "/abs/name"}, {.name = "./dot"},  {.name = "a//b"},      {.name = "x/../y"},
        {.name = "../escape"}, {.name = "a/./c/"}, {.name = "d/../../e"}, {.name = "..hidden"},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_int_not_equal(at(&f, "abs/name"), TREE_NONE);
    assert_int_not_equal(at(&f, "dot"), TREE_NONE);
    assert_int_not_equal(at(&f, "a/b"), TREE_NONE);
    assert_int_not_equal(at(&f, "a/c"), TREE_NONE);
    assert_int_not_equal(at(&f, "y"), TREE_NONE);
    assert_int_not_equal(at(&f, "escape"), TREE_NONE);
    assert_int_not_equal(at(&f, "e"), TREE_NONE);
    assert_int_not_equal(at(&f, "..hidden"), TREE_NONE);
    assert_int_equal(tree_child_count(f.tree, TREE_ROOT), 7);
    assert_int_equal(tree_count(f.tree), 1 + 7 + 3);
}

static void children_are_sorted_bytewise_and_know_their_parent(void **state)
{
    static const struct entry entries[] = {
        {.name = "d/b"}, {.name = "d/a"}, {.name = "d/a.b"}, {.name = "d/\xff"}, {.name = "d/B"},
    };
    static const char *const sorted[] = {"B", "a", "a.b", "b", "\xff"};
    SCOPED(fixture) struct fixture f = {.tree = NULL};
    const char *name;
    tree_id id;

    (void)state;
    BUILD(f, entries);
    for (size_t i = 0; i < ARRAY_LEN(sorted); i++) {
        assert_true(tree_child(f.tree, at(&f, "d"), i, &name, &id));
        assert_string_equal(name, sorted[i]);
        assert_int_equal(tree_lookup(f.tree, at(&f, "d"), name), id);
    }
    assert_false(tree_child(f.tree, at(&f, "d"), ARRAY_LEN(sorted), &name, &id));
    assert_int_equal(tree_lookup(f.tree, at(&f, "d"), "aa"), TREE_NONE);
    assert_int_equal(tree_lookup(f.tree, at(&f, "d/a"), "x"), TREE_NONE);
    assert_int_equal(tree_parent(f.tree, at(&f, "d")), TREE_ROOT);
    assert_int_equal(tree_parent(f.tree, TREE_ROOT), TREE_ROOT);
}

static void missing_parents_are_directories_of_root(void **state)
{
    static const struct entry entries[] = {{.name = "no/deep/file", .uid = 7, .mtime = 9}};
    SCOPED(fixture) struct fixture f = {.tree = NULL};
    struct tree_node n;

    (void)state;
    BUILD(f, entries);
    n = node_at(&f, "no");
    assert_int_equal(n.mode, S_IFDIR | 0755);
    assert_int_equal(n.uid, 0);
    assert_int_equal(n.mtime_sec, 0);
    assert_int_equal(n.nlink, 3);
    assert_int_equal(node_at(&f, "no/deep").nlink, 2);
    assert_int_equal(node_at(&f, "").nlink, 3);
    assert_true(tree_is_made_up(f.tree, at(&f, "no")));
    assert_true(tree_is_made_up(f.tree, at(&f, "no/deep")));
    assert_false(tree_is_made_up(f.tree, at(&f, "no/deep/file")));
    assert_false(tree_is_made_up(f.tree, TREE_ROOT));
}

static void a_made_up_directory_takes_its_own_entry_later(void **state)
{
    static const struct entry entries[] = {
        {.name = "d/child"},
        {.name = "d/",
         .type = ZTOC_DIR,
         .mode = 0700,
         .uid = 4,
         .xattr = "SCHILY.xattr.user.a",
         .value = "1"},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_int_equal(node_at(&f, "d").mode, S_IFDIR | 0700);
    assert_false(tree_is_made_up(f.tree, at(&f, "d")));
    assert_int_equal(node_at(&f, "d").uid, 4);
    assert_int_not_equal(at(&f, "d/child"), TREE_NONE);
    assert_xattr(&f, "d", 0, "user.a", "1");
}

static void an_entry_for_the_root_sets_its_times_only(void **state)
{
    static const struct entry entries[] = {
        {.name = "./", .type = ZTOC_DIR, .mode = 0700, .uid = 5, .mtime = 77},
        {.name = ".", .type = ZTOC_REG, .mode = 0644},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};
    struct tree_node n;

    (void)state;
    BUILD(f, entries);
    n = node_at(&f, "");
    assert_int_equal(n.mode, S_IFDIR | 0755);
    assert_int_equal(n.uid, 0);
    assert_int_equal(n.mtime_sec, 77);
    assert_int_equal(tree_count(f.tree), 1);
}

static void symlinks_among_the_parents_are_followed_inside_the_layer(void **state)
{
    static const struct entry entries[] = {
        {.name = "usr/lib/", .type = ZTOC_DIR, .mode = 0700},
        {.name = "lib", .type = ZTOC_SYMLINK, .link = "usr/lib"},
        {.name = "lib/one"},
        {.name = "up", .type = ZTOC_SYMLINK, .link = "../../../usr"},
        {.name = "usr/abs", .type = ZTOC_SYMLINK, .link = "/usr/lib/./"},
        {.name = "up/abs/two"},
        {.name = "dangling", .type = ZTOC_SYMLINK, .link = "made/up"},
        {.name = "dangling/three"},
        {.name = "hard", .type = ZTOC_HARDLINK, .link = "lib/one"},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_int_not_equal(at(&f, "usr/lib/one"), TREE_NONE);
    assert_int_not_equal(at(&f, "usr/lib/two"), TREE_NONE);
    assert_int_not_equal(at(&f, "made/up/three"), TREE_NONE);
    assert_int_equal(at(&f, "hard"), at(&f, "usr/lib/one"));
    assert_string_equal(tree_link_target(f.tree, at(&f, "lib")), "usr/lib");
    assert_string_equal(tree_link_target(f.tree, at(&f, "usr/lib")), "");
}

static void what_is_below_a_file_is_left_out(void **state)
{
    static const struct entry entries[] = {
        {.name = "file", .size = 3}, {.name = "file/below"}, {.name = "file/below/more"}};
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_int_equal(tree_count(f.tree), 2);
    assert_true(S_ISREG(node_at(&f, "file").mode));
}

/* ---- later over earlier ---------------------------------------------------------------------- */

static void a_later_file_replaces_an_earlier_one(void **state)
{
    static const struct entry entries[] = {
        {.name = "dup", .off = 512, .size = 5},
        {.name = "hard", .type = ZTOC_HARDLINK, .link = "dup"},
        {.name = "dup", .off = 1536, .size = 10},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_int_equal(node_at(&f, "dup").size_bytes, 10);
    assert_int_equal(node_at(&f, "dup").uncomp_off, 1536);
    assert_int_equal(node_at(&f, "dup").nlink, 1);
    assert_int_equal(node_at(&f, "hard").size_bytes, 5);
    assert_int_equal(node_at(&f, "hard").nlink, 1);
}

static void a_directory_over_a_directory_keeps_its_children(void **state)
{
    static const struct entry entries[] = {
        {.name = "d/",
         .type = ZTOC_DIR,
         .mode = 0700,
         .uid = 1,
         .xattr = "SCHILY.xattr.user.a",
         .value = "1"},
        {.name = "d/child"},
        {.name = "d/",
         .type = ZTOC_DIR,
         .mode = 0711,
         .uid = 2,
         .xattr = "SCHILY.xattr.user.b",
         .value = "2"},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_int_equal(node_at(&f, "d").mode, S_IFDIR | 0711);
    assert_int_equal(node_at(&f, "d").uid, 2);
    assert_int_not_equal(at(&f, "d/child"), TREE_NONE);
    assert_xattr(&f, "d", 0, "user.a", "1");
    assert_xattr(&f, "d", 1, "user.b", "2");
}

static void a_file_over_a_directory_takes_everything_below_with_it(void **state)
{
    static const struct entry entries[] = {
        {.name = "d/sub/", .type = ZTOC_DIR},
        {.name = "d/sub/child"},
        {.name = "d", .type = ZTOC_REG},
        {.name = "e/sub/child"},
        {.name = "e", .type = ZTOC_REG},
        {.name = "e/", .type = ZTOC_DIR, .mode = 0700},
        {.name = "e/sub/new"},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_true(S_ISREG(node_at(&f, "d").mode));
    assert_int_equal(at(&f, "d/sub"), TREE_NONE);
    assert_int_equal(node_at(&f, "e").mode, S_IFDIR | 0700);
    assert_int_equal(at(&f, "e/sub/child"), TREE_NONE);
    assert_int_not_equal(at(&f, "e/sub/new"), TREE_NONE);
    assert_int_equal(node_at(&f, "").nlink, 3);
}

/* ---- hard links ------------------------------------------------------------------------------ */

static void hard_links_share_a_node_and_count(void **state)
{
    static const struct entry entries[] = {
        {.name = "a",
         .mode = 0600,
         .size = 4,
         .xattr = "SCHILY.xattr.security.capability",
         .value = "cap"},
        {.name = "d/b", .type = ZTOC_HARDLINK, .link = "./a", .mode = 04755, .uid = 9, .mtime = 5},
        {.name = "c",
         .type = ZTOC_HARDLINK,
         .link = "/d/../d/b",
         .mode = 04755,
         .uid = 9,
         .mtime = 6},
        {.name = "s", .type = ZTOC_SYMLINK, .link = "nowhere"},
        {.name = "t", .type = ZTOC_HARDLINK, .link = "s"},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};
    struct tree_node n;

    (void)state;
    BUILD(f, entries);
    assert_int_equal(at(&f, "a"), at(&f, "d/b"));
    assert_int_equal(at(&f, "a"), at(&f, "c"));
    n = node_at(&f, "a");
    assert_int_equal(n.nlink, 3);
    assert_int_equal(n.mode, S_IFREG | 04755);
    assert_int_equal(n.uid, 9);
    assert_int_equal(n.mtime_sec, 6);
    assert_int_equal(n.size_bytes, 4);
    assert_no_xattr(&f, "a", 0); /* chown(2) takes capabilities away */
    assert_int_equal(at(&f, "s"), at(&f, "t"));
    assert_int_equal(node_at(&f, "t").mode, S_IFLNK | 0777);
}

static void a_hard_link_brings_its_own_attributes(void **state)
{
    static const struct entry entries[] = {
        {.name = "a", .xattr = "SCHILY.xattr.user.x", .value = "old"},
        {.name = "b",
         .type = ZTOC_HARDLINK,
         .link = "a",
         .xattr = "SCHILY.xattr.security.capability",
         .value = "c"},
        {.name = "c",
         .type = ZTOC_HARDLINK,
         .link = "a",
         .xattr = "SCHILY.xattr.security.capability",
         .value = "d"},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_xattr(&f, "a", 0, "security.capability", "d");
    assert_xattr(&f, "a", 1, "user.x", "old");
    assert_no_xattr(&f, "a", 2);
}

static void a_hard_link_without_its_target_is_refused(void **state)
{
    static const struct entry missing[] = {{.name = "b", .type = ZTOC_HARDLINK, .link = "a"},
                                           {.name = "a"}};
    static const struct entry removed[] = {
        {.name = "d/a"}, {.name = "d"}, {.name = "b", .type = ZTOC_HARDLINK, .link = "d/a"}};
    static const struct entry root[] = {{.name = "b", .type = ZTOC_HARDLINK, .link = "/"}};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(refused(missing, ARRAY_LEN(missing), &err), -EBADMSG);
    assert_non_null(strstr(err_text(&err), "hard link to a"));
    assert_int_equal(refused(removed, ARRAY_LEN(removed), &err), -EBADMSG);
    assert_int_equal(refused(root, ARRAY_LEN(root), &err), -EBADMSG);
}

static void a_hard_link_to_a_directory_is_refused(void **state)
{
    static const struct entry entries[] = {{.name = "d/", .type = ZTOC_DIR},
                                           {.name = "d/loop", .type = ZTOC_HARDLINK, .link = "d"}};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(refused(entries, ARRAY_LEN(entries), &err), -EBADMSG);
    assert_non_null(strstr(err_text(&err), "directory"));
}

/* ---- whiteouts ------------------------------------------------------------------------------- */

static void whiteouts_become_devices_and_markers_attributes(void **state)
{
    static const struct entry entries[] = {
        {.name = "etc/.wh.passwd", .mode = 0644, .uid = 3, .mtime = 8},
        {.name = "var/.wh..wh..opq"},
        {.name = "var/new"},
        {.name = ".wh.gone", .type = ZTOC_DIR, .mode = 0755},
        {.name = "a.wh.b"},
        {.name = ".wh..wh.plnk"},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};
    struct tree_node n;

    (void)state;
    BUILD(f, entries);
    n = node_at(&f, "etc/passwd");
    assert_int_equal(n.mode, S_IFCHR);
    assert_int_equal(n.major, 0);
    assert_int_equal(n.minor, 0);
    assert_int_equal(n.uid, 3);
    assert_int_equal(n.nlink, 1);
    assert_int_equal(n.size_bytes, 0);
    assert_int_equal(at(&f, "etc/.wh.passwd"), TREE_NONE);
    assert_int_equal(node_at(&f, "gone").mode, S_IFCHR);
    assert_int_equal(node_at(&f, ".wh.plnk").mode, S_IFCHR);
    assert_true(S_ISREG(node_at(&f, "a.wh.b").mode));
    assert_int_equal(node_at(&f, "").nlink, 4);

    assert_int_equal(tree_child_count(f.tree, at(&f, "var")), 1);
    assert_true(tree_is_opaque(f.tree, at(&f, "var")));
    assert_false(tree_is_opaque(f.tree, at(&f, "etc")));
    assert_xattr(&f, "var", 0, "trusted.overlay.opaque", "y");
    assert_no_xattr(&f, "var", 1);
    assert_true(tree_has_opaque(f.tree));
    assert_true(tree_has_xattrs(f.tree));
}

static void a_whiteout_of_what_is_in_the_layer_is_hidden(void **state)
{
    static const struct entry entries[] = {
        {.name = ".wh.x"}, {.name = "x", .size = 2}, {.name = "y/", .type = ZTOC_DIR},
        {.name = ".wh.y"}, {.name = ".wh."},         {.name = ".wh..."},
        {.name = ".wh.."},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_true(S_ISREG(node_at(&f, "x").mode));
    assert_true(S_ISDIR(node_at(&f, "y").mode));
    assert_int_equal(tree_child_count(f.tree, TREE_ROOT), 2);
    assert_false(tree_has_xattrs(f.tree));
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void types_modes_and_devices_are_what_unpacking_makes(void **state)
{
    static const struct entry entries[] = {
        {.name = "reg", .mode = 0104755, .size = 3, .off = 512},
        {.name = "dir", .type = ZTOC_DIR, .mode = 01777, .size = 99},
        {.name = "lnk", .type = ZTOC_SYMLINK, .link = "target", .mode = 0644, .size = 99},
        {.name = "chr", .type = ZTOC_CHAR, .mode = 0600, .major = 259, .minor = 70000},
        {.name = "blk", .type = ZTOC_BLOCK, .mode = 0660, .major = 8, .minor = 1},
        {.name = "fif", .type = ZTOC_FIFO, .mode = 0600},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_int_equal(node_at(&f, "reg").mode, S_IFREG | 04755);
    assert_int_equal(node_at(&f, "dir").mode, S_IFDIR | 01777);
    assert_int_equal(node_at(&f, "dir").size_bytes, 0);
    assert_int_equal(node_at(&f, "lnk").mode, S_IFLNK | 0777);
    assert_int_equal(node_at(&f, "lnk").size_bytes, 6);
    assert_int_equal(node_at(&f, "chr").mode, S_IFCHR | 0600);
    assert_int_equal(node_at(&f, "chr").major, 259);
    assert_int_equal(node_at(&f, "chr").minor, 70000);
    assert_int_equal(node_at(&f, "blk").mode, S_IFBLK | 0660);
    assert_int_equal(node_at(&f, "fif").mode, S_IFIFO | 0600);
}

static void times_that_cannot_be_set_are_the_epoch(void **state)
{
    static const struct entry entries[] = {
        {.name = "ok", .mtime = 1700000000},
        {.name = "old", .mtime = -5},
        {.name = "far", .mtime = 9223372037},
        {.name = "none", .mtime = 12345, .no_mtime = true},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_int_equal(node_at(&f, "ok").mtime_sec, 1700000000);
    assert_int_equal(node_at(&f, "old").mtime_sec, 0);
    assert_int_equal(node_at(&f, "far").mtime_sec, 0);
    assert_int_equal(node_at(&f, "none").mtime_sec, 0);
}

/* Nobody has it: with it a file cannot be written to, nor copied up by overlayfs. */
static void the_owner_that_chown_ignores_is_root(void **state)
{
    static const struct entry entries[] = {{.name = "a", .uid = UINT32_MAX},
                                           {.name = "b", .uid = UINT32_MAX - 1}};
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_int_equal(node_at(&f, "a").uid, 0);
    assert_int_equal(node_at(&f, "a").gid, 0);
    assert_int_equal(node_at(&f, "b").uid, UINT32_MAX - 1);
}

static void only_attributes_that_an_image_may_set_are_kept(void **state)
{
    static const struct entry entries[] = {
        {.name = "a", .xattr = "SCHILY.xattr.trusted.overlay.opaque", .value = "y"},
        {.name = "b", .xattr = "SCHILY.xattr.user.comment", .value = "h\xc3\xa9llo"},
        {.name = "c",
         .type = ZTOC_SYMLINK,
         .link = "b",
         .xattr = "SCHILY.xattr.user.comment",
         .value = "x"},
        {.name = "d", .xattr = "LIBARCHIVE.xattr.user.comment", .value = "x"},
        {.name = "e", .xattr = "SCHILY.xattr.nonsense", .value = "x"},
        {.name = "f", .xattr = "mtime", .value = "1.5"},
    };
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    BUILD(f, entries);
    assert_xattr(&f, "b", 0, "user.comment", "h\xc3\xa9llo");
    assert_no_xattr(&f, "b", 1);
    for (const char *name = "acdef"; *name != '\0'; name++) {
        const char path[] = {*name, '\0'};

        assert_no_xattr(&f, path, 0);
    }
    assert_false(tree_has_opaque(f.tree));
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void names_longer_than_linux_allows_are_refused(void **state)
{
    char name[257], path[5000], target[4097];
    struct entry entries[] = {{.name = name}};
    struct entry deep[] = {{.name = path}};
    struct entry link[] = {{.name = "l", .type = ZTOC_SYMLINK, .link = target}};
    SCOPED(fixture) struct fixture f = {.tree = NULL};
    struct err err = ERR_NONE;

    (void)state;
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    assert_int_equal(refused(entries, 1, &err), -EBADMSG);
    name[255] = '\0';
    build(&f, entries, 1);

    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = i % 2 == 0 ? 'd' : '/';
    path[4098] = '\0';
    assert_int_equal(refused(deep, 1, &err), -EBADMSG);

    memset(target, 't', sizeof(target));
    target[4096] = '\0';
    assert_int_equal(refused(link, 1, &err), -EBADMSG);
}

/* Its parts lie one behind the other in the tar, without the holes between them. */
static void a_sparse_file_is_refused(void **state)
{
    static const struct entry entries[] = {
        {.name = "a", .size = 1024, .xattr = "GNU.sparse.map", .value = "512,512"}};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(refused(entries, 1, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err_text(&err), "entry 0 (a): sparse files"));
}

/* 2000 directories in 4000 bytes, time and again. */
static void parents_without_end_are_refused(void **state)
{
    enum { COUNT = 100, BYTES = 4000 };
    char(*paths)[BYTES + 1] = malloc(COUNT * sizeof(*paths));
    struct entry entries[COUNT];
    SCOPED(fixture) struct fixture f = {.tree = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_non_null(paths);
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < BYTES; at++)
            paths[i][at] = at % 2 == 0 ? 'd' : '/';
        paths[i][0] = (char)(128 + i);
        paths[i][BYTES] = '\0';
        entries[i] = (struct entry){.name = paths[i]};
    }
    build(&f, entries, 20);
    assert_int_equal(tree_count(f.tree), 1 + 20 * (BYTES / 2));
    assert_int_equal(refused(entries, COUNT, &err), -EFBIG);
    assert_non_null(strstr(err_text(&err), "too many directories that have no entry"));
    free(paths);
}

static void whiteouts_of_the_longest_names_are_whiteouts(void **state)
{
    char name[4 + 256 + 1] = ".wh.";
    struct entry entries[] = {{.name = name}};
    SCOPED(fixture) struct fixture f = {.tree = NULL};
    struct err err = ERR_NONE;

    (void)state;
    memset(name + 4, 'n', 256);
    assert_int_equal(refused(entries, 1, &err), -EBADMSG);
    name[4 + 255] = '\0';
    build(&f, entries, 1);
    assert_int_equal(node_at(&f, name + 4).mode, S_IFCHR);
}

static void symlinks_in_a_circle_are_refused(void **state)
{
    static const struct entry entries[] = {
        {.name = "a", .type = ZTOC_SYMLINK, .link = "b"},
        {.name = "b", .type = ZTOC_SYMLINK, .link = "a"},
        {.name = "a/x"},
    };
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(refused(entries, ARRAY_LEN(entries), &err), -EBADMSG);
    assert_non_null(strstr(err_text(&err), "circle"));
}

static void a_deep_tree_needs_no_stack(void **state)
{
    char path[4096];
    struct entry entries[] = {{.name = path}};
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = i % 2 == 0 ? 'd' : '/';
    path[4095] = '\0';
    build(&f, entries, 1);
    assert_int_equal(tree_count(f.tree), 1 + 2048);
}

static void a_layer_of_nothing_is_a_root(void **state)
{
    SCOPED(fixture) struct fixture f = {.tree = NULL};

    (void)state;
    build(&f, NULL, 0);
    assert_int_equal(tree_count(f.tree), 1);
    assert_int_equal(node_at(&f, "").mode, S_IFDIR | 0755);
    assert_int_equal(node_at(&f, "").nlink, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_cleaned_from_the_root),
        cmocka_unit_test(children_are_sorted_bytewise_and_know_their_parent),
        cmocka_unit_test(missing_parents_are_directories_of_root),
        cmocka_unit_test(a_made_up_directory_takes_its_own_entry_later),
        cmocka_unit_test(an_entry_for_the_root_sets_its_times_only),
        cmocka_unit_test(symlinks_among_the_parents_are_followed_inside_the_layer),
        cmocka_unit_test(what_is_below_a_file_is_left_out),
        cmocka_unit_test(a_later_file_replaces_an_earlier_one),
        cmocka_unit_test(a_directory_over_a_directory_keeps_its_children),
        cmocka_unit_test(a_file_over_a_directory_takes_everything_below_with_it),
        cmocka_unit_test(hard_links_share_a_node_and_count),
        cmocka_unit_test(a_hard_link_brings_its_own_attributes),
        cmocka_unit_test(a_hard_link_without_its_target_is_refused),
        cmocka_unit_test(a_hard_link_to_a_directory_is_refused),
        cmocka_unit_test(whiteouts_become_devices_and_markers_attributes),
        cmocka_unit_test(a_whiteout_of_what_is_in_the_layer_is_hidden),
        cmocka_unit_test(types_modes_and_devices_are_what_unpacking_makes),
        cmocka_unit_test(times_that_cannot_be_set_are_the_epoch),
        cmocka_unit_test(the_owner_that_chown_ignores_is_root),
        cmocka_unit_test(only_attributes_that_an_image_may_set_are_kept),
        cmocka_unit_test(names_longer_than_linux_allows_are_refused),
        cmocka_unit_test(whiteouts_of_the_longest_names_are_whiteouts),
        cmocka_unit_test(a_sparse_file_is_refused),
        cmocka_unit_test(parents_without_end_are_refused),
        cmocka_unit_test(symlinks_in_a_circle_are_refused),
        cmocka_unit_test(a_deep_tree_needs_no_stack),
        cmocka_unit_test(a_layer_of_nothing_is_a_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
