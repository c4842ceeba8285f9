/* SPDX-License-Identifier: Apache-2.0 */
/* guest.c – whose Docker configuration it is, in particular inside Finch's virtual machine: there
 * the daemon runs as root, and the credentials are those of the user who has made the machine. */
#include "registry/keychain.h"

#include "base/files.h"

#include <errno.h>
#include <pwd.h>

/* Lima's disk of facts about the machine. */
#define LIMA_ENV "/mnt/lima-cidata/lima.env"
/* Another file in its place, for tests. */
#define LIMA_ENV_VARIABLE "SOCI_LIMA_ENV"
/* Where Finch keeps the config.json of its guest, below the user's home. */
#define FINCH_CONFIG_DIR ".finch-vm-config"
enum { LIMA_ENV_MAX_BYTES = 64 * 1024 };

extern char **environ;

static const char *get(const char *variable)
{
    const char *value = getenv(variable);

    return value != NULL && *value != '\0' ? value : NULL;
}

/* ---- lima.env -------------------------------------------------------------------------------- */

void guest_fini(struct guest *guest)
{
    free(TAKE(guest->uid));
    free(TAKE(guest->home));
}

/* NAME=value or NAME="value"; new. NULL: not there, empty, or out of memory. */
static char *find_value(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = text; *line != '\0'; line += strspn(line, "\r\n")) {
        size_t end = strcspn(line, "\r\n");

        if (strncmp(line, name, len) == 0 && line[len] == '=') {
            const char *value = line + len + 1;
            size_t value_len = end - len - 1;

            if (value_len >= 2 && (*value == '"' || *value == '\'') &&
                value[value_len - 1] == *value) {
                value++;
                value_len -= 2;
            }
            return value_len == 0 ? NULL : strndup(value, value_len);
        }
        line += end;
    }
    return NULL;
}

/* The name of the user becomes part of a path. */
static char *default_home(const char *text)
{
    SCOPED(mem) char *user = find_value(text, "LIMA_CIDATA_USER");

    return user == NULL || strchr(user, '/') != NULL ? NULL : text_format("/home/%s.linux", user);
}

int guest_read(struct guest *ret)
{
    const char *path = get(LIMA_ENV_VARIABLE);
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    uint64_t number;
    char *s;

    *ret = (struct guest){.uid = NULL};
    if (file_read(path == NULL ? LIMA_ENV : path, LIMA_ENV_MAX_BYTES, &text, NULL) < 0)
        return 0;
    s = buf_str(&text);
    if (s == NULL)
        return -ENOMEM;
    ret->uid = find_value(s, "LIMA_CIDATA_UID");
    ret->home = find_value(s, "LIMA_CIDATA_HOME");
    if (ret->home == NULL)
        ret->home = default_home(s);
    if (ret->uid == NULL || text_parse_u64(ret->uid, &number) < 0 || ret->home == NULL ||
        *ret->home != '/')
        guest_fini(ret); /* it does not say enough */
    return 0;
}

/* ---- where config.json is -------------------------------------------------------------------- */

/* What follows a home directory that nobody has put in: systemd does not expand $HOME in a unit's
 * Environment=. NULL: it does not begin so. */
static const char *behind_home(const char *dir)
{
    static const char *const homes[] = {"$HOME", "${HOME}", "~"};

    for (size_t i = 0; i < ARRAY_LEN(homes); i++) {
        const char *rest = dir + strlen(homes[i]);

        if (text_has_prefix(dir, homes[i]) && (*rest == '/' || *rest == '\0'))
            return rest;
    }
    return NULL;
}

int guest_config_dir(const struct guest *guest, char **ret)
{
    const char *dir = get("DOCKER_CONFIG");
    const char *rest = dir == NULL || guest->uid == NULL ? NULL : behind_home(dir);
    SCOPED(mem) char *finch = NULL;

    *ret = NULL;
    if (rest != NULL)
        *ret = text_format("%s%s", guest->home, rest);
    else if (dir != NULL)
        *ret = text_copy(dir);
    if (dir != NULL)
        return *ret == NULL ? -ENOMEM : 0;
    if (guest->uid != NULL) {
        finch = path_join(guest->home, FINCH_CONFIG_DIR);
        if (finch == NULL)
            return -ENOMEM;
        if (path_exists(finch)) {
            *ret = TAKE(finch);
            return 0;
        }
    }
    if (get("HOME") == NULL)
        return 0;
    *ret = path_join(get("HOME"), ".docker");
    return *ret == NULL ? -ENOMEM : 0;
}

/* ---- a helper's environment ------------------------------------------------------------------ */

static bool is_of(const char *entry, const char *variable)
{
    size_t len = strlen(variable);

    return strncmp(entry, variable, len) == 0 && entry[len] == '=';
}

/* What goes between systemd and us alone; and what is added again, completed. */
static bool is_left_out(const char *entry)
{
    static const char *const ours[] = {"DOCKER_CONFIG", "NOTIFY_SOCKET",  "LISTEN_FDS",
                                       "LISTEN_PID",    "LISTEN_FDNAMES", "WATCHDOG_USEC",
                                       "WATCHDOG_PID"};

    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        if (is_of(entry, ours[i]))
            return true;
    }
    return false;
}

static int add_variable(struct text_list *list, const char *name, const char *value)
{
    SCOPED(mem) char *entry = text_format("%s=%s", name, value);

    return entry == NULL ? -ENOMEM : text_list_add(list, entry);
}

/* A service of systemd's has no HOME, and helpers keep their files there. */
static int add_own_home(struct text_list *list)
{
    struct passwd entry, *found = NULL;
    char space[4096];

    if (getpwuid_r(geteuid(), &entry, space, sizeof(space), &found) != 0 || found == NULL)
        return 0;
    return add_variable(list, "HOME", entry.pw_dir);
}

int guest_environment(const struct guest *guest, const char *config_dir, struct text_list *ret)
{
    int rc = 0;

    for (char **entry = environ; rc == 0 && *entry != NULL; entry++) {
        if (!is_left_out(*entry))
            rc = text_list_add(ret, *entry);
    }
    if (rc == 0 && get("DOCKER_CONFIG") != NULL)
        rc = add_variable(ret, "DOCKER_CONFIG", config_dir);
    if (rc == 0 && get("HOME") == NULL)
        rc = add_own_home(ret);
    /* Finch's helper goes to the socket of the user who has called sudo; that one is asked for when
     * nobody has. */
    if (rc == 0 && guest->uid != NULL && get("SUDO_UID") == NULL)
        rc = add_variable(ret, "SUDO_UID", guest->uid);
    return rc;
}
