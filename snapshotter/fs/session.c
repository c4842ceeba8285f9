/* SPDX-License-Identifier: Apache-2.0 */
/* session.c – one libfuse session of a mount, from mount(2) to stop, whatever it shows.
 *
 * Node ids and file handles are functions of the layer, so nothing that the kernel remembers
 * depends on this process's memory. */
#include "fs/fuse.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>

/* Reads of one mount that may wait for the network together; more of them queue in the kernel, and
 * then a read whose bytes are here would wait with them. */
enum { FUSE_MAX_BACKGROUND = 512 };
enum { FUSE_HELLO_TIMEOUT_MS = 10000 };

void session_agree(struct fuse_mount *f, struct fuse_conn_info *conn, unsigned wanted)
{
    conn->want = conn->capable & (wanted | FUSE_CAP_ASYNC_READ | FUSE_CAP_NO_OPEN_SUPPORT |
                                  FUSE_CAP_NO_OPENDIR_SUPPORT);
    conn->max_write = READ_BUFFER_BYTES; /* bounds reads too, as max_pages */
    conn->max_background = FUSE_MAX_BACKGROUND;
    conn->congestion_threshold = FUSE_MAX_BACKGROUND / 4 * 3;
    f->has_no_open = (conn->want & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
    f->has_no_opendir = (conn->want & FUSE_CAP_NO_OPENDIR_SUPPORT) != 0;
    f->is_ready = true;
}

/* ---- serving --------------------------------------------------------------------------------- */

static struct fuse_mount *of_channel(struct fs_channel *channel)
{
    return (struct fuse_mount *)(void *)((char *)channel - offsetof(struct fuse_mount, channel));
}

static int serve(struct fs_channel *channel, void *buffer)
{
    struct fuse_mount *f = of_channel(channel);
    ssize_t n = read(channel->fd, buffer, LOOP_BUFFER_BYTES);

    if (n < 0) {
        /* ENOENT: the request was taken back while we read it */
        if (errno == EINTR || errno == ENOENT)
            return 0;
        return -errno; /* ENODEV: unmounted; ECONNABORTED: cut by hand */
    }
    fuse_session_process_buf(f->session, &(struct fuse_buf){.mem = buffer, .size = (size_t)n});
    return 0;
}

static void gone(struct fs_channel *channel)
{
    fs_mount_set_gone(of_channel(channel)->mount);
}

/* The kernel's hello is its first request. Answering it here means that a mount which was made is
 * served. */
static int answer_hello(struct fuse_mount *f, struct err *err)
{
    SCOPED(mem) void *buffer = malloc(LOOP_BUFFER_BYTES);
    struct pollfd p = {.fd = f->channel.fd, .events = POLLIN};
    int rc;

    if (buffer == NULL)
        return err_sys(err, -ENOMEM, "first request");
    if (poll(&p, 1, FUSE_HELLO_TIMEOUT_MS) != 1)
        return err_set(err, -ETIMEDOUT, "the kernel sends no first request");
    rc = serve(&f->channel, buffer);
    if (rc < 0)
        return err_sys(err, rc, "first request");
    if (!f->is_ready)
        return err_set(err, -EPROTO, "no agreement with the kernel");
    return 0;
}

static void PRINTF_LIKE(2, 0) log_libfuse(enum fuse_log_level level, const char *fmt, va_list ap)
{
    char text[256];
    const char *said = text;

    if (!log_is_on(level == FUSE_LOG_DEBUG ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG))
        return;
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    said += strspn(text, " ");
    text[strcspn(text, "\n")] = '\0';
    if (level == FUSE_LOG_DEBUG) { /* said only to those who asked for it */
        log_info("file system operation", "text=%s", said);
        return;
    }
    log_debug("libfuse says", "text=%s", said);
}

/* ---- start and stop -------------------------------------------------------------------------- */

/* Close the kernel's end. */
static void end_session(struct fuse_mount *f)
{
    if (f->session != NULL) {
        fuse_session_exit(f->session);    /* what cannot be answered any more is no news */
        fuse_session_destroy(f->session); /* closes the descriptor */
    } else if (f->channel.fd >= 0) {
        (void)close(f->channel.fd);
    }
    f->session = NULL;
    f->channel.fd = -1;
}

void fuse_mount_unref(struct fuse_mount *f)
{
    if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    end_session(f);
    (void)pthread_cond_destroy(&f->answered);
    (void)pthread_mutex_destroy(&f->lock);
    buf_fini(&f->state_text);
    free(f);
}
DEFINE_SCOPED_PTR(fuse_mount, struct fuse_mount, fuse_mount_unref)

/* libfuse 3.14 takes a thread key for each session, and a process has some thousand of those. */
static int why_no_session(struct err *err)
{
    pthread_key_t key;

    if (pthread_key_create(&key, NULL) != 0)
        return err_set(err, -EMFILE, "as many mounts as one process can have (%ld thread keys)",
                       sysconf(_SC_THREAD_KEYS_MAX));
    (void)pthread_key_delete(key);
    return err_sys(err, -ENOMEM, "libfuse session");
}

static int make_session(struct fuse_mount *f, const struct fuse_lowlevel_ops *ops, struct err *err)
{
    char name[] = "soci", debug[] = "-odebug", fd_path[32];
    char *argv[] = {name, debug, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(f->mount->fs->log_operations ? 2 : 1, argv);

    fuse_set_log_func(log_libfuse);
    f->session = fuse_session_new(&args, ops, sizeof(*ops), f);
    fuse_opt_free_args(&args); /* a copy by now */
    if (f->session == NULL)
        return why_no_session(err);
    (void)snprintf(fd_path, sizeof(fd_path), "/dev/fd/%d", f->channel.fd);
    if (fuse_session_mount(f->session, fd_path) != 0)
        return err_set(err, -EIO, "libfuse does not take the descriptor");
    return 0;
}

int session_start(struct fs_mount *mount, const struct fuse_lowlevel_ops *ops, struct err *err)
{
    SCOPED(fuse_mount) struct fuse_mount *f = calloc(1, sizeof(*f));
    int rc;

    if (f == NULL)
        return err_sys(err, -ENOMEM, "mount");
    *f = (struct fuse_mount){
        .refs = 1,
        .mount = mount,
        .tree = mount->backend->keeps_tree ? layer_tree(mount->layer) : NULL,
        .channel = {.fd = -1, .serve = serve, .gone = gone},
    };
    digest_format(layer_digest(mount->layer), f->layer_name);
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->answered, NULL);

    rc = kernel_mount_fuse(mount->dir, &f->channel.fd, err);
    if (rc < 0)
        return rc;
    rc = make_session(f, ops, err);
    if (rc == 0)
        rc = answer_hello(f, err);
    if (rc == 0)
        rc = fs_loop_add(mount->fs->loop, &f->channel, err);
    if (rc < 0) {
        if (kernel_detach(mount->dir, NULL) < 0)
            log_warn("a mount that failed stays", "dir=%s", mount->dir);
        return rc;
    }
    mount->backend_data = TAKE(f);
    return 0;
}

void session_stop(struct fs_mount *mount)
{
    struct fuse_mount *f = mount->backend_data;

    fs_loop_remove(mount->fs->loop, &f->channel);
    fuse_end_waits(f);
    end_session(f);
}

void session_free(struct fs_mount *mount)
{
    fuse_mount_unref(mount->backend_data);
    mount->backend_data = NULL;
}

void session_sweep(struct fs_mount *mount, int64_t now_ms)
{
    fuse_sweep_waits(mount->backend_data, now_ms);
}
