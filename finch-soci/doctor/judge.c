/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c – from facts of the machine to what is wrong with it. Needs no machine. */
#include "doctor/internal.h"

#include "base/system.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

DEFINE_SCOPED_PTR(probe_json, cJSON, cJSON_Delete)

/* Tokens of registries live for a minute or more, addresses that are signed likewise. */
enum { SKEW_WRONG_S = 30 };
#define DISK_LOW_BYTES (UINT64_C(512) * 1024 * 1024)
enum { DISK_LOW_PERCENT = 5, INODES_LOW_PERCENT = 2 };
#define OUR_PROGRAM "/usr/local/bin/soci-snapshotter-grpc"
#define PACKAGE_PROGRAM "/usr/libexec/finch/soci-snapshotter-grpc"

struct judge {
    struct doctor *doctor;
    const struct doctor_facts *facts;
    const struct doctor_context *context;
};

static void add(const struct judge *j, const char *area, enum doctor_fix fix, const char *mend,
                const char *fmt, ...) PRINTF_LIKE(5, 6);

/* A `mend` for inside the machine gets the way there in place of its sudo. "": it is a note. */
static void add(const struct judge *j, const char *area, enum doctor_fix fix, const char *mend,
                const char *fmt, ...)
{
    struct doctor_finding finding = {.fix = fix, .is_note = mend[0] == '\0'};
    bool inside = strncmp(mend, "sudo ", 5) == 0 && j->context->vm != NULL;
    va_list args;

    (void)snprintf(finding.area, sizeof(finding.area), "%s", area);
    va_start(args, fmt);
    (void)vsnprintf(finding.text, sizeof(finding.text), fmt, args);
    va_end(args);
    (void)snprintf(finding.mend, sizeof(finding.mend), "%s%s", inside ? DOCTOR_INSIDE : "",
                   inside ? mend + 5 : mend);
    doctor_add(j->doctor, &finding);
}

/* Takes the next word off *text; "" at the end. */
static void next_word(const char **text, char *ret, size_t size)
{
    size_t len = strcspn(*text, " ");

    (void)snprintf(ret, size, "%.*s", (int)len, *text);
    *text += len;
    *text += strspn(*text, " ");
}

static uint64_t next_number(const char **text)
{
    char word[32];
    uint64_t number = 0;

    next_word(text, word, sizeof(word));
    return text_parse_u64(word, &number) < 0 ? 0 : number;
}

/* ---- the kernel ------------------------------------------------------------------------------ */

static const char *why_not(const cJSON *probe, const char *name)
{
    const cJSON *ability = cJSON_GetObjectItemCaseSensitive(probe, name);
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ability, "text"));

    if (ability == NULL || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(ability, "works")))
        return NULL;
    return text == NULL || *text == '\0' ? "it does not say why" : text;
}

/* "requests are sent again" and the like, of what works. */
static void tell_kernel(const struct judge *j, bool erofs, bool resend)
{
    doctor_add_fine(j->doctor, "kernel", "FUSE works%s%s",
                    erofs ? "; so does EROFS from plain files" : "",
                    resend ? "; requests are sent again when the snapshotter ends" : "");
}

static void judge_kernel(const struct judge *j)
{
    const char *text = doctor_fact(j->facts, "probe", 0);
    SCOPED(probe_json) cJSON *probe = text == NULL ? NULL : cJSON_Parse(text);
    const char *fuse = why_not(probe, "fuse"), *erofs = why_not(probe, "erofsFile"),
               *resend = why_not(probe, "resend");

    if (doctor_fact(j->facts, "fuse-device", 0) == NULL)
        add(j, "kernel", DOCTOR_FIX_LOAD_FUSE, "sudo modprobe fuse",
            "there is no /dev/fuse, so no layer can be mounted");
    else if (fuse != NULL)
        add(j, "kernel", DOCTOR_FIX_LOAD_FUSE, "sudo modprobe fuse", "FUSE does not work: %s",
            fuse);
    else if (probe != NULL)
        tell_kernel(j, erofs == NULL, resend == NULL);
    if (erofs != NULL)
        add(j, "kernel", DOCTOR_FIX_NONE, "", "no EROFS from plain files: %s", erofs);
    if (resend != NULL && fuse == NULL)
        add(j, "kernel", DOCTOR_FIX_NONE, "",
            "requests are not sent again when the snapshotter ends: %s", resend);
}

/* ---- disks ----------------------------------------------------------------------------------- */

