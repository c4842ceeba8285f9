/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_hook.c – what Lima tells the hook's watcher; records, which come back as they were written;
 * and words put into what the systems are told, of which none may begin a line of its own. */
#include "hook/hook.h"

#include "base/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORD_MAX_BYTES = 4096 };

static void check_record(const struct hook_record *record)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    struct hook_record again;

    if (hook_record_encode(record, &json) < 0 ||
        hook_record_parse(buf_bytes(&json), &again, NULL) < 0)
        abort();
    if (strcmp(record->time, again.time) != 0 || strcmp(record->result, again.result) != 0 ||
        strcmp(record->text, again.text) != 0 || record->took_ms != again.took_ms ||
        record->failed != again.failed)
        abort();
}

static size_t lines_of(enum platform_hook_form form, const char *word)
{
    const char *const argv[] = {"/x", word, NULL};
    const char *const environment[] = {word, NULL};
    const struct hook_wish wish = {
        .name = "x", .argv = argv, .environment = environment, .user = word};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    size_t lines = 0;

    if (hook_text(form, &wish, &text, NULL) < 0)
        return 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    return lines;
}

static void check_word(const char *word)
{
    for (int form = PLATFORM_HOOK_UNIT; form <= PLATFORM_HOOK_TASK; form++) {
        size_t lines = lines_of((enum platform_hook_form)form, word);

        if (lines != 0 && lines != lines_of((enum platform_hook_form)form, "a=b"))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hook_record record;
    struct hook_event event;
    SCOPED(mem) char *word = NULL;

    if (hook_record_parse(bytes_of(data, size), &record, NULL) == 0)
        check_record(&record);
    if (hook_event_parse(bytes_of(data, size), "finch", &event, NULL) == 0 && event.booted &&
        size < strlen("finch"))
        abort();
    if (size > WORD_MAX_BYTES || size == 0)
        return 0;
    word = strndup((const char *)data, size);
    if (word != NULL)
        check_word(word);
    return 0;
}
