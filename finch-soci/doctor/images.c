/* SPDX-License-Identifier: Apache-2.0 */
/* images.c – what the snapshotter's `check` says of images, read as hostile, and the command that
 * mends each of its problems. */
#include "doctor/internal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

DEFINE_SCOPED_PTR(check_json, cJSON, cJSON_Delete)

enum { CHECK_MS = 100000 }; /* of one word; check.sh gives up a little earlier */

void doctor_images_fini(struct doctor_images *images)
{
    for (size_t i = 0; i < images->count; i++)
        free(images->items[i].layers);
    free(images->items);
    *images = (struct doctor_images){.items = NULL};
}

/* ---- words ----------------------------------------------------------------------------------- */

bool doctor_is_word(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len < DOCTOR_NAME_BYTES && text[0] != '-' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:@-[]") ==
               len;
}

int doctor_check_word(const char *word, struct err *err)
{
    if (doctor_is_word(word))
        return 0;
    return err_set(err, -EINVAL, "\"%.100s\" is no name of an image, and no HOST/", word);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void take_text(const cJSON *object, const char *name, char *ret, size_t size)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    report_clean(ret, size, text == NULL ? "" : text);
}

static bool take_bool(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static bool take_number(const cJSON *object, const char *name, double limit, int64_t *ret)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!cJSON_IsNumber(value) || !(value->valuedouble > -limit && value->valuedouble < limit))
        return false;
    *ret = (int64_t)value->valuedouble;
    return true;
}

static void take_layer(const cJSON *object, struct doctor_layer *ret)
{
    int64_t size = 0;

    take_text(object, "digest", ret->digest, sizeof(ret->digest));
    take_text(object, "state", ret->state, sizeof(ret->state));
    take_text(object, "text", ret->text, sizeof(ret->text));
    ret->size_bytes =
        take_number(object, "sizeBytes", 0x1p62, &size) && size > 0 ? (uint64_t)size : 0;
}

static int take_layers(const cJSON *root, struct doctor_image *image)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "layers"), *object;

    image->layers = calloc(DOCTOR_LAYERS_MAX, sizeof(*image->layers));
    if (image->layers == NULL)
        return -ENOMEM;
    cJSON_ArrayForEach(object, list)
    {
        if (image->layer_count == DOCTOR_LAYERS_MAX)
            break;
        take_layer(object, &image->layers[image->layer_count++]);
    }
    for (size_t i = 0; i < image->layer_count; i++)
        image->lazy_count += strcmp(image->layers[i].state, "lazy") == 0 ? 1 : 0;
    return 0;
}

/* ---- what mends it --------------------------------------------------------------------------- */

static bool has_layer(const struct doctor_image *image, const char *state)
{
    for (size_t i = 0; i < image->layer_count; i++) {
        if (strcmp(image->layers[i].state, state) == 0)
            return true;
    }
    return false;
}

/* What no command mends. */
static void set_words(struct doctor_image *image, const char *before, const char *what,
                      const char *after)
{
    if (doctor_is_word(what))
        (void)snprintf(image->mend, sizeof(image->mend), "# %s%s%s", before, what, after);
}

static void set_mend(struct doctor_image *image, const char *before, const char *what)
{
    if (doctor_is_word(what))
        (void)snprintf(image->mend, sizeof(image->mend), "%s%s", before, what);
}

/* What keeps the machine from the registry only the user can find out; what it sees of it helps. */
static void mend_network(struct doctor_image *image, const char *vm)
{
    bool plain = text_has_prefix(image->registry, "127.") ||
                 text_has_prefix(image->registry, "localhost") ||
                 text_has_prefix(image->registry, "[::1]"); /* as the snapshotter has it */
    SCOPED(mem)
    char *before =
        text_format("its network, VPN or proxy - the machine sees: %scurl -sSv http%s://",
                    vm == NULL ? "" : DOCTOR_INSIDE, plain ? "" : "s");

    if (before != NULL)
        set_words(image, before, image->registry, "/v2/");
}

static void choose_mend(struct doctor_image *image, const char *vm)
{
    static const struct {
        const char *problem, *command;
        bool of_registry;
    } known[] = {
        {"refused", "finch login ", true},
        {"credentials", "finch login ", true},
        {"no-image", "finch push --snapshotter soci ", false},
        {"no-platform", "finch push --all-platforms --snapshotter soci ", false},
        {"no-index", "finch push --snapshotter soci ", false},
        {"broken-index", "finch push --snapshotter soci ", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(image->problem, known[i].problem) == 0)
            set_mend(image, known[i].command, known[i].of_registry ? image->registry : image->word);
    }
    if (strcmp(image->problem, "unreachable") == 0)
        mend_network(image, vm);
    else if (strcmp(image->problem, "no-ranges") == 0)
        set_words(image, "whoever runs ", image->registry,
                  ", or a proxy or mirror before it, has to have it give byte ranges of blobs");
    else if (strcmp(image->problem, "off") == 0)
        (void)strcpy(image->mend, "finch-soci provision --force");
    else if (has_layer(image, "broken-ztoc") || has_layer(image, "not-there"))
        set_mend(image, "finch push --snapshotter soci ", image->word);
    else if (strcmp(image->problem, "no-layer") == 0 && has_layer(image, "no-ztoc"))
        set_mend(image, "finch push --snapshotter soci --soci-min-layer-size 0 ", image->word);
}

