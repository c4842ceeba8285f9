/* SPDX-License-Identifier: Apache-2.0 */
/* test_unpack_layers.c – layers become files, whichever way they are packed and cut; hostile ones
 * become nothing outside of their directory. What each of the test layers should look like is
 * compared with containerd's own answer end to end (tests/e2e/mixed-layers). */
#include "test.h"

#include "unpack/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- a directory with a neighbour that must not change --------------------------------------- */

struct world {
    char top[64];
    char *dir;     /* what is unpacked goes here */
    char *outside; /* beside it, with one file */
};

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    SCOPED(mem) char *file = NULL;
    struct err err = ERR_NONE;

    assert_non_null(w);
    (void)strcpy(w->top, "/tmp/test-unpack.XXXXXX");
    assert_non_null(mkdtemp(w->top));
    w->dir = path_join(w->top, "dir");
    w->outside = path_join(w->top, "outside");
    assert_ok(dir_make_all(w->dir, 0755, &err));
    assert_ok(dir_make_all(w->outside, 0755, &err));
    file = path_join(w->outside, "file");
    assert_ok(file_replace(file, bytes_of_str("untouched"), 0644, &err));
    *state = w;
    return 0;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    SCOPED(mem) char *file = path_join(w->outside, "file");
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    struct err err = ERR_NONE;
    struct stat st;

    /* After every single test. */
    assert_ok(file_read(file, 100, &content, &err));
    assert_string_equal(buf_str(&content), "untouched");
    assert_ok(stat(file, &st));
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(st.st_mode, S_IFREG | 0644);
    assert_ok(stat(w->outside, &st));
    assert_int_equal(st.st_nlink, 2);
    assert_ok(dir_remove_all(w->top, &err));
    free(w->dir);
    free(w->outside);
    free(w);
    return 0;
}

/* ---- tars of our own ------------------------------------------------------------------------- */

struct entry {
    char type;
    const char *name, *link;
    const char *content;
    unsigned mode;
    unsigned major, minor;
    long long mtime;
};

#define E(type_, name_, ...)                                                                       \
    {                                                                                              \
        .type = (type_), .name = (name_), ##__VA_ARGS__                                            \
    }

static void put_octal(uint8_t *at, size_t len, unsigned long long value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%0*llo", (int)len - 1, value);
    memcpy(at, text, len);
}

static void add_header(struct buf *tar, const struct entry *e, size_t size)
{
    uint8_t block[512] = {0};
    unsigned sum = 8 * ' ';

    memcpy(block, e->name, strlen(e->name) < 100 ? strlen(e->name) : 100);
    put_octal(block + 100, 8, e->mode == 0 ? 0644 : e->mode);
    put_octal(block + 108, 8, 0);
    put_octal(block + 116, 8, 0);
    put_octal(block + 124, 12, size);
    put_octal(block + 136, 12, e->mtime == 0 ? 1600000000 : (unsigned long long)e->mtime);
    block[156] = (uint8_t)e->type;
    if (e->link != NULL)
        memcpy(block + 157, e->link, strlen(e->link));
    memcpy(block + 257, "ustar\00000", 8);
    put_octal(block + 329, 8, e->major);
    put_octal(block + 337, 8, e->minor);
    for (size_t i = 0; i < sizeof(block); i++)
        sum += i >= 148 && i < 156 ? 0 : block[i];
    put_octal(block + 148, 7, sum);
    assert_ok(buf_add(tar, block, sizeof(block)));
}

static void add_entry(struct buf *tar, const struct entry *e)
{
    size_t size = e->content == NULL ? 0 : strlen(e->content);

    add_header(tar, e, size);
    assert_ok(buf_add(tar, e->content == NULL ? "" : e->content, size));
    assert_ok(buf_add_zeros(tar, (512 - size % 512) % 512));
}

static void make_tar(struct buf *tar, const struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_entry(tar, &entries[i]);
    assert_ok(buf_add_zeros(tar, 1024));
}

/* ---- unpacking ------------------------------------------------------------------------------- */

