/* SPDX-License-Identifier: Apache-2.0 */
/* report.c – a report is put together. */
#include "report/internal.h"

#include <stdlib.h>

const char *report_mark_name(enum report_mark mark)
{
    static const char *const names[] = {
        [REPORT_WELL] = "well",
        [REPORT_NOT_WELL] = "not-well",
        [REPORT_UNKNOWN] = "unknown",
    };

    return names[mark];
}

void report_daemon_fini(struct report_daemon *daemon)
{
    for (size_t i = 0; i < daemon->event_count; i++) {
        free(daemon->events[i].kind);
        free(daemon->events[i].time);
        free(daemon->events[i].image);
        free(daemon->events[i].layer);
        free(daemon->events[i].text);
    }
    free(daemon->events);
    *daemon = (struct report_daemon){.answers = false};
}

void report_fini(struct report *report)
{
    report_daemon_fini(&report->daemon);
    for (size_t i = 0; i < report->image_count; i++)
        report_image_fini(&report->images[i]);
    free(report->images);
    report->images = NULL;
    report->image_count = 0;
}

void report_add(struct report *report, const char *name, enum report_mark mark, const char *text,
                const char *mend)
{
    struct report_row *row;

    if (report->row_count == REPORT_ROWS_MAX)
        return;
    row = &report->rows[report->row_count++];
    row->mark = mark;
    report_clean(row->name, sizeof(row->name), name);
    report_clean(row->text, sizeof(row->text), text);
    report_clean(row->mend, sizeof(row->mend), mend);
}

bool report_is_well(const struct report *report)
{
    for (size_t i = 0; i < report->row_count; i++) {
        if (report->rows[i].mark == REPORT_NOT_WELL)
            return false;
    }
    return true;
}
