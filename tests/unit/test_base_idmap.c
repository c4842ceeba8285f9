/* SPDX-License-Identifier: Apache-2.0 */
/* The ids of a user namespace, as containerd writes them and as the kernel takes them. */
#include "test.h"

#include "base/idmap.h"
#include "base/text.h"

#include <errno.h>

static int parse(const char *text)
{
    struct idmap map = {.ranges = NULL, .count = 0};
    struct err err = ERR_NONE;
    int rc = idmap_parse(text, &map, &err);

    assert_int_equal(rc, err.code);
    assert_int_equal(map.count > 0, rc == 0); /* untouched on failure */
    idmap_fini(&map);
    return rc;
}

static void ids_inside_ranges_are_moved_and_all_others_overflow(void **state)
{
    struct idmap map;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(idmap_parse("1000:5000:1,0:100000:1000,2000:7:3", &map, &err));
    assert_int_equal(idmap_outside(&map, 0), 100000);
    assert_int_equal(idmap_outside(&map, 999), 100999);
    assert_int_equal(idmap_outside(&map, 1000), 5000);
    assert_int_equal(idmap_outside(&map, 1001), IDMAP_OVERFLOW_ID);
    assert_int_equal(idmap_outside(&map, 2002), 9);
    assert_int_equal(idmap_outside(&map, 2003), IDMAP_OVERFLOW_ID);
    assert_int_equal(idmap_outside(&map, UINT32_MAX), IDMAP_OVERFLOW_ID);
    assert_true(idmap_has(&map, 0));
    assert_false(idmap_has(&map, 1999));
    idmap_fini(&map);
}

static void no_map_at_all_leaves_ids_as_they_are(void **state)
{
    struct idmaps maps;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(idmaps_parse("", NULL, &maps, &err));
    assert_int_equal(idmap_outside(&maps.uids, 0), 0);
    assert_int_equal(idmap_outside(&maps.gids, 4294967294u), 4294967294u);
    assert_int_equal(idmap_outside(&maps.gids, 4294967295u), IDMAP_OVERFLOW_ID);
    idmaps_fini(&maps);
}

static void the_largest_ranges_that_are_ids_are_taken(void **state)
{
    (void)state;
    assert_ok(parse("0:0:4294967295"));
    assert_ok(parse("4294967294:1:1"));
    assert_ok(parse("0:4294901759:65536"));
}

static void what_reaches_past_the_last_id_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse("0:0:4294967296"), -EINVAL);
    assert_int_equal(parse("1:0:4294967295"), -EINVAL);
    assert_int_equal(parse("0:1:4294967295"), -EINVAL);
    assert_int_equal(parse("4294967295:1:1"), -EINVAL);
    assert_int_equal(parse("0:4294901760:65536"), -EINVAL);
    assert_int_equal(parse("0:4294967295:2"), -EINVAL);
    assert_int_equal(parse("99999999999999999999:0:1"), -EINVAL);
}

static void what_is_not_three_numbers_is_refused(void **state)
{
    static const char *const bad[] = {
        ",",      "0:0",         "0:0:1:2",      "0:0:1,",       ",0:0:1", "0:0:-1",
        "+0:0:1", "0: 0:1",      "0:0:1 ",       "0x0:0:1",      "0:0:",   ":0:1",
        "a:0:1",  "0:0:1;5:5:1", "0:0:1\n5:5:1", "0:0:1,,5:5:1",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(parse(bad[i]), -EINVAL);
}

static void an_empty_range_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse("0:1000:0"), -EINVAL);
}

static void ranges_that_overlap_on_either_side_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse("0:1000:10,9:5000:1"), -EINVAL);
    assert_int_equal(parse("9:5000:1,0:1000:10"), -EINVAL);
    assert_int_equal(parse("0:1000:10,100:1009:1"), -EINVAL);
    assert_int_equal(parse("0:1000:1,0:1000:1"), -EINVAL);
    assert_ok(parse("0:1000:10,10:1010:10"));
    assert_ok(parse("10:1000:10,0:1010:10"));
}

static void more_ranges_than_the_kernel_takes_are_refused(void **state)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    unsigned i;

    (void)state;
    for (i = 0; i < IDMAP_RANGES_MAX; i++)
        assert_ok(buf_addf(&text, "%s%u:%u:1", i > 0 ? "," : "", 2 * i, 2 * i));
    assert_ok(parse(buf_str(&text)));
    assert_ok(buf_addf(&text, ",%u:%u:1", 2 * i, 2 * i));
    assert_int_equal(parse(buf_str(&text)), -EINVAL);
}

static void the_kernels_form_has_a_line_for_each_range(void **state)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct idmap map;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(idmap_parse("1000:5000:1,0:100000:1000", &map, &err));
    assert_ok(idmap_format(&map, &text));
    assert_string_equal(buf_str(&text), "0 100000 1000\n1000 5000 1\n");
    idmap_fini(&map);
}

static void a_copy_outlives_what_it_was_made_of(void **state)
{
    struct idmaps maps, copy;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(idmaps_parse("0:7:1", "0:8:1", &maps, &err));
    assert_ok(idmaps_copy(&copy, &maps));
    idmaps_fini(&maps);
    assert_int_equal(idmap_outside(&copy.uids, 0), 7);
    assert_int_equal(idmap_outside(&copy.gids, 0), 8);
    idmaps_fini(&copy);
}

static void a_bad_half_is_named(void **state)
{
    struct idmaps maps = IDMAPS_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(idmaps_parse("0:7:1", "0:8", &maps, &err), -EINVAL);
    assert_true(text_has_prefix(err_text(&err), "group ids: "));
    assert_null(maps.uids.ranges);
}

