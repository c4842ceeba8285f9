/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c – what one round trip has told. */
#include "guest/guest.h"

#include <errno.h>

int guest_look(struct machine *machine, struct guest_facts **ret, struct err *err)
{
    (void)machine;
    (void)ret;
    return err_set(err, -EOPNOTSUPP, "not built in");
}

void guest_facts_free(struct guest_facts *facts)
{
    (void)facts;
}

const char *guest_arch(const struct guest_facts *facts)
{
    (void)facts;
    return "";
}

bool guest_is_booted(const struct guest_facts *facts)
{
    (void)facts;
    return false;
}

int guest_plan_new(const struct guest_facts *facts, const struct guest_options *options,
                   struct bundle *bundle, struct guest_plan **ret, struct err *err)
{
    (void)facts;
    (void)options;
    (void)bundle;
    (void)ret;
    return err_set(err, -EOPNOTSUPP, "not built in");
}

void guest_plan_free(struct guest_plan *plan)
{
    (void)plan;
}

bool guest_plan_is_empty(const struct guest_plan *plan)
{
    return plan == NULL;
}

int guest_plan_print(const struct guest_plan *plan, bool colour, struct buf *ret)
{
    (void)plan;
    (void)colour;
    (void)ret;
    return -EOPNOTSUPP;
}

int guest_apply(struct machine *machine, const struct guest_plan *plan,
                const struct guest_progress *progress, struct err *err)
{
    (void)machine;
    (void)plan;
    (void)progress;
    return err_set(err, -EOPNOTSUPP, "not built in");
}

int guest_undo(struct machine *machine, bool purge, const struct guest_progress *progress,
               struct err *err)
{
    (void)machine;
    (void)purge;
    (void)progress;
    return err_set(err, -EOPNOTSUPP, "not built in");
}

void guest_state_fini(struct guest_state *state)
{
    buf_fini(&state->daemon_json);
}

int guest_state_get(struct machine *machine, const struct guest_facts *facts, struct bundle *bundle,
                    struct guest_state *ret, struct err *err)
{
    (void)machine;
    (void)facts;
    (void)bundle;
    (void)ret;
    return err_set(err, -EOPNOTSUPP, "not built in");
}
