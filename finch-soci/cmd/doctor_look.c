/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_look.c – what `doctor` finds: on this computer, on the way to the machine, in it, and what
 * registries say to it; and what of that is mended without asking. */
#include "cmd/internal.h"

#include "base/clock.h"
#include "base/files.h"
#include "config/config.h"
#include "doctor/doctor.h"
#include "report/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { REGISTRIES_MAX = 10 }; /* of images that the machine has, asked unasked */

static void add(struct doctor *doctor, const char *area, enum doctor_fix fix, const char *mend,
                const char *fmt, ...) PRINTF_LIKE(5, 6);

static void add(struct doctor *doctor, const char *area, enum doctor_fix fix, const char *mend,
                const char *fmt, ...)
{
    struct doctor_finding finding = {.fix = fix, .is_note = mend[0] == '\0'};
    va_list args;

    (void)snprintf(finding.area, sizeof(finding.area), "%s", area);
    (void)snprintf(finding.mend, sizeof(finding.mend), "%s", mend);
    va_start(args, fmt);
    (void)vsnprintf(finding.text, sizeof(finding.text), fmt, args);
    va_end(args);
    doctor_add(doctor, &finding);
}

/* ---- this computer --------------------------------------------------------------------------- */

static void look_at_config(const struct session *session, struct doctor *doctor)
{
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};
    struct err err = ERR_NONE;
    char mend[256];
    int rc = finch_file_read(session->config, &config, &err);

    (void)snprintf(mend, sizeof(mend), "# correct %.200s", session->config);
    if (rc == 0)
        rc = finch_config_check(&config, &err);
    if (rc < 0)
        add(doctor, "finch.yaml", DOCTOR_FIX_NONE, mend, "%s", err_text(&err));
    else if (!finch_config_has_soci(&config))
        add(doctor, "finch.yaml", DOCTOR_FIX_NONE, "finch-soci enable", "soci is not listed: %s",
            session->config);
    else
        doctor_add_fine(doctor, "finch.yaml", "soci is listed: %s", session->config);
}

static void add_hook_row(const struct report *report, const struct report_row *row,
                         struct doctor *doctor)
{
    struct doctor_finding finding = {.is_note = row->mark == REPORT_UNKNOWN};

    if (row->mark == REPORT_WELL) {
        doctor_add_fine(doctor, row->name, "%s", row->text);
        return;
    }
    if (report->hook.installed && !report->hook.watches)
        finding.fix = DOCTOR_FIX_HOOK;
    else if (report->hook.start.failed)
        finding.fix = DOCTOR_FIX_PROVISION;
    (void)snprintf(finding.area, sizeof(finding.area), "%.*s", (int)sizeof(finding.area) - 1,
                   row->name);
    (void)snprintf(finding.text, sizeof(finding.text), "%s", row->text);
    (void)snprintf(finding.mend, sizeof(finding.mend), "%s", row->mend);
    doctor_add(doctor, &finding);
}

/* What keeps all this as it is when the machine is made anew. That there is none is a choice. */
static void look_at_hook(const struct session *session, struct doctor *doctor)
{
    SCOPED(mem) struct report *report = calloc(1, sizeof(*report));
    struct err err = ERR_NONE;

    if (report == NULL || hooking_report(session, report, &err) < 0)
        return;
    for (size_t i = 0; i < report->row_count; i++)
        add_hook_row(report, &report->rows[i], doctor);
    report_fini(report);
}

static void look_at_machine(const struct session *session, struct doctor *doctor)
{
    SCOPED(mem) char *broken = session_mend_broken();
    struct err err = ERR_NONE;

    if (session->places.finch == NULL)
        add(doctor, "finch", DOCTOR_FIX_NONE, "", "no finch is in PATH");
    if (session->machine.state == LIMA_RUNNING) {
        doctor_add_fine(doctor, "machine", "%s runs", session->places.instance);
        return;
    }
    (void)!session_must_run(session, &err);
    add(doctor, "machine", DOCTOR_FIX_NONE,
        session->machine.state == LIMA_BROKEN && broken != NULL ? broken : "finch-soci vm start",
        "%s", err_text(&err));
}

/* ---- the way there --------------------------------------------------------------------------- */

/* OpenSSH, and so `limactl shell`, takes no key that others may read; and none without a file. */
static void look_at_key(const struct session *session, struct doctor *doctor)
{
    SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};
    struct err err = ERR_NONE;
    char mend[DOCTOR_TEXT_BYTES];
    struct stat st;

    if (lima_read_ssh(&session->places, &ssh, &err) < 0 || ssh.identity == NULL)
        return;
    if (stat(ssh.identity, &st) < 0) {
        add(doctor, "ssh", DOCTOR_FIX_NONE, "finch-soci vm restart", "its key is not there: %s",
            ssh.identity);
        return;
    }
    (void)snprintf(mend, sizeof(mend), "chmod 600 '%s'", ssh.identity);
    if ((st.st_mode & 077) != 0 && !platform_has_vm)
        add(doctor, "ssh", DOCTOR_FIX_NONE, mend, "others may read the key %s: ssh refuses it",
            ssh.identity);
}

