/* SPDX-License-Identifier: Apache-2.0 */
/* test_daemon_footprint.c – what is given back was not needed, and what is needed comes back. */
#include "test.h"

#include "daemon/footprint.h"

#include <stdio.h>
#include <stdlib.h>

static char written[] = "before";
static const char constant[] = "as it is in the file";

/* In KiB; 0: not known. */
static long file_pages(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    long kib = 0;

    assert_non_null(status);
    while (fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, "RssFile:", 8) == 0)
            kib = strtol(line + 8, NULL, 10);
    (void)fclose(status);
    return kib;
}

static void what_was_written_stays_and_what_was_not_is_as_in_the_file(void **state)
{
    (void)state;
    (void)strcpy(written, "after");
    footprint_trim();
    assert_string_equal(written, "after");
    assert_string_equal(constant, "as it is in the file");
    assert_int_equal(strtol("12", NULL, 10), 12);
}

static void pages_of_programs_that_nobody_needs_are_gone(void **state)
{
    long before = file_pages();

    (void)state;
    footprint_trim();
    assert_in_range(file_pages(), 1, before - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_programs_that_nobody_needs_are_gone),
        cmocka_unit_test(what_was_written_stays_and_what_was_not_is_as_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
