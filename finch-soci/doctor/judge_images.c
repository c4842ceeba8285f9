/* SPDX-License-Identifier: Apache-2.0 */
/* judge_images.c – from what registries said of images to what is wrong between them and the
 * machine. That an image has no index is no fault of the machine, and `status IMAGE` tells it. */
#include "doctor/internal.h"

#include "base/system.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SKEW_WRONG_S = 60 }; /* its answer has travelled */

/* Has an image before this one said the same of its registry? */
static bool is_told(const struct doctor_images *images, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(images->items[i].registry, images->items[n].registry) == 0 &&
            strcmp(images->items[i].problem, images->items[n].problem) == 0)
            return true;
    }
    return false;
}

static bool is_of_registry(const struct doctor_image *image)
{
    return strcmp(image->problem, "unreachable") == 0 || strcmp(image->problem, "refused") == 0 ||
           strcmp(image->problem, "credentials") == 0 || strcmp(image->problem, "no-ranges") == 0;
}

static const char *what_it_does(const char *problem)
{
    static const struct {
        const char *problem, *text;
    } known[] = {
        {"unreachable", "does not answer the machine"},
        {"refused", "refuses the credentials that the machine has, or wants some"},
        {"credentials", "needs credentials that the machine cannot look up"},
        {"no-ranges", "gives no parts of layers, so that nothing can be lazy"},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(problem, known[i].problem) == 0)
            return known[i].text;
    }
    return "";
}

static void judge_registry(struct doctor *doctor, const struct doctor_image *image)
{
    struct doctor_finding finding = {.area = "registry"};

    (void)snprintf(finding.text, sizeof(finding.text), "%.200s %s: %.220s", image->registry,
                   what_it_does(image->problem), image->text);
    (void)snprintf(finding.mend, sizeof(finding.mend), "%.500s",
                   image->mend[0] == '\0' ? "finch login" : image->mend);
    doctor_add(doctor, &finding);
}

static void judge_skew(struct doctor *doctor, const struct doctor_image *image)
{
    struct doctor_finding finding = {.area = "clock"};
    int64_t skew = image->skew_s;

    if (!image->has_skew || (skew > -SKEW_WRONG_S && skew < SKEW_WRONG_S))
        return;
    (void)snprintf(finding.text, sizeof(finding.text),
                   "the clock of %.200s is %" PRId64 " s %s the machine's", image->registry,
                   skew < 0 ? -skew : skew, skew < 0 ? "behind" : "ahead of");
    (void)strcpy(finding.mend,
                 "# set the clock that is wrong, of this computer or of the registry");
    doctor_add(doctor, &finding);
}

bool doctor_mend_config(const char *why, const char *vm, char ret[DOCTOR_TEXT_BYTES])
{
    static const char path[] = "/etc/soci-snapshotter-grpc/config.toml";

    if (strstr(why, path) == NULL)
        return false;
    (void)snprintf(ret, DOCTOR_TEXT_BYTES, "%smv %s %s.broken%s%sfinch-soci provision",
                   vm == NULL ? "sudo " : DOCTOR_INSIDE, path, path, system_then,
                   vm == NULL ? "sudo " : "");
    return true;
}

static void judge_failure(struct doctor *doctor, const struct doctor_image *image, const char *vm)
{
    struct doctor_finding finding = {.area = "config"};

    (void)snprintf(finding.text, sizeof(finding.text), "%.200s cannot be checked: %.280s",
                   image->word, image->text);
    if (!doctor_mend_config(image->text, vm, finding.mend))
        (void)strcpy(finding.mend, "finch-soci provision --force");
    doctor_add(doctor, &finding);
}

void doctor_judge_images(struct doctor *doctor, const struct doctor_images *images, const char *vm)
{
    for (size_t i = 0; i < images->count; i++) {
        const struct doctor_image *image = &images->items[i];

        if (is_of_registry(image) && !is_told(images, i))
            judge_registry(doctor, image);
        if (strcmp(image->problem, "failed") == 0 || strcmp(image->problem, "off") == 0)
            judge_failure(doctor, image, vm);
        else if (!is_of_registry(image) && image->reachable)
            doctor_add_fine(doctor, "registry", "%.200s answers the machine", image->registry);
        judge_skew(doctor, image);
    }
}
