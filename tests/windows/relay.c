/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c – stands in for finch.exe and limactl.exe: has relay.py, on the Linux that wine runs on,
 * do what the test's `finch` and `limactl` do, and passes on what they say and how they end. And
 * for Lima's host agent, a process of Windows with its number in a file, for windows_lima.py. */
#include "base/bytes.h"
#include "base/files.h"

#include "base/socket.h"

#include <fcntl.h>
#include <io.h>

static bool receive(SOCKET fd, void *to, size_t len)
{
    char *at = to;

    while (len > 0) {
        int n = recv(fd, at, (int)len, 0);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* Our name without its directory and ending, and our arguments: each with its NUL. */
static int say_what(SOCKET fd, int argc, char **argv)
{
    SCOPED(buf_value) struct buf request = BUF_EMPTY;
    uint8_t len[4];
    char name[64];

    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(path_name(argv[0]), "."),
                   path_name(argv[0]));
    if (buf_add(&request, name, strlen(name) + 1) < 0)
        return -1;
    for (int i = 1; i < argc; i++) {
        if (buf_add(&request, argv[i], strlen(argv[i]) + 1) < 0)
            return -1;
    }
    put_u32le(len, (uint32_t)request.len);
    return send(fd, (const char *)len, 4, 0) == 4 &&
                   send(fd, (const char *)request.data, (int)request.len, 0) == (int)request.len
               ? 0
               : -1;
}

/* A kind, a length, and so many bytes; the last has the exit status for its length. */
static int pass_on(SOCKET fd)
{
    uint8_t head[5];
    char piece[4096];

    while (receive(fd, head, sizeof(head))) {
        uint32_t left = get_u32le(head + 1);

        if (head[0] == 'x')
            return (int)left;
        while (left > 0) {
            uint32_t n = left < sizeof(piece) ? left : (uint32_t)sizeof(piece);

            if (!receive(fd, piece, n))
                return 99;
            (void)fwrite(piece, 1, n, head[0] == 'o' ? stdout : stderr);
            left -= n;
        }
    }
    return 99;
}

/* `limactl hostagent --pidfile FILE`: as Lima's, its file is there from its start to its end, and
 * stays when it is killed. It ends with its input. */
static int be_host_agent(const char *pid_file)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%lu\n", (unsigned long)GetCurrentProcessId());
    struct err err = ERR_NONE;

    if (file_replace(pid_file, bytes_of(text, (size_t)len), 0600, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err_text(&err));
        return 96;
    }
    while (getchar() != EOF)
        ;
    return file_unlink(pid_file, NULL) < 0;
}

int main(int argc, char **argv)
{
    const char *port = getenv("RELAY_PORT");
    struct sockaddr_in address = {.sin_family = AF_INET};
    SOCKET fd;

    (void)_setmode(_fileno(stdout), _O_BINARY);
    (void)_setmode(_fileno(stderr), _O_BINARY);
    if (argc == 4 && strcmp(argv[1], "hostagent") == 0)
        return be_host_agent(argv[3]);
    if (port == NULL || socket_start() < 0)
        return 98;
    address.sin_port = htons((u_short)atoi(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        say_what(fd, argc, argv) < 0)
        return 97;
    return pass_on(fd);
}
