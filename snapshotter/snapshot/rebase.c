/* SPDX-License-Identifier: Apache-2.0 */
/* rebase.c – layers that containerd unpacks at the same time, when its configuration says that this
 * snapshotter can `rebase`: each is prepared on nothing, and Commit puts it on its parent.
 *
 * Such a layer cannot come from us: "already exists" would be the end of it, and the layer would
 * stay on nothing, the whole image then being its uppermost layer. So it is containerd's to unpack.
 * What is below is not there yet, but it must be unpacked as if it were: containerd turns a layer's
 * whiteouts into overlayfs's only where it is given an overlay. */
#include "snapshot/internal.h"

#include "base/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EMPTY_DIR "empty" /* beside snapshots/ */

bool snapshot_is_rebased(const char *parent, const struct text_map *labels)
{
    return parent[0] == '\0' && labels != NULL &&
           text_map_get(labels, SNAPSHOT_LABEL_PARENT_CHAIN) != NULL;
}

/* `name`=<what is beside `path`>, to the options. */
static int add_beside(struct text_list *options, const char *name, const char *path,
                      const char *leaf)
{
    const char *slash = strrchr(path, '/');
    int parent = slash == NULL ? 0 : (int)(slash - path) + 1;
    SCOPED(mem) char *option = text_format("%s=%.*s%s", name, parent, path, leaf);

    return option == NULL ? -ENOMEM : text_list_add(options, option);
}

/* An overlay on a directory that is empty for good: one of its own, for the kernel takes none
 * without. */
static int make_options(const struct snapshotter *s, const char *fs, struct text_list *options)
{
    int rc = add_beside(options, "workdir", fs, "work");

    if (rc == 0)
        rc = add_beside(options, "upperdir", fs, "fs");
    if (rc == 0)
        rc = add_beside(options, "lowerdir", s->dir, EMPTY_DIR);
    if (rc == 0 && s->userxattr)
        rc = text_list_add(options, "userxattr");
    return rc;
}

static int make_empty_dir(const struct snapshotter *s, struct err *err)
{
    const char *slash = strrchr(s->dir, '/');
    SCOPED(mem) char *path = text_format("%.*s/" EMPTY_DIR, (int)(slash - s->dir), s->dir);
    int rc = path == NULL ? err_set(err, -ENOMEM, "out of memory") : dir_make_all(path, 0755, err);

    return rc < 0 ? snapshot_disk_error(rc) : 0;
}

int snapshot_mounts_rebase(const struct snapshotter *s, struct snapshot_mounts *mounts,
                           struct err *err)
{
    struct snapshot_mount *mount = &mounts->items[0];
    SCOPED(mem) char *fs = TAKE(mount->source);
    int rc;

    text_list_fini(&mount->options);
    mount->options = (struct text_list)TEXT_LIST_EMPTY;
    free(mount->type);
    mount->type = text_copy("overlay");
    mount->source = text_copy("overlay");
    if (mount->type == NULL || mount->source == NULL || make_options(s, fs, &mount->options) < 0)
        return err_set(err, -ENOMEM, "mounts: out of memory");
    rc = make_empty_dir(s, err);
    return rc < 0 ? err_prefix(err, rc, "mounts") : 0;
}