void doctor_image_is_present(struct doctor_image *image, const char *snapshotters)
{
    char clean[64];

    report_clean(clean, sizeof(clean), snapshotters);
    image->lazy = false;
    image->mend[0] = '\0';
    (void)strcpy(image->problem, "present");
    (void)snprintf(image->text, sizeof(image->text),
                   "it is in the machine already, unpacked through %s: a run takes what is there",
                   clean[0] == '\0' ? "none" : clean);
    set_mend(image, "finch rmi ", image->word);
}

/* ---- the answers ----------------------------------------------------------------------------- */

static int parse_answer(struct bytes line, const char *vm, struct doctor_image *ret)
{
    SCOPED(check_json)
    cJSON *root = line.len == 0 ? NULL : cJSON_ParseWithLength((const char *)line.data, line.len);
    char text[DOCTOR_TEXT_BYTES];
    int rc;

    if (!cJSON_IsObject(root)) { /* what it said in place of an answer */
        (void)snprintf(text, sizeof(text), "%.*s", (int)(line.len < 400 ? line.len : 400),
                       line.len == 0 ? "" : (const char *)line.data);
        (void)strcpy(ret->problem, "failed");
        report_clean(ret->text, sizeof(ret->text), text[0] == '\0' ? "it ended at once" : text);
        return 0;
    }
    take_text(root, "name", ret->name, sizeof(ret->name));
    take_text(root, "registry", ret->registry, sizeof(ret->registry));
    take_text(root, "platform", ret->platform, sizeof(ret->platform));
    take_text(root, "manifest", ret->manifest, sizeof(ret->manifest));
    take_text(root, "index", ret->index, sizeof(ret->index));
    take_text(root, "problem", ret->problem, sizeof(ret->problem));
    take_text(root, "text", ret->text, sizeof(ret->text));
    ret->reachable = take_bool(root, "reachable");
    ret->lazy = take_bool(root, "lazy");
    ret->has_skew = take_number(root, "clockSkewSeconds", 1e12, &ret->skew_s);
    rc = take_layers(root, ret);
    if (rc == 0)
        choose_mend(ret, vm);
    return rc;
}

int doctor_parse_images(struct bytes text, const struct text_list *words, const char *vm,
                        struct doctor_images *ret, struct err *err)
{
    SCOPED(doctor_images) struct doctor_images images = {.items = NULL};
    int rc = 0;

    images.items = calloc(words->count + 1, sizeof(*images.items));
    if (images.items == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < words->count && rc == 0; i++) {
        struct doctor_image *image = &images.items[images.count++];

        report_clean(image->word, sizeof(image->word), words->items[i]);
        if (text.len == 0)
            return err_set(err, -EBADMSG, "the machine did not say all of what it was asked");
        rc = parse_answer(doctor_next_line(&text), vm, image);
    }
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    if (!bytes_equal(doctor_next_line(&text), bytes_of_str("end")))
        return err_set(err, -EBADMSG, "the machine did not say all of what it was asked");
    *ret = images;
    images = (struct doctor_images){.items = NULL};
    return 0;
}

static int add_words(const struct text_list *words, struct buf *ret)
{
    int rc = 0;

    for (size_t i = 0; i < words->count && rc == 0; i++)
        rc = buf_addf(ret, "%s\n", words->items[i]);
    return rc;
}

int doctor_ask_images(struct machine *machine, const struct text_list *words, const char *vm,
                      struct doctor_images *ret, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    SCOPED(buf_value) struct buf input = BUF_EMPTY;
    struct machine_run run = {.script = doctor_check_text,
                              .timeout_ms = CHECK_MS * ((int64_t)words->count + 1)};
    int rc = add_words(words, &input);

    if (rc < 0)
        return err_set(err, rc, "out of memory");
    run.input = buf_bytes(&input);
    rc = machine_run(machine, &run, &result, err);
    if (rc < 0)
        return rc;
    if (result.exit_status != 0)
        return err_set(err, -EOPNOTSUPP, "%.200s: `finch-soci provision` installs ours",
                       result.err.len == 0 ? "no image can be checked" : buf_str(&result.err));
    return doctor_parse_images(buf_bytes(&result.out), words, vm, ret, err);
}
