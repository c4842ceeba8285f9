/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt.c – Ctrl-C. While we talk to a machine that talk is ended, and what was begun there is
 * repaired by the next run; while finch.yaml is edited the edit is finished; else we are gone at
 * once. A second one always is. */
#include "cmd/internal.h"

#include "platform/platform.h"

#include <signal.h>
#include <unistd.h>

/* Of the process, as the signal is: set by the main thread, read in the handler. */
static struct machine *volatile target;
static struct platform_waiter *volatile waiter;
static volatile sig_atomic_t is_held;
static volatile sig_atomic_t signalled; /* number of the first one; 0: none */

static void leave(int number)
{
    static const char line[] = "\nfinch-soci: interrupted\n";

    if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0) {
        /* nobody sees it */
    }
    _exit(128 + number);
}

static void on_interrupt(int number)
{
    if (signalled != 0 || (target == NULL && waiter == NULL && is_held == 0))
        leave(number);
    signalled = number;
    if (target != NULL)
        machine_cancel(target);
    if (waiter != NULL)
        platform_waiter_wake(waiter);
}

void interrupt_watch(void)
{
    platform_on_interrupt(on_interrupt);
}

void interrupt_set_machine(struct machine *machine)
{
    target = machine;
}

void interrupt_set_waiter(struct platform_waiter *waiter_)
{
    waiter = waiter_;
}

void interrupt_hold(bool hold)
{
    is_held = hold;
}

int interrupt_number(void)
{
    return (int)signalled;
}
