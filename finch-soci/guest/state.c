/* SPDX-License-Identifier: Apache-2.0 */
/* state.c – what is, what is not well about it, and the command that mends it; words behind a #
 * where there is none. */
#include "internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define MEND_ENABLE "finch-soci enable"
static const char status_script[] = GUEST_KNOWS_STATUS
    " || exit 1\n"
    "exec timeout 5 /usr/local/bin/soci-snapshotter-grpc status --json 2>/dev/null\n";

void guest_state_fini(struct guest_state *state)
{
    buf_fini(&state->daemon_json);
}

static void add(struct guest_state *state, const char *name, const char *mend, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* `mend` NULL: it is well. */
static void add(struct guest_state *state, const char *name, const char *mend, const char *fmt, ...)
{
    struct guest_check *check = &state->checks[state->count];
    va_list args;

    if (state->count == GUEST_CHECKS_MAX)
        return;
    state->count++;
    check->name = name;
    check->well = mend == NULL;
    va_start(args, fmt);
    (void)vsnprintf(check->text, sizeof(check->text), fmt, args);
    va_end(args);
    (void)snprintf(check->mend, sizeof(check->mend), "%s", mend == NULL ? "" : mend);
}

/* ---- the checks ------------------------------------------------------------------------------ */

static void check_system(struct guest_state *state, const struct guest_facts *facts)
{
    if (!guest_flag(facts, "systemd"))
        add(state, "system", "# use a machine with systemd", "no systemd runs here");
    else if (!guest_is_booted(facts))
        add(state, "system", "# wait until it has booted, else: finch-soci vm restart",
            "the machine has not finished booting");
    else
        add(state, "system", NULL, "%s, systemd%s", guest_arch(facts),
            guest_flag(facts, "lima") ? ", Lima's" : "");
}

/* Is it the one that the bundle has? Without a bundle nobody knows. */
static bool is_of_bundle(const struct guest_facts *facts, const char *path,
                         const struct bundle *bundle, const char *name)
{
    const struct bundle_file *wanted = bundle == NULL ? NULL : bundle_find(bundle, name);
    char hex[2 * DIGEST_BYTES + 1];

    if (wanted == NULL)
        return true;
    digest_hex(&wanted->digest, hex);
    return strcmp(hex, guest_file(facts, path)->sha256) == 0;
}

static void check_programs(struct guest_state *state, const struct guest_facts *facts,
                           const struct bundle *bundle)
{
    if (!guest_has(facts, GUEST_PROGRAM) || !guest_has(facts, GUEST_SOCI))
        add(state, "programs", MEND_ENABLE, "not installed");
    else if (!guest_is_ours(facts, GUEST_PROGRAM))
        add(state, "programs", facts->running.count > 0 ? MEND_ENABLE " --now" : MEND_ENABLE,
            "another snapshotter is installed%s",
            guest_flag(facts, "our-data") ? ", on a disk with layers of ours: pulls through it fail"
                                          : "");
    else if (!guest_is_ours(facts, GUEST_SOCI))
        add(state, "programs", MEND_ENABLE, "%s is not ours", GUEST_SOCI);
    else if (!is_of_bundle(facts, GUEST_PROGRAM, bundle, "bin/soci-snapshotter-grpc") ||
             !is_of_bundle(facts, GUEST_SOCI, bundle, "bin/soci"))
        add(state, "programs", MEND_ENABLE, "%s; the bundle has another, %s",
            guest_value(facts, "applied"), bundle_version(bundle));
    else
        add(state, "programs", NULL, "%s (sha256:%.12s)", guest_value(facts, "applied"),
            guest_file(facts, GUEST_PROGRAM)->sha256);
}

static void check_unit(struct guest_state *state, const struct guest_facts *facts)
{
    const char *unit = guest_unit_name(facts);
    const char *says = guest_value(facts, "unit-says"), *is;
    const char *mend = says[0] == '\0' ? MEND_ENABLE : MEND_ENABLE " # after that is corrected";
    char key[64];

    (void)snprintf(key, sizeof(key), "unit %s", unit);
    is = guest_value(facts, key);
    if (guest_package_unit(facts) != NULL && guest_value(facts, "second-daemon")[0] != '\0')
        add(state, "unit", "sudo systemctl disable --now soci-snapshotter.service",
            "%s is enabled beside %s.service", guest_value(facts, "second-daemon"), unit);
    else if (!guest_has(facts,
                        guest_package_unit(facts) == NULL ? GUEST_UNIT : GUEST_PACKAGE_DROP_IN))
        add(state, "unit", MEND_ENABLE, "%s.service is not set up", unit);
    else
        add(state, "unit", strcmp(is, "active") == 0 ? NULL : mend, "%s.service is %s%s%s", unit,
            is[0] == '\0' ? "unknown" : is, says[0] == '\0' ? "" : ": ", says);
}

static void check_credentials(struct guest_state *state, const struct guest_facts *facts)
{
    struct bytes drop_in = guest_text(facts, GUEST_DROP_IN);

    if (!guest_flag(facts, "lima"))
        return;
    if (drop_in.len == 0 || memmem(drop_in.data, drop_in.len, "DOCKER_CONFIG=/", 15) == NULL)
        add(state, "credentials", MEND_ENABLE, "the daemon is not told where they are");
    else
        add(state, "credentials", NULL, "%s",
            guest_value(facts, "finch-dir")[0] == '/' ? guest_value(facts, "finch-dir")
                                                      : guest_value(facts, "lima-HOME"));
}

static void check_containerd(struct guest_state *state, const struct guest_facts *facts)
{
    const char *version = guest_value(facts, "containerd");
    const char *is = guest_value(facts, "unit containerd");
    unsigned major = containerd_major(version);

    if (major == 0)
        add(state, "containerd", "# install containerd", "not there");
    else if (!containerd_is_told(buf_bytes(&facts->effective), major))
        add(state, "containerd", MEND_ENABLE, "its configuration does not have all of soci");
    else if (is[0] != '\0' && strcmp(is, "active") != 0)
        add(state, "containerd", MEND_ENABLE, "containerd.service is %s", is);
    else if (strstr(guest_value(facts, "plugin"), " ok") == NULL)
        add(state, "containerd", MEND_ENABLE, "its plugin soci is not loaded");
    else
        add(state, "containerd", NULL, "%s", version);
}

static void check_config(struct guest_state *state, const struct guest_facts *facts)
{
    if (!guest_has(facts, GUEST_DAEMON_CONFIG))
        add(state, "config", NULL, "defaults");
    else if (guest_is_ours(facts, GUEST_DAEMON_CONFIG))
        add(state, "config", NULL, "%s", GUEST_DAEMON_CONFIG);
    else
        add(state, "config", NULL, "%s, the user's own", GUEST_DAEMON_CONFIG);
}

static void check_work(struct guest_state *state, const struct guest_facts *facts)
{
    const char *pending = guest_value(facts, "pending");

    if (pending[0] != '\0')
        add(state, "work", MEND_ENABLE, "an earlier run did not end: %s", pending);
}

static int ask_daemon(struct machine *machine, struct guest_state *state, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    struct machine_run run = {.script = status_script, .timeout_ms = 10000};
    int rc = machine_run(machine, &run, &result, err);

    if (rc < 0)
        return rc;
    if (result.exit_status == 0) {
        buf_fini(&state->daemon_json);
        state->daemon_json = result.out;
        result.out = (struct buf)BUF_EMPTY;
    }
    add(state, "daemon", result.exit_status == 0 ? NULL : MEND_ENABLE, "%s",
        result.exit_status == 0 ? "answers" : "does not answer");
    return 0;
}

const char *guest_containerd(const struct guest_facts *facts)
{
    return guest_value(facts, "containerd");
}

const char *guest_unit_says(const struct guest_facts *facts)
{
    return guest_value(facts, "unit-says");
}

bool guest_containerd_is_told(const struct guest_facts *facts)
{
    return containerd_is_told(buf_bytes(&facts->effective),
                              containerd_major(guest_containerd(facts)));
}

int guest_state_get(struct machine *machine, const struct guest_facts *facts, struct bundle *bundle,
                    struct guest_state *ret, struct err *err)
{
    *ret = (struct guest_state){.count = 0};
    check_system(ret, facts);
    check_programs(ret, facts, bundle);
    check_unit(ret, facts);
    check_credentials(ret, facts);
    check_containerd(ret, facts);
    check_config(ret, facts);
    check_work(ret, facts);
    return ask_daemon(machine, ret, err);
}