static int unpack_as(const char *dir, struct bytes layer, struct digest digest, size_t piece,
                     struct text_list *made, struct digest *diff_id, struct err *err)
{
    const struct unpack_options options = {.dir = dir, .layer = digest};
    SCOPED(unpack) struct unpack *u = NULL;
    int rc = 0;

    assert_ok(unpack_new(&options, &u, err));
    for (size_t off = 0; off < layer.len && rc == 0; off += piece)
        rc = unpack_feed(
            u, bytes_of(layer.data + off, layer.len - off < piece ? layer.len - off : piece), err);
    if (rc == 0)
        rc = unpack_finish(u, diff_id, err);
    if (rc == 0)
        rc = unpack_sync(u, err);
    for (size_t i = 0; rc == 0 && made != NULL && i < unpack_made_dirs(u)->count; i++)
        assert_ok(text_list_add(made, unpack_made_dirs(u)->items[i]));
    return rc;
}

static int unpack_bytes(const char *dir, struct bytes layer, struct err *err)
{
    struct digest digest, diff_id;

    assert_ok(digest_of(layer, &digest));
    return unpack_as(dir, layer, digest, layer.len == 0 ? 1 : layer.len, NULL, &diff_id, err);
}

static int unpack_entries(struct world *w, const struct entry *entries, size_t count,
                          struct err *err)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;

    make_tar(&tar, entries, count);
    return unpack_bytes(w->dir, buf_bytes(&tar), err);
}
#define UNPACK(w, err, ...)                                                                        \
    unpack_entries(w, (const struct entry[]){__VA_ARGS__},                                         \
                   ARRAY_LEN(((const struct entry[]){__VA_ARGS__})), err)

static struct stat look(const struct world *w, const char *name)
{
    SCOPED(mem) char *path = path_join(w->dir, name);
    struct stat st = {.st_mode = 0};

    if (lstat(path, &st) < 0)
        st.st_mode = 0;
    return st;
}

static bool file_has(const struct world *w, const char *name, const char *text)
{
    SCOPED(mem) char *path = path_join(w->dir, name);
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    struct err err = ERR_NONE;

    return S_ISREG(look(w, name).st_mode) && file_read(path, 1 << 20, &content, &err) == 0 &&
           strcmp(buf_str(&content), text) == 0;
}

/* ---- what layers say ------------------------------------------------------------------------- */

static void files_directories_links_and_nodes_are_made_as_listed(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;
    struct stat st;
    char target[64] = "";
    SCOPED(mem) char *link = path_join(w->dir, "d/symlink");

    assert_ok(UNPACK(w, &err, E('5', "d/", .mode = 02750, .mtime = 1500000001),
                     E('0', "d/file", .content = "hello", .mode = 04755),
                     E('1', "d/hard", .link = "d/file", .mode = 04755),
                     E('2', "d/symlink", .link = "/etc/passwd"),
                     E('3', "null", .mode = 0666, .major = 1, .minor = 3),
                     E('4', "disk", .major = 0xfff, .minor = 0xfffff),
                     E('6', "pipe", .mode = 0600)));
    st = look(w, "d");
    assert_int_equal(st.st_mode, S_IFDIR | 02750);
    assert_int_equal(st.st_mtim.tv_sec, 1500000001); /* though files were put in it later */
    st = look(w, "d/file");
    assert_int_equal(st.st_mode, S_IFREG | 04755);
    assert_int_equal(st.st_mtim.tv_sec, 1600000000);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(st.st_ino, look(w, "d/hard").st_ino);
    assert_true(file_has(w, "d/file", "hello"));
    assert_int_equal(readlink(link, target, sizeof(target) - 1), 11);
    assert_string_equal(target, "/etc/passwd");
    assert_true(S_ISCHR(look(w, "null").st_mode));
    assert_int_equal(look(w, "null").st_rdev, makedev(1, 3));
    assert_int_equal(look(w, "disk").st_rdev, makedev(0xfff, 0xfffff));
    assert_int_equal(look(w, "pipe").st_mode, S_IFIFO | 0600);
}

