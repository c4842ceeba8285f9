/* SPDX-License-Identifier: Apache-2.0 */
/* main.c – fault-proxy: an HTTP server in front of the real one, which answers wrongly when told
 * to.
 *
 *   fault-proxy PORT UPSTREAM_PORT ORDERS
 *
 * on loopback, until SIGTERM. ORDERS is a file with one line, read at each request (so replace it
 * by a rename):
 *
 *   FAULT[=ARG] [WHERE [COUNT]]     see the table in faults.c, and order_is_for()
 *
 * An empty one, or none: no fault. COUNT starts anew when the line changes. While the fault is
 * "refuse" nobody listens. Each request is a line on stdout: fault or "-", method, path, range. */
#include "proxy.h"

#include "base/files.h"
#include "base/threads.h"

#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { LOOK_MS = 10 };

struct proxy {
    struct sockaddr_in to;   /* fixed */
    const char *orders_path; /* fixed */
    pthread_mutex_t lock;
    struct buf text;       /* lock: the line as it was last seen */
    struct order order;    /* lock */
    unsigned long applied; /* lock */
};

static void read_order_locked(struct proxy *p)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct buf swap;

    if (path_exists(p->orders_path) && file_read(p->orders_path, 65536, &text, NULL) < 0)
        return;
    if (bytes_equal(buf_bytes(&text), buf_bytes(&p->text)))
        return;
    if (!order_parse(text.len == 0 ? "" : buf_str(&text), &p->order)) {
        (void)fprintf(stderr, "fault-proxy: this order makes no sense: %s\n", buf_str(&text));
        abort();
    }
    p->applied = 0;
    swap = p->text;
    p->text = text;
    text = swap;
}

static void choose(struct proxy *p, const struct http_exchange *x, struct order *ret)
{
    LOCKED(&p->lock);

    read_order_locked(p);
    *ret = p->order;
    if (!order_is_for(&p->order, x) || (p->order.count > 0 && p->applied >= p->order.count))
        ret->fault[0] = '\0';
    else
        p->applied++;
}

static void handle(void *self, struct http_exchange *x)
{
    struct proxy *p = self;
    struct order order;

    choose(p, x, &order);
    (void)printf("%s %s %s %s\n", order.fault[0] == '\0' ? "-" : order.fault, x->method, x->target,
                 x->range[0] == '\0' ? "-" : x->range);
    (void)fflush(stdout);
    fault_answer(&p->to, x, order.fault, order.arg);
}

static bool is_refusing(struct proxy *p)
{
    LOCKED(&p->lock);

    read_order_locked(p);
    return strcmp(p->order.fault, "refuse") == 0;
}

static void serve(struct proxy *p, uint16_t port, const sigset_t *end)
{
    const struct timespec look = {.tv_nsec = LOOK_MS * 1000000};
    struct http_server *server = http_server_start_at(port, handle, p);

    while (sigtimedwait(end, NULL, &look) < 0) {
        bool refusing = is_refusing(p);

        if (refusing && server != NULL)
            http_server_stop(TAKE(server));
        else if (!refusing && server == NULL)
            server = http_server_start_at(port, handle, p);
    }
    if (server != NULL)
        http_server_stop(server);
}

int main(int argc, char **argv)
{
    struct proxy p = {.lock = PTHREAD_MUTEX_INITIALIZER};
    sigset_t end;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: fault-proxy PORT UPSTREAM_PORT ORDERS\n");
        return 1;
    }
    (void)sigemptyset(&end);
    (void)sigaddset(&end, SIGTERM);
    (void)sigaddset(&end, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &end, NULL);
    p.to = (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(argv[2])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    p.orders_path = argv[3];
    serve(&p, (uint16_t)atoi(argv[1]), &end);
    buf_fini(&p.text);
    return 0;
}
