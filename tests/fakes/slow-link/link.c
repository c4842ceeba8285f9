/* SPDX-License-Identifier: Apache-2.0 */
/* link.c – the arithmetic of a line: a rate, a delay, and the moment from which it is idle. */
#include "link.h"

#define NS_PER_SECOND 1000000000ull

struct link link_make(uint64_t bits_per_second, int64_t delay_ns)
{
    return (struct link){.bits_per_second = bits_per_second, .delay_ns = delay_ns};
}

bool link_is_open(const struct link *link, int64_t now_ns)
{
    return link_opens_ns(link) <= now_ns;
}

int64_t link_opens_ns(const struct link *link)
{
    return link->free_ns - LINK_BACKLOG_NS;
}

int64_t link_send(struct link *link, size_t len, int64_t now_ns)
{
    uint64_t sending_ns = 0;

    if (link->bits_per_second > 0) /* len is a chunk's, so the product stays far below 2^64 */
        sending_ns = (uint64_t)len * 8 * NS_PER_SECOND / link->bits_per_second;
    if (link->free_ns < now_ns) {
        link_log(link);
        link->free_ns = now_ns;
        link->busy_ns = now_ns;
    }
    link->free_ns += (int64_t)sending_ns;
    link->bytes += len;
    return link->free_ns + link->delay_ns;
}

void link_log(const struct link *link)
{
    if (link->log == NULL || link->free_ns == link->busy_ns)
        return;
    (void)fprintf(link->log, "%lld %lld\n", (long long)link->busy_ns + link->delay_ns,
                  (long long)link->free_ns + link->delay_ns);
}