static void a_later_entry_replaces_but_directories_become_one(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    assert_ok(UNPACK(w, &err, E('0', "a", .content = "first"), E('5', "a/"),
                     E('0', "a/in", .content = "kept"), E('5', "a/", .mode = 0700), E('5', "b/"),
                     E('0', "b/gone", .content = "x"), E('0', "b", .content = "file"),
                     E('2', "c", .link = "b"), E('0', "c", .content = "no link")));
    assert_true(file_has(w, "a/in", "kept"));
    assert_int_equal(look(w, "a").st_mode, S_IFDIR | 0700);
    assert_true(file_has(w, "b", "file"));
    assert_true(file_has(w, "c", "no link"));
}

static void whiteouts_become_what_overlayfs_reads(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;
    SCOPED(mem) char *dir = path_join(w->dir, "d");
    char value[8] = "";

    assert_ok(UNPACK(w, &err, E('5', "d/"), E('0', "d/.wh..wh..opq"), E('0', "d/.wh.gone"),
                     E('0', "d/.wh.kept"), E('0', "d/kept", .content = "again")));
    assert_true(S_ISCHR(look(w, "d/gone").st_mode));
    assert_int_equal(look(w, "d/gone").st_rdev, 0);
    assert_int_equal(lgetxattr(dir, "trusted.overlay.opaque", value, sizeof(value)), 1);
    assert_int_equal(value[0], 'y');
    assert_true(file_has(w, "d/kept", "again"));
    assert_int_equal(look(w, "d/.wh.gone").st_mode, 0);
}

static void a_missing_parent_is_made_and_named(void **state)
{
    struct world *w = *state;
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(text_list) struct text_list made = TEXT_LIST_EMPTY;
    const struct entry entries[] = {E('0', "a/b/file", .content = "x"),
                                    E('0', "c/file", .content = "x"), E('5', "c/", .mode = 0700)};
    struct digest digest, diff_id;
    struct err err = ERR_NONE;

    make_tar(&tar, entries, ARRAY_LEN(entries));
    assert_ok(digest_of(buf_bytes(&tar), &digest));
    assert_ok(unpack_as(w->dir, buf_bytes(&tar), digest, 7, &made, &diff_id, &err));
    assert_true(digest_equal(&digest, &diff_id)); /* nothing was packed */
    assert_int_equal(made.count, 2);
    assert_string_equal(made.items[0], "a");
    assert_string_equal(made.items[1], "a/b");
    assert_int_equal(look(w, "a/b").st_mode, S_IFDIR | 0755);
    assert_int_equal(look(w, "c").st_mode, S_IFDIR | 0700);
}

static void a_made_directory_takes_the_look_of_the_nearest_layer_that_has_it(void **state)
{
    struct world *w = *state;
    SCOPED(text_list) struct text_list made = TEXT_LIST_EMPTY;
    SCOPED(text_list) struct text_list lowers = TEXT_LIST_EMPTY;
    const char *const dirs[] = {"dir/a", "dir/b", "dir/c", "near/b", "far/a", "far/b", "far"};
    SCOPED(mem) char *near = path_join(w->top, "near");
    SCOPED(mem) char *far = path_join(w->top, "far");
    SCOPED(mem) char *near_file = path_join(w->top, "near/a");
    SCOPED(mem) char *far_b = path_join(w->top, "far/b");
    struct err err = ERR_NONE;
    char value[8];
    SCOPED(mem) char *b = path_join(w->dir, "b");

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        SCOPED(mem) char *path = path_join(w->top, dirs[i]);
        assert_ok(dir_make_all(path, 0755, &err));
    }
    assert_ok(file_replace(near_file, bytes_of_str("no directory"), 0600, &err));
    assert_ok(rmdir(far_b));
    assert_ok(symlink("../../outside", far_b)); /* never gets that far */
    assert_ok(text_list_add(&lowers, near));
    assert_ok(text_list_add(&lowers, far));
    {
        SCOPED(mem) char *near_b = path_join(near, "b");
        assert_ok(chown(near_b, 7, 8));
        assert_ok(chmod(near_b, 01777));
        assert_ok(setxattr(near_b, "user.kept", "1", 1, 0));
        assert_ok(setxattr(near_b, "trusted.overlay.opaque", "y", 1, 0));
    }
    assert_ok(text_list_add(&made, "a"));
    assert_ok(text_list_add(&made, "b"));
    assert_ok(text_list_add(&made, "c"));
    assert_ok(unpack_inherit(w->dir, &made, &lowers, &err));
    assert_int_equal(look(w, "a").st_mode, S_IFDIR | 0755);
    assert_int_equal(look(w, "b").st_mode, S_IFDIR | 01777);
    assert_int_equal(look(w, "b").st_uid, 7);
    assert_int_equal(look(w, "b").st_gid, 8);
    assert_int_equal(lgetxattr(b, "user.kept", value, sizeof(value)), 1);
    assert_int_equal(lgetxattr(b, "trusted.overlay.opaque", value, sizeof(value)), -1);
    assert_int_equal(look(w, "c").st_mode, S_IFDIR | 0755);
}

