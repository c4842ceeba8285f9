/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_doctor.c – what the machine tells `doctor`: facts, answers about images, sections of a
 * support archive, and all of it scrubbed. Nothing that a terminal obeys comes out of the first
 * two, and no command holds what a shell would run. */
#include "doctor/doctor.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_tame(const struct buf *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if ((text->data[i] < 0x20 && text->data[i] != '\n') || text->data[i] == 0x7f)
            abort();
    }
}

static void must_be_a_command(const char *mend)
{
    if (strpbrk(mend, "`$;|<>\n") != NULL)
        abort();
}

static void facts(struct bytes text)
{
    static const struct doctor_context context = {.vm = "finch",
                                                  .before_s = 1000,
                                                  .after_s = 1001,
                                                  .containerd = "containerd v2.2.1",
                                                  .unit = "soci-snapshotter.service"};
    const struct report_style style = {.width = 0};
    SCOPED(doctor_facts) struct doctor_facts parsed = {.count = 0};
    SCOPED(mem) struct doctor *doctor = calloc(1, sizeof(*doctor));
    SCOPED(buf_value) struct buf out = BUF_EMPTY;

    if (doctor == NULL || doctor_facts_parse(text, &parsed, NULL) < 0)
        return;
    doctor_judge(doctor, &parsed, &context);
    for (size_t i = 0; i < doctor->count; i++)
        must_be_a_command(doctor->findings[i].mend);
    if (doctor_print(doctor, &style, &out) == 0 && doctor_encode(doctor, &out) == 0)
        must_be_tame(&out);
}

static void images(struct bytes text)
{
    char *const word = (char *)(uintptr_t) "r.example/app:1";
    char *items[] = {word, word};
    const struct text_list words = {.items = items, .count = 2};
    const struct report_style style = {.width = 0};
    SCOPED(doctor_images) struct doctor_images parsed = {.count = 0};
    SCOPED(buf_value) struct buf out = BUF_EMPTY;

    if (doctor_parse_images(text, &words, "finch", &parsed, NULL) < 0)
        return;
    for (size_t i = 0; i < parsed.count; i++)
        must_be_a_command(parsed.items[i].mend);
    if (doctor_images_print(&parsed, &style, &out) == 0 && doctor_images_encode(&parsed, &out) == 0)
        must_be_tame(&out);
}

static void sections(struct bytes text)
{
    SCOPED(mem) struct doctor_archive *archive = calloc(1, sizeof(*archive));
    SCOPED(buf_value) struct buf out = BUF_EMPTY;

    if (archive == NULL)
        return;
    if (doctor_parse_sections(text, archive, NULL) == 0 &&
        doctor_archive_encode(archive, 0, &out) < 0)
        out.len = 0;
    doctor_archive_fini(archive);
}

static void secrets(struct bytes text)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY, shown = BUF_EMPTY;

    if (doctor_scrub(text, &out) < 0 || doctor_docker_config(text, &shown) < 0)
        return;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes text = bytes_of(data, size);

    facts(text);
    images(text);
    sections(text);
    secrets(text);
    return 0;
}
