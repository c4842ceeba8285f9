/* SPDX-License-Identifier: Apache-2.0 */
/* address.c – a path, unix://path, or fd://, and the sockets that are served besides. */
#include "daemon/address.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/text.h"
#include "daemon/options.h"
#include "grpc/grpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SOCKET_MODE = 0660 };

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

/* ---- listening ------------------------------------------------------------------------------- */

static int add(struct address_sockets *sockets, int *fd, struct err *err)
{
    if (sockets->count == ADDRESS_SOCKETS_MAX)
        return err_set(err, -EINVAL, "more than %d sockets to listen on", (int)ADDRESS_SOCKETS_MAX);
    sockets->fds[sockets->count++] = take_fd(fd);
    return 0;
}

static int listen_at(const char *path, struct address_sockets *sockets, struct err *err)
{
    SCOPED(mem) char *made = text_copy(path);
    SCOPED(fd) int fd = -1;
    int rc = made == NULL ? err_set(err, -ENOMEM, "out of memory") : make_parent(path, err);

    if (rc == 0)
        rc = grpc_listen_unix(path, SOCKET_MODE, &fd, err);
    if (rc < 0)
        return rc;
    sockets->made = TAKE(made);
    return add(sockets, &fd, err);
}

/* By another way too: /var/run is /run. */
static bool is_same_file(const char *a, const char *b)
{
    struct stat one, other;

    return strcmp(a, b) == 0 || (stat(a, &one) == 0 && stat(b, &other) == 0 &&
                                 one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

/* Is `fd` what a client finds at `path`? */
static bool is_bound_to(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t len = sizeof(address) - 1; /* a path of full length comes without its NUL */

    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0 || address.sun_path[0] != '/')
        return false;
    return is_same_file(address.sun_path, path);
}

/* *found: one of them is bound to `path`, which may be NULL. */
static int take_passed(struct passed *passed, const char *path, struct address_sockets *sockets,
                       bool *found, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < passed->count && rc == 0; i++) {
        struct passed_fd *item = &passed->items[i];

        if (!item->is_listener || item->fd < 0)
            continue;
        *found |= path != NULL && is_bound_to(item->fd, path);
        rc = add(sockets, &item->fd, err);
    }
    return rc;
}

int address_listen(const char *address, struct passed *passed, struct address_sockets *ret,
                   struct err *err)
{
    const char *path = NULL;
    bool is_there = false;
    int rc = address_parse(address, &path, err);

    if (rc == 0)
        rc = take_passed(passed, path, ret, &is_there, err);
    if (rc < 0 || is_there || (path == NULL && ret->count > 0))
        return rc;
    return listen_at(path != NULL ? path : OPTIONS_DEFAULT_ADDRESS, ret, err);
}

bool address_is_served(const struct address_sockets *sockets, const char *path)
{
    bool is = sockets->made != NULL && is_same_file(sockets->made, path);

    for (size_t i = 0; i < sockets->count && !is; i++)
        is = is_bound_to(sockets->fds[i], path);
    return is;
}

int address_names(const struct address_sockets *sockets, struct text_list *ret, struct err *err)
{
    for (size_t i = 0; i < sockets->count; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNSPEC};
        socklen_t len = sizeof(address) - 1;

        if (getsockname(sockets->fds[i], (struct sockaddr *)&address, &len) < 0)
            continue;
        if (address.sun_path[0] == '\0')
            address.sun_path[0] = '@';
        if (text_list_add(ret, address.sun_path) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}

void address_sockets_fini(struct address_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->fds[i] >= 0)
            (void)close(sockets->fds[i]);
    }
    free(sockets->made);
    *sockets = (struct address_sockets)ADDRESS_SOCKETS_NONE;
}
