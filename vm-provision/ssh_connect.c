/* SPDX-License-Identifier: Apache-2.0 */
/* ssh_connect.c – socket, handshake, host key, login. */
#include "internal.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/socket.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

enum { KEY_MAX_BYTES = 64 * 1024 };

/* Since which RSA keys sign with SHA-2; servers of today take nothing less. */
enum { LIBSSH2_WITH_RSA_SHA2 = 0x010b00 };

void ssh_disconnect(struct ssh *ssh)
{
    if (ssh->session != NULL) {
        /* A word of goodbye where it can be said at once; nobody waits for the answer. */
        if (!ssh->is_lost)
            (void)libssh2_session_disconnect(ssh->session, "done");
        /* Freeing says goodbye to what is open still, and would stop where that cannot be sent. */
        if (ssh->fd >= 0)
            (void)shutdown(ssh->fd, 2); /* both ways */
        (void)libssh2_session_free(ssh->session);
    }
    socket_close(ssh->fd);
    *ssh = (struct ssh){.fd = -1};
}
DEFINE_SCOPED_VALUE(ssh, struct ssh, ssh_disconnect)

/* ---- socket ---------------------------------------------------------------------------------- */

static int wait_connected(int fd, const int *cancel_fd, int64_t deadline_ms, struct err *err)
{
    int64_t left_ms = deadline_ms - clock_mono_ms();
    struct pollfd fds[2] = {{.fd = fd, .events = POLLOUT}, {.fd = *cancel_fd, .events = POLLIN}};
    int ready = left_ms <= 0 ? 0 : socket_poll(fds, 2, (int)left_ms), why;

    if (ready < 0 && ready != -EINTR)
        return err_sys(err, ready, "poll");
    if (ready <= 0)
        return err_set(err, -EAGAIN, "no answer in time");
    if (fds[1].revents != 0)
        return err_set(err, -ECANCELED, "ended on request");
    why = socket_connect_result(fd);
    return why == 0 ? 0 : err_set(err, -EAGAIN, "%s", system_error_text(-why));
}

static int connect_to(const struct addrinfo *address, const int *cancel_fd, int64_t deadline_ms,
                      int *ret, struct err *err)
{
    int fd = socket_open(address->ai_family, SOCK_STREAM);
    const int one = 1;
    int rc;

    if (fd < 0)
        return err_sys(err, fd, "socket");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, (const void *)&one, sizeof(one));
    rc = socket_connect(fd, address->ai_addr, address->ai_addrlen);
    if (rc == -EINPROGRESS)
        rc = wait_connected(fd, cancel_fd, deadline_ms, err);
    else if (rc < 0)
        rc = err_set(err, -EAGAIN, "%s", system_error_text(-rc));
    if (rc < 0)
        socket_close(fd);
    else
        *ret = fd;
    return rc;
}

static int open_socket(const struct machine_ssh *options, const int *cancel_fd, int64_t deadline_ms,
                       int *ret, struct err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    char port[12];
    int rc;

    (void)snprintf(port, sizeof(port), "%u", options->port == 0 ? 22 : options->port);
    rc = getaddrinfo(options->host, port, &hints, &addresses);
    if (rc != 0)
        return err_set(err, rc == EAI_AGAIN ? -EAGAIN : -ENOENT, "%s: %s", options->host,
                       gai_strerror(rc));
    rc = -EAGAIN;
    for (const struct addrinfo *a = addresses; a != NULL && rc == -EAGAIN; a = a->ai_next)
        rc = connect_to(a, cancel_fd, deadline_ms, ret, err);
    freeaddrinfo(addresses);
    return rc < 0 ? err_prefix(err, rc, "%s port %s", options->host, port) : 0;
}

/* ---- host key -------------------------------------------------------------------------------- */

static void free_known(LIBSSH2_KNOWNHOSTS *known)
{
    libssh2_knownhost_free(known);
}
DEFINE_SCOPED_PTR(known_hosts, LIBSSH2_KNOWNHOSTS, free_known)

