/* SPDX-License-Identifier: Apache-2.0 */
/* mounts.c – what containerd shall mount to see a snapshot. */
#include "snapshot/internal.h"

#include "base/files.h"

#include <errno.h>
#include <stdlib.h>

void snapshot_mounts_fini(struct snapshot_mounts *mounts)
{
    size_t i;

    for (i = 0; i < mounts->count; i++) {
        free(mounts->items[i].type);
        free(mounts->items[i].source);
        text_list_fini(&mounts->items[i].options);
    }
    free(mounts->items);
    mounts->items = NULL;
    mounts->count = 0;
}

static int set_mount(struct snapshot_mount *mount, const char *type, const char *source)
{
    mount->type = text_copy(type);
    mount->source = text_copy(source);
    return mount->type == NULL || mount->source == NULL ? -ENOMEM : 0;
}

/* Where the snapshot sees the files of one of its ancestors. */
static char *lower_dir(const struct snapshotter *s, uint64_t id, const struct chain *chain,
                       size_t i)
{
    SCOPED(mem) char *mapped = NULL;

    if (!chain->is_mapped)
        return snapshot_fs_dir(s, chain->links[i].id);
    mapped = mapped_dir(s, chain->links[i].id, id);
    return mapped == NULL ? NULL : path_join(mapped, "fs");
}

/* `source` NULL: out of memory. */
static int make_bind(const char *source, bool writable, struct snapshot_mount *mount)
{
    if (source == NULL || set_mount(mount, "bind", source) < 0 ||
        text_list_add(&mount->options, writable ? "rw" : "ro") < 0)
        return -ENOMEM;
    return text_list_add(&mount->options, "rbind");
}

static int add_option(struct snapshot_mount *mount, const char *name, const char *dir, uint64_t id,
                      const char *leaf)
{
    SCOPED(mem)
    char *option = text_format("%s=%s/%llu/%s", name, dir, (unsigned long long)id, leaf);

    return option == NULL ? -ENOMEM : text_list_add(&mount->options, option);
}

/* Every ancestor is named, also when two of them are the same layer (an empty layer three times,
 * A-B-A). overlayfs refuses two lower directories with one root inode (ELOOP), but a lazily mounted
 * layer is mounted per snapshot, at its own <id>/fs: two mounts of one layer are two file systems
 * there, which overlayfs takes. A backend that shared one mount between snapshots would have to
 * leave out the farther occurrence here; that would not be quite the same thing, because what a
 * layer between them hides must then be looked at. */
static int add_lowerdir(const struct snapshotter *s, uint64_t id, const struct chain *chain,
                        struct snapshot_mount *mount)
{
    SCOPED(buf_value) struct buf option = BUF_EMPTY;
    const char *text;
    size_t i;

    for (i = 0; i < chain->count; i++) {
        SCOPED(mem) char *dir = lower_dir(s, id, chain, i);
        if (dir == NULL || buf_addf(&option, "%s%s", i == 0 ? "lowerdir=" : ":", dir) < 0)
            return -ENOMEM;
    }
    text = buf_str(&option);
    return text == NULL ? -ENOMEM : text_list_add(&mount->options, text);
}

/* A lazily mounted layer is a file system of its own. overlayfs then shows its files with another
 * device number than the directories around them, unless it is told to tell file systems apart by
 * the high bits of inode numbers instead. (Left to itself it does so only where each layer has a
 * UUID, which FUSE has not.) Without that, `du -x` and `tar --one-file-system` pass over every such
 * file. */
static int add_xino(const struct chain *chain, struct snapshot_mount *mount)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->links[i].remote)
            return text_list_add(&mount->options, "xino=on");
    }
    return 0;
}

static int make_overlay(const struct snapshotter *s, uint64_t id, bool writable,
                        const struct chain *chain, struct snapshot_mount *mount)
{
    int rc = set_mount(mount, "overlay", "overlay");

    if (rc == 0 && writable)
        rc = add_option(mount, "workdir", s->dir, id, "work");
    if (rc == 0 && writable)
        rc = add_option(mount, "upperdir", s->dir, id, "fs");
    if (rc == 0)
        rc = add_lowerdir(s, id, chain, mount);
    if (rc == 0)
        rc = add_xino(chain, mount);
    if (rc == 0 && s->userxattr)
        rc = text_list_add(&mount->options, "userxattr");
    return rc;
}

int snapshot_mounts_make(const struct snapshotter *s, uint64_t id, enum snapdb_kind kind,
                         const struct chain *chain, struct snapshot_mounts *ret, struct err *err)
{
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    SCOPED(mem) char *source = NULL;
    bool writable = kind == SNAPDB_ACTIVE;
    int rc;

    mounts.items = calloc(1, sizeof(*mounts.items));
    if (mounts.items == NULL)
        return err_set(err, -ENOMEM, "mounts: out of memory");
    mounts.count = 1;
    if (chain->count == 0)
        source = snapshot_fs_dir(s, id);
    else if (chain->count == 1 && !writable)
        source = lower_dir(s, id, chain, 0);
    if (chain->count == 0 || (chain->count == 1 && !writable))
        rc = make_bind(source, writable, mounts.items);
    else
        rc = make_overlay(s, id, writable, chain, mounts.items);
    if (rc < 0)
        return err_set(err, -ENOMEM, "mounts: out of memory");
    *ret = mounts;
    mounts = (struct snapshot_mounts){.items = NULL, .count = 0};
    return 0;
}
