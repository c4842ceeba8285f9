/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c – a unix socket to accept connections on. */
#include "internal.h"

#include "base/files.h"

#include <libgen.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int address_of(const char *path, struct sockaddr_un *ret, struct err *err)
{
    size_t len = strlen(path);

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (len == 0 || len >= sizeof(ret->sun_path))
        return err_set(err, -EINVAL, "socket path \"%s\" is empty or longer than %zu bytes", path,
                       sizeof(ret->sun_path) - 1);
    memcpy(ret->sun_path, path, len + 1);
    return 0;
}

static int make_parent(const char *path, struct err *err)
{
    SCOPED(mem) char *copy = text_copy(path);

    if (copy == NULL)
        return err_set(err, -ENOMEM, "%s: out of memory", path);
    return dir_make_all(dirname(copy), 0711, err);
}

/* Remove a socket that nobody listens on; anything that is no socket is left for bind() to refuse.
 */
static int remove_stale(const struct sockaddr_un *address, struct err *err)
{
    const char *path = address->sun_path;
    SCOPED(fd) int fd = -1;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_sys(err, -errno, "%s", path);
    if (!S_ISSOCK(st.st_mode))
        return 0;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(err, -errno, "socket");
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        return err_set(err, -EBUSY, "%s: another process listens on it", path);
    if (errno != ECONNREFUSED)
        return errno == ENOENT ? 0 : err_sys(err, -errno, "%s", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_sys(err, -errno, "%s: cannot remove the stale socket", path);
    return 0;
}

int grpc_listen_unix(const char *path, unsigned mode, int *ret_fd, struct err *err)
{
    SCOPED(fd) int fd = -1;
    struct sockaddr_un address;
    int rc = address_of(path, &address, err);

    if (rc == 0)
        rc = make_parent(path, err);
    if (rc == 0)
        rc = remove_stale(&address, err);
    if (rc < 0)
        return rc;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(err, -errno, "socket");
    /* Nobody gets in before listen(), so the mode is in force in time. */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return err_sys(err, -errno, "%s", path);
    if (chmod(path, (mode_t)mode) < 0 || listen(fd, SOMAXCONN) < 0) {
        rc = err_sys(err, -errno, "%s", path);
        (void)unlink(path);
        return rc;
    }
    *ret_fd = take_fd(&fd);
    return 0;
}
