/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h – times in milliseconds, waits with a deadline on the monotonic clock, RFC 3339. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/attr.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

int64_t clock_mono_ms(void); /* never goes back; for deadlines and durations */
int64_t clock_mono_ns(void); /* the same clock */
int64_t clock_wall_ms(void); /* since 1970, UTC */
int64_t clock_wall_ns(void);

void clock_sleep_ms(int64_t ms); /* not shortened by signals */

/* A condition variable whose timed waits use the monotonic clock. 0 or a negative errno. */
MUST_CHECK int clock_cond_init(pthread_cond_t *cond);
/* Wait until signalled or until the moment `deadline_ms` of clock_mono_ms(): 0, or -ETIMEDOUT. As
 * with pthread_cond_wait a wake-up may be spurious. */
int clock_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ms);

enum { CLOCK_RFC3339_BYTES = 40 };
/* 2023-11-14T22:13:20.123456789Z, trailing zeros of the fraction dropped, as Go's RFC3339Nano.
 * Years outside 0…9999 give an empty string. */
void clock_rfc3339(int64_t sec, uint32_t nsec, char out[CLOCK_RFC3339_BYTES]);
/* The inverse, any numeric zone: 0, else -EINVAL. */
MUST_CHECK int clock_parse_rfc3339(const char *s, int64_t *ret_sec, uint32_t *ret_nsec);

#endif
