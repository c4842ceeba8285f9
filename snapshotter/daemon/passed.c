/* SPDX-License-Identifier: Apache-2.0 */
/* passed.c – $LISTEN_FDS as a list of descriptors, each looked at (sd_listen_fds(3)). */
#include "daemon/passed.h"

#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_FD = 3 };       /* the manager's convention */
enum { PASSED_MAX = 65536 }; /* far above any limit of descriptors that a unit gets */

static int socket_option(int fd, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

static bool is_listener(int fd)
{
    return socket_option(fd, SO_DOMAIN) == AF_UNIX && socket_option(fd, SO_TYPE) == SOCK_STREAM &&
           socket_option(fd, SO_ACCEPTCONN) == 1;
}

/* How many are for this process. */
static int count_for_us(uint64_t *ret, struct err *err)
{
    const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
    uint64_t pid = 0;

    *ret = 0;
    if (pid_text == NULL || count_text == NULL || text_parse_u64(pid_text, &pid) < 0 ||
        pid != (uint64_t)getpid())
        return 0;
    if (text_parse_u64(count_text, ret) < 0 || *ret > PASSED_MAX)
        return err_set(err, -EINVAL, "LISTEN_FDS: not a number of descriptors: \"%s\"", count_text);
    return 0;
}

static int name_of(const struct text_list *names, size_t n, char **ret)
{
    *ret = text_copy(n < names->count ? names->items[n] : "");
    return *ret == NULL ? -ENOMEM : 0;
}

/* A number that stands for no open descriptor is passed over: whoever passed it may have closed it.
 */
static int take_one(struct passed *passed, int fd, const struct text_list *names, struct err *err)
{
    struct passed_fd *item = &passed->items[passed->count];

    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        log_warn("a descriptor that should have been passed is not open", "fd=%d", fd);
        return 0;
    }
    if (name_of(names, (size_t)(fd - FIRST_FD), &item->name) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    item->fd = fd;
    item->is_listener = is_listener(fd);
    passed->count++;
    if (item->is_listener || text_has_prefix(item->name, PASSED_OURS_PREFIX))
        return 0;
    log_warn("a descriptor was passed that nothing here knows, closed it", "fd=%d name=%s", fd,
             item->name);
    (void)close(fd);
    item->fd = -1;
    return 0;
}

static int take_all(struct passed *passed, size_t count, struct err *err)
{
    SCOPED(text_list) struct text_list names = TEXT_LIST_EMPTY;
    const char *names_text = getenv("LISTEN_FDNAMES");
    int rc = 0;

    passed->items = calloc(count, sizeof(*passed->items));
    if (passed->items == NULL ||
        (names_text != NULL && text_list_split(&names, names_text, ':') < 0))
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = take_one(passed, FIRST_FD + (int)i, &names, err);
    return rc;
}

int passed_take(struct passed *ret, struct err *err)
{
    uint64_t count = 0;
    int rc = count_for_us(&count, err);

    if (rc == 0 && count > 0)
        rc = take_all(ret, (size_t)count, err);
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return rc;
}

void passed_fini(struct passed *passed)
{
    for (size_t i = 0; i < passed->count; i++) {
        if (passed->items[i].fd >= 0)
            (void)close(passed->items[i].fd);
        free(passed->items[i].name);
    }
    free(passed->items);
    *passed = (struct passed)PASSED_NONE;
}
