/* SPDX-License-Identifier: Apache-2.0 */
/* layer-mount – mounts a layer as the daemon does, and does as it is told on stdin, a line
 * each:
 *
 *   now, later, hang, fail, already     how bytes come from now on
 *   waiting                             how many reads wait
 *   unmount, force, abandon             end the mount at DIR
 *   mount                               again
 *   exhaust                             take all thread keys; how many that were
 *   backend                             1: it is mounted with `erofs`
 *
 * $E2E_BACKEND is what fs_options calls backend; images are written to DIR.images.
 *
 * Each line is answered by `ok` and a number, or `error` and a text. At the end of stdin it is
 * abandoned. */
#include "fs/fs.h"
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct session {
    struct fs *fs;
    struct rig *rig;
    struct fs_mount *mount;
    const char *dir;
};

static int mount_it(struct session *s, struct err *err)
{
    const struct fs_mount_options options = {.dir = s->dir};

    return fs_mount(s->fs, rig_layer(s->rig), &options, &s->mount, err);
}

static int set_mode(struct session *s, const char *name)
{
    static const char *const names[] = {"now", "later", "hang", "fail", "already"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            rig_set_mode(s->rig, (enum rig_mode)i);
            return 0;
        }
    }
    return -EINVAL;
}

static int take_all_keys(void)
{
    pthread_key_t key;
    int count = 0;

    while (pthread_key_create(&key, NULL) == 0)
        count++;
    return count;
}

static int obey(struct session *s, const char *line, struct err *err)
{
    if (strcmp(line, "waiting") == 0)
        return (int)rig_waiting(s->rig);
    if (strcmp(line, "backend") == 0)
        return strcmp(fs_mount_backend(s->mount), "erofs") == 0;
    if (strcmp(line, "exhaust") == 0)
        return take_all_keys();
    if (strcmp(line, "mount") == 0)
        return mount_it(s, err);
    if (strcmp(line, "unmount") == 0 || strcmp(line, "force") == 0)
        return fs_unmount(s->fs, &s->mount, line[0] == 'f', err);
    if (strcmp(line, "abandon") == 0) {
        fs_abandon(s->fs, &s->mount);
        return 0;
    }
    return set_mode(s, line);
}

int main(int argc, char **argv)
{
    bool disable_xattrs = argc > 1 && strcmp(argv[1], "--disable-xattrs") == 0;
    char images[512];
    struct fs_options options = {
        .threads = 0, .backend = getenv("E2E_BACKEND"), .image_dir = images};
    struct session s = {.fs = NULL};
    struct err err = ERR_NONE;
    char line[64];
    int rc;

    argv += disable_xattrs;
    argc -= disable_xattrs;
    if (argc < 3 || argc > 4) {
        (void)fprintf(stderr, "usage: layer-mount [--disable-xattrs] LAYER DIR [DEADLINE_MS]\n");
        return 2;
    }
    if (argc == 4)
        options.read_deadline_ms = strtol(argv[3], NULL, 10);
    s.dir = argv[2];
    (void)snprintf(images, sizeof(images), "%s.images", s.dir);
    rc = rig_open(argv[1], disable_xattrs, &s.rig, &err);
    if (rc == 0)
        rc = fs_new(&options, &s.fs, &err);
    if (rc == 0)
        rc = mount_it(&s, &err);
    if (rc < 0) {
        (void)fprintf(stderr, "layer-mount: %s\n", err_text(&err));
        return 1;
    }
    (void)printf("ok 0\n");
    (void)fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        rc = obey(&s, line, &err);
        if (rc < 0)
            (void)printf("error %s\n", err.code == rc ? err_text(&err) : strerror(-rc));
        else
            (void)printf("ok %d\n", rc);
        (void)fflush(stdout);
    }
    if (s.mount != NULL)
        fs_abandon(s.fs, &s.mount);
    fs_free(s.fs);
    rig_close(s.rig);
    return 0;
}
