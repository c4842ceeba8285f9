/* SPDX-License-Identifier: Apache-2.0 */
/* status_image.c – `finch-soci status IMAGE`: would it be lazy, layer by layer, and why not? Asked
 * of its registry from inside the machine. */
#include "cmd/internal.h"

#include "doctor/doctor.h"

#include <errno.h>
#include <string.h>

/* A run takes what is there, and asks no registry. */
static int find_present(struct machine *machine, struct doctor_images *images, struct err *err)
{
    SCOPED(guest_images) struct guest_images here = {.count = 0};
    struct err why = ERR_NONE;
    int rc = guest_images_get(machine, "finch", &here, &why);

    if (rc == -EIO || rc == -EBADMSG) { /* no containerd, no images */
        say_warning("%s", err_text(&why));
        return 0;
    }
    if (rc < 0)
        return err_set(err, rc, "%s", err_text(&why));
    for (size_t i = 0; i < images->count; i++) {
        struct doctor_image *image = &images->items[i];

        for (size_t n = 0; n < here.count; n++) {
            const char *through = here.items[n].snapshotters;

            if (strcmp(here.items[n].name, image->name) == 0 && through[0] != '\0' &&
                strstr(through, "soci") == NULL)
                doctor_image_is_present(image, through);
        }
    }
    return 0;
}

static int show(const struct doctor_images *images, bool json, struct err *err)
{
    const struct report_style style = {.colour = say_in_colour(stdout)};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    bool lazy = true;
    int rc =
        json ? doctor_images_encode(images, &text) : doctor_images_print(images, &style, &text);

    if (rc < 0)
        return err_set(err, rc, "out of memory");
    (void)fwrite(text.data, 1, text.len, stdout);
    for (size_t i = 0; i < images->count; i++)
        lazy = lazy && images->items[i].problem[0] == '\0';
    return lazy ? CMD_FINE : CMD_NOT_WELL;
}

int status_of_images(const struct cmd_globals *globals, const struct text_list *words, bool json,
                     struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    SCOPED(link) struct link link = {.machine = NULL};
    SCOPED(doctor_images) struct doctor_images images = {.count = 0};
    int rc;

    for (size_t i = 0; i < words->count; i++) {
        if (doctor_check_word(words->items[i], err) < 0)
            return say_refused("%s", err_text(err));
    }
    rc = session_open(globals, &session, err);
    if (rc == 0)
        rc = session_check_rights(&session, err);
    if (rc == 0)
        rc = session_reach(&session, &link, err);
    if (rc == 0)
        rc = doctor_ask_images(link.machine, words,
                               session.is_local ? NULL : session.places.instance, &images, err);
    if (rc == 0)
        rc = find_present(link.machine, &images, err);
    return rc < 0 ? rc : show(&images, json, err);
}
