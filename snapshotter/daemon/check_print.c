/* SPDX-License-Identifier: Apache-2.0 */
/* check_print.c – what a check came to, for programs and for people. */
#include "base/text.h"
#include "daemon/check.h"

#include <errno.h>
#include <inttypes.h>

const char *check_problem_name(enum check_problem problem)
{
    static const char *const names[] = {
        [CHECK_FINE] = "",
        [CHECK_UNREACHABLE] = "unreachable",
        [CHECK_REFUSED] = "refused",
        [CHECK_CREDENTIALS] = "credentials",
        [CHECK_NO_IMAGE] = "no-image",
        [CHECK_NO_PLATFORM] = "no-platform",
        [CHECK_NO_INDEX] = "no-index",
        [CHECK_BROKEN_INDEX] = "broken-index",
        [CHECK_OFF] = "off",
        [CHECK_NO_LAYER] = "no-layer",
        [CHECK_NO_RANGES] = "no-ranges",
    };

    return names[problem];
}

const char *check_state_name(enum check_state state)
{
    static const char *const names[] = {
        [CHECK_LAZY] = "lazy",           [CHECK_NO_ZTOC] = "no-ztoc",
        [CHECK_TOO_SMALL] = "too-small", [CHECK_BROKEN_ZTOC] = "broken-ztoc",
        [CHECK_NOT_THERE] = "not-there", [CHECK_ONLY_WHOLE] = "only-whole",
    };

    return names[state];
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* What is being written; the first failure stays. */
struct out {
    struct buf *to;
    int rc;
};

static void raw(struct out *out, const char *text)
{
    if (out->rc == 0)
        out->rc = buf_add_str(out->to, text);
}

static void string(struct out *out, const char *name, const char *value)
{
    raw(out, name);
    raw(out, "\":");
    if (out->rc == 0)
        out->rc = text_add_json(out->to, bytes_of_str(value == NULL ? "" : value), false);
}

static void digest(struct out *out, const char *name, bool has, const struct digest *value)
{
    char text[DIGEST_TEXT_BYTES] = "";

    if (has)
        digest_format(value, text);
    string(out, name, text);
}

static void number(struct out *out, const char *name, int64_t value)
{
    if (out->rc == 0)
        out->rc = buf_addf(out->to, "%s\":%" PRId64, name, value);
}

static void put_layer(struct out *out, const struct check_layer *layer)
{
    digest(out, "{\"digest", true, &layer->digest);
    number(out, ",\"sizeBytes", (int64_t)layer->size_bytes);
    string(out, ",\"state", check_state_name(layer->state));
    string(out, ",\"text", layer->text);
    raw(out, "}");
}

int check_print_json(const struct check *check, struct buf *ret)
{
    struct out out = {.to = ret};

    string(&out, "{\"image", check->image);
    string(&out, ",\"name", check->name);
    string(&out, ",\"registry", check->host);
    raw(&out, check->reachable ? ",\"reachable\":true" : ",\"reachable\":false");
    if (check->has_skew)
        number(&out, ",\"clockSkewSeconds", check->skew_s);
    else
        raw(&out, ",\"clockSkewSeconds\":null");
    string(&out, ",\"platform", check->platform);
    digest(&out, ",\"manifest", check->has_manifest, &check->manifest);
    digest(&out, ",\"index", check->has_index, &check->index);
    raw(&out, check->lazy_count > 0 ? ",\"lazy\":true" : ",\"lazy\":false");
    string(&out, ",\"problem", check_problem_name(check->problem));
    string(&out, ",\"text", check->problem == CHECK_FINE ? "" : err_text(&check->why));
    raw(&out, ",\"layers\":[");
    for (size_t i = 0; i < check->layer_count; i++) {
        raw(&out, i == 0 ? "" : ",");
        put_layer(&out, &check->layers[i]);
    }
    raw(&out, "]}\n");
    return out.rc;
}

/* ---- for people ------------------------------------------------------------------------------ */

/* What others wrote must not steer the terminal. */
static int put_clean(struct buf *ret, const char *text)
{
    int rc = 0;

    for (; *text != '\0' && rc == 0; text++) {
        unsigned char c = (unsigned char)*text;

        rc = buf_add_byte(ret, c < ' ' || c == 0x7f ? '?' : c);
    }
    return rc;
}

int check_print_table(const struct check *check, struct buf *ret)
{
    char text[DIGEST_TEXT_BYTES];
    int rc = put_clean(ret, check->image);

    if (rc == 0 && check->layer_count > 0)
        rc = buf_addf(ret, ": %zu of %zu layers lazy", check->lazy_count, check->layer_count);
    else if (rc == 0 && check->problem == CHECK_FINE)
        rc = buf_add_str(ret, ": the registry answers");
    if (rc == 0)
        rc = buf_add_byte(ret, '\n');
    if (rc == 0 && check->problem != CHECK_FINE) {
        rc = buf_addf(ret, "%s: ", check_problem_name(check->problem));
        if (rc == 0)
            rc = put_clean(ret, err_text(&check->why));
        if (rc == 0)
            rc = buf_add_byte(ret, '\n');
    }
    for (size_t i = 0; i < check->layer_count && rc == 0; i++) {
        const struct check_layer *layer = &check->layers[i];

        digest_format(&layer->digest, text);
        rc = buf_addf(ret, "  %.19s  %12" PRIu64 "  %-11s  ", text, layer->size_bytes,
                      check_state_name(layer->state));
        if (rc == 0)
            rc = put_clean(ret, layer->text);
        if (rc == 0)
            rc = buf_add_byte(ret, '\n');
    }
    return rc;
}