static int reach(const struct session *session, struct doctor *doctor, struct link *link,
                 struct err *err)
{
    struct err why = ERR_NONE;
    int rc;

    if (!session->is_local)
        look_at_key(session, doctor);
    rc = session_connect(session, 0, link, &why);
    if (rc == 0 && !session->is_local)
        doctor_add_fine(doctor, "ssh", "the machine answers, and takes the key");
    if (rc == 0 || rc == -ECANCELED || rc == -ENOMEM)
        return rc == 0 ? 0 : err_set(err, rc, "%s", err_text(&why));
    add(doctor, "ssh", DOCTOR_FIX_NONE,
        session->is_local ? "sudo finch-soci doctor" : "finch-soci vm restart", "%s",
        err_text(&why));
    return 0;
}

/* ---- the machine ----------------------------------------------------------------------------- */

static bool has_area(const struct doctor *doctor, const char *area)
{
    for (size_t i = 0; i < doctor->count; i++) {
        if (strcmp(doctor->findings[i].area, area) == 0 && !doctor->findings[i].is_note)
            return true;
    }
    return false;
}

/* What `status` would say. A daemon whose unit does not run does not answer, of course. */
static void add_checks(const struct guest_state *state, struct doctor *doctor)
{
    bool stopped = has_area(doctor, "unit");

    for (size_t i = 0; i < state->count; i++) {
        const struct guest_check *check = &state->checks[i];
        bool is_told =
            stopped && (strcmp(check->name, "unit") == 0 || strcmp(check->name, "daemon") == 0);
        bool mends_itself = strcmp(check->mend, "finch-soci enable") == 0 ||
                            strcmp(check->mend, "finch-soci provision") == 0;

        if (check->well)
            doctor_add_fine(doctor, check->name, "%s", check->text);
        else if (!is_told)
            add(doctor, check->name, mends_itself ? DOCTOR_FIX_PROVISION : DOCTOR_FIX_NONE,
                check->mend, "%s", check->text);
    }
}

/* The registry of an image is asked once; `words` are asked all. */
static bool is_registry_listed(const struct text_list *words, const char *name)
{
    size_t len = strcspn(name, "/");

    for (size_t i = 0; i < words->count; i++) {
        if (strncmp(words->items[i], name, len) == 0 && words->items[i][len] == '/')
            return true;
    }
    return false;
}

static int list_images(struct machine *machine, const struct text_list *words,
                       struct text_list *ret, struct err *err)
{
    SCOPED(guest_images) struct guest_images images = {.count = 0};
    struct err why = ERR_NONE;
    int rc = 0;

    for (size_t i = 0; i < words->count && rc == 0; i++)
        rc = text_list_add(ret, words->items[i]);
    if (rc == 0)
        rc = guest_images_get(machine, "finch", &images, &why);
    if (rc == -EIO || rc == -EBADMSG) /* containerd's own finding says more */
        return 0;
    for (size_t i = 0; i < images.count && rc == 0; i++) {
        const char *name = images.items[i].name;

        if (ret->count < words->count + REGISTRIES_MAX && strchr(name, '/') != NULL &&
            doctor_check_word(name, &why) == 0 && !is_registry_listed(ret, name))
            rc = text_list_add(ret, name);
    }
    return rc < 0 ? err_set(err, rc, "the images cannot be listed") : 0;
}

static int ask_registries(const struct session *session, struct machine *machine,
                          const struct text_list *words, struct doctor *doctor, struct err *err)
{
    SCOPED(text_list) struct text_list all = TEXT_LIST_EMPTY;
    SCOPED(doctor_images) struct doctor_images images = {.count = 0};
    const char *vm = session->is_local ? NULL : session->places.instance;
    struct err why = ERR_NONE;
    int rc = list_images(machine, words, &all, err);

    if (rc < 0 || all.count == 0)
        return rc;
    rc = doctor_ask_images(machine, &all, vm, &images, &why);
    if (rc == -EOPNOTSUPP || rc == -EBADMSG) {
        add(doctor, "registry", DOCTOR_FIX_NONE, "", "registries cannot be asked: %s",
            err_text(&why));
        return 0;
    }
    if (rc < 0)
        return err_set(err, rc, "%s", err_text(&why));
    doctor_judge_images(doctor, &images, vm);
    return 0;
}

