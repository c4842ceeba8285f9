/* SPDX-License-Identifier: Apache-2.0 */
/* failing_malloc.h – allocations of a test program that fail when they are told to. One file of the
 * program includes it, and the program is linked as CMakeLists.txt has it for FAILING_MALLOC: then
 * what our code calls is here, and what shared libraries call is not. */
#ifndef FAILING_MALLOC_H
#define FAILING_MALLOC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t count, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t len);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t count, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t len);

static struct {
    atomic_long left; /* until one fails; below 0: none does, or it has */
    atomic_bool for_good;
    bool (*is_tested)(void); /* does the thread count? NULL: all do. Fixed before the first */
} failing = {.left = -1};

static bool fails_now(void)
{
    long left = atomic_load(&failing.left);

    if (left < 0 || (failing.is_tested != NULL && !failing.is_tested()))
        return false;
    if (left == 0 && atomic_load(&failing.for_good))
        return true;
    return atomic_fetch_sub(&failing.left, 1) == 0;
}

/* After `n` more that succeed, one fails, on whichever thread it falls. */
static inline void fail_one_allocation(long n)
{
    atomic_store(&failing.for_good, false);
    atomic_store(&failing.left, n);
}

/* After `n` more that succeed, all fail. */
static inline void fail_allocations(long n)
{
    atomic_store(&failing.for_good, true);
    atomic_store(&failing.left, n);
}

/* None fails any more. True: as many succeeded as should. */
static inline bool stop_failing(void)
{
    return atomic_exchange(&failing.left, -1) <= (atomic_load(&failing.for_good) ? 0 : -1);
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails_now() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t count, size_t size)
{
    return fails_now() ? NULL : __real_reallocarray(p, count, size);
}

char *__wrap_strdup(const char *s)
{
    return fails_now() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t len)
{
    return fails_now() ? NULL : __real_strndup(s, len);
}

#endif