/* ---- attributes ------------------------------------------------------------------------------ */

/* As setcap writes them: cap_net_bind_service+ep; the second for the root of a namespace. */
static const uint8_t cap_v2[20] = {1, 0, 0, 2, 0, 4};
static const uint8_t cap_v3[24] = {1, 0, 0, 3, 0, 4, [20] = 5};

static int map_xattr(const char *maps, const char *name, const void *value, size_t len,
                     struct buf *ret)
{
    SCOPED(idmaps) struct idmaps ids = IDMAPS_EMPTY;
    struct err err = ERR_NONE;

    assert_ok(idmaps_parse(maps, maps, &ids, &err));
    return idmaps_xattr(&ids, name, (struct bytes){.data = value, .len = len}, ret);
}

static void a_capability_becomes_one_of_the_namespaces_root(void **state)
{
    SCOPED(buf_value) struct buf a = BUF_EMPTY;
    SCOPED(buf_value) struct buf b = BUF_EMPTY;
    static const uint8_t of_100000[24] = {1, 0, 0, 3, 0, 4, [20] = 0xa0, 0x86, 1};
    static const uint8_t of_100005[24] = {1, 0, 0, 3, 0, 4, [20] = 0xa5, 0x86, 1};

    (void)state;
    assert_ok(map_xattr("0:100000:10", "security.capability", cap_v2, sizeof(cap_v2), &a));
    assert_int_equal(a.len, sizeof(of_100000));
    assert_memory_equal(a.data, of_100000, a.len);
    assert_ok(map_xattr("0:100000:10", "security.capability", cap_v3, sizeof(cap_v3), &b));
    assert_int_equal(b.len, sizeof(of_100005));
    assert_memory_equal(b.data, of_100005, b.len);
}

static void a_capability_of_the_hosts_own_root_stays_as_it_is(void **state)
{
    SCOPED(buf_value) struct buf value = BUF_EMPTY;

    (void)state;
    assert_ok(map_xattr("", "security.capability", cap_v2, sizeof(cap_v2), &value));
    assert_int_equal(value.len, sizeof(cap_v2));
    assert_memory_equal(value.data, cap_v2, value.len);
}

static void a_capability_of_nobodys_is_not_there(void **state)
{
    SCOPED(buf_value) struct buf value = BUF_EMPTY;

    (void)state;
    assert_int_equal(map_xattr("1:7:1", "security.capability", cap_v2, 20, &value), -ENODATA);
    assert_int_equal(map_xattr("0:7:1", "security.capability", cap_v3, 24, &value), -ENODATA);
    assert_int_equal(value.len, 0);
}

static void an_acl_names_the_hosts_users_and_groups(void **state)
{
    SCOPED(buf_value) struct buf value = BUF_EMPTY;
    static const uint8_t acl[] = {
        2,  0, 0, 0,                         /* version */
        1,  0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* the owner */
        2,  0, 7, 0, 3,    0,    0,    0,    /* user 3 */
        8,  0, 4, 0, 4,    0,    0,    0,    /* group 4 */
        8,  0, 4, 0, 99,   0,    0,    0,    /* group 99, not in the map */
        32, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* all others */
    };

    (void)state;
    assert_ok(map_xattr("0:1000:10", "system.posix_acl_access", acl, sizeof(acl), &value));
    assert_int_equal(value.len, sizeof(acl));
    assert_memory_equal(value.data, acl, 12 + 4);
    assert_int_equal(get_u32le(value.data + 16), 1003);
    assert_int_equal(get_u32le(value.data + 24), 1004);
    assert_int_equal(get_u32le(value.data + 32), IDMAP_OVERFLOW_ID);
    assert_memory_equal(value.data + 36, acl + 36, 8);
}

static void attributes_that_only_look_like_it_are_left_alone(void **state)
{
    static const uint8_t bytes[] = {2, 0, 0, 0, 2, 0, 7, 0, 3, 0, 0};
    static const char *const names[] = {"security.capability", "system.posix_acl_access",
                                        "user.security.capability", "trusted.overlay.opaque"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (size_t len = 0; len <= sizeof(bytes); len++) {
            SCOPED(buf_value) struct buf value = BUF_EMPTY;

            assert_ok(map_xattr("0:1000:10", names[i], bytes, len, &value));
            assert_int_equal(value.len, len);
            if (len > 0)
                assert_memory_equal(value.data, bytes, len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_inside_ranges_are_moved_and_all_others_overflow),
        cmocka_unit_test(no_map_at_all_leaves_ids_as_they_are),
        cmocka_unit_test(the_largest_ranges_that_are_ids_are_taken),
        cmocka_unit_test(what_reaches_past_the_last_id_is_refused),
        cmocka_unit_test(what_is_not_three_numbers_is_refused),
        cmocka_unit_test(an_empty_range_is_refused),
        cmocka_unit_test(ranges_that_overlap_on_either_side_are_refused),
        cmocka_unit_test(more_ranges_than_the_kernel_takes_are_refused),
        cmocka_unit_test(the_kernels_form_has_a_line_for_each_range),
        cmocka_unit_test(a_copy_outlives_what_it_was_made_of),
        cmocka_unit_test(a_bad_half_is_named),
        cmocka_unit_test(a_capability_becomes_one_of_the_namespaces_root),
        cmocka_unit_test(a_capability_of_the_hosts_own_root_stays_as_it_is),
        cmocka_unit_test(a_capability_of_nobodys_is_not_there),
        cmocka_unit_test(an_acl_names_the_hosts_users_and_groups),
        cmocka_unit_test(attributes_that_only_look_like_it_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
