/* SPDX-License-Identifier: Apache-2.0 */
/* order.c – what is to go wrong, with which requests, and how often. */
#include "proxy.h"

#include <string.h>

bool order_parse(const char *text, struct order *ret)
{
    char word[ORDER_WORD_BYTES] = "", *arg;
    int words;

    *ret = (struct order){.where = "all"};
    words = sscanf(text, "%511s %511s %lu", word, ret->where, &ret->count);
    if (words < 1)
        return true;
    arg = strchr(word, '=');
    if (arg != NULL) {
        *arg = '\0';
        (void)snprintf(ret->arg, sizeof(ret->arg), "%s", arg + 1);
    }
    (void)snprintf(ret->fault, sizeof(ret->fault), "%s", word);
    return fault_is_known(ret->fault);
}

static bool is_at(const char *where, const struct http_exchange *x)
{
    bool is_blob = http_target_has(x, "/blobs/") && strcmp(x->method, "GET") == 0;

    if (strcmp(where, "all") == 0)
        return true;
    if (strcmp(where, "ranges") == 0)
        return is_blob && x->range[0] != '\0';
    if (strcmp(where, "wholes") == 0)
        return is_blob && x->range[0] == '\0';
    if (strcmp(where, "manifests") == 0)
        return http_target_has(x, "/manifests/");
    return http_target_has(x, where);
}

bool order_is_for(const struct order *order, const struct http_exchange *x)
{
    if (strncmp(order->where, "ours:", 5) != 0)
        return is_at(order->where, x);
    return strncmp(x->user_agent, "soci-snapshotter/", 17) == 0 && is_at(order->where + 5, x);
}