static void assert_look_below(const char *path, const struct text_list *lowers,
                              enum unpack_look want)
{
    enum unpack_look look;
    struct err err = ERR_NONE;

    assert_ok(unpack_look_below(path, lowers, &look, &err));
    assert_int_equal(look, want);
}

static void how_a_directory_looks_below_is_told(void **state)
{
    struct world *w = *state;
    SCOPED(text_list) struct text_list lowers = TEXT_LIST_EMPTY;
    const char *const dirs[] = {"near/both", "far/both", "far/hidden", "far/noted", "far/plain/in"};
    SCOPED(mem) char *near = path_join(w->top, "near"), *far = path_join(w->top, "far");
    SCOPED(mem) char *far_both = path_join(far, "both"), *noted = path_join(far, "noted");
    SCOPED(mem) char *hidden = path_join(near, "hidden");
    struct err err = ERR_NONE;

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        SCOPED(mem) char *path = path_join(w->top, dirs[i]);
        assert_ok(dir_make_all(path, 0755, &err));
    }
    assert_ok(text_list_add(&lowers, near));
    assert_ok(text_list_add(&lowers, far));
    assert_ok(chmod(far_both, 01777));
    assert_ok(setxattr(noted, "user.note", "1", 1, 0));
    assert_ok(mknod(hidden, S_IFCHR, 0));
    assert_look_below("both", &lowers, UNPACK_LOOK_PLAIN);
    assert_look_below("noted", &lowers, UNPACK_LOOK_OTHER);
    assert_look_below("plain/in", &lowers, UNPACK_LOOK_PLAIN);
    assert_look_below("hidden", &lowers, UNPACK_LOOK_NONE);
    assert_look_below("nowhere", &lowers, UNPACK_LOOK_NONE);
    free(lowers.items[0]);
    lowers.items[0] = text_copy(far);
    assert_look_below("both", &lowers, UNPACK_LOOK_OTHER);
    assert_look_below("hidden", &lowers, UNPACK_LOOK_PLAIN);
}

static void times_before_1970_and_beyond_2262_are_1970(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    assert_ok(UNPACK(w, &err, E('0', "far", .mtime = 9223372037ll),
                     E('0', "near", .mtime = 9223372035ll)));
    assert_int_equal(look(w, "far").st_mtim.tv_sec, 0);
    if (look(w, "near").st_mtim.tv_sec != 9223372035ll) /* ext4 ends in 2446, others later */
        assert_true(look(w, "near").st_mtim.tv_sec > 4294967295ll);
}

static void a_global_header_is_passed_over(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    assert_ok(UNPACK(w, &err, E('g', "pax_global_header", .content = "19 comment=whatever\n"),
                     E('0', "file", .content = "x")));
    assert_true(file_has(w, "file", "x"));
    assert_int_equal(look(w, "pax_global_header").st_mode, 0);
}

/* ---- how they are packed --------------------------------------------------------------------- */

