/* SPDX-License-Identifier: Apache-2.0 */
/* helper.c – a credential helper: the program docker-credential-<name> is told `get` and the name
 * of a server, and prints {"ServerURL":…,"Username":…,"Secret":…}
 * (github.com/docker/docker-credential-helpers). */
#include "registry/keychain.h"

#include "base/process.h"

#include <cjson/cJSON.h>
#include <errno.h>

enum { HELPER_NAME_MAX_BYTES = 100 };
enum { HELPER_HOST_MAX_BYTES = 1024 };
enum { HELPER_ANSWER_MAX_BYTES = 64 * 1024 };
enum { HELPER_ERRORS_MAX_BYTES = 4096 }; /* kept of what it says on stderr */
/* Some ask a service in the cloud; a reader in a container waits meanwhile. */
enum { HELPER_TIMEOUT_MS = 15 * 1000 };
enum { COMPLAINT_MAX_BYTES = 200 };
/* Words this long in a complaint may be a token, and are no word. */
enum { WORD_MAX_BYTES = 64 };

/* What all of them print, with exit code 1, when they know of nobody. */
static const char *const nobody[] = {
    "credentials not found in native keychain",
    "no credentials server URL",
    "no credentials username",
};

DEFINE_SCOPED_PTR(helper_json, cJSON, cJSON_Delete)

/* A program of that name in PATH and nothing else. */
static bool is_name(const char *s)
{
    size_t len = strlen(s);

    if (len == 0 || len > HELPER_NAME_MAX_BYTES)
        return false;
    for (; *s != '\0'; s++) {
        bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');

        if (!letter && !(*s >= '0' && *s <= '9') && strchr("._-", *s) == NULL)
            return false;
    }
    return true;
}

/* ---- what it says ---------------------------------------------------------------------------- */

static int keep(char **place, const char *value)
{
    *place = strdup(value);
    return *place == NULL ? -ENOMEM : 0;
}

int helper_answer_parse(struct bytes json, struct registry_credentials *ret, struct err *err)
{
    SCOPED(helper_json)
    cJSON *tree = json.len == 0 ? NULL : cJSON_ParseWithLength((const char *)json.data, json.len);
    const char *user = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "Username"));
    const char *secret = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "Secret"));
    int rc;

    if (!cJSON_IsObject(tree) || user == NULL || secret == NULL)
        return err_set(err, -EBADMSG, "its answer has no Username and Secret");
    if (*secret == '\0')
        return 0;
    if (strcmp(user, "<token>") == 0)
        rc = keep(&ret->identity_token, secret);
    else if ((rc = keep(&ret->username, user)) == 0)
        rc = keep(&ret->password, secret);
    if (rc < 0)
        registry_credentials_fini(ret);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

static size_t trimmed(struct bytes text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]) != NULL)
        text.len--;
    return text.len;
}

static bool knows_nobody(struct bytes out)
{
    size_t len = trimmed(out);

    for (size_t i = 0; i < ARRAY_LEN(nobody); i++) {
        if (len == strlen(nobody[i]) && memcmp(out.data, nobody[i], len) == 0)
            return true;
    }
    return false;
}

/* ---- what it complains of -------------------------------------------------------------------- */

/* One line of printable ASCII, without what might be a secret. `out` holds COMPLAINT_MAX_BYTES + 1.
 */
static void tame(struct bytes text, char *out)
{
    size_t len = 0, word = 0;

    text.len = trimmed(text);
    for (size_t i = 0; i < text.len && len < COMPLAINT_MAX_BYTES; i++) {
        char c = (char)text.data[i];

        if (c == '\n' || c == '\r')
            c = ' ';
        else if (c < ' ' || c > '~')
            c = '?';
        word = c == ' ' ? 0 : word + 1;
        out[len++] = c;
        if (word > WORD_MAX_BYTES) {
            len -= word;
            out[len++] = '*';
            while (i + 1 < text.len && strchr(" \t\r\n", text.data[i + 1]) == NULL)
                i++;
            word = 0;
        }
    }
    /* A word that is cut here may be the beginning of a long one. */
    if (len == COMPLAINT_MAX_BYTES && word > 0)
        len -= word;
    out[len] = '\0';
}

