/* SPDX-License-Identifier: Apache-2.0 */
/* decide.c – what to do about what is seen: vm-start once for each run of the machine, again after
 * a while when it failed, and vm-stop once for each end. */
#include "hook/hook.h"

/* The run that was looked after is no more. */
static bool has_ended(const struct hook_decider *decider, const struct hook_sight *sight)
{
    return decider->is_up &&
           (sight->kind != HOOK_RUNS || !hook_run_is_same(&decider->run, &sight->run));
}

static bool is_time_to_retry(const struct hook_decider *decider, int64_t now_ms)
{
    return decider->failures > 0 && now_ms >= decider->retry_ms;
}

static void begin_run(struct hook_decider *decider, const struct hook_run *run)
{
    decider->is_up = true;
    decider->must_start = true;
    decider->has_booted = decider->began_before = false;
    decider->failures = 0;
    decider->run = *run;
}

/* A vm-start that is still at work finds out by itself that the machine has gone, or goes on with
 * the one that was started anew; the next begins when it has ended. */
enum hook_step hook_decide(struct hook_decider *decider, const struct hook_sight *sight,
                           int64_t now_ms)
{
    if (sight->kind == HOOK_UNCLEAR)
        return HOOK_WAIT;
    if (has_ended(decider, sight)) {
        if (decider->stop_runs)
            return HOOK_WAIT;
        decider->is_up = false;
        decider->stop_runs = true;
        return HOOK_STOP;
    }
    if (sight->kind != HOOK_RUNS)
        return HOOK_WAIT;
    if (!decider->is_up)
        begin_run(decider, &sight->run);
    if (decider->start_runs || !(decider->must_start || is_time_to_retry(decider, now_ms)))
        return HOOK_WAIT;
    decider->must_start = false;
    decider->start_runs = true;
    return HOOK_START;
}

static int64_t pause_after(unsigned failures)
{
    int64_t pause_ms = HOOK_RETRY_FIRST_MS;

    while (--failures > 0 && pause_ms < HOOK_RETRY_MAX_MS)
        pause_ms *= 2;
    return pause_ms < HOOK_RETRY_MAX_MS ? pause_ms : HOOK_RETRY_MAX_MS;
}

void hook_decide_ended(struct hook_decider *decider, enum hook_step step, bool well, int64_t now_ms)
{
    if (step == HOOK_STOP) {
        decider->stop_runs = false;
        return;
    }
    decider->start_runs = false;
    decider->failures = well || decider->must_start ? 0 : decider->failures + 1;
    if (decider->failures > 0)
        decider->retry_ms = now_ms + (decider->began_before ? 0 : pause_after(decider->failures));
    decider->began_before = false;
}

void hook_decide_booted(struct hook_decider *decider, int64_t now_ms)
{
    if (decider->has_booted)
        return;
    decider->has_booted = true;
    decider->began_before = decider->start_runs;
    if (decider->failures > 0)
        decider->retry_ms = now_ms;
}

int64_t hook_decide_pause_ms(const struct hook_decider *decider, const struct hook_sight *sight,
                             int64_t now_ms)
{
    int64_t pause_ms = HOOK_LOOK_MAX_MS;

    if (sight->kind == HOOK_UNCLEAR)
        return HOOK_LOOK_MIN_MS;
    if (decider->is_up && !decider->start_runs && decider->failures > 0)
        pause_ms = decider->retry_ms - now_ms;
    if (pause_ms > HOOK_LOOK_MAX_MS)
        return HOOK_LOOK_MAX_MS;
    return pause_ms < HOOK_LOOK_MIN_MS ? HOOK_LOOK_MIN_MS : pause_ms;
}