static const char *const layers[] = {
    "basic-gnu.tar.gz",  "basic-ustar.tar.gz", "gnu-long.tar.gz",         "gz-empty-members.tar.gz",
    "gz-members.tar.gz", "gz-pigz.tar.gz",     "gz-stored.tar.gz",        "gz-header-fields.tar.gz",
    "many.tar.gz",       "no-trailer.tar.gz",  "odd-names.tar.gz",        "pax-xattrs.tar.gz",
    "plain.tar",         "empty.tar.gz",       "trailing-garbage.tar.gz", "whiteouts.tar.gz",
};

/* Every layer is synced, which a disk takes its time for. */
static void empty_in_memory(const struct world *w)
{
    (void)umount2(w->dir, MNT_DETACH);
    assert_ok(mount("tmpfs", w->dir, "tmpfs", 0, "size=64m,mode=755"));
}

static void every_test_layer_unpacks_in_pieces_of_any_size(void **state)
{
    static const size_t pieces[] = {1, 511, 65536};
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
        SCOPED(mem) char *name = path_join("ztoc", layers[i]);
        SCOPED(buf) struct buf *layer = vector_load(name);
        struct digest digest, diff_ids[ARRAY_LEN(pieces)];
        struct err err = ERR_NONE;

        assert_ok(digest_of(buf_bytes(layer), &digest));
        for (size_t j = 0; j < ARRAY_LEN(pieces); j++) {
            empty_in_memory(w);
            if (unpack_as(w->dir, buf_bytes(layer), digest, pieces[j], NULL, &diff_ids[j], &err) <
                0)
                fail_msg("%s: %s", layers[i], err_text(&err));
            assert_true(digest_equal(&diff_ids[j], &diff_ids[0]));
        }
    }
    assert_ok(umount2(w->dir, MNT_DETACH));
}

static void what_is_cut_off_anywhere_is_refused(void **state)
{
    struct world *w = *state;
    SCOPED(buf) struct buf *layer = vector_load("ztoc/basic-gnu.tar.gz");

    for (size_t len = 0; len < layer->len; len += len < 64 ? 1 : 997) {
        struct err err = ERR_NONE;

        if (len == 0) /* no bytes at all are a tar without entries */
            continue;
        empty_in_memory(w);
        assert_int_equal(unpack_bytes(w->dir, bytes_of(layer->data, len), &err), -EBADMSG);
    }
    assert_ok(umount2(w->dir, MNT_DETACH));
}

static void another_digest_is_refused(void **state)
{
    struct world *w = *state;
    SCOPED(buf) struct buf *layer = vector_load("ztoc/basic-gnu.tar.gz");
    struct digest digest = {{0}}, diff_id;
    struct err err = ERR_NONE;

    assert_int_equal(unpack_as(w->dir, buf_bytes(layer), digest, 4096, NULL, &diff_id, &err),
                     -EBADMSG);
    assert_non_null(strstr(err_text(&err), "digest sha256:"));
}

static void junk_behind_the_last_gzip_member_is_refused(void **state)
{
    struct world *w = *state;
    SCOPED(buf) struct buf *layer = vector_load("ztoc/gz-trailing-zeros.tar.gz");
    struct err err = ERR_NONE;

    assert_int_equal(unpack_bytes(w->dir, buf_bytes(layer), &err), -EBADMSG);
}

/* ---- by programs ----------------------------------------------------------------------------- */

static int unpack_by(const struct world *w, const char *const *argv, struct digest *diff_id,
                     struct err *err)
{
    SCOPED(buf) struct buf *layer = vector_load("ztoc/basic-gnu.tar.gz");
    const struct unpack_programs programs = {.gzip = argv};
    struct unpack_options options = {.dir = w->dir, .programs = &programs};
    SCOPED(unpack) struct unpack *u = NULL;
    int rc = 0;

    assert_ok(digest_of(buf_bytes(layer), &options.layer));
    assert_ok(unpack_new(&options, &u, err));
    for (size_t off = 0; off < layer->len && rc == 0; off += 100)
        rc = unpack_feed(
            u, bytes_of(layer->data + off, layer->len - off < 100 ? layer->len - off : 100), err);
    return rc < 0 ? rc : unpack_finish(u, diff_id, err);
}

