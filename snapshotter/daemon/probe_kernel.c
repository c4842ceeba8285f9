/* SPDX-License-Identifier: Apache-2.0 */
/* probe_kernel.c – three abilities of the kernel, tried: a FUSE mount that answers one request, the
 * same request sent again, and the smallest EROFS image there can be, mounted from a file.
 *
 * All in a mount namespace that ends with the process. */
#include "daemon/probe.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- FUSE ------------------------------------------------------------------------------------ */

enum { ANSWER_MS = 3000, REQUEST_BYTES = 16 * 1024 };
/* linux/fuse.h of Debian 12 does not have them: of kernel 6.9. */
enum { NOTIFY_RESEND = 7 };
#define RESENT_BIT (UINT64_C(1) << 63)

struct server {
    int fd;
    union {
        struct fuse_in_header header;
        char bytes[REQUEST_BYTES];
    } request;
};

static int mount_fuse(struct server *server, const char *dir, struct err *err)
{
    SCOPED(mem) char *options = NULL;

    server->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (server->fd < 0)
        return err_sys(err, -errno, "/dev/fuse");
    options = text_format("fd=%d,rootmode=40000,user_id=0,group_id=0", server->fd);
    if (options == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (mount("soci-probe", dir, "fuse", MS_NOSUID | MS_NODEV | MS_RDONLY, options) < 0)
        return err_sys(err, -errno, "mount of type fuse");
    return 0;
}

/* The next request, -ETIMEDOUT: there is none. */
static int next_request(struct server *server, struct err *err)
{
    struct pollfd wait = {.fd = server->fd, .events = POLLIN};
    ssize_t len;

    if (poll(&wait, 1, ANSWER_MS) <= 0)
        return err_set(err, -ETIMEDOUT, "the kernel asks nothing");
    len = read(server->fd, &server->request, sizeof(server->request));
    if (len < (ssize_t)sizeof(server->request.header))
        return err_sys(err, len < 0 ? -errno : -EIO, "a request");
    return 0;
}

static int answer(struct server *server, const void *body, size_t len, int error, struct err *err)
{
    char out[sizeof(struct fuse_out_header) + sizeof(struct fuse_init_out)];
    const struct fuse_out_header header = {
        .len = (uint32_t)(sizeof(header) + len),
        .error = error,
        .unique = server->request.header.unique,
    };

    memcpy(out, &header, sizeof(header));
    if (len > 0)
        memcpy(out + sizeof(header), body, len);
    if (write(server->fd, out, header.len) != (ssize_t)header.len)
        return err_sys(err, -errno, "an answer");
    return 0;
}

static int negotiate(struct server *server, struct err *err)
{
    const struct fuse_init_out init = {
        .major = FUSE_KERNEL_VERSION,
        .minor = 31, /* old enough for any kernel of today */
        .max_write = 4096,
        .max_background = 1,
        .congestion_threshold = 1,
    };
    int rc = next_request(server, err);

    if (rc == 0 && server->request.header.opcode != FUSE_INIT)
        return err_set(err, -EPROTO, "the kernel does not begin with the beginning");
    return rc < 0 ? rc : answer(server, &init, sizeof(init), 0, err);
}

/* A process that waits for the answer to a question about the mount. */
static pid_t ask_about(const char *dir)
{
    pid_t child = fork();
    struct stat st;

    if (child == 0)
        _exit(stat(dir, &st) < 0 && errno == EXDEV ? 0 : 1);
    return child;
}

static int end_asking(pid_t child, struct err *err)
{
    int status = 0;

    if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, -EIO, "the answer did not arrive as it was given");
    return 0;
}

/* Where something failed, the mount goes with its descriptor, and who waits is told. */
static int give_up(struct server *server, pid_t child, int rc)
{
    (void)close(server->fd);
    (void)waitpid(child, NULL, 0);
    return rc;
}

static int send_again(struct server *server, struct err *err)
{
    const struct fuse_out_header notify = {.len = sizeof(notify), .error = NOTIFY_RESEND};
    uint64_t before = server->request.header.unique;
    int rc;

    if (write(server->fd, &notify, sizeof(notify)) != (ssize_t)sizeof(notify))
        return err_sys(err, -errno, "the kernel does not know the request to send again");
    rc = next_request(server, err);
    if (rc < 0)
        return rc;
    if (server->request.header.unique != (before | RESENT_BIT))
        return err_set(err, -EPROTO, "what the kernel sent again is not what was asked first");
    return 0;
}

static int serve_one(const char *dir, bool again, struct err *err)
{
    struct server server = {.fd = -1};
    pid_t child;
    int rc = mount_fuse(&server, dir, err);

    if (rc == 0)
        rc = negotiate(&server, err);
    if (rc < 0)
        return rc;
    child = ask_about(dir);
    if (child < 0)
        return err_sys(err, -errno, "fork");
    rc = next_request(&server, err);
    if (rc == 0 && again)
        rc = send_again(&server, err);
    if (rc == 0)
        rc = answer(&server, NULL, 0, -EXDEV, err);
    return rc < 0 ? give_up(&server, child, rc) : end_asking(child, err);
}

int probe_fuse(const char *dir, struct err *err)
{
    return serve_one(dir, false, err);
}

int probe_resend(const char *dir, struct err *err)
{
    return serve_one(dir, true, err);
}

/* ---- EROFS ----------------------------------------------------------------------------------- */

enum { BLOCK_BYTES = 4096, SUPER_OFF = 1024, ROOT_OFF = SUPER_OFF + 128 };

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value & 0xffff);
    put16(at + 2, value >> 16);
}

/* Two blocks: the superblock with the root's compact inode behind it, and an empty directory.
 * Offsets are those of the kernel's description of the format. */
static void make_image(uint8_t image[2 * BLOCK_BYTES])
{
    uint8_t *super = image + SUPER_OFF, *root = image + ROOT_OFF, *dir = image + BLOCK_BYTES;

    memset(image, 0, 2 * (size_t)BLOCK_BYTES);
    put32(super, 0xe0f5e1e2);
    super[12] = 12;                   /* blocks of 4096 bytes */
    put16(super + 14, ROOT_OFF / 32); /* the root, in slots of 32 bytes */
    super[16] = 1;                    /* one inode */
    put32(super + 36, 2);             /* two blocks */
    put16(root + 4, S_IFDIR | 0755);
    put16(root + 6, 2);     /* links */
    put32(root + 8, 27);    /* bytes: two entries, and their names */
    put32(root + 16, 1);    /* in block 1 */
    put32(root + 20, 1);    /* its number */
    dir[0] = ROOT_OFF / 32; /* "." */
    put16(dir + 8, 24);
    dir[10] = 2;             /* a directory */
    dir[12] = ROOT_OFF / 32; /* ".." */
    put16(dir + 20, 25);
    dir[22] = 2;
    memcpy(dir + 24, "...", 3);
}

int probe_erofs_file(const char *dir, struct err *err)
{
    uint8_t image[2 * BLOCK_BYTES];
    SCOPED(mem) char *file = text_format("%s.image", dir);
    struct stat st;
    int rc;

    if (file == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    make_image(image);
    rc = file_replace(file, bytes_of(image, sizeof(image)), 0600, err);
    if (rc < 0)
        return rc;
    if (mount(file, dir, "erofs", MS_RDONLY, NULL) < 0)
        return err_sys(err, -errno, "mount of type erofs, from a file");
    if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_sys(err, -errno, "its root");
    return 0;
}
