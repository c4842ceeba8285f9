/* SPDX-License-Identifier: Apache-2.0 */
/* address.c – where metrics are served: from text to an address, and a socket that listens there.
 */
#include "metrics/metrics.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

enum { BACKLOG = 16 };

static int parse_port(const char *text, uint16_t *ret)
{
    uint64_t port;

    if (text_parse_u64(text, &port) < 0 || port > UINT16_MAX)
        return -EINVAL;
    *ret = (uint16_t)port;
    return 0;
}

static void set_v4(struct metrics_address *ret, struct in_addr host, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = host, .sin_port = htons(port)};

    memcpy(&ret->at, &at, sizeof(at));
    ret->len = sizeof(at);
}

static void set_v6(struct metrics_address *ret, struct in6_addr host, uint16_t port)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = host, .sin6_port = htons(port)};

    memcpy(&ret->at, &at, sizeof(at));
    ret->len = sizeof(at);
}

/* An IPv6 address is in brackets, and nothing else is. */
static int parse_host(const char *host, uint16_t port, struct metrics_address *ret)
{
    const struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
    struct in6_addr v6;
    struct in_addr v4;
    char inner[INET6_ADDRSTRLEN];
    size_t len = strlen(host);

    if (len == 0)
        set_v6(ret, in6addr_any, port);
    else if (strcmp(host, "localhost") == 0)
        set_v4(ret, loopback, port);
    else if (inet_pton(AF_INET, host, &v4) == 1)
        set_v4(ret, v4, port);
    else if (host[0] != '[' || host[len - 1] != ']' || len - 2 >= sizeof(inner))
        return -EINVAL;
    else {
        memcpy(inner, host + 1, len - 2);
        inner[len - 2] = '\0';
        if (inet_pton(AF_INET6, inner, &v6) != 1)
            return -EINVAL;
        set_v6(ret, v6, port);
    }
    return 0;
}

static int parse_tcp(const char *address, struct metrics_address *ret, struct err *err)
{
    const char *colon = strrchr(address, ':');
    char host[INET6_ADDRSTRLEN + 2];
    uint16_t port;

    if (colon == NULL || parse_port(colon + 1, &port) < 0)
        return err_set(err, -EINVAL, "\"%s\" has no port at its end, as in 127.0.0.1:9100",
                       address);
    if ((size_t)(colon - address) >= sizeof(host))
        return err_set(err, -EINVAL, "\"%s\" is too long", address);
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    if (parse_host(host, port, ret) < 0)
        return err_set(err, -EINVAL,
                       "\"%s\" has neither an IP address (IPv6 in brackets) nor localhost",
                       address);
    return 0;
}

static int parse_unix(const char *path, struct metrics_address *ret, struct err *err)
{
    enum { PATH_MAX_BYTES = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };

    if (path[0] != '/' || strlen(path) > PATH_MAX_BYTES)
        return err_set(err, -EINVAL, "\"%s\" is no absolute path of at most %d bytes", path,
                       (int)PATH_MAX_BYTES);
    ret->path = path;
    return 0;
}

int metrics_address_parse(const char *network, const char *address, struct metrics_address *ret,
                          struct err *err)
{
    memset(ret, 0, sizeof(*ret));
    return strcmp(network, "unix") == 0 ? parse_unix(address, ret, err)
                                        : parse_tcp(address, ret, err);
}

/* ---- listening ------------------------------------------------------------------------------- */

/* Any IPv6 address is any IPv4 address too. */
static int open_at(const struct metrics_address *address, int *ret_fd)
{
    const int off = 0, on = 1;
    SCOPED(fd)
    int fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->at.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, (const struct sockaddr *)&address->at, address->len) < 0 ||
        listen(fd, BACKLOG) < 0)
        return -errno;
    *ret_fd = take_fd(&fd);
    return 0;
}

static bool is_any_v6(const struct metrics_address *address)
{
    struct sockaddr_in6 at;

    memcpy(&at, &address->at, sizeof(at));
    return at.sin6_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&at.sin6_addr);
}

int metrics_listen_tcp(const struct metrics_address *address, int *ret_fd, struct err *err)
{
    int rc = open_at(address, ret_fd);

    if ((rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL) && is_any_v6(address)) {
        const struct in_addr any = {.s_addr = htonl(INADDR_ANY)};
        struct metrics_address v4 = {.path = NULL};
        struct sockaddr_in6 at;

        memcpy(&at, &address->at, sizeof(at));
        set_v4(&v4, any, ntohs(at.sin6_port));
        rc = open_at(&v4, ret_fd);
    }
    if (rc == -EADDRINUSE)
        return err_set(err, -EBUSY, "another process listens there");
    return rc < 0 ? err_sys(err, rc, "cannot listen there") : 0;
}