static void empty_again(const struct world *w)
{
    struct err err = ERR_NONE;

    assert_ok(dir_remove_all(w->dir, &err));
    assert_ok(dir_make_all(w->dir, 0755, &err));
}

static void a_program_unpacks_what_we_would(void **state)
{
    const char *const gzip[] = {"gzip", "-d", "-c", NULL};
    const struct world *w = *state;
    struct digest ours, its;
    struct err err = ERR_NONE;

    assert_ok(unpack_by(w, NULL, &ours, &err));
    empty_again(w);
    assert_ok(unpack_by(w, gzip, &its, &err));
    assert_true(digest_equal(&ours, &its));
}

/* It may be known at once, or, by what runs programs of another processor, only when it has ended
 * with 127: then nothing is unpacked, as by any that ends so. */
static bool is_known_at_once(const char *const *argv)
{
    union { /* nothing is written through it */
        const char *const *in;
        char *const *out;
    } unconst = {.in = argv};
    pid_t pid;
    int status;

    if (posix_spawn(&pid, argv[0], NULL, NULL, unconst.out, environ) != 0)
        return true;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);
    return false;
}

static void a_program_that_is_not_there_is_done_without(void **state)
{
    const char *const none[] = {"/nowhere/gzip", "-d", NULL};
    const struct world *w = *state;
    struct digest diff_id;
    struct err err = ERR_NONE;

    (void)signal(SIGPIPE, SIG_IGN);
    if (is_known_at_once(none)) {
        assert_ok(unpack_by(w, none, &diff_id, &err));
    } else {
        assert_int_equal(unpack_by(w, none, &diff_id, &err), -EBADMSG);
        empty_again(w);
    }
}

static void a_program_that_does_not_end_well_unpacks_nothing(void **state)
{
    static const char *const scripts[] = {
        "exit 0",                          /* takes nothing, says nothing */
        "head -c 100 >/dev/null",          /* takes a part */
        "gzip -dc; exit 3",                /* says it was no good */
        "gzip -dc | head -c 1000; exit 0", /* half of it */
        "kill -9 $$",
    };
    const struct world *w = *state;

    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        const char *const argv[] = {"/bin/sh", "-c", scripts[i], NULL};
        struct digest diff_id;
        struct err err = ERR_NONE;
        int rc = unpack_by(w, argv, &diff_id, &err);

        if (rc != -EBADMSG)
            fail_msg("%s: %d, %s", scripts[i], rc, err_text(&err));
        empty_again(w);
    }
}

static void what_is_no_layer_at_all_is_refused(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;
    char text[2000];

    memset(text, 'x', sizeof(text));
    assert_int_equal(unpack_bytes(w->dir, bytes_of(text, sizeof(text)), &err), -EBADMSG);
}

static void zstd_is_unpacked_where_it_is_built_in(void **state)
{
    struct world *w = *state;
    SCOPED(buf) struct buf *layer = vector_load("unpack/frames.tar.zst");
    SCOPED(buf) struct buf *gzipped = vector_load("ztoc/basic-gnu.tar.gz");
    struct digest digest, diff_id, same_diff_id;
    struct err err = ERR_NONE;

    assert_ok(digest_of(buf_bytes(layer), &digest));
    if (!unpack_has_zstd()) {
        assert_int_equal(unpack_as(w->dir, buf_bytes(layer), digest, 100, NULL, &diff_id, &err),
                         -EOPNOTSUPP);
        return;
    }
    assert_ok(unpack_as(w->dir, buf_bytes(layer), digest, 100, NULL, &diff_id, &err));
    empty_in_memory(w);
    assert_ok(digest_of(buf_bytes(gzipped), &digest));
    assert_ok(unpack_as(w->dir, buf_bytes(gzipped), digest, 100, NULL, &same_diff_id, &err));
    assert_ok(umount2(w->dir, MNT_DETACH));
    assert_true(digest_equal(&diff_id, &same_diff_id));
}

