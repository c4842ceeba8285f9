/* SPDX-License-Identifier: Apache-2.0 */
/* mend.c – what is safe is done in the machine by mend.sh, which looks again before it does. */
#include "doctor/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { MEND_MS = 150000 };

static bool wants(const struct doctor *doctor, enum doctor_fix fix)
{
    for (size_t i = 0; i < doctor->count; i++) {
        if (doctor->findings[i].fix == fix)
            return true;
    }
    return false;
}

/* The socket before the unit, which makes its own, and the module before that: it needs it. */
static int add_orders(const struct doctor *doctor, const char *unit, struct buf *ret)
{
    int rc = 0;

    if (wants(doctor, DOCTOR_FIX_SET_CLOCK))
        rc = buf_addf(ret, "set-clock %" PRId64 "\n", clock_wall_ms() / 1000);
    if (rc == 0 && wants(doctor, DOCTOR_FIX_LOAD_FUSE))
        rc = buf_add_str(ret, "load-fuse\n");
    if (rc == 0 && wants(doctor, DOCTOR_FIX_REMOVE_SOCKET))
        rc = buf_add_str(ret, "remove-socket\n");
    if (rc == 0 && wants(doctor, DOCTOR_FIX_START))
        rc = buf_addf(ret, "start %s\n", unit);
    return rc;
}

int doctor_mend(struct machine *machine, struct doctor *doctor, const char *unit, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    SCOPED(buf_value) struct buf orders = BUF_EMPTY;
    struct machine_run run = {.script = doctor_mend_text, .timeout_ms = MEND_MS};
    struct bytes text;
    int rc = add_orders(doctor, unit, &orders);

    if (rc < 0)
        return err_set(err, rc, "out of memory");
    if (orders.len == 0)
        return 0;
    run.input = buf_bytes(&orders);
    rc = machine_run(machine, &run, &result, err);
    if (rc < 0)
        return rc;
    for (text = buf_bytes(&result.out); text.len > 0;) {
        struct bytes line = doctor_next_line(&text);
        SCOPED(mem)
        char *said = text_format("%.*s", (int)(line.len < 400 ? line.len : 400),
                                 line.len == 0 ? "" : (const char *)line.data);

        if (said != NULL && *said != '\0' && strcmp(said, "end") != 0)
            doctor_add_done(doctor, said);
    }
    return 0;
}
