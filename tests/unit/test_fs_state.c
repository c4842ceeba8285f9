/* SPDX-License-Identifier: Apache-2.0 */
/* test_fs_state.c – the text of the state file. The layer is a struct here: this program defines
 * the functions that the text is made of. */
#include "test.h"

#include "fs/internal.h"

struct layer {
    struct digest digest;
    struct layer_status status;
};

const struct digest *layer_digest(const struct layer *layer)
{
    return &layer->digest;
}

void layer_get_status(struct layer *layer, struct layer_status *ret)
{
    *ret = layer->status;
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static void assert_text(struct layer *layer, const char *want)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    assert_ok(buf_add_str(&text, "what was there before"));
    assert_ok(state_render(layer, &text));
    assert_string_equal(buf_str(&text), want);
}

static void the_file_is_named_after_the_layer(void **state)
{
    struct layer layer = {.status = {.size_bytes = 1}};
    char name[DIGEST_TEXT_BYTES + 5];

    (void)state;
    state_file_name(&layer, name);
    assert_string_equal(name, "sha256:" ZEROS ".json");
}

static void it_tells_size_and_what_was_fetched(void **state)
{
    struct layer layer = {.status = {.size_bytes = 300, .fetched_bytes = 100}};

    (void)state;
    assert_text(&layer, "{\"digest\":\"sha256:" ZEROS "\",\"size\":300,\"fetchedSize\":100,"
                        "\"fetchedPercent\":33.33333333333333}\n");
    layer.status.fetched_bytes = 300;
    assert_text(&layer, "{\"digest\":\"sha256:" ZEROS "\",\"size\":300,\"fetchedSize\":300,"
                        "\"fetchedPercent\":100}\n");
}

static void an_error_comes_first_and_is_escaped(void **state)
{
    struct layer layer = {.status = {.size_bytes = 8}};

    (void)state;
    (void)err_set(&layer.status.last_error, -EIO, "<\"no\">\n");
    assert_text(&layer, "{\"error\":\"\\u003c\\\"no\\\"\\u003e\\n\",\"digest\":\"sha256:" ZEROS
                        "\",\"size\":8,\"fetchedSize\":0,\"fetchedPercent\":0}\n");
}

static void a_layer_of_no_bytes_is_all_there(void **state)
{
    struct layer layer = {.status = {.size_bytes = 0}};

    (void)state;
    assert_text(&layer, "{\"digest\":\"sha256:" ZEROS
                        "\",\"size\":0,\"fetchedSize\":0,\"fetchedPercent\":100}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_named_after_the_layer),
        cmocka_unit_test(it_tells_size_and_what_was_fetched),
        cmocka_unit_test(an_error_comes_first_and_is_escaped),
        cmocka_unit_test(a_layer_of_no_bytes_is_all_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
