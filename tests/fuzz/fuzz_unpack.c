/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_unpack.c – entries of a tar as files on a disk (unpack/): whatever their names and links
 * are, nothing beside the directory changes, and what was made can be removed again.
 *
 * The input is that of fuzz_tree: a line per entry, its fields separated by tabs: type (f d l h c b
 * p), name, target, key and value of an extended attribute, which is not used here. As root it all
 * happens in a file system in memory, in a mount namespace of its own. */
#include "base/files.h"
#include "unpack/unpack.h"

#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { ENTRIES_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void put_text(uint8_t *at, size_t len, const char *text)
{
    memcpy(at, text, strnlen(text, len));
}

/* Names that do not fit are cut: length is the parser's affair, see fuzz_layer. */
static void add_entry(struct buf *tar, const char *type, const char *name, const char *target)
{
    static const char letters[] = "fdlhcbp", types[] = "0521346";
    const char *letter = type[0] == '\0' ? NULL : strchr(letters, type[0]);
    uint8_t block[512] = {0};
    unsigned sum = 8 * ' ';
    char text[16];

    put_text(block, 100, name);
    put_text(block + 100, 7, "0000644");
    block[156] = (uint8_t)(letter == NULL ? '0' : types[letter - letters]);
    if (block[156] == '0')
        put_text(block + 124, 11, "00000000005");
    put_text(block + 157, 100, target);
    memcpy(block + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(block); i++)
        sum += i >= 148 && i < 156 ? 0 : block[i];
    (void)snprintf(text, sizeof(text), "%06o", sum);
    put_text(block + 148, 6, text);
    must(buf_add(tar, block, sizeof(block)) == 0);
    if (block[156] == '0') {
        memset(block, 0, sizeof(block));
        memcpy(block, "hello", 5);
        must(buf_add(tar, block, sizeof(block)) == 0);
    }
}

static void make_tar(char *text, struct buf *tar)
{
    static char none[] = "";

    for (size_t n = 0; text != NULL && n < ENTRIES_MAX; n++) {
        char *rest = strsep(&text, "\n"), *fields[3] = {none, none, none};

        for (size_t i = 0; i < 3 && rest != NULL; i++)
            fields[i] = strsep(&rest, "\t");
        add_entry(tar, fields[0], fields[1], fields[2]);
    }
    must(buf_add_zeros(tar, 1024) == 0);
}

static char top[] = "/tmp/fuzz-unpack.XXXXXX"; /* for the life of the process */

static void remove_top(void)
{
    struct err err = ERR_NONE;

    (void)umount2(top, MNT_DETACH);
    (void)!dir_remove_all(top, &err);
}

static void make_top(void)
{
    must(mkdtemp(top) != NULL && atexit(remove_top) == 0);
    /* It fails without privileges, and then the disk does. */
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        (void)!mount("tmpfs", top, "tmpfs", 0, "size=16m");
}

static void check_outside(const char *outside)
{
    SCOPED(mem) char *file = path_join(outside, "file");
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    struct err err = ERR_NONE;
    struct stat st;

    must(file_read(file, 100, &content, &err) == 0 && content.len == 9);
    must(memcmp(content.data, "untouched", 9) == 0);
    must(stat(file, &st) == 0 && st.st_nlink == 1 && st.st_mode == (S_IFREG | 0600));
    must(stat(outside, &st) == 0 && st.st_nlink == 2);
}

static void unpack_into(const char *dir, struct bytes tar)
{
    struct unpack_options options = {.dir = dir};
    SCOPED(unpack) struct unpack *u = NULL;
    struct digest diff_id;
    struct err err = ERR_NONE;

    must(digest_of(tar, &options.layer) == 0);
    must(unpack_new(&options, &u, &err) == 0);
    if (unpack_feed(u, tar, &err) == 0 && unpack_finish(u, &diff_id, &err) == 0)
        must(digest_equal(&diff_id, &options.layer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool has_top;
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(mem) char *text = strndup((const char *)data, size);
    SCOPED(mem) char *dir = NULL;
    SCOPED(mem) char *outside = NULL;
    SCOPED(mem) char *file = NULL;
    struct err err = ERR_NONE;

    if (!has_top)
        make_top();
    has_top = true;
    dir = path_join(top, "dir");
    outside = path_join(top, "outside");
    file = path_join(outside, "file");
    must(text != NULL && dir_make_all(dir, 0755, &err) == 0);
    must(dir_make_all(outside, 0755, &err) == 0);
    must(file_replace(file, bytes_of_str("untouched"), 0600, &err) == 0);
    make_tar(text, &tar);
    unpack_into(dir, buf_bytes(&tar));
    check_outside(outside);
    must(dir_remove_all(dir, &err) == 0);
    return 0;
}
