/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.h – what the parts of fault-proxy share.
 *
 *   main.c      serves, and obeys      upstream.c  asks the real server
 *   order.c     what is to go wrong    faults.c    answers wrongly
 *
 * Every request is passed on to the real server first, so that what is made worse is a right
 * answer.
 */
#ifndef FAULT_PROXY_PROXY_H
#define FAULT_PROXY_PROXY_H

#include "http_server.h"

#include <netinet/in.h>

/* ---- order.c: one line of a file ------------------------------------------------------------- */

enum { ORDER_WORD_BYTES = 512 };
struct order {
    char fault[ORDER_WORD_BYTES]; /* "": none */
    char arg[ORDER_WORD_BYTES];   /* of the fault, "": none */
    char where[ORDER_WORD_BYTES];
    unsigned long count; /* so many requests; 0: all */
};
/* "FAULT[=ARG] [WHERE [COUNT]]"; an empty text is no fault. False: it makes no sense. */
bool order_parse(const char *text, struct order *ret);
/* WHERE: all, ranges (GETs of parts), wholes (of blobs without a range), manifests, or a part of
 * the path. With "ours:" in front: of those the ones of the snapshotter. */
bool order_is_for(const struct order *order, const struct http_exchange *x);

/* ---- upstream.c ------------------------------------------------------------------------------ */

struct right_answer {
    int status;
    struct buf headers; /* without Content-Length and Content-Range */
    char content_range[128];
    struct buf body;
};
void right_answer_fini(struct right_answer *answer);
DEFINE_SCOPED_VALUE(right_answer, struct right_answer, right_answer_fini)
/* `target` and `range` ("": none) instead of those that were asked for. False: no answer. */
bool upstream_ask(const struct sockaddr_in *to, const struct http_exchange *x, const char *target,
                  const char *range, struct right_answer *ret);

/* ---- faults.c -------------------------------------------------------------------------------- */

bool fault_is_known(const char *name);
/* The answer without a fault, "", or with one. */
void fault_answer(const struct sockaddr_in *to, struct http_exchange *x, const char *name,
                  const char *arg);

#endif