/* By the protocol the reason is on stdout, unless that is an answer; many use stderr. */
static void describe(const struct process_end *end, struct err *err)
{
    struct bytes out = buf_bytes(&end->out), errors = buf_bytes(&end->err);
    bool use_out = trimmed(errors) == 0 && out.len > 0 && memchr(out.data, '{', out.len) == NULL;
    char text[COMPLAINT_MAX_BYTES + 1];

    tame(use_out ? out : errors, text);
    if (end->signal != 0)
        (void)err_set(err, -EAGAIN, "killed by signal %d", end->signal);
    else
        (void)err_set(err, -EAGAIN, "exit code %d%s%s", end->exit_status, *text == '\0' ? "" : ": ",
                      text);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int run(const char *program, const struct helper_call *call, struct process_end *ret,
               struct err *err)
{
    SCOPED(mem) const char **environment = calloc(call->environment->count + 1, sizeof(char *));
    const char *const argv[] = {program, "get", NULL};
    const struct process_run how = {
        .argv = argv,
        .environment = environment,
        .input = bytes_of_str(call->host),
        .max_output_bytes = HELPER_ANSWER_MAX_BYTES,
        .kept_error_bytes = HELPER_ERRORS_MAX_BYTES,
        .is_secret = true,
        .timeout_ms = call->timeout_ms == 0 ? HELPER_TIMEOUT_MS : call->timeout_ms,
        .cancel_fd = call->cancel_fd < 0 ? NULL : &call->cancel_fd,
    };

    if (environment == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < call->environment->count; i++)
        environment[i] = call->environment->items[i];
    return process_run(&how, ret, err);
}

/* It could not be run to its end. */
static int describe_failure(const struct helper_call *call, int rc, struct err *err)
{
    int64_t timeout_ms = call->timeout_ms == 0 ? HELPER_TIMEOUT_MS : call->timeout_ms;

    switch (rc) {
    case -ENOENT:
        return err_set(err, -EAGAIN, "there is no such program in PATH");
    case -ETIMEDOUT:
        return err_set(err, rc, "it did not end within %lld s and was killed",
                       (long long)(timeout_ms + 999) / 1000);
    case -EFBIG:
        return err_set(err, rc, "it says more than %d bytes", HELPER_ANSWER_MAX_BYTES);
    case -ECANCELED:
    case -ENOMEM:
        return rc;
    default:
        return err_sys(err, rc, "it does not run") < 0 ? -EAGAIN : 0;
    }
}

static int ask(const char *program, const struct helper_call *call,
               struct registry_credentials *ret, struct err *err)
{
    SCOPED(process_end) struct process_end end = PROCESS_END_NONE;
    int rc = run(program, call, &end, err);

    if (rc < 0)
        return describe_failure(call, rc, err);
    if (end.exit_status == 0)
        return helper_answer_parse(buf_bytes(&end.out), ret, err);
    if (knows_nobody(buf_bytes(&end.out)))
        return 0;
    describe(&end, err);
    return -EAGAIN;
}

int helper_get(const struct helper_call *call, struct registry_credentials *ret, struct err *err)
{
    SCOPED(mem) char *program = NULL;
    int rc;

    if (!is_name(call->name))
        return err_set(err, -EINVAL, "the credential helper for %s has no proper name", call->host);
    if (strlen(call->host) > HELPER_HOST_MAX_BYTES)
        return err_set(err, -EINVAL, "the name of the host is too long");
    program = text_format("docker-credential-%s", call->name);
    if (program == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = ask(program, call, ret, err);
    return rc < 0 ? err_prefix(err, rc, "%s for %s", program, call->host) : 0;
}