/* Of which the layers take so much; it is what `finch system prune` cannot always free. */
static void cache_text(const struct judge *j, const char *disk, char *ret, size_t size)
{
    const char *kib = doctor_fact(j->facts, "cache", 0);
    char bytes[REPORT_SIZE_BYTES];
    uint64_t cache = 0;

    ret[0] = '\0';
    if (strcmp(disk, "data") != 0 || kib == NULL || text_parse_u64(kib, &cache) < 0)
        return;
    report_format_size(cache < UINT64_MAX / 1024 ? cache * 1024 : UINT64_MAX, bytes);
    (void)snprintf(ret, size, ", layers take %s", bytes);
}

/* Nothing of Finch's is on the machine's boot disk; what fills that is its journal, most often. */
static const char *mend_of_disk(const struct judge *j, const char *name)
{
    return strcmp(name, "boot") == 0 && j->context->vm != NULL ? "sudo journalctl --vacuum-size=64M"
                                                               : "finch system prune";
}

static void tell_disk(const struct judge *j, const char *name, uint64_t free_bytes, uint64_t all)
{
    char left[REPORT_SIZE_BYTES], of[REPORT_SIZE_BYTES];

    report_format_size(free_bytes, left);
    report_format_size(all, of);
    if (all > 0)
        doctor_add_fine(j->doctor, "disk", "%s: %s of %s are free", name, left, of);
}

static void judge_disk(const struct judge *j, const char *disk)
{
    const char *mend;
    uint64_t all, free_bytes, inodes, free_inodes;
    char name[32];

    next_word(&disk, name, sizeof(name));
    mend = mend_of_disk(j, name);
    all = next_number(&disk);
    free_bytes = next_number(&disk);
    inodes = next_number(&disk);
    free_inodes = next_number(&disk);
    if (all > 0 && (free_bytes < DISK_LOW_BYTES / 8 ||
                    (free_bytes < DISK_LOW_BYTES && free_bytes < all / 100 * DISK_LOW_PERCENT))) {
        char left[REPORT_SIZE_BYTES], cache[64];

        report_format_size(free_bytes, left);
        cache_text(j, name, cache, sizeof(cache));
        add(j, "disk", DOCTOR_FIX_NONE, mend, "the disk of %s (%s) is full: %s left%s", name, disk,
            left, cache);
    } else if (inodes > 0 && free_inodes < inodes / 100 * INODES_LOW_PERCENT) {
        add(j, "disk", DOCTOR_FIX_NONE, mend, "the disk of %s (%s) has no room for more files",
            name, disk);
    } else {
        tell_disk(j, name, free_bytes, all);
    }
}

/* Two directories on one disk: all its numbers are the same. */
static bool is_same_disk(const char *a, const char *b)
{
    size_t name_a = strcspn(a, " "), name_b = strcspn(b, " ");
    const char *path = strchr(a, '/');

    return path != NULL && strncmp(a + name_a, b + name_b, (size_t)(path - a) - name_a) == 0;
}

