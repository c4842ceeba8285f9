/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_guest.c – what a machine tells of itself, and everything that is decided from it; and what
 * it tells of its images. */
#include "bundle/internal.h"
#include "guest/internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bundle *bundle_of_words(void)
{
    static char version[] = "1", arch[] = "x86_64";
    static char soci[] = "bin/soci", program[] = "bin/soci-snapshotter-grpc";
    static struct bundle_entry entries[2] = {{.name = soci}, {.name = program}};
    static struct bundle bundle = {
        .version = version, .arch = arch, .entries = entries, .count = 2};

    for (size_t i = 0; i < 2; i++)
        entries[i].file = (struct bundle_file){
            .name = entries[i].name, .mode = 0755, .content = bytes_of_str(entries[i].name)};
    return &bundle;
}

/* What was taken for a plan, and what the block of a main file is, must hold together. */
static void check(const struct guest_facts *facts)
{
    const struct guest_options options = {.now = true, .force = true, .is_default = true};
    SCOPED(guest_plan) struct guest_plan *plan = NULL;
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    if (guest_plan_new(facts, &options, bundle_of_words(), &plan, NULL) < 0)
        return;
    if (guest_plan_print(plan, true, &text) < 0)
        abort();
    for (size_t i = 0; i < plan->count; i++)
        if (plan->steps[i].verb == GUEST_PUT_BLOCK && !containerd_has_block(plan->steps[i].content))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(guest_images) struct guest_images images = {.count = 0};

    if (guest_images_parse(bytes_of(data, size), &images, NULL) == 0 &&
        images.count > GUEST_IMAGES_MAX)
        abort();
    if (guest_facts_parse(bytes_of(data, size), &facts, NULL) == 0)
        check(facts);
    return 0;
}
