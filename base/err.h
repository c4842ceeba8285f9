/* SPDX-License-Identifier: Apache-2.0 */
/* err.h – what went wrong, as a value that the caller owns: a negative errno and a text.
 *
 * A function that can fail returns 0 (or a count) or a negative errno and fills *err. Each level
 * that passes an error on puts in front what it was doing. No allocation, nothing to release. `err`
 * may be NULL everywhere: the text is then dropped.
 *
 * What an errno means in this project:
 *   EINVAL      the caller (a user, containerd) asked for something that makes no sense
 *   EBADMSG     bytes are not what was promised: digest, format, checksum
 *   EPROTO      a peer broke its protocol
 *   EACCES      credentials refused, or none where some are needed
 *   ENOENT      no such thing            EEXIST     there is one already
 *   EBUSY       not in the state that the call needs (gRPC FailedPrecondition)
 *   EAGAIN      not now; the peer or the resource may be back soon (gRPC Unavailable)
 *   ETIMEDOUT   no answer in time, worth retrying
 *   ECANCELED   someone asked to stop
 *   EFBIG       larger than a limit of ours   ENOSPC, ENOMEM   as they say
 *   ENODATA     nothing to work on, and that was not expected
 *   EOPNOTSUPP  not built in, or the system cannot
 *   EIO         the rest, mostly the network or the disk
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"

enum { ERR_TEXT_BYTES = 640 };

struct err {
    int code; /* negative errno, 0: nothing went wrong */
    char text[ERR_TEXT_BYTES];
};

#define ERR_NONE                                                                                   \
    {                                                                                              \
        .code = 0, .text = ""                                                                      \
    }

/* Set the text and the code. Returns `code`, so that `return err_set(err, -EBADMSG, …)` reads well.
 * A text that does not fit is cut. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set(), with ": " and the system's text for `code` at the end. */
int err_sys(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Put "…: " in front of the text that is there (or of the system's text for `code` when there is
 * none). Returns `code`. */
int err_prefix(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The text to show: never empty, "unknown error" when nothing was set. Borrowed from err. */
const char *err_text(const struct err *err);

/* The static analyzer does not look into another file: told nothing, it follows paths on which a
 * failed call returned 0. It reads here what is promised above: the code comes back, and is
 * negative. No compiler sees this. */
#ifdef __clang_analyzer__
#define ERR_TOLD(tell, err, code, ...)                                                             \
    ({                                                                                             \
        int err_told_ = (code);                                                                    \
        (void)(tell)((err), err_told_, __VA_ARGS__);                                               \
        if (err_told_ >= 0)                                                                        \
            __builtin_unreachable();                                                               \
        err_told_;                                                                                 \
    })
#define err_set(err, code, ...) ERR_TOLD(err_set, err, code, __VA_ARGS__)
#define err_sys(err, code, ...) ERR_TOLD(err_sys, err, code, __VA_ARGS__)
#define err_prefix(err, code, ...) ERR_TOLD(err_prefix, err, code, __VA_ARGS__)
#endif

#endif