static void zstd_that_is_cut_off_is_refused(void **state)
{
    struct world *w = *state;
    SCOPED(buf) struct buf *layer = vector_load("unpack/frames.tar.zst");

    for (size_t len = 5; len < layer->len; len += 97) {
        struct err err = ERR_NONE;

        empty_in_memory(w);
        assert_int_equal(unpack_bytes(w->dir, bytes_of(layer->data, len), &err),
                         unpack_has_zstd() ? -EBADMSG : -EOPNOTSUPP);
    }
    assert_ok(umount2(w->dir, MNT_DETACH));
}

/* ---- hostile ones ---------------------------------------------------------------------------- */

static void names_that_lead_outside_stay_inside(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    assert_ok(UNPACK(w, &err, E('0', "../../outside/file", .content = "1"),
                     E('0', "/outside/file2", .content = "2"), E('0', "a/../../b", .content = "3"),
                     E('5', "..", .mode = 0777), E('5', "/", .mode = 0777),
                     E('0', "", .content = "4"), E('0', ".", .content = "5")));
    assert_true(file_has(w, "outside/file", "1"));
    assert_true(file_has(w, "outside/file2", "2"));
    assert_true(file_has(w, "b", "3"));
    assert_int_equal(look(w, ".").st_mode, S_IFDIR | 0755);
}

static void symlinks_on_the_way_lead_where_they_would_inside_the_layer(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;
    SCOPED(mem) char *absolute = path_join(w->outside, "");

    assert_ok(UNPACK(w, &err, E('2', "up", .link = "../outside"),
                     E('0', "up/file", .content = "overwritten?"), E('2', "abs", .link = absolute),
                     E('0', "abs/file", .content = "overwritten?"), E('5', "d/"),
                     E('2', "d/l", .link = "../../../../d2"), E('0', "d/l/x", .content = "x"),
                     E('2', "p", .link = "/proc/self/root"), E('0', "p/q", .content = "q")));
    assert_true(file_has(w, "outside/file", "overwritten?"));
    assert_true(file_has(w, "d2/x", "x"));
    assert_true(file_has(w, "proc/self/root/q", "q"));
    assert_true(S_ISLNK(look(w, "up").st_mode));
}

static void a_file_in_the_place_of_a_symlink_does_not_follow_it(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    assert_ok(UNPACK(w, &err, E('2', "l", .link = "../outside/file"),
                     E('0', "l", .content = "instead", .mode = 0777),
                     E('2', "m", .link = "../outside/file", .mode = 0777),
                     E('1', "n", .link = "m", .mode = 0777)));
    assert_true(file_has(w, "l", "instead"));
    assert_true(S_ISLNK(look(w, "n").st_mode)); /* and the mode of what it points to is as it was */
}

static void a_hard_link_to_the_outside_is_refused(void **state)
{
    struct world *w = *state;

    const struct entry hostile[][2] = {
        {E('1', "h", .link = "../outside/file"), E('0', "x")},
        {E('1', "h", .link = "/outside/file"), E('0', "x")},
        {E('2', "up", .link = ".."), E('1', "h", .link = "up/outside/file")},
        {E('1', "h", .link = ".."), E('0', "x")},
        {E('1', "h", .link = "h"), E('0', "x")},
    };
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        struct err err = ERR_NONE;

        assert_ok(dir_remove_all(w->dir, &err));
        assert_ok(dir_make_all(w->dir, 0755, &err));
        assert_true(unpack_entries(w, hostile[i], 2, &err) < 0);
    }
}

static void symlinks_in_a_circle_and_files_as_directories_are_refused(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    assert_int_equal(UNPACK(w, &err, E('2', "a", .link = "b"), E('2', "b", .link = "a"),
                            E('0', "a/x", .content = "x")),
                     -ELOOP);
    assert_int_equal(
        UNPACK(w, &err, E('0', "file", .content = "x"), E('0', "file/x", .content = "x")),
        -ENOTDIR);
}

