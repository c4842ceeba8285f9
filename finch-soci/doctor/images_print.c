/* SPDX-License-Identifier: Apache-2.0 */
/* images_print.c – images that were asked about: a table for people, a line of JSON for programs.
 *
 *     registry.example/app:1 (linux/arm64) would be lazy: 4 of 5 layers
 *
 *     LAYER                SIZE       STATE
 *     sha256:4925bba77f82  1.0 MiB    lazy
 *     sha256:f29e9dd88b22  2.3 KiB    no-ztoc  it was too small when the index was made
 */
#include "doctor/internal.h"

#include <string.h>

enum { DIGEST_SHOWN = 7 + 12 };

static void put_verdict(struct doctor_out *page, const struct doctor_image *image)
{
    doctor_put_coloured(page, "\033[1m", image->word);
    if (image->platform[0] != '\0' && page->rc == 0)
        page->rc = buf_addf(page->to, " (%s)", image->platform);
    if (image->lazy) {
        doctor_put_coloured(page, "\033[32m", " would be lazy");
        if (page->rc == 0)
            page->rc =
                buf_addf(page->to, ": %zu of %zu layers\n", image->lazy_count, image->layer_count);
    } else if (image->problem[0] == '\0') {
        doctor_put(page, ": the registry answers\n");
    } else {
        doctor_put_coloured(page, "\033[1;31m", " would not be lazy");
        doctor_put(page, ": ");
        doctor_put(page, image->text);
        doctor_put(page, "\n");
    }
}

static void put_layer(struct doctor_out *page, const struct doctor_layer *layer)
{
    char size[REPORT_SIZE_BYTES];

    report_format_size(layer->size_bytes, size);
    if (page->rc == 0)
        page->rc =
            buf_addf(page->to, "%-*.*s  %10s  ", DIGEST_SHOWN, DIGEST_SHOWN, layer->digest, size);
    if (page->rc == 0 && layer->text[0] == '\0')
        page->rc = buf_addf(page->to, "%s\n", layer->state);
    else if (page->rc == 0)
        page->rc = buf_addf(page->to, "%-11s  %s\n", layer->state, layer->text);
}

static void put_image(struct doctor_out *page, const struct doctor_image *image)
{
    put_verdict(page, image);
    if (image->mend[0] != '\0') {
        doctor_put(page, "mend: ");
        doctor_put_coloured(page, "\033[1m", image->mend);
        doctor_put(page, "\n");
    }
    if (image->layer_count > 0 && page->rc == 0)
        page->rc = buf_addf(page->to, "\n%-*s  %10s  %s\n", DIGEST_SHOWN, "LAYER", "SIZE", "STATE");
    for (size_t i = 0; i < image->layer_count; i++)
        put_layer(page, &image->layers[i]);
}

int doctor_images_print(const struct doctor_images *images, const struct report_style *style,
                        struct buf *ret)
{
    struct doctor_out page = {.to = ret, .style = style};

    for (size_t i = 0; i < images->count; i++) {
        doctor_put(&page, i == 0 ? "" : "\n");
        put_image(&page, &images->items[i]);
    }
    return page.rc;
}

static void encode_layers(struct doctor_out *out, const struct doctor_image *image)
{
    doctor_put(out, ",\"layers\":[");
    for (size_t i = 0; i < image->layer_count; i++) {
        const struct doctor_layer *layer = &image->layers[i];

        doctor_put_string(out, i == 0 ? "{\"digest" : ",{\"digest", layer->digest);
        doctor_put_number(out, ",\"sizeBytes", (int64_t)layer->size_bytes);
        doctor_put_string(out, ",\"state", layer->state);
        doctor_put_string(out, ",\"text", layer->text);
        doctor_put(out, "}");
    }
    doctor_put(out, "]");
}

int doctor_images_encode(const struct doctor_images *images, struct buf *ret)
{
    struct doctor_out out = {.to = ret};

    for (size_t i = 0; i < images->count; i++) {
        const struct doctor_image *image = &images->items[i];

        doctor_put_string(&out, "{\"image", image->word);
        doctor_put_string(&out, ",\"name", image->name);
        doctor_put_string(&out, ",\"registry", image->registry);
        doctor_put_bool(&out, ",\"reachable", image->reachable);
        if (image->has_skew)
            doctor_put_number(&out, ",\"clockSkewSeconds", image->skew_s);
        else
            doctor_put(&out, ",\"clockSkewSeconds\":null");
        doctor_put_string(&out, ",\"platform", image->platform);
        doctor_put_string(&out, ",\"manifest", image->manifest);
        doctor_put_string(&out, ",\"index", image->index);
        doctor_put_bool(&out, ",\"lazy", image->lazy);
        doctor_put_string(&out, ",\"problem", image->problem);
        doctor_put_string(&out, ",\"text", image->text);
        doctor_put_string(&out, ",\"mend", image->mend);
        encode_layers(&out, image);
        doctor_put(&out, "}\n");
    }
    return out.rc;
}
