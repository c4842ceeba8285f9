/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of unpack/ share: how layers are packed, the place an entry goes to,
 * what an entry looks like, and the object itself. */
#ifndef UNPACK_INTERNAL_H
#define UNPACK_INTERNAL_H

#include "unpack/unpack.h"

#include "tar/tar.h"

#include <sys/stat.h>
#include <sys/types.h>

/* ---- gzip_isal.c or gzip.c, codec.c, zstd.c or zstd_none.c -------------------------------------
 */

struct sink {
    int (*write)(void *arg, struct bytes piece,
                 struct err *err); /* 0, or <0, which ends the feed */
    void *arg;
};

/* One way in which a tar is packed. */
struct codec {
    int (*open)(void **ret, struct err *err);
    /* A byte at least, and CODEC_FEED_MAX_BYTES at most. */
    int (*feed)(void *state, struct bytes comp, const struct sink *sink, struct err *err);
    int (*finish)(void *state,
                  struct err *err); /* there are no more bytes: is that a good place to end? */
    void (*close)(void *state);     /* NULL is fine */
};
extern const struct codec codec_gzip, codec_plain, codec_zstd;

enum { CODEC_FEED_MAX_BYTES = 1 << 30 }; /* zlib and ISA-L count in 32 bits */
enum { CODEC_MAGIC_BYTES = 4 };
/* By the first bytes of a layer; all of it when it has fewer. */
const struct codec *codec_of(struct bytes start);

/* ---- program.c: a program in the place of a codec ---------------------------------------------
 */

struct program;
/* `argv` ends with NULL; argv[0] is a path, or looked for in PATH. -ENOENT, -EACCES: it cannot be
 * run. */
MUST_CHECK int program_open(const char *const *argv, struct program **ret, struct err *err);
MUST_CHECK int program_feed(struct program *program, struct bytes comp, const struct sink *sink,
                            struct err *err);
/* There are no more bytes: what it still has to say. -EBADMSG: it does not end well. */
MUST_CHECK int program_finish(struct program *program, const struct sink *sink, struct err *err);
void program_close(struct program *program); /* killed, if it has not ended; NULL is fine */
DEFINE_SCOPED_PTR(program, struct program, program_close)

/* ---- place.c: the directory that an entry goes to -------------------------------------------- */

/* Entries come in runs of one directory, so it is kept open. What is done in it changes its
 * modification time, which is put back when the next entry goes elsewhere: so every directory ends
 * with the time that its own entry gave it, without a list of them all. */
struct place {
    int fd;          /* -1: none */
    struct buf name; /* clean path from the root of the layer; "" is the root itself */
    struct timespec times[2];
    bool stale; /* something was replaced, so its name may lead elsewhere now */
};

/* The last component of a clean path, borrowed; *ret_dir_len is the length of what is before it,
 * without the slash. */
const char *unpack_path_split(const char *clean, size_t *ret_dir_len);

/* Open the directory `dir` (clean), and make what is missing of it. -ENOTDIR: something else is
 * there. */
MUST_CHECK int place_enter(struct unpack *u, const char *dir, size_t dir_len, struct err *err);
MUST_CHECK int place_leave(struct unpack *u, struct err *err);
/* The same way, to an existing directory, which is not made the current one. */
MUST_CHECK int place_find(struct unpack *u, const char *dir, size_t dir_len, int *ret_fd,
                          struct err *err);

/* ---- attrs.c: owner, mode, times, extended attributes ---------------------------------------- */

struct attrs {
    uid_t uid;
    gid_t gid;
    mode_t mode; /* permissions only */
    struct timespec mtime;
    struct buf xattrs; /* as attrs.c packs them */
};
void attrs_fini(struct attrs *attrs);
/* Over what was in *attrs. -EBADMSG: numbers that cannot be. */
MUST_CHECK int attrs_take(struct attrs *attrs, const struct tar_entry *entry, struct err *err);
/* Of what is called `name` in the directory; never followed. */
MUST_CHECK int attrs_apply(const struct attrs *attrs, int dir_fd, const char *name,
                           struct err *err);
/* One extended attribute, not followed. What the file system cannot keep is dropped without a word,
 * as containerd does. */
MUST_CHECK int xattr_put(int dir_fd, const char *name, const char *key, struct bytes value,
                         struct err *err);

/* ---- entry.c, whiteout.c --------------------------------------------------------------------- */

/* For the tar parser: make what an entry describes; then its content. */
int entry_make(void *arg, const struct tar_entry *entry, struct err *err);
int entry_content(void *arg, struct bytes piece, struct err *err);
/* Is `name` a marker? 1: yes, and what it stands for was made in the current place. 0: no. */
MUST_CHECK int whiteout_make(struct unpack *u, const char *name, const struct tar_entry *entry,
                             struct err *err);

/* ---- unpack.c -------------------------------------------------------------------------------- */

enum {
    UNPACK_MADE_MAX = 4096
}; /* directories that were made without an entry; real layers have a handful */

struct unpack {
    struct digest layer; /* fixed at creation, as are the next two */
    bool userxattr;
    int root_fd;
    const struct unpack_programs *programs; /* fixed at creation; NULL: none */
    struct hasher *comp_hasher, *uncomp_hasher;
    const struct codec *codec; /* NULL: too few bytes so far to tell */
    void *codec_state;
    struct program *program; /* in the codec's place; NULL: none */
    uint8_t start[CODEC_MAGIC_BYTES];
    size_t start_len;
    struct tar_parser *tar;

    struct place place;
    struct text_list made;
    struct buf made_inodes; /* ino_t each, in the order of `made` */
    struct buf name, link;  /* of the entry at hand, clean */
    struct attrs attrs;     /* of the entry at hand */
    int file_fd;            /* of the file at hand; -1: its content is not wanted */
    const char *file_name;  /* its last component, in `name` */
    uint64_t file_left;
};

#endif