static void judge_disks(const struct judge *j)
{
    const char *disk, *before = NULL;

    for (size_t i = 0; (disk = doctor_fact(j->facts, "disk", i)) != NULL; i++) {
        if (before == NULL || !is_same_disk(disk, before))
            judge_disk(j, disk);
        before = disk;
    }
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static void judge_clock(const struct judge *j)
{
    const char *text = doctor_fact(j->facts, "clock", 0);
    int64_t there, skew = 0;

    if (text == NULL || j->context->after_s == 0 || text_parse_i64(text, &there) < 0)
        return;
    if (there < j->context->before_s)
        skew = there - j->context->before_s;
    else if (there > j->context->after_s)
        skew = there - j->context->after_s;
    if (skew <= -SKEW_WRONG_S || skew >= SKEW_WRONG_S)
        add(j, "clock", DOCTOR_FIX_SET_CLOCK, "finch-soci doctor --fix",
            "the machine's clock is %" PRId64 " s %s this computer's: registries refuse tokens",
            skew < 0 ? -skew : skew, skew < 0 ? "behind" : "ahead of");
    else
        doctor_add_fine(j->doctor, "clock", "as this computer's");
}

/* ---- versions -------------------------------------------------------------------------------- */

/* The first N.N in the text. */
static bool find_version(const char *text, unsigned *major, unsigned *minor)
{
    for (; *text != '\0'; text++) {
        char *end;
        unsigned long first, second;

        if (*text < '0' || *text > '9')
            continue;
        first = strtoul(text, &end, 10);
        if (*end == '.' && end[1] >= '0' && end[1] <= '9') {
            second = strtoul(end + 1, NULL, 10);
            *major = first < 10000 ? (unsigned)first : 0;
            *minor = second < 10000 ? (unsigned)second : 0;
            return true;
        }
        text = end - 1;
    }
    return false;
}

/* nerdctl 2.3 and later pull through containerd's transfer service, which passes the layers' labels
 * on only when it is told to, and unpacks through snapshotters that are listed. */
static void judge_nerdctl(const struct judge *j, const char *nerdctl)
{
    unsigned major = 0, minor = 0, containerd = 0, of_containerd = 0;
    bool is_told = j->context->is_told, transfers;

    if (!find_version(nerdctl, &major, &minor))
        return;
    (void)find_version(j->context->containerd, &containerd, &of_containerd);
    transfers = (major > 2 || (major == 2 && minor >= 3)) && containerd >= 2;
    if (transfers && !is_told)
        add(j, "transfer", DOCTOR_FIX_PROVISION, "finch-soci provision",
            "nerdctl %u.%u pulls through containerd's transfer service, which is not told of "
            "soci: every pull fails",
            major, minor);
    else
        doctor_add_fine(j->doctor, "transfer", "nerdctl %u.%u, containerd %u.%u: %s", major, minor,
                        containerd, of_containerd,
                        transfers ? "its transfer service is told of soci"
                        : is_told ? "the transfer service is not used, and is told of soci"
                                  : "the transfer service is not used");
}

static void judge_versions(const struct judge *j)
{
    const char *nerdctl;

    for (size_t i = 0; (nerdctl = doctor_fact(j->facts, "nerdctl", i)) != NULL; i++)
        judge_nerdctl(j, nerdctl);
}

/* ---- others ---------------------------------------------------------------------------------- */

static void judge_programs(const struct judge *j)
{
    const char *path;

    for (size_t i = 0; (path = doctor_fact(j->facts, "binary", i)) != NULL; i++) {
        char mend[DOCTOR_TEXT_BYTES];

        if (strcmp(path, OUR_PROGRAM) == 0 || strcmp(path, PACKAGE_PROGRAM) == 0)
            continue;
        (void)snprintf(mend, sizeof(mend), "sudo mv %s %s.old", path, path);
        add(j, "programs", DOCTOR_FIX_NONE, doctor_is_word(path) ? mend : "# remove it",
            "another snapshotter is installed: %s", path);
    }
}

/* It cannot start, as it says itself: --fix would try in vain. */
static void judge_failed_unit(const struct judge *j, const char *name, const char *active)
{
    const char *says = j->context->unit_says;
    char mend[DOCTOR_TEXT_BYTES];
    bool is_config = doctor_mend_config(says, j->context->vm, mend);

    add(j, "unit", is_config ? DOCTOR_FIX_NONE : DOCTOR_FIX_START,
        is_config ? mend : "finch-soci doctor --fix", "%s is %s: %s", name, active, says);
}

static void judge_own_unit(const struct judge *j, const char *name, const char *active,
                           const char *result, const char *enabled)
{
    const char *says = j->context->unit_says;
    bool is_told = strcmp(result, "success") != 0;
    char mend[256];

    if (strcmp(active, "active") == 0)
        return;
    (void)snprintf(mend, sizeof(mend), "sudo systemctl unmask %s%s%sfinch-soci doctor --fix", name,
                   system_then, j->context->vm == NULL ? "sudo " : "");
    if (strncmp(enabled, "masked", 6) == 0)
        add(j, "unit", DOCTOR_FIX_NONE, mend, "%s is masked: somebody does not want it to run",
            name);
    else if (says != NULL && *says != '\0')
        judge_failed_unit(j, name, active);
    else
        add(j, "unit", DOCTOR_FIX_START, "finch-soci doctor --fix", "%s is %s%s%s", name, active,
            is_told ? ": " : "", is_told ? result : "");
}

/* One that neither runs nor starts with the machine is in nobody's way. */
static void judge_unit(const struct judge *j, const char *unit)
{
    char name[128], active[32], result[32], enabled[32], mend[256];

    next_word(&unit, name, sizeof(name));
    next_word(&unit, active, sizeof(active));
    next_word(&unit, result, sizeof(result));
    next_word(&unit, enabled, sizeof(enabled));
    if (strcmp(name, j->context->unit) == 0) {
        judge_own_unit(j, name, active, result, enabled);
        return;
    }
    if (strcmp(active, "inactive") == 0 && strncmp(enabled, "enabled", 7) != 0)
        return;
    (void)snprintf(mend, sizeof(mend), "sudo systemctl disable --now %s", name);
    add(j, "unit", DOCTOR_FIX_NONE, doctor_is_word(name) ? mend : "# disable it",
        "another unit starts a snapshotter: %s (%s), %s, %s", name, unit, active, enabled);
}

static void judge_units(const struct judge *j)
{
    const char *unit;

    for (size_t i = 0; (unit = doctor_fact(j->facts, "unit", i)) != NULL; i++)
        judge_unit(j, unit);
}

/* One of lines is deleted, and the file as it was is kept beside it, where containerd does not read
 * it. */
static void judge_entries(const struct judge *j)
{
    const char *entry;

    for (size_t i = 0; (entry = doctor_fact(j->facts, "proxy", i)) != NULL; i++) {
        char name[128], file[256], mend[DOCTOR_TEXT_BYTES];
        uint64_t first, last;

        next_word(&entry, name, sizeof(name));
        next_word(&entry, file, sizeof(file));
        first = next_number(&entry);
        last = next_number(&entry);
        if (strcmp(name, "soci") == 0)
            continue;
        (void)snprintf(mend, sizeof(mend), "sudo sed -i.before %" PRIu64 ",%" PRIu64 "d %s", first,
                       last, file);
        add(j, "containerd", DOCTOR_FIX_NONE,
            doctor_is_word(file) && first > 0 && last >= first ? mend : "# take it out",
            "another entry leads to a snapshotter of SOCI: proxy_plugins.%s in %s, line %" PRIu64
            "; containerd reads that at its next start",
            name, file, first);
    }
}

static void judge_socket(const struct judge *j)
{
    const char *text = doctor_fact(j->facts, "socket", 0);
    char state[16], pid[24], mend[64];

    if (text == NULL)
        return;
    next_word(&text, state, sizeof(state));
    next_word(&text, pid, sizeof(pid));
    if (strcmp(state, "stale") == 0)
        add(j, "socket", DOCTOR_FIX_REMOVE_SOCKET, "finch-soci doctor --fix",
            "nobody listens on the snapshotter's socket, and it is still there");
    else if (strcmp(state, "other") == 0)
        add(j, "socket", DOCTOR_FIX_NONE,
            "sudo rm /run/soci-snapshotter-grpc/soci-snapshotter-grpc.sock",
            "something that is no socket is in the place of the snapshotter's");
    if (strcmp(state, "listens") != 0 || text[0] == '\0' || strcmp(text, OUR_PROGRAM) == 0 ||
        strcmp(text, OUR_PROGRAM " (deleted)") == 0 || strcmp(text, PACKAGE_PROGRAM) == 0 ||
        strncmp(text, "/usr/lib/systemd/", 17) == 0 || strncmp(text, "/lib/systemd/", 13) == 0)
        return;
    (void)snprintf(mend, sizeof(mend), "sudo kill %s", pid);
    add(j, "socket", DOCTOR_FIX_NONE, doctor_is_word(pid) ? mend : "# end it",
        "another program listens on the snapshotter's socket: %s, process %s", text, pid);
}

static void judge_selinux(const struct judge *j)
{
    const char *denied = doctor_fact(j->facts, "denied", 0);
    const char *mode = doctor_fact(j->facts, "selinux", 0);

    if (denied != NULL)
        add(j, "selinux", DOCTOR_FIX_NONE,
            "sudo restorecon -Rv /usr/local/bin /etc/systemd/system /etc/containerd "
            "/etc/soci-snapshotter-grpc",
            "SELinux%s denies the snapshotter something: %s",
            mode != NULL && strcmp(mode, "1") == 0 ? "" : " (permissive)", denied);
    else if (mode != NULL)
        doctor_add_fine(j->doctor, "selinux", "%s, and has denied nothing",
                        strcmp(mode, "1") == 0 ? "enforcing" : "permissive");
}

void doctor_judge(struct doctor *doctor, const struct doctor_facts *facts,
                  const struct doctor_context *context)
{
    const struct judge j = {.doctor = doctor, .facts = facts, .context = context};
    size_t before;

    judge_kernel(&j);
    judge_disks(&j);
    judge_clock(&j);
    judge_versions(&j);
    before = doctor->count;
    judge_programs(&j);
    judge_units(&j);
    judge_entries(&j);
    judge_socket(&j);
    if (doctor->count == before && doctor_fact(facts, "socket", 0) != NULL)
        doctor_add_fine(doctor, "others", "no second snapshotter of SOCI is beside it");
    judge_selinux(&j);
}