static int look_deeper(const struct session *session, struct machine *machine,
                       const struct guest_facts *guest, struct doctor *doctor, struct err *err)
{
    SCOPED(doctor_facts) struct doctor_facts facts = {.count = 0};
    SCOPED(mem) char *unit = text_format("%s.service", guest_unit_name(guest));
    struct doctor_context context = {
        .vm = session->is_local ? NULL : session->places.instance,
        .is_told = guest_containerd_is_told(guest),
        .containerd = guest_containerd(guest),
        .unit = unit,
        .unit_says = guest_unit_says(guest),
        .before_s = clock_wall_ms() / 1000 - 1,
    };
    int rc =
        unit == NULL ? err_set(err, -ENOMEM, "out of memory") : doctor_look(machine, &facts, err);

    if (rc < 0)
        return rc;
    context.after_s = session->is_local ? 0 : clock_wall_ms() / 1000 + 1;
    doctor_judge(doctor, &facts, &context);
    return 0;
}

static int look_inside(const struct session *session, struct machine *machine,
                       const struct text_list *words, struct doctor *doctor, struct err *err)
{
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(guest_state) struct guest_state state = {.count = 0};
    SCOPED(bundle) struct bundle *bundle = NULL;
    struct err why = ERR_NONE;
    int rc = guest_look(machine, &facts, err);

    if (rc < 0)
        return rc;
    if (bundle_open(session->globals->bundle, guest_arch(facts), &bundle, &why) < 0)
        add(doctor, "bundle", DOCTOR_FIX_NONE, "", "%s", err_text(&why));
    rc = look_deeper(session, machine, facts, doctor, err);
    if (rc == 0)
        rc = guest_state_get(machine, facts, bundle, &state, err);
    if (rc == 0)
        add_checks(&state, doctor);
    return rc < 0 ? rc : ask_registries(session, machine, words, doctor, err);
}

int doctor_collect(struct session *session, const struct text_list *words, struct doctor *ret,
                   struct err *err)
{
    SCOPED(link) struct link link = {.machine = NULL};
    int rc = session_look(session, err);

    if (rc < 0)
        return rc;
    if (!session->is_local) {
        look_at_config(session, ret);
        look_at_hook(session, ret);
        look_at_machine(session, ret);
    }
    if (session->machine.state != LIMA_RUNNING)
        return 0;
    rc = reach(session, ret, &link, err);
    if (rc < 0 || link.machine == NULL)
        return rc;
    return look_inside(session, link.machine, words, ret, err);
}

/* ---- mending --------------------------------------------------------------------------------- */

static bool wants(const struct doctor *doctor, enum doctor_fix fix)
{
    for (size_t i = 0; i < doctor->count; i++) {
        if (doctor->findings[i].fix == fix)
            return true;
    }
    return false;
}

static void provision(const struct session *session, struct doctor *doctor)
{
    static const struct provision_how how = {.dry_run = false};
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};
    SCOPED(mem) char *text = NULL;
    struct err err = ERR_NONE;
    int rc = finch_file_read(session->config, &config, &err);

    if (rc == 0 && !session->is_local && !finch_config_has_soci(&config))
        rc = err_set(&err, -EINVAL, "finch.yaml does not list soci: `finch-soci enable`");
    if (rc == 0)
        rc = provision_do(session, &how, &err);
    if (rc == PROVISION_DONE)
        doctor_add_done(doctor,
                        "the machine was made what it should be, as `finch-soci provision` does");
    else if (rc < 0)
        text = text_format("not provisioned: %s", err_text(&err));
    if (text != NULL)
        doctor_add_done(doctor, text);
}

static void install_hook(const struct session *session, struct doctor *doctor)
{
    struct err err = ERR_NONE;
    SCOPED(mem) char *text = NULL;

    if (hooking_install(session, &err) == 0)
        text = text_copy("the hook was installed anew, and watches");
    else
        text = text_format("%s", err_text(&err));
    if (text != NULL)
        doctor_add_done(doctor, text);
}

static bool wants_inside(const struct doctor *doctor)
{
    return wants(doctor, DOCTOR_FIX_START) || wants(doctor, DOCTOR_FIX_REMOVE_SOCKET) ||
           wants(doctor, DOCTOR_FIX_LOAD_FUSE) || wants(doctor, DOCTOR_FIX_SET_CLOCK);
}

/* A unit that runs again, and a socket that is gone, may be all that provisioning would do. */
int doctor_repair(struct session *session, struct doctor *doctor, struct err *err)
{
    int rc = session_check_rights(session, err);

    if (rc == 0 && wants(doctor, DOCTOR_FIX_HOOK))
        install_hook(session, doctor);
    if (rc == 0 && wants_inside(doctor)) {
        SCOPED(link) struct link link = {.machine = NULL};
        SCOPED(guest_facts) struct guest_facts *facts = NULL;
        SCOPED(mem) char *unit = NULL;

        rc = session_connect(session, 0, &link, err);
        if (rc == 0)
            rc = guest_look(link.machine, &facts, err);
        unit = rc < 0 ? NULL : text_format("%s.service", guest_unit_name(facts));
        if (rc == 0)
            rc = unit == NULL ? err_set(err, -ENOMEM, "out of memory")
                              : doctor_mend(link.machine, doctor, unit, err);
    }
    if (rc == 0 && wants(doctor, DOCTOR_FIX_PROVISION))
        provision(session, doctor);
    return rc;
}
