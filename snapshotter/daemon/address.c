/* SPDX-License-Identifier: Apache-2.0 */
/* address.c – a path, unix://path, or the socket that systemd passes (sd_listen_fds' protocol). */
#include "daemon/address.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/text.h"
#include "daemon/options.h"
#include "grpc/grpc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { LISTEN_FDS_START = 3 }; /* systemd passes sockets from this descriptor on */
enum { SOCKET_MODE = 0660 };

static uint64_t number_from_env(const char *name)
{
    const char *value = getenv(name);
    uint64_t number = 0;

    return value != NULL && text_parse_u64(value, &number) == 0 ? number : 0;
}

/* *ret_fd -1: none was passed to this process. */
static int inherited(int *ret_fd, struct err *err)
{
    uint64_t count = number_from_env("LISTEN_FDS");

    *ret_fd = -1;
    if (count == 0 || number_from_env("LISTEN_PID") != (uint64_t)getpid())
        return 0;
    if (count > 1)
        return err_set(err, -EINVAL, "fd://: %llu sockets were passed, one is wanted",
                       (unsigned long long)count);
    if (fcntl(LISTEN_FDS_START, F_SETFD, FD_CLOEXEC) < 0)
        return err_sys(err, -errno, "fd://: descriptor %d", LISTEN_FDS_START);
    *ret_fd = LISTEN_FDS_START;
    return 0;
}

static int make_parent(const char *path, struct err *err)
{
    SCOPED(mem) char *dir = text_copy(path);
    char *slash;

    if (dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    slash = strrchr(dir, '/');
    if (slash == NULL || slash == dir)
        return 0;
    *slash = '\0';
    return dir_make_all(dir, 0700, err);
}

int address_parse(const char *address, const char **ret_path, struct err *err)
{
    const char *path = address;

    if (strcmp(address, "fd://") == 0) {
        *ret_path = NULL;
        return 0;
    }
    if (text_has_prefix(address, "unix://"))
        path += strlen("unix://");
    else if (strstr(address, "://") != NULL)
        return err_set(err, -EINVAL, "unknown protocol for address %s", address);
    if (path[0] == '\0')
        return err_set(err, -EINVAL, "address \"%s\" names no socket", address);
    *ret_path = path;
    return 0;
}

static int listen_at(const char *path, int *ret_fd, char **ret_path, struct err *err)
{
    SCOPED(mem) char *made = text_copy(path);
    int rc = made == NULL ? err_set(err, -ENOMEM, "out of memory") : make_parent(path, err);

    if (rc == 0)
        rc = grpc_listen_unix(path, SOCKET_MODE, ret_fd, err);
    if (rc < 0)
        return rc;
    *ret_path = TAKE(made);
    return 0;
}

int address_listen(const char *address, int *ret_fd, char **ret_path, struct err *err)
{
    const char *path = NULL;
    int rc = address_parse(address, &path, err);

    if (rc < 0)
        return rc;
    *ret_path = NULL;
    if (path != NULL)
        return listen_at(path, ret_fd, ret_path, err);
    rc = inherited(ret_fd, err);
    if (rc < 0 || *ret_fd >= 0)
        return rc;
    return listen_at(OPTIONS_DEFAULT_ADDRESS, ret_fd, ret_path, err);
}
