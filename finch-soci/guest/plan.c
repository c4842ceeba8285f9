/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c – facts, bundle and options become steps: all that is decided is decided here.
 *
 * The order matters to a machine that loses its power half way: Finch's script installs everything
 * of its own, unit and drop-ins too, unless /usr/local/bin/soci is there. So that comes last of
 * what the script cares for. */
#include "internal.h"

#include <errno.h>

#define UNIT_EFFECTS "reload,daemon"

/* ---- steps ----------------------------------------------------------------------------------- */

static int add_step(struct guest_plan *plan, enum guest_verb verb, const char *path,
                    const char *effects, struct guest_step **ret, struct err *err)
{
    struct guest_step *step = &plan->steps[plan->count];

    if (plan->count == GUEST_STEPS_MAX)
        return err_set(err, -EFBIG, "a plan of too many steps");
    *step = (struct guest_step){.verb = verb, .effects = effects, .path = text_copy(path)};
    plan->count++; /* whoever frees the plan frees it */
    if (path != NULL && step->path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = step;
    return 0;
}

static bool is_there(const struct guest_file *file, unsigned mode, const char *sha256)
{
    return file != NULL && file->kind == GUEST_FILE && file->mode == mode && file->uid == 0 &&
           file->gid == 0 && strcmp(file->sha256, sha256) == 0;
}

static int keep_before(struct guest_step *step, const struct guest_file *file, struct err *err)
{
    if (file == NULL || file->kind == GUEST_NONE)
        return 0;
    step->was_there = true;
    if (buf_add(&step->before, file->content.data, file->content.len) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

/* A file that shall hold `content`; nothing when it does. */
struct put {
    const char *path, *effects;
    unsigned mode;
    struct bytes content;
    enum guest_verb verb;
    bool is_program; /* the bytes are the bundle's and need no copy */
};

static int put_file(struct guest_plan *plan, const struct guest_facts *facts, const struct put *put,
                    struct err *err)
{
    const struct guest_file *file = guest_file(facts, put->path);
    struct guest_step *step = NULL;
    struct digest digest;
    char hex[2 * DIGEST_BYTES + 1];
    int rc = digest_of(put->content, &digest);

    if (rc < 0)
        return err_set(err, rc, "out of memory");
    digest_hex(&digest, hex);
    if (is_there(file, put->mode, hex))
        return 0;
    rc = add_step(plan, put->verb, put->path, put->effects, &step, err);
    if (rc < 0)
        return rc;
    step->mode = put->mode;
    step->is_program = put->is_program;
    memcpy(step->sha256, hex, sizeof(step->sha256));
    if (!put->is_program && buf_add(&step->own, put->content.data, put->content.len) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    step->content = put->is_program ? put->content : buf_bytes(&step->own);
    return keep_before(step, file, err);
}

static int put_text(struct guest_plan *plan, const struct guest_facts *facts, const char *path,
                    const char *text, const char *effects, struct err *err)
{
    const struct put put = {.path = path,
                            .effects = effects,
                            .mode = 0644,
                            .content = bytes_of_str(text),
                            .verb = GUEST_PUT};

    return put_file(plan, facts, &put, err);
}

static int put_link(struct guest_plan *plan, const struct guest_facts *facts, const char *path,
                    const char *target, struct err *err)
{
    const struct guest_file *file = guest_file(facts, path);
    struct guest_step *step = NULL;
    int rc;

    if (file != NULL && file->kind == GUEST_LINK && file->is_whole &&
        bytes_equal(buf_bytes(&file->content), bytes_of_str(target)))
        return 0;
    rc = add_step(plan, GUEST_PUT_LINK, path, "reload", &step, err);
    if (rc < 0)
        return rc;
    if (buf_add_str(&step->own, target) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    step->content = buf_bytes(&step->own);
    return keep_before(step, file, err);
}

static int put_program(struct guest_plan *plan, const struct guest_facts *facts,
                       const struct bundle *bundle, const char *name, const char *path,
                       const char *effects, struct err *err)
{
    const struct bundle_file *file = bundle_find(bundle, name);
    struct put put = {.path = path, .effects = effects, .verb = GUEST_PUT, .is_program = true};

    if (file == NULL)
        return err_set(err, -EBADMSG, "the bundle has no %s", name);
    put.mode = file->mode;
    put.content = file->content;
    return put_file(plan, facts, &put, err);
}

/* ---- the units ------------------------------------------------------------------------------- */

/* What may stand in a line of Environment=, quoted. */
static bool is_plain(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || strchr("\"\\%$`", *c) != NULL)
            return false;
    return true;
}

static int add_environment(const struct guest_facts *facts, struct buf *ret, struct err *err)
{
    const char *home = guest_value(facts, "lima-HOME"), *uid = guest_value(facts, "lima-UID");
    const char *finch_dir = guest_value(facts, "finch-dir");
    uint64_t number;
    int rc = 0;

    if (!is_plain(home) || !is_plain(finch_dir))
        return err_set(err, -EBADMSG, "the home of the guest's user is no usable path");
    /* In WSL the user's directory of Finch is on the Windows drive, and its helpers need no socket.
     */
    if (finch_dir[0] == '/')
        rc = buf_addf(ret, "Environment=\"DOCKER_CONFIG=%s\"\n", finch_dir);
    else if (home[0] == '/')
        rc = buf_addf(ret, "Environment=\"DOCKER_CONFIG=%s/.finch-vm-config\"\n", home);
    if (rc == 0 && text_parse_u64(uid, &number) == 0)
        rc = buf_addf(ret, "Environment=SUDO_UID=%s\n", uid);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

/* Finch's override.conf has a literal $HOME, which systemd does not expand; ours is read later.
 * Lima writes the proxies of the host into /etc/environment, which only logins are given by itself.
 * The data disk is mounted over the directory of data late in the boot, and containerd is restarted
 * then: the daemon waits for that instead of starting on the directory below. */
static int add_drop_in(const struct guest_facts *facts, struct buf *ret, struct err *err)
{
    int rc = buf_add_str(ret, "# Written by finch-soci; `finch-soci disable` removes it.\n");

    if (rc == 0 && guest_flag(facts, "data-disk"))
        rc = buf_add_str(ret,
                         "[Unit]\nConditionPathIsMountPoint=/var/lib/soci-snapshotter-grpc\n\n");
    rc = rc == 0 ? buf_add_str(ret, "[Service]\nEnvironmentFile=-/etc/environment\n") : rc;
    return rc < 0 ? err_set(err, rc, "out of memory") : add_environment(facts, ret, err);
}

static int plan_own_unit(struct guest_plan *plan, const struct guest_facts *facts, struct err *err)
{
    SCOPED(buf_value) struct buf drop_in = BUF_EMPTY;
    int rc = put_text(plan, facts, GUEST_UNIT, guest_unit_text, UNIT_EFFECTS, err);

    if (rc == 0 && guest_flag(facts, "lima"))
        rc = put_text(plan, facts, GUEST_FINCH_CONF,
                      "[Unit]\nPartOf=containerd.service\n\n[Service]\nKillSignal=SIGTERM\n",
                      UNIT_EFFECTS, err);
    if (rc == 0 && guest_flag(facts, "lima")) {
        rc = add_drop_in(facts, &drop_in, err);
        if (rc == 0 && buf_str(&drop_in) == NULL)
            rc = err_set(err, -ENOMEM, "out of memory");
        if (rc == 0)
            rc = put_text(plan, facts, GUEST_DROP_IN, buf_str(&drop_in), UNIT_EFFECTS, err);
    }
    return rc == 0 ? put_link(plan, facts, GUEST_WANTED, GUEST_UNIT, err) : rc;
}

/* ---- Finch's package, where there is no virtual machine ---------------------------------------
 */

/* The arguments of the unit's ExecStart: what is behind its program. New; NULL: none, or -ENOMEM.
 */
static char *arguments_of(struct bytes unit)
{
    SCOPED(buf_value) struct buf copy = BUF_EMPTY;
    char *text, *found, *space;

    if (buf_add(&copy, unit.data, unit.len) < 0 || (text = buf_str(&copy)) == NULL)
        return NULL;
    found = strstr(text, "\nExecStart=");
    if (found == NULL)
        return NULL;
    found += strlen("\nExecStart=");
    found[strcspn(found, "\r\n")] = '\0';
    space = strchr(found, ' ');
    return text_copy(space == NULL ? "" : space);
}

static int plan_package(struct guest_plan *plan, const struct guest_facts *facts,
                        const struct guest_file *unit, struct err *err)
{
    SCOPED(mem) char *arguments = arguments_of(buf_bytes(&unit->content));
    SCOPED(mem) char *text = NULL;

    if (arguments == NULL || arguments[strlen(arguments) - (arguments[0] != '\0')] == '\\')
        return err_set(err, -EINVAL, "%s has no ExecStart of one line", unit->path);
    text = text_format("# Written by finch-soci; `finch-soci disable` removes it.\n"
                       "[Service]\nExecStart=\nExecStart=%s%s\n",
                       GUEST_PROGRAM, arguments);
    if (text == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    return put_text(plan, facts, GUEST_PACKAGE_DROP_IN, text, UNIT_EFFECTS, err);
}

static int plan_default(struct guest_plan *plan, const struct guest_facts *facts, struct err *err)
{
    const struct guest_file *file = guest_file(facts, GUEST_NERDCTL_CONFIG);
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct put put = {.path = GUEST_NERDCTL_CONFIG, .effects = "none", .verb = GUEST_PUT};
    int rc;

    if (file == NULL || file->kind != GUEST_FILE || !file->is_whole)
        return err_set(err, -ENOENT, "%s is not there, so nothing can be made the default",
                       GUEST_NERDCTL_CONFIG);
    rc = toml_set(buf_bytes(&file->content), "", "snapshotter", "\"soci\"", &text, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s", file->path);
    put.mode = file->mode;
    put.content = buf_bytes(&text);
    return put_file(plan, facts, &put, err);
}

/* ---- configurations -------------------------------------------------------------------------- */

/* The path goes to a script as one word, and is no pattern there. */
static int check_containerd_config(const struct guest_facts *facts, struct err *err)
{
    const char *path = guest_containerd_config(facts);
    const struct guest_file *file = guest_file(facts, path);
    bool is_told = guest_value(facts, "containerd-config")[0] != '\0';

    if (path[0] != '/' || path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                            "0123456789/._+-")] != '\0')
        return err_set(err, -EINVAL,
                       "containerd reads its configuration from \"%s\", a name that is not "
                       "handled: rename it to one of letters and digits",
                       path);
    if (is_told && (file == NULL || file->kind != GUEST_FILE))
        return err_set(err, -ENOENT,
                       "containerd reads its configuration from %s, which is no file: put one "
                       "there, or start containerd without --config",
                       path);
    return 0;
}

static int plan_containerd(struct guest_plan *plan, const struct guest_facts *facts,
                           struct err *err)
{
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    const char *path = NULL;
    struct put put = {.mode = 0644, .effects = "containerd", .verb = GUEST_PUT};
    const struct guest_file *file;
    int rc = check_containerd_config(facts, err);

    if (rc == 0)
        rc = containerd_config_want(facts, &path, &content, err);
    if (rc < 0 || path == NULL)
        return rc;
    file = guest_file(facts, path);
    put.path = path;
    put.content = buf_bytes(&content);
    if (strcmp(path, guest_containerd_config(facts)) == 0) {
        put.verb = GUEST_PUT_BLOCK;
        put.mode = file != NULL && file->kind == GUEST_FILE ? file->mode : 0644;
    }
    return put_file(plan, facts, &put, err);
}

static int plan_daemon(struct guest_plan *plan, const struct guest_facts *facts, bool force,
                       struct err *err)
{
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    const struct guest_file *file = guest_file(facts, GUEST_DAEMON_CONFIG);
    struct put put = {
        .path = GUEST_DAEMON_CONFIG, .mode = 0644, .effects = "daemon", .verb = GUEST_PUT};
    bool set = false;
    int rc = daemon_config_want(facts, force, &set, &content, err);

    if (rc < 0 || !set)
        return rc;
    put.content = buf_bytes(&content);
    if (file != NULL && file->kind == GUEST_FILE)
        put.mode = file->mode;
    return put_file(plan, facts, &put, err);
}

/* ---- another snapshotter --------------------------------------------------------------------- */

static int plan_swap(struct guest_plan *plan, const struct guest_facts *facts,
                     const struct guest_options *options, const struct bundle *bundle,
                     struct err *err)
{
    struct guest_step *step = NULL;

    if (!guest_is_foreign(facts, bundle))
        return 0;
    if (facts->running.count > 0 && !options->now)
        return others_busy(facts, "swapped, and --now removes them", err);
    return add_step(plan, GUEST_SWAP, NULL, UNIT_EFFECTS, &step, err);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool has_effect(const struct guest_plan *plan, const char *effect)
{
    for (size_t i = 0; i < plan->count; i++)
        if (strstr(plan->steps[i].effects, effect) != NULL)
            return true;
    return false;
}

static int mend(struct guest_plan *plan, const char *effect, bool is_needed, struct err *err)
{
    struct guest_step *step = NULL;

    if (!is_needed || has_effect(plan, effect))
        return 0;
    return add_step(plan, GUEST_EFFECTS, NULL, effect, &step, err);
}

/* Files are as they should be, and still something is not: a run was killed, or somebody stopped
 * the daemon, or containerd was not restarted. */
static int plan_mending(struct guest_plan *plan, const struct guest_facts *facts, struct err *err)
{
    char unit[64];
    int rc;

    (void)snprintf(unit, sizeof(unit), "unit %s", guest_unit_name(facts));
    rc =
        mend(plan, "daemon",
             strcmp(guest_value(facts, unit), "active") != 0 || !guest_flag(facts, "answers"), err);
    if (rc == 0)
        rc = mend(plan, "containerd", strstr(guest_value(facts, "plugin"), " ok") == NULL, err);
    if (rc == 0 && plan->count == 0)
        rc = mend(plan, "pending",
                  guest_value(facts, "pending")[0] != '\0' ||
                      guest_value(facts, "applied")[0] == '\0',
                  err);
    return rc;
}

/* What they have of a lazy layer goes with the daemon that mounted it. One that does not serve is
 * of no use to them. */
static int check_restart(const struct guest_plan *plan, const struct guest_facts *facts,
                         const struct guest_options *options, struct err *err)
{
    char unit[64];

    (void)snprintf(unit, sizeof(unit), "unit %s", guest_unit_name(facts));
    if (options->now || facts->running.count == 0 || !guest_flag(facts, "answers") ||
        strcmp(guest_value(facts, unit), "active") != 0 ||
        (!has_effect(plan, "daemon") && !has_effect(plan, "containerd")))
        return 0;
    return others_busy(facts, "restarted, and with --now cannot read what they have not read yet",
                       err);
}

static int plan_all(struct guest_plan *plan, const struct guest_facts *facts,
                    const struct guest_options *options, const struct bundle *bundle,
                    struct err *err)
{
    const struct guest_file *package = guest_package_unit(facts);
    const char *wants = NULL;
    int rc = others_check(facts, err);

    if (rc == 0)
        rc = plan_swap(plan, facts, options, bundle, err);
    if (rc == 0)
        rc = put_program(plan, facts, bundle, "bin/soci-snapshotter-grpc", GUEST_PROGRAM, "daemon",
                         err);
    if (rc == 0)
        rc = package == NULL ? plan_own_unit(plan, facts, err)
                             : plan_package(plan, facts, package, err);
    /* PartOf= of the daemon's stops it with containerd; nothing else starts it again. */
    wants = package == NULL ? "[Unit]\nWants=soci-snapshotter.service\n"
                            : "[Unit]\nWants=finch-soci.service\n";
    if (rc == 0)
        rc = put_text(plan, facts, GUEST_CONTAINERD_DROP_IN, wants, "reload", err);
    if (rc == 0)
        rc = plan_daemon(plan, facts, options->force, err);
    if (rc == 0)
        rc = put_program(plan, facts, bundle, "bin/soci", GUEST_SOCI, "none", err);
    if (rc == 0 && package != NULL && guest_flag(facts, "libexec"))
        rc = put_link(plan, facts, GUEST_PACKAGE_SOCI, GUEST_SOCI, err);
    if (rc == 0 && package != NULL && options->is_default)
        rc = plan_default(plan, facts, err);
    if (rc == 0)
        rc = plan_containerd(plan, facts, err);
    if (rc == 0)
        rc = plan_mending(plan, facts, err);
    return rc == 0 ? check_restart(plan, facts, options, err) : rc;
}

int guest_plan_new(const struct guest_facts *facts, const struct guest_options *options,
                   struct bundle *bundle, struct guest_plan **ret, struct err *err)
{
    SCOPED(guest_plan) struct guest_plan *plan = calloc(1, sizeof(*plan));
    int rc;

    if (plan == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (!guest_flag(facts, "systemd"))
        return err_set(err, -EOPNOTSUPP,
                       "this machine runs no systemd, which has to start the daemon");
    if (containerd_major(guest_value(facts, "containerd")) == 0)
        return err_set(err, -EOPNOTSUPP, "this machine has no containerd");
    plan->version = text_copy(bundle_version(bundle));
    plan->containerd_config = text_copy(guest_containerd_config(facts));
    if (plan->version == NULL || plan->containerd_config == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    plan->now = options->now;
    plan->unit = guest_unit_name(facts);
    plan->root = guest_package_unit(facts) == NULL ? "/var/lib/soci-snapshotter-grpc"
                                                   : "/var/lib/finch/soci";
    rc = plan_all(plan, facts, options, bundle, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(plan);
    return 0;
}

void guest_plan_free(struct guest_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->steps[i].path);
        buf_fini(&plan->steps[i].own);
        buf_fini(&plan->steps[i].before);
    }
    text_list_fini(&plan->running);
    free(plan->version);
    free(plan->containerd_config);
    free(plan);
}

bool guest_plan_is_empty(const struct guest_plan *plan)
{
    return plan->count == 0;
}
