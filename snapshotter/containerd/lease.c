/* SPDX-License-Identifier: Apache-2.0 */
/* lease.c – leases: what is written under one survives garbage collection until it goes. */
#include "internal.h"

#include "base/clock.h"
#include "proto/leases.pb-c.h"

#include <stdlib.h>
#include <sys/random.h>

#define LEASES CONTAINERD_SERVICE "leases.v1.Leases/"
#define EXPIRE_LABEL "containerd.io/gc.expire"

enum { EXPIRE_MS = 24 * 3600 * 1000 }; /* as containerd's own client asks for */

/* Unique on this machine: the time, and chance for two at one moment. */
static char *new_id(void)
{
    uint8_t random[8];
    char hex[2 * sizeof(random) + 1];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return NULL;
    text_hex(bytes_of(random, sizeof(random)), hex);
    return text_format("%lld-%s", (long long)clock_wall_ns(), hex);
}

int containerd_lease_create(struct containerd *c, int64_t expire_ms, char **ret_id, struct err *err)
{
    static const struct containerd_method method = {.path = LEASES "Create"};
    char expire[CLOCK_RFC3339_BYTES];
    Wire__LeaseCreateRequest request;
    Wire__Pair label;
    SCOPED(mem) char *id = new_id();
    int rc;

    if (id == NULL)
        return err_set(err, -ENOMEM, "lease: out of memory");
    clock_rfc3339((clock_wall_ms() + (expire_ms == 0 ? EXPIRE_MS : expire_ms)) / 1000, 0, expire);
    wire__lease_create_request__init(&request);
    wire__pair__init(&label);
    label.key = containerd_lend(EXPIRE_LABEL);
    label.value = expire;
    request.id = id;
    request.n_labels = 1;
    request.labels = (Wire__Pair *[]){&label};
    rc = containerd_call(c, &method, &request.base, NULL, NULL, err);
    if (rc < 0)
        return err_prefix(err, rc, "creating a lease");
    *ret_id = TAKE(id);
    return 0;
}

int containerd_lease_delete(struct containerd *c, const char *id, struct err *err)
{
    static const struct containerd_method method = {.path = LEASES "Delete"};
    Wire__LeaseDeleteRequest request;
    int rc;

    containerd_forget_lease(c, id);
    wire__lease_delete_request__init(&request);
    request.id = containerd_lend(id);
    rc = containerd_call(c, &method, &request.base, NULL, NULL, err);
    if (rc == -ENOENT)
        return 0;
    return rc < 0 ? err_prefix(err, rc, "deleting lease %s", id) : 0;
}
