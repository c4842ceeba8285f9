/* SPDX-License-Identifier: Apache-2.0 */
/* put.c – text and JSON, piece by piece. */
#include "doctor/internal.h"

#include <inttypes.h>

void doctor_put(struct doctor_out *out, const char *text)
{
    if (out->rc == 0)
        out->rc = buf_add_str(out->to, text);
}

void doctor_put_coloured(struct doctor_out *out, const char *colour, const char *text)
{
    if (out->style->colour)
        doctor_put(out, colour);
    doctor_put(out, text);
    if (out->style->colour)
        doctor_put(out, "\033[0m");
}

void doctor_put_string(struct doctor_out *out, const char *name, const char *value)
{
    doctor_put(out, name);
    doctor_put(out, "\":");
    if (out->rc == 0)
        out->rc = text_add_json(out->to, bytes_of_str(value == NULL ? "" : value), false);
}

void doctor_put_number(struct doctor_out *out, const char *name, int64_t value)
{
    if (out->rc == 0)
        out->rc = buf_addf(out->to, "%s\":%" PRId64, name, value);
}

void doctor_put_bool(struct doctor_out *out, const char *name, bool value)
{
    doctor_put(out, name);
    doctor_put(out, value ? "\":true" : "\":false");
}
