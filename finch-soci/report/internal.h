/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of report/ share. */
#ifndef REPORT_INTERNAL_H
#define REPORT_INTERNAL_H

#include "report/report.h"

/* Columns that a cleaned text takes: its code points. */
size_t report_columns(const char *text);
/* Bytes of the longest start of `text` that takes at most `columns`. */
size_t report_fitting(const char *text, size_t columns);
void report_daemon_fini(struct report_daemon *daemon);
void report_image_fini(struct report_image *image);
/* No string of it is missing for want of memory. */
bool report_image_is_whole(const struct report_image *image);

#endif
