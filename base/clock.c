/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c – clocks and RFC 3339. */
#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static int64_t now_ns(clockid_t clock)
{
    struct timespec ts;

    (void)clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_mono_ms(void)
{
    return now_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_mono_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
    return now_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_wall_ns(void)
{
    return now_ns(CLOCK_REALTIME);
}

void clock_sleep_ms(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, and back. Counted in eras of
 * 400 years that start on 1 March, so that the leap day is the last of its year. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

void clock_rfc3339(int64_t sec, uint32_t nsec, char out[CLOCK_RFC3339_BYTES])
{
    int64_t days = sec >= 0 ? sec / 86400 : -((-(sec + 1)) / 86400) - 1;
    int64_t second_of_day = (sec % 86400 + 86400) % 86400; /* days * 86400 may not fit */
    int64_t year;
    int month, day, used, digits = 9;

    civil_from_days(days, &year, &month, &day);
    if (year < 0 || year > 9999) {
        out[0] = '\0';
        return;
    }
    used = snprintf(out, CLOCK_RFC3339_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d", (int)year, month,
                    day, (int)(second_of_day / 3600), (int)(second_of_day / 60 % 60),
                    (int)(second_of_day % 60));
    if (nsec != 0) {
        while (nsec % 10 == 0) {
            nsec /= 10;
            digits--;
        }
        used += snprintf(out + used, CLOCK_RFC3339_BYTES - (size_t)used, ".%0*u", digits, nsec);
    }
    (void)snprintf(out + used, CLOCK_RFC3339_BYTES - (size_t)used, "Z");
}

/* `count` digits at *s, which moves on. False: there are fewer. */
static bool take_digits(const char **s, int count, unsigned *ret)
{
    *ret = 0;
    for (; count > 0; count--, (*s)++) {
        if (**s < '0' || **s > '9')
            return false;
        *ret = *ret * 10 + (unsigned)(**s - '0');
    }
    return true;
}

static bool take_char(const char **s, char c)
{
    if (**s != c)
        return false;
    (*s)++;
    return true;
}

static bool take_fraction(const char **s, uint32_t *nsec)
{
    uint32_t scale = 100000000;

    *nsec = 0;
    if (**s != '.')
        return true;
    (*s)++;
    if (**s < '0' || **s > '9')
        return false;
    for (; **s >= '0' && **s <= '9'; (*s)++, scale /= 10)
        *nsec += (uint32_t)(**s - '0') * scale;
    return true;
}

static bool take_zone(const char **s, int64_t *offset_sec)
{
    int sign = **s == '-' ? -1 : 1;
    unsigned hours, minutes;

    *offset_sec = 0;
    if (take_char(s, 'Z'))
        return true;
    if (**s != '+' && **s != '-')
        return false;
    (*s)++;
    if (!take_digits(s, 2, &hours) || !take_char(s, ':') || !take_digits(s, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *offset_sec = sign * (int64_t)(hours * 3600 + minutes * 60);
    return true;
}

int clock_parse_rfc3339(const char *s, int64_t *ret_sec, uint32_t *ret_nsec)
{
    static const unsigned char month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year, month, day, hour, minute, second;
    int64_t offset_sec;
    uint32_t nsec;

    if (!take_digits(&s, 4, &year) || !take_char(&s, '-') || !take_digits(&s, 2, &month) ||
        !take_char(&s, '-') || !take_digits(&s, 2, &day) || !take_char(&s, 'T') ||
        !take_digits(&s, 2, &hour) || !take_char(&s, ':') || !take_digits(&s, 2, &minute) ||
        !take_char(&s, ':') || !take_digits(&s, 2, &second) || !take_fraction(&s, &nsec) ||
        !take_zone(&s, &offset_sec) || *s != '\0')
        return -EINVAL;
    if (month < 1 || month > 12 || day < 1 || day > month_days[month - 1] || hour > 23 ||
        minute > 59 || second > 59)
        return -EINVAL;
    if (month == 2 && day == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0)))
        return -EINVAL;
    *ret_sec =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_sec;
    *ret_nsec = nsec;
    return 0;
}
