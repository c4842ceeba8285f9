/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h – accepts connections, passes each on to one address through a slow line, and counts. */
#ifndef SLOW_LINK_RELAY_H
#define SLOW_LINK_RELAY_H

#include "base/attr.h"
#include "base/err.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>

struct relay_options {
    struct sockaddr_in listen; /* port 0: one that is free */
    struct sockaddr_in target;
    uint64_t bits_per_second; /* each way; 0: no limit */
    int64_t rtt_ns;
    FILE *down_log; /* borrowed: when something came down the line, see link.h; NULL: none */
};

struct relay_stats {
    uint64_t connections; /* accepted so far */
    uint64_t up_bytes;    /* from those who connect to the target */
    uint64_t down_bytes;  /* from the target to those who connect */
};

struct relay;

/* Listens when it returns. */
MUST_CHECK int relay_open(const struct relay_options *options, struct relay **ret, struct err *err);
void relay_close(struct relay *relay); /* NULL is fine; connections are cut */

uint16_t relay_port(const struct relay *relay);
struct relay_stats relay_stats(const struct relay *relay);
void relay_log(const struct relay *relay); /* what is not in the log yet */

/* Pass bytes on until descriptor `wake_fd` (borrowed) is readable. 0, or a negative errno when it
 * cannot go on; what breaks one connection ends only that. */
MUST_CHECK int relay_run(struct relay *relay, int wake_fd, struct err *err);

#endif