static void an_alias_of_a_directory_that_is_replaced_is_looked_up_anew(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    assert_ok(UNPACK(w, &err, E('2', "l", .link = "."), E('0', "l/one", .content = "1"),
                     E('5', "l/l"), E('0', "l/two", .content = "2")));
    assert_true(file_has(w, "one", "1"));
    assert_true(file_has(w, "l/two", "2"));
}

static void a_whiteout_of_nothing_is_refused(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    assert_int_equal(UNPACK(w, &err, E('0', "d/.wh.")), -EBADMSG);
    assert_int_equal(UNPACK(w, &err, E('0', "d/.wh..")), -EBADMSG);
    assert_int_equal(UNPACK(w, &err, E('0', "d/.wh...")), -EBADMSG);
}

static void devices_that_cannot_be_are_refused(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    assert_int_equal(UNPACK(w, &err, E('3', "d", .major = 0x1000)), -EBADMSG);
    assert_int_equal(UNPACK(w, &err, E('4', "d", .minor = 0x100000)), -EBADMSG);
}

static void too_many_unlisted_directories_are_refused(void **state)
{
    struct world *w = *state;
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct err err = ERR_NONE;
    char name[32];

    for (int i = 0; i < 4097; i++) {
        (void)snprintf(name, sizeof(name), "d%d/file", i);
        add_entry(&tar, &(const struct entry)E('0', name));
    }
    assert_int_equal(unpack_bytes(w->dir, buf_bytes(&tar), &err), -EFBIG);
}

static void a_full_disk_is_an_error(void **state)
{
    struct world *w = *state;
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(mem) char *big = malloc(400001);
    struct err err = ERR_NONE;
    int rc;

    if (mount("tmpfs", w->dir, "tmpfs", 0, "size=128k") < 0)
        skip();
    assert_non_null(big);
    memset(big, 'x', 400000);
    big[400000] = '\0';
    add_entry(&tar, &(const struct entry)E('0', "small", .content = "x"));
    add_entry(&tar, &(const struct entry)E('0', "big", .content = big));
    rc = unpack_bytes(w->dir, buf_bytes(&tar), &err);
    assert_ok(umount2(w->dir, MNT_DETACH));
    assert_int_equal(rc, -ENOSPC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_directories_links_and_nodes_are_made_as_listed),
        TEST(a_later_entry_replaces_but_directories_become_one),
        TEST(whiteouts_become_what_overlayfs_reads),
        TEST(a_missing_parent_is_made_and_named),
        TEST(a_made_directory_takes_the_look_of_the_nearest_layer_that_has_it),
        TEST(how_a_directory_looks_below_is_told),
        TEST(times_before_1970_and_beyond_2262_are_1970),
        TEST(a_global_header_is_passed_over),
        TEST(every_test_layer_unpacks_in_pieces_of_any_size),
        TEST(what_is_cut_off_anywhere_is_refused),
        TEST(another_digest_is_refused),
        TEST(junk_behind_the_last_gzip_member_is_refused),
        TEST(a_program_unpacks_what_we_would),
        TEST(a_program_that_is_not_there_is_done_without),
        TEST(a_program_that_does_not_end_well_unpacks_nothing),
        TEST(what_is_no_layer_at_all_is_refused),
        TEST(zstd_is_unpacked_where_it_is_built_in),
        TEST(zstd_that_is_cut_off_is_refused),
        TEST(names_that_lead_outside_stay_inside),
        TEST(symlinks_on_the_way_lead_where_they_would_inside_the_layer),
        TEST(a_file_in_the_place_of_a_symlink_does_not_follow_it),
        TEST(a_hard_link_to_the_outside_is_refused),
        TEST(symlinks_in_a_circle_and_files_as_directories_are_refused),
        TEST(an_alias_of_a_directory_that_is_replaced_is_looked_up_anew),
        TEST(a_whiteout_of_nothing_is_refused),
        TEST(devices_that_cannot_be_are_refused),
        TEST(too_many_unlisted_directories_are_refused),
        TEST(a_full_disk_is_an_error),
    };

    if (geteuid() != 0) {
        print_message("needs root: it makes devices and gives files away\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
