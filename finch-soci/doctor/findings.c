/* SPDX-License-Identifier: Apache-2.0 */
/* findings.c – what was found: kept, shown to people, given to programs.
 *
 *     ok  clock    as this computer's
 *     !!  unit     soci-snapshotter.service is failed
 *                  mend: finch-soci provision
 *     --  kernel   …
 */
#include "doctor/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void doctor_add(struct doctor *doctor, const struct doctor_finding *finding)
{
    struct doctor_finding *to = &doctor->findings[doctor->count];

    if (doctor->count == DOCTOR_FINDINGS_MAX)
        return;
    *to = (struct doctor_finding){.is_note = finding->is_note, .fix = finding->fix};
    report_clean(to->area, sizeof(to->area), finding->area);
    report_clean(to->text, sizeof(to->text), finding->text);
    report_clean(to->mend, sizeof(to->mend), finding->mend);
    for (size_t i = 0; i < doctor->count; i++) {
        if (strcmp(doctor->findings[i].area, to->area) == 0 &&
            strcmp(doctor->findings[i].text, to->text) == 0)
            return;
    }
    doctor->count++;
}

void doctor_add_fine(struct doctor *doctor, const char *area, const char *fmt, ...)
{
    struct doctor_fine *to = &doctor->fine[doctor->fine_count];
    char text[DOCTOR_TEXT_BYTES];
    va_list args;

    if (doctor->fine_count == DOCTOR_FINE_MAX)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    report_clean(to->area, sizeof(to->area), area);
    report_clean(to->text, sizeof(to->text), text);
    for (size_t i = 0; i < doctor->fine_count; i++) {
        if (strcmp(doctor->fine[i].area, to->area) == 0 &&
            strcmp(doctor->fine[i].text, to->text) == 0)
            return;
    }
    doctor->fine_count++;
}

void doctor_add_done(struct doctor *doctor, const char *text)
{
    if (doctor->done_count < DOCTOR_DONE_MAX)
        report_clean(doctor->done[doctor->done_count++], DOCTOR_TEXT_BYTES, text);
}

bool doctor_is_well(const struct doctor *doctor)
{
    for (size_t i = 0; i < doctor->count; i++) {
        if (!doctor->findings[i].is_note)
            return false;
    }
    return true;
}

/* ---- for people ------------------------------------------------------------------------------ */

static void put_fine(struct doctor_out *page, const struct doctor_fine *fine, int width)
{
    doctor_put_coloured(page, "\033[32m", "ok");
    if (page->rc == 0)
        page->rc = buf_addf(page->to, "  %-*s  %s\n", width, fine->area, fine->text);
}

static void put_finding(struct doctor_out *page, const struct doctor_finding *finding, int width)
{
    if (finding->is_note)
        doctor_put_coloured(page, "\033[33m", "--");
    else
        doctor_put_coloured(page, "\033[1;31m", "!!");
    if (page->rc == 0)
        page->rc = buf_addf(page->to, "  %-*s  %s\n", width, finding->area, finding->text);
    if (finding->mend[0] == '\0' || page->rc != 0)
        return;
    page->rc = buf_addf(page->to, "    %*s  mend: ", width, "");
    doctor_put_coloured(page, "\033[1m", finding->mend);
    doctor_put(page, "\n");
}

static int area_width(const struct doctor *doctor)
{
    size_t width = 0;

    for (size_t i = 0; i < doctor->count; i++) {
        size_t len = strlen(doctor->findings[i].area);

        width = len > width ? len : width;
    }
    for (size_t i = 0; i < doctor->fine_count; i++) {
        size_t len = strlen(doctor->fine[i].area);

        width = len > width ? len : width;
    }
    return (int)width;
}

/* What is wrong comes last, where one looks first. */
int doctor_print(const struct doctor *doctor, const struct report_style *style, struct buf *ret)
{
    struct doctor_out page = {.to = ret, .style = style};
    int width = area_width(doctor);

    for (size_t i = 0; i < doctor->fine_count; i++)
        put_fine(&page, &doctor->fine[i], width);
    for (size_t i = 0; i < doctor->done_count; i++) {
        doctor_put(&page, "fixed: ");
        doctor_put(&page, doctor->done[i]);
        doctor_put(&page, "\n");
    }
    for (size_t i = 0; i < doctor->count; i++)
        put_finding(&page, &doctor->findings[i], width);
    if (doctor_is_well(doctor)) {
        doctor_put_coloured(&page, "\033[32m", "ok");
        doctor_put(&page, "  nothing is wrong\n");
    }
    return page.rc;
}

/* ---- for programs ---------------------------------------------------------------------------- */

int doctor_encode(const struct doctor *doctor, struct buf *ret)
{
    struct doctor_out out = {.to = ret};

    doctor_put_bool(&out, "{\"well", doctor_is_well(doctor));
    doctor_put(&out, ",\"findings\":[");
    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_finding *finding = &doctor->findings[i];

        doctor_put_string(&out, i == 0 ? "{\"area" : ",{\"area", finding->area);
        doctor_put_bool(&out, ",\"wrong", !finding->is_note);
        doctor_put_string(&out, ",\"text", finding->text);
        doctor_put_string(&out, ",\"mend", finding->mend);
        doctor_put_bool(&out, ",\"fixable", finding->fix != DOCTOR_FIX_NONE);
        doctor_put(&out, "}");
    }
    doctor_put(&out, "],\"fine\":[");
    for (size_t i = 0; i < doctor->fine_count; i++) {
        doctor_put_string(&out, i == 0 ? "{\"area" : ",{\"area", doctor->fine[i].area);
        doctor_put_string(&out, ",\"text", doctor->fine[i].text);
        doctor_put(&out, "}");
    }
    doctor_put(&out, "],\"fixed\":[");
    for (size_t i = 0; i < doctor->done_count; i++) {
        doctor_put(&out, i == 0 ? "" : ",");
        if (out.rc == 0)
            out.rc = text_add_json(ret, bytes_of_str(doctor->done[i]), false);
    }
    doctor_put(&out, "]}\n");
    return out.rc;
}
