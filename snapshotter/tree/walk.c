/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c – names of entries: cleaned as text first, then followed through the directories and
 * symlinks of the draft, as the unpacking program that containerd uses does. */
#include "base/text.h"
#include "tree/internal.h"

#include <stdlib.h>

enum { WALK_LINKS_MAX = 255 };      /* in one path; containerd's limit */
enum { PENDING_BYTES = 64 * 1024 }; /* what is left of a path after symlinks were put into it */

/* A whiteout is never a name of a file system's: what it hides is. */
static size_t name_max(const char *component, size_t len)
{
    bool is_whiteout = component[len] == '\0' && text_has_prefix(component, WHITEOUT_PREFIX);

    return is_whiteout ? TREE_NAME_MAX + strlen(WHITEOUT_PREFIX) : TREE_NAME_MAX;
}

int path_clean(const char *name, char out[TREE_PATH_BYTES], struct err *err)
{
    size_t len = 0;

    for (const char *p = name; *p != '\0';) {
        size_t n = strcspn(p, "/");

        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (len > 0 && out[--len] != '/')
                ;
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (n > name_max(p, n) || len + n + 2 > TREE_PATH_BYTES)
                return err_set(err, -EBADMSG, "name longer than Linux allows: %.64s…", name);
            if (len > 0)
                out[len++] = '/';
            memcpy(out + len, p, n);
            len += n;
        }
        p += n;
        p += *p == '/';
    }
    out[len] = '\0';
    return 0;
}

struct bytes path_split_last(char *path)
{
    char *slash = strrchr(path, '/');
    struct bytes last = bytes_of_str(slash == NULL ? path : slash + 1);

    if (slash != NULL)
        *slash = '\0';
    return last;
}

/* Two bytes of a name are a directory in memory and in an image, a hundred times as large. Layers
 * that leave parents out leave out some that their entries share; without a limit a small ztoc
 * could ask for all memory. */
static int make_up_dir(struct draft *draft, uint32_t dir, struct bytes name, uint32_t *ret,
                       struct err *err)
{
    struct draft_node node = {
        .file = TREE_NO_FILE, .attr = TREE_NO_FILE, .parent = dir, .kind = DRAFT_DIR};
    int rc;

    if (draft->made_up_left == 0)
        return err_set(err, -EFBIG, "too many directories that have no entry");
    draft->made_up_left--;
    rc = draft_add_node(draft, node, ret);
    return rc < 0 ? rc : draft_set(draft, dir, name, *ret);
}

/* Put the target of a symlink in front of what is still to be walked. */
static int push_target(struct draft *draft, const char *target, char **rest, struct err *err)
{
    size_t target_len = strlen(target);
    size_t rest_len = strlen(*rest);
    size_t cost = target_len + rest_len + 1;

    if (draft->pending == NULL) {
        draft->pending = malloc(PENDING_BYTES);
        if (draft->pending == NULL)
            return -ENOMEM;
    }
    /* Real layers have short targets, few of them on the way to an entry. Without a limit a small
     * ztoc could ask for hours of walking. */
    if (cost >= PENDING_BYTES || cost > draft->link_bytes_left)
        return err_set(err, -EBADMSG, "too many symlinks on the way to its entries");
    draft->link_bytes_left -= cost;

    memmove(draft->pending + target_len + 1, *rest, rest_len + 1);
    memcpy(draft->pending, target, target_len);
    draft->pending[target_len] = '/';
    *rest = draft->pending;
    return 0;
}

/* One step from directory *dir: into a directory, or through a symlink (*rest changes), or nowhere
 * (*dir is TREE_NONE). */
static int step(struct draft *draft, struct bytes name, bool create, uint32_t *dir, char **rest,
                struct err *err)
{
    uint32_t id = draft_lookup(draft, *dir, name);
    struct ztoc_file file;

    if (id == TREE_NONE && create)
        return make_up_dir(draft, *dir, name, dir, err);
    if (id == TREE_NONE || draft->nodes[id].kind == DRAFT_OTHER) {
        *dir = TREE_NONE;
        return 0;
    }
    if (draft->nodes[id].kind == DRAFT_DIR) {
        *dir = id;
        return 0;
    }
    ztoc_file_at(draft->toc, draft->nodes[id].file, &file);
    if (file.linkname[0] == '/')
        *dir = TREE_ROOT;
    return push_target(draft, file.linkname, rest, err);
}

static bool is_dots(struct bytes name, size_t count)
{
    return name.len == count && memcmp(name.data, "..", count) == 0;
}

int draft_walk(struct draft *draft, const char *path, bool create, uint32_t *ret, struct err *err)
{
    char start[TREE_PATH_BYTES];
    char *rest = start;
    uint32_t dir = TREE_ROOT;
    unsigned links = 0;

    memcpy(start, path, strlen(path) + 1);
    while (*rest != '\0' && dir != TREE_NONE) {
        struct bytes name = bytes_of(rest, strcspn(rest, "/"));
        char *before;
        int rc;

        rest += name.len;
        rest += *rest == '/';
        if (name.len == 0 || is_dots(name, 1))
            continue;
        if (is_dots(name, 2)) {
            dir = draft->nodes[dir].parent;
            continue;
        }
        if (name.len > TREE_NAME_MAX)
            return err_set(err, -EBADMSG, "a symlink's target has a name longer than Linux allows");
        before = rest;
        rc = step(draft, name, create, &dir, &rest, err);
        if (rc < 0)
            return rc;
        if (rest != before && ++links > WALK_LINKS_MAX)
            return err_set(err, -EBADMSG, "symlinks in a circle on the way to %.256s", path);
    }
    *ret = dir;
    return 0;
}