static int check_host_key(struct ssh *ssh, const struct machine_ssh *options, struct err *err)
{
    SCOPED(known_hosts) LIBSSH2_KNOWNHOSTS *known = NULL;
    size_t len = 0;
    int type = 0;
    const char *key;

    if (options->known_hosts == NULL)
        return 0;
    key = libssh2_session_hostkey(ssh->session, &len, &type);
    known = libssh2_knownhost_init(ssh->session);
    if (key == NULL || known == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (libssh2_knownhost_readfile(known, options->known_hosts, LIBSSH2_KNOWNHOST_FILE_OPENSSH) < 0)
        return err_set(err, -EACCES, "%s with the known host keys cannot be read",
                       options->known_hosts);
    switch (libssh2_knownhost_checkp(
        known, options->host, options->port == 0 ? 22 : (int)options->port, key, len,
        LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW, NULL)) {
    case LIBSSH2_KNOWNHOST_CHECK_MATCH:
        return 0;
    case LIBSSH2_KNOWNHOST_CHECK_NOTFOUND:
        return err_set(err, -EACCES, "the host key of %s is not in %s", options->host,
                       options->known_hosts);
    default:
        return err_set(err, -EACCES, "the host key of %s is another than in %s", options->host,
                       options->known_hosts);
    }
}

/* ---- login ----------------------------------------------------------------------------------- */

/* By the public half beside it, else by the private half's first line. */
static bool is_rsa(const char *identity)
{
    SCOPED(mem) char *path = text_format("%s.pub", identity);
    SCOPED(buf_value) struct buf key = BUF_EMPTY;
    const char *text;

    if (path == NULL || (file_read(path, KEY_MAX_BYTES, &key, NULL) < 0 &&
                         file_read(identity, KEY_MAX_BYTES, &key, NULL) < 0))
        return false;
    text = buf_str(&key);
    return text != NULL && (text_has_prefix(text, "ssh-rsa ") ||
                            text_has_prefix(text, "-----BEGIN RSA PRIVATE KEY-----"));
}

static int refused(struct ssh *ssh, const struct machine_ssh *options, struct err *err)
{
    char *text = NULL;

    if (is_rsa(options->identity) && libssh2_version(LIBSSH2_WITH_RSA_SHA2) == NULL)
        return err_set(
            err, -EACCES,
            "%s is an RSA key, for which this build's libssh2 %s is too old (1.11 is needed): "
            "use an ed25519 key",
            options->identity, LIBSSH2_VERSION);
    (void)libssh2_session_last_error(ssh->session, &text, NULL, 0);
    return err_set(err, -EACCES, "%s is not let in with %s: %s", options->user, options->identity,
                   text == NULL || *text == '\0' ? "refused" : text);
}

static int log_in(struct ssh *ssh, const struct machine_ssh *options, int64_t deadline_ms,
                  struct err *err)
{
    SCOPED(buf_value) struct buf key = BUF_EMPTY;
    int rc;

    rc = file_read(options->identity, KEY_MAX_BYTES, &key, err);
    if (rc < 0)
        return rc == -ENOENT ? err_prefix(err, rc, "key") : err_prefix(err, -EACCES, "key");
    if (buf_str(&key) == NULL) /* libssh2 up to 1.10 takes the key for text, without its length */
        return err_set(err, -ENOMEM, "out of memory");
    SSH_CALL(ssh, deadline_ms, rc,
             libssh2_userauth_publickey_frommemory(ssh->session, options->user,
                                                   strlen(options->user), NULL, 0,
                                                   (const char *)key.data, key.len, ""),
             err);
    system_wipe(key.data, key.len);
    if (rc == 0)
        return 0;
    if (rc == SSH_WAIT_FAILED)
        return err->code;
    if (rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED || rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED ||
        rc == LIBSSH2_ERROR_FILE || rc == LIBSSH2_ERROR_PUBLICKEY_UNRECOGNIZED ||
        rc == LIBSSH2_ERROR_METHOD_NOT_SUPPORTED)
        return refused(ssh, options, err);
    rc = ssh_error(ssh, err, "login");
    return ssh->is_lost ? rc : err_prefix(err, rc, "the key %s", options->identity);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int shake_hands(struct ssh *ssh, int64_t deadline_ms, struct err *err)
{
    int rc;

    ssh->session = libssh2_session_init();
    if (ssh->session == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    libssh2_session_set_blocking(ssh->session, 0);
    libssh2_keepalive_config(ssh->session, 1, 15);
    SSH_CALL(ssh, deadline_ms, rc, libssh2_session_handshake(ssh->session, ssh->fd), err);
    if (rc == 0)
        return 0;
    /* A machine that boots accepts and closes, or its forwarder does: all of that may be over soon.
     */
    rc = rc == SSH_WAIT_FAILED ? err->code : ssh_error(ssh, err, "handshake");
    return rc == -ECANCELED || rc == -ENOMEM ? rc
                                             : err_prefix(err, -EAGAIN, "no SSH server answers");
}

int ssh_connect(const struct machine_ssh *options, const int *cancel_fd, struct ssh *ret,
                struct err *err)
{
    int64_t timeout_ms = options->timeout_ms == 0 ? 10000 : options->timeout_ms;
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    SCOPED(ssh) struct ssh ssh = {.fd = -1, .cancel_fd = cancel_fd, .timeout_ms = timeout_ms};
    struct err own = ERR_NONE;
    int rc = open_socket(options, cancel_fd, deadline_ms, &ssh.fd, &own);

    if (rc == 0)
        rc = shake_hands(&ssh, deadline_ms, &own);
    if (rc == 0)
        rc = check_host_key(&ssh, options, &own);
    if (rc == 0)
        rc = log_in(&ssh, options, deadline_ms, &own);
    if (rc < 0)
        return err_set(err, rc, "%s", err_text(&own));
    *ret = ssh;
    ssh = (struct ssh){.fd = -1};
    return 0;
}
