/* SPDX-License-Identifier: Apache-2.0 */
/* images.c – which images containerd has over there, and through which snapshotters they were
 * unpacked: what images.sh prints, read as hostile. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

enum { IMAGES_TIMEOUT_MS = 30000, NAME_MAX_BYTES = 1024, WORD_MAX_BYTES = 256 };

void guest_images_fini(struct guest_images *images)
{
    for (size_t i = 0; i < images->count; i++) {
        free(images->items[i].namespace_);
        free(images->items[i].snapshotters);
        free(images->items[i].manifest);
        free(images->items[i].name);
    }
    free(images->items);
    *images = (struct guest_images){.items = NULL};
}

static int bad(struct err *err, const char *what)
{
    return err_set(err, -EBADMSG, "the machine tells of its images what makes no sense: %s", what);
}

/* The next word of *line, which is cut behind it. "-" is "". NULL: it has none, or a long one. */
static const char *next_word(char **line)
{
    char *word = *line, *space = strchr(word, ' ');

    if (space == NULL || space == word || space - word >= WORD_MAX_BYTES)
        return NULL;
    *space = '\0';
    *line = space + 1;
    return strcmp(word, "-") == 0 ? "" : word;
}

/* "NAMESPACE SNAPSHOTTERS MANIFEST NAME" */
static int add_image(struct guest_images *images, char *line, struct err *err)
{
    const char *words[3];
    struct guest_image *image;

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        words[i] = next_word(&line);
        if (words[i] == NULL)
            return bad(err, "an image of too few words");
    }
    if (*line == '\0' || strlen(line) >= NAME_MAX_BYTES)
        return bad(err, "the name of an image");
    if (images->count == GUEST_IMAGES_MAX) {
        images->is_cut = true;
        return 0;
    }
    image = &images->items[images->count++];
    *image = (struct guest_image){.namespace_ = text_copy(words[0]),
                                  .snapshotters = text_copy(words[1]),
                                  .manifest = text_copy(words[2]),
                                  .name = text_copy(line)};
    return image->namespace_ == NULL || image->snapshotters == NULL || image->manifest == NULL ||
                   image->name == NULL
               ? err_set(err, -ENOMEM, "out of memory")
               : 0;
}

static int add_line(struct guest_images *images, struct bytes line, bool *is_ended, struct err *err)
{
    char text[NAME_MAX_BYTES + 4 * WORD_MAX_BYTES];

    if (*is_ended)
        return bad(err, "lines behind the last");
    if (line.len == 0 || line.len >= sizeof(text) || memchr(line.data, '\0', line.len) != NULL)
        return bad(err, "a line");
    memcpy(text, line.data, line.len);
    text[line.len] = '\0';
    *is_ended = strcmp(text, "end") == 0;
    if (*is_ended)
        return 0;
    if (!text_has_prefix(text, "image "))
        return bad(err, "a line of something else");
    return add_image(images, text + strlen("image "), err);
}

int guest_images_parse(struct bytes text, struct guest_images *ret, struct err *err)
{
    SCOPED(guest_images) struct guest_images images = {.count = 0};
    bool is_ended = false;
    int rc = 0;

    images.items = calloc(GUEST_IMAGES_MAX, sizeof(*images.items));
    if (images.items == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    while (rc == 0 && text.len > 0) {
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.data);

        rc = add_line(&images, bytes_of(text.data, len), &is_ended, err);
        len += newline == NULL ? 0 : 1;
        text = bytes_of(text.data + len, text.len - len);
    }
    if (rc < 0)
        return rc;
    if (!is_ended)
        return bad(err, "it has no end");
    *ret = images;
    images = (struct guest_images){.items = NULL};
    return 0;
}

int guest_images_get(struct machine *machine, const char *namespace_, struct guest_images *ret,
                     struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    SCOPED(mem) char *input = text_format("%s\n", namespace_);
    struct machine_run run = {.script = guest_images_text, .timeout_ms = IMAGES_TIMEOUT_MS};
    int rc;

    if (input == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    run.input = bytes_of_str(input);
    rc = machine_run(machine, &run, &result, err);
    if (rc < 0)
        return rc;
    if (result.exit_status != 0) {
        const char *why = result.err.len == 0 ? NULL : buf_str(&result.err);

        why = why == NULL ? "it is not said why" : why;
        return err_set(err, -EIO, "the images cannot be listed: %.*s", (int)strcspn(why, "\n"),
                       why);
    }
    return guest_images_parse(buf_bytes(&result.out), ret, err);
}
