/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup.h – a resource gets its release on the line that declares it.
 *
 *   SCOPED(buf) struct buf *out = NULL;     released whichever way the function is left
 *   …
 *   *ret = TAKE(out);                       moved out; out is NULL now, its cleanup does nothing
 *
 * Every type that wants this says so once in its header, with DEFINE_SCOPED_PTR (the variable is a
 * pointer, release takes it, NULL is fine) or DEFINE_SCOPED_VALUE (the variable is the object).
 * Releases keep errno. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCOPED(name) __attribute__((cleanup(scoped_##name)))

#define DEFINE_SCOPED_PTR(name, type, release)                                                     \
    static inline void scoped_##name(type *const *p)                                               \
    {                                                                                              \
        int saved_errno = errno;                                                                   \
        if (*p != NULL)                                                                            \
            release(*p);                                                                           \
        errno = saved_errno;                                                                       \
    }

#define DEFINE_SCOPED_VALUE(name, type, release)                                                   \
    static inline void scoped_##name(type *p)                                                      \
    {                                                                                              \
        int saved_errno = errno;                                                                   \
        release(p);                                                                                \
        errno = saved_errno;                                                                       \
    }

/* Move a pointer out of its scope. */
#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })

/* Move a descriptor out of its scope. */
static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static inline void scoped_mem(void *p)
{
    free(*(void **)p); /* free() keeps errno in every libc we build against */
}

static inline void scoped_fd(const int *fd)
{
    int saved_errno = errno;
    if (*fd >= 0)
        (void)close(*fd);
    errno = saved_errno;
}

static inline void scoped_file_close(FILE *f)
{
    (void)fclose(f);
}
DEFINE_SCOPED_PTR(file, FILE, scoped_file_close)

static inline void scoped_dir_close(DIR *d)
{
    (void)closedir(d);
}
DEFINE_SCOPED_PTR(dir, DIR, scoped_dir_close)

#endif
