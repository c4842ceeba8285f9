/* SPDX-License-Identifier: Apache-2.0 */
/* test_tar_parser.c – entries out of a stream: dialects, extensions, ends, and everything that is
 * refused. */
#include "make_layer.h"

#include "tar/tar.h"

/* What was seen of the entries, the last one with its strings copied. */
struct seen {
    size_t count;
    struct tar_entry last;
    char name[400], linkname[400], uname[40], records[400];
};

static void copy(char *to, size_t room, struct bytes from)
{
    assert_true(from.len < room);
    if (from.len > 0)
        memcpy(to, from.data, from.len);
    to[from.len] = '\0';
}

static int see(void *arg, const struct tar_entry *entry, struct err *err)
{
    struct seen *seen = arg;
    char *out = seen->records;

    (void)err;
    seen->count++;
    seen->last = *entry;
    copy(seen->name, sizeof(seen->name), entry->name);
    copy(seen->linkname, sizeof(seen->linkname), entry->linkname);
    copy(seen->uname, sizeof(seen->uname), entry->uname);
    *out = '\0';
    for (size_t i = 0; i < entry->record_count; i++) /* "key=value;key=value;" */
        out += sprintf(out, "%.*s=%.*s;", (int)entry->records[i].key.len,
                       (const char *)entry->records[i].key.data, (int)entry->records[i].value.len,
                       (const char *)entry->records[i].value.data);
    return 0;
}

static int parse(struct bytes tar, size_t piece, struct seen *seen, uint64_t *consumed,
                 struct err *err)
{
    SCOPED(tar_parser) struct tar_parser *parser = NULL;
    int rc = tar_parser_new(&(struct tar_events){see, seen}, &parser, err);

    *seen = (struct seen){.count = 0};
    for (size_t off = 0; rc == 0 && off < tar.len; off += piece)
        rc = tar_parser_feed(
            parser, bytes_of(tar.data + off, tar.len - off < piece ? tar.len - off : piece), err);
    if (rc == 0)
        rc = tar_parser_finish(parser, err);
    *consumed = tar_parser_consumed(parser);
    return rc;
}

static void assert_parses(const struct buf *tar, struct seen *seen)
{
    struct err err = ERR_NONE;
    uint64_t consumed;

    if (parse(buf_bytes(tar), 100, seen, &consumed, &err) < 0)
        fail_msg("%s", err_text(&err));
}

static void assert_refused(const struct buf *tar, const char *why)
{
    struct seen seen;
    struct err err = ERR_NONE;
    uint64_t consumed;
    int rc = parse(buf_bytes(tar), 4096, &seen, &consumed, &err);

    if (rc != -EBADMSG || strstr(err_text(&err), why) == NULL)
        fail_msg("%d and \"%s\", not \"%s\"", rc, err_text(&err), why);
}

static uint64_t consumed_of(const struct buf *tar)
{
    struct seen seen;
    struct err err = ERR_NONE;
    uint64_t consumed;

    assert_ok(parse(buf_bytes(tar), 333, &seen, &consumed, &err));
    return consumed;
}

/* ---- dialects -------------------------------------------------------------------------------- */

static void a_ustar_prefix_goes_before_the_name(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;
    uint8_t *h = tar_header(&tar, "name", '0', 0);

    (void)state;
    memcpy(h + AT_PREFIX, "some/dir", 8);
    tar_sum(h);
    assert_parses(&tar, &seen);
    assert_string_equal(seen.name, "some/dir/name");
    assert_string_equal(seen.uname, "root");
}

static void names_of_full_length_need_no_nul(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;
    uint8_t *h = tar_header(&tar, "", '0', 0);

    (void)state;
    memset(h + AT_NAME, 'n', 100);
    memset(h + AT_PREFIX, 'p', 155);
    memset(h + AT_LINKNAME, 'l', 100);
    tar_sum(h);
    assert_parses(&tar, &seen);
    assert_int_equal(strlen(seen.name), 256);
    assert_int_equal(strlen(seen.linkname), 100);
}

static void v7_headers_have_no_owner_names_and_no_devices(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;
    uint8_t *h = tar_header(&tar, "old/", '\0', 0);

    (void)state;
    memcpy(h + AT_DEVMAJOR, "zzzzzzz", 8);
    memset(h + AT_MAGIC, 0, 8);
    tar_sum(h);
    assert_parses(&tar, &seen);
    assert_string_equal(seen.uname, "");
    assert_int_equal(seen.last.type,
                     '5'); /* an old file whose name ends in a slash is a directory */
}

static void what_is_over_a_gnu_prefix_is_a_name_only_when_it_is_no_time(void **state)
{
    SCOPED(buf_value) struct buf times = BUF_EMPTY;
    SCOPED(buf_value) struct buf name = BUF_EMPTY;
    struct seen seen;
    uint8_t *h = tar_header(&times, "n", '0', 0);

    (void)state;
    memcpy(h + AT_MAGIC, "ustar  ", 8);
    memcpy(h + AT_PREFIX,
           "00000000001\0"
           "00000000002",
           23);
    tar_sum(h);
    assert_parses(&times, &seen);
    assert_string_equal(seen.name, "n");
    h = tar_header(&name, "n", '0', 0);
    memcpy(h + AT_MAGIC, "ustar  ", 8);
    memcpy(h + AT_PREFIX, "dir", 3);
    tar_sum(h);
    assert_parses(&name, &seen);
    assert_string_equal(seen.name, "dir/n");
}

static void a_star_prefix_is_shorter_and_its_times_must_be_numbers(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;
    uint8_t *h = tar_header(&tar, "n", '0', 0);

    (void)state;
    memset(h + AT_PREFIX, 'p', 131);
    memcpy(h + 476,
           "00000000001\0"
           "00000000002",
           23);
    memcpy(h + 508, "tar", 4);
    tar_sum(h);
    assert_parses(&tar, &seen);
    assert_int_equal(strlen(seen.name), 133);
    memcpy(h + 476, "x", 1);
    tar_sum(h);
    assert_refused(&tar, "access or change time");
}

static void a_checksum_of_signed_bytes_is_taken_too(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;
    uint8_t *h = tar_header(&tar, "\xff\xfe", '0', 0);
    unsigned sum = 0;
    char text[8];

    (void)state;
    memset(h + AT_CHECKSUM, ' ', 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned)(int8_t)h[i];
    (void)snprintf(text, sizeof(text), "%06o", sum);
    memcpy(h + AT_CHECKSUM, text, 7);
    assert_parses(&tar, &seen);
    assert_int_equal(seen.count, 1);
    h[AT_CHECKSUM + 5] ^= 1;
    assert_refused(&tar, "checksum");
}

static void numbers_may_be_in_base_256(void **state)
{
    static const uint8_t big[12] = {0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t minus_2[12] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                        0xff, 0xff, 0xff, 0xff, 0xff, 0xfe};
    static const uint8_t too_big[12] = {0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;
    uint8_t *h = tar_header(&tar, "n", '5', 0);

    (void)state;
    memcpy(h + AT_MTIME, big, 12);
    tar_sum(h);
    assert_parses(&tar, &seen);
    assert_true(seen.last.mtime_sec == INT64_MAX);
    memcpy(h + AT_MTIME, minus_2, 12);
    tar_sum(h);
    assert_parses(&tar, &seen);
    assert_int_equal(seen.last.mtime_sec, -2);
    memcpy(h + AT_MTIME, too_big, 12);
    tar_sum(h);
    assert_refused(&tar, "too large");
}

static void octal_may_have_spaces_and_nuls_around_it_and_nothing_else(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;
    uint8_t *h = tar_header(&tar, "n", '5', 0);

    (void)state;
    memcpy(h + AT_MODE, "\0 644 \0", 8);
    memcpy(h + AT_UID, "        ", 8);
    memcpy(h + AT_GID, "12\0 9  ", 8);
    tar_sum(h);
    assert_parses(&tar, &seen);
    assert_int_equal(seen.last.mode, 0644);
    assert_int_equal(seen.last.uid, 0);
    assert_int_equal(seen.last.gid, 10);
    memcpy(h + AT_GID, "12 9\0\0\0", 8);
    tar_sum(h);
    assert_refused(&tar, "header at offset 0: its mode, owner or time is no number");
    memcpy(h + AT_GID, "0000008", 8);
    tar_sum(h);
    assert_refused(&tar, "no number");
}

/* ---- sizes and types ------------------------------------------------------------------------- */

static void a_negative_size_is_refused(void **state)
{
    static const char types[] = "0\0"
                                "15xL";
    (void)state;
    for (size_t i = 0; i < sizeof(types) - 1; i++) {
        SCOPED(buf_value) struct buf tar = BUF_EMPTY;
        uint8_t *h = tar_header(&tar, "n", types[i], 0);

        memset(h + AT_SIZE, 0xff, 12);
        tar_sum(h);
        assert_refused(&tar, types[i] == 'x' || types[i] == 'L' ? "1 MiB" : "its size is negative");
    }
}

static void a_size_that_overflows_is_refused(void **state)
{
    static const uint8_t max[12] = {0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    uint8_t *h = tar_header(&tar, "n", '0', 0);

    (void)state;
    memcpy(h + AT_SIZE, max, 12);
    tar_sum(h);
    assert_refused(&tar, "ends at offset 512");
    h[AT_SIZE + 1] = 1;
    tar_sum(h);
    assert_refused(&tar, "too large");
}

static void types_without_a_place_in_a_ztoc_are_refused(void **state)
{
    static const char types[] = "7gSVMA";

    (void)state;
    for (size_t i = 0; i < sizeof(types) - 1; i++) {
        SCOPED(buf_value) struct buf tar = BUF_EMPTY;
        char why[64];

        tar_text(&tar, "a", '0', "x");
        (void)tar_header(&tar, "n", types[i], 0);
        (void)snprintf(why, sizeof(why), "offset 1024: unsupported input tar entry '%c'", types[i]);
        assert_refused(&tar, why);
    }
}

struct content {
    struct seen seen; /* first: it is the events' argument */
    struct buf bytes;
    int rc; /* what the receiver says */
};

static int take_content(void *arg, struct bytes piece, struct err *err)
{
    struct content *content = arg;

    assert_true(piece.len > 0);
    assert_ok(buf_add(&content->bytes, piece.data, piece.len));
    return content->rc < 0 ? err_set(err, content->rc, "no more") : 0;
}

static int read_content(struct bytes tar, size_t piece, struct content *content, struct err *err)
{
    SCOPED(tar_parser) struct tar_parser *parser = NULL;
    int rc = tar_parser_new(&(struct tar_events){see, content}, &parser, err);

    content->bytes.len = 0;
    tar_parser_want_content(parser, take_content);
    tar_parser_pass_over_global(parser);
    for (size_t off = 0; rc == 0 && off < tar.len; off += piece)
        rc = tar_parser_feed(
            parser, bytes_of(tar.data + off, tar.len - off < piece ? tar.len - off : piece), err);
    return rc < 0 ? rc : tar_parser_finish(parser, err);
}

static void content_is_given_to_who_wants_it_and_global_headers_are_nobodys(void **state)
{
    static const size_t pieces[] = {1, 700, 100000};
    struct content content = {.rc = 0};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    tar_text(&tar, "pax_global_header", 'g', "19 comment=whatever\n");
    tar_text(&tar, "a", '0', "one ");
    tar_pax_text(&tar, "path", "of the next, which is global");
    tar_text(&tar, "b", 'g', "19 comment=whatever\n");
    tar_text(&tar, "c", '0', "");
    (void)tar_header(&tar, "d", '5', 1000);
    tar_text(&tar, "e", '0', "two");
    tar_end(&tar);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        content.seen.count = 0;
        assert_ok(read_content(buf_bytes(&tar), pieces[i], &content, &err));
        assert_int_equal(content.seen.count, 4);
        assert_string_equal(content.seen.name, "e");
        assert_string_equal(buf_str(&content.bytes), "one two");
    }
    content.rc = -ENOSPC;
    assert_int_equal(read_content(buf_bytes(&tar), 1, &content, &err), -ENOSPC);
    assert_string_equal(buf_str(&content.bytes), "o");
    buf_fini(&content.bytes);
}

static void a_global_header_over_1_mib_is_refused_by_who_passes_over_it(void **state)
{
    struct content content = {.rc = 0};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    (void)tar_header(&tar, "g", 'g', (1 << 20) + 1);
    assert_int_equal(read_content(buf_bytes(&tar), 512, &content, &err), -EBADMSG);
}

static void only_files_have_content(void **state)
{
    static const char types[] = "123456";

    (void)state;
    for (size_t i = 0; i < sizeof(types) - 1; i++) {
        SCOPED(buf_value) struct buf tar = BUF_EMPTY;
        struct seen seen;

        (void)tar_header(&tar, "n", types[i], 1000);
        (void)tar_header(&tar, "m", '0', 0);
        assert_parses(&tar, &seen);
        assert_int_equal(seen.count, 2);
        assert_int_equal(seen.last.header_off, 512);
    }
}

/* ---- extensions ------------------------------------------------------------------------------ */

static void pax_records_go_over_the_header(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;

    (void)state;
    tar_pax_text(&tar, "path", "pax/name");
    tar_text(&tar, "short", '0', "x");
    assert_parses(&tar, &seen);
    assert_string_equal(seen.name, "pax/name");
    assert_string_equal(seen.records, "path=pax/name;");
    assert_int_equal(seen.last.header_off, 0);
    assert_int_equal(seen.last.uncomp_off, 1536);
    tar_text(&tar, "next", '0', "x"); /* for one entry alone */
    assert_parses(&tar, &seen);
    assert_string_equal(seen.name, "next");
    assert_string_equal(seen.records, "");
}

static void an_empty_pax_value_keeps_the_header_and_the_record(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;

    (void)state;
    tar_text(&tar, "pax", 'x', "8 path=\n10 mtime=\n8 uid=5\n");
    tar_text(&tar, "short", '0', "x");
    assert_parses(&tar, &seen);
    assert_string_equal(seen.name, "short");
    assert_int_equal(seen.last.mtime_sec, 1700000000);
    assert_int_equal(seen.last.uid, 5);
    assert_string_equal(seen.records, "mtime=;path=;uid=5;");
}

static void of_two_records_or_two_pax_headers_the_last_counts(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;

    (void)state;
    tar_text(&tar, "pax", 'x', "9 path=a\n9 path=b\n");
    tar_text(&tar, "n", '0', "");
    assert_parses(&tar, &seen);
    assert_string_equal(seen.name, "b");
    assert_string_equal(seen.records, "path=b;");
    tar_text(&tar, "pax", 'x', "9 path=c\n");
    tar_text(&tar, "pax", 'x', "9 comm=d\n");
    tar_text(&tar, "n", '0', "");
    assert_parses(&tar, &seen);
    assert_string_equal(seen.name, "n");
    assert_string_equal(seen.records, "comm=d;");
}

static void gnu_long_names_go_before_pax(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;

    (void)state;
    tar_add(&tar, "l", 'L', bytes_of("long\0junk", 9));
    tar_add(&tar, "k", 'K', bytes_of_str("target"));
    tar_pax_text(&tar, "path", "pax");
    tar_text(&tar, "n", '2', "");
    assert_parses(&tar, &seen);
    assert_string_equal(seen.name, "long");
    assert_string_equal(seen.linkname, "target");
    assert_string_equal(seen.records, "path=pax;");
    tar_text(&tar, "l", 'L', ""); /* an empty one is none */
    tar_text(&tar, "n", '0', "");
    assert_parses(&tar, &seen);
    assert_string_equal(seen.name, "n");
    assert_string_equal(seen.linkname, "");
}

static void a_pax_size_decides_how_much_content_there_is(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;

    (void)state;
    tar_pax_text(&tar, "size", "600");
    (void)tar_header(&tar, "n", '0', 0);
    assert_ok(buf_add_zeros(&tar, 1024));
    tar_text(&tar, "m", '0', "");
    assert_parses(&tar, &seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.last.header_off, 2560);
}

static void times_have_fractions_that_go_backwards_before_1970(void **state)
{
    static const struct {
        const char *text;
        int64_t sec;
        uint32_t nsec;
    } times[] = {
        {"1.5", 1, 500000000},          {"1.", 1, 0},  {"+7.25", 7, 250000000},
        {"0.1234567899", 0, 123456789}, {"-5", -5, 0}, {"-0.5", -1, 500000000},
        {"-5.25", -6, 750000000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        SCOPED(buf_value) struct buf tar = BUF_EMPTY;
        struct seen seen;

        tar_pax_text(&tar, "mtime", times[i].text);
        tar_text(&tar, "n", '0', "");
        assert_parses(&tar, &seen);
        assert_int_equal(seen.last.mtime_sec, times[i].sec);
        assert_int_equal(seen.last.mtime_nsec, times[i].nsec);
    }
}

static void pax_values_that_do_not_parse_are_refused(void **state)
{
    static const char *const records[][2] = {
        {"size", "x"},      {"size", "-1"},    {"size", "99999999999999999999"},
        {"uid", "1_0"},     {"gid", "0x1"},    {"mtime", ".5"},
        {"mtime", "1.5.5"}, {"atime", "soon"}, {"ctime", "1e5"},
        {"uid", "-"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        SCOPED(buf_value) struct buf tar = BUF_EMPTY;

        tar_pax_text(&tar, records[i][0], records[i][1]);
        (void)tar_header(&tar, "n", '0', 0);
        assert_refused(&tar, "header at offset 1024: ");
    }
}

static void pax_records_that_are_malformed_are_refused(void **state)
{
    static const char *const bodies[] = {
        "9 path=a",    /* no newline, and too short for its length */
        "8 path=a\n",  /* a length that ends before the newline */
        "11 path=a\n", /* one that ends behind the body */
        "x path=a\n",  /* none */
        "path=a\n",    /* none and no space */
        "9 path a\n",  /* no = */
        "5 =a\n",      /* no key */
        "-9 path=a\n", /* negative */
        "4 a\n",       /* under the shortest */
        "99999999999999999999 path=a\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        SCOPED(buf_value) struct buf tar = BUF_EMPTY;

        tar_text(&tar, "pax", 'x', bodies[i]);
        (void)tar_header(&tar, "n", '0', 0);
        assert_refused(&tar, "header at offset 0: a record ");
    }
}

static void nuls_in_pax_names_are_refused_but_not_in_other_values(void **state)
{
    SCOPED(buf_value) struct buf path = BUF_EMPTY;
    SCOPED(buf_value) struct buf key = BUF_EMPTY;
    SCOPED(buf_value) struct buf xattr = BUF_EMPTY;
    struct seen seen;

    (void)state;
    tar_pax(&path, "path", bytes_of("a\0b", 3));
    assert_refused(&path, "a name has a NUL");
    tar_add(&key, "pax", 'x', bytes_of("8 a\0b=c\n", 8));
    assert_refused(&key, "a key has a NUL");
    tar_pax(&xattr, "SCHILY.xattr.user.a", bytes_of("a\0b", 3));
    tar_text(&xattr, "n", '0', "");
    assert_parses(&xattr, &seen);
    assert_int_equal(seen.last.record_count, 1);
}

static void an_extended_header_over_1_mib_is_refused(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;

    (void)state;
    (void)tar_header(&tar, "l", 'L', (1 << 20) + 1);
    assert_refused(&tar, "over 1 MiB");
}

/* ---- sparse files ---------------------------------------------------------------------------- */

static void add_sparse_1_0(struct buf *tar, const char *map, size_t stored)
{
    static const char pax[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n21 GNU.sparse.name=s\n"
                              "28 GNU.sparse.realsize=2000\n";
    SCOPED(buf_value) struct buf content = BUF_EMPTY;

    assert_ok(buf_add_str(&content, map));
    assert_ok(buf_add_zeros(&content, (0 - content.len) % BLOCK + stored));
    tar_text(tar, "pax", 'x', pax);
    tar_add(tar, "GNUSparseFile.0/s", '0', buf_bytes(&content));
}

static void a_sparse_map_in_the_content_is_read_and_skipped(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;

    (void)state;
    add_sparse_1_0(&tar, "2\n0\n100\n1500\n100\n", 200);
    assert_parses(&tar, &seen);
    assert_string_equal(seen.name, "s");
    assert_int_equal(seen.last.size, 2000);
    assert_int_equal(seen.last.uncomp_off, 2048); /* pax header and body, header, map */
    tar_text(&tar, "n", '0', "");
    assert_parses(&tar, &seen);
    assert_int_equal(seen.count, 2);
}

static void sparse_maps_that_cannot_be_are_refused(void **state)
{
    static const char *const maps[] = {
        "2\n0\n100\n50\n100\n", /* overlap */
        "1\n1990\n100\n",       /* behind the end */
        "1\n-5\n100\n",
        "x\n",
        "1\n0\n", /* cut off */
        "-1\n0\n",
        "1\n9223372036854775807\n9223372036854775807\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        SCOPED(buf_value) struct buf tar = BUF_EMPTY;

        add_sparse_1_0(&tar, maps[i], 0);
        assert_refused(&tar, "sparse map");
    }
}

static void sparse_maps_in_records_are_joined_and_checked(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf odd = BUF_EMPTY;
    struct seen seen;

    (void)state;
    tar_text(&tar, "pax", 'x',
             "26 GNU.sparse.numblocks=1\n23 GNU.sparse.offset=1\n25 GNU.sparse.numbytes=2\n22 "
             "GNU.sparse.size=50\n");
    tar_text(&tar, "n", '0', "xy");
    assert_parses(&tar, &seen);
    assert_int_equal(seen.last.size, 50);
    assert_string_equal(seen.records,
                        "GNU.sparse.map=1,2;GNU.sparse.numblocks=1;GNU.sparse.size=50;");
    tar_text(&odd, "pax", 'x', "25 GNU.sparse.numbytes=2\n");
    assert_refused(&odd, "sparse map is out of order");
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void an_archive_ends_with_two_blocks_of_zeros_or_with_the_bytes(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;

    (void)state;
    assert_int_equal(consumed_of(&tar), 0);
    tar_text(&tar, "a", '0', "hello");
    assert_int_equal(consumed_of(&tar), 1024);
    tar.len -= 100; /* the padding may be missing */
    assert_int_equal(consumed_of(&tar), 924);
    tar.len += 100;
    assert_ok(buf_add_zeros(&tar, BLOCK));
    assert_int_equal(consumed_of(&tar), 1536);
    assert_ok(buf_add_zeros(&tar, BLOCK));
    assert_int_equal(consumed_of(&tar), 2048);
    assert_ok(buf_add_zeros(&tar, (size_t)20 * BLOCK));
    assert_ok(buf_add_str(&tar, "junk"));
    assert_int_equal(consumed_of(&tar), 2048);
}

static void something_after_one_block_of_zeros_is_refused(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;

    (void)state;
    assert_ok(buf_add_zeros(&tar, BLOCK));
    tar_text(&tar, "a", '0', "");
    assert_refused(&tar, "a block of zeros, and then one that is not");
    tar.len = BLOCK + 100;
    assert_refused(&tar, "ends at offset 612, inside a header");
}

static void a_long_name_at_the_end_is_forgotten(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct seen seen;

    (void)state;
    tar_text(&tar, "a", '0', "");
    tar_text(&tar, "l", 'L', "long");
    assert_parses(&tar, &seen);
    assert_int_equal(seen.count, 1);
    tar.len = 2 * BLOCK + 2;
    assert_refused(&tar, "ends at offset 1026, 2 bytes before the end of an entry");
}

static int refuse_entry(void *arg, const struct tar_entry *entry, struct err *err)
{
    (void)arg;
    (void)entry;
    return err_set(err, -ENOSPC, "full");
}

static void an_error_of_the_receiver_ends_the_parse(void **state)
{
    SCOPED(tar_parser) struct tar_parser *parser = NULL;
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    tar_text(&tar, "a", '0', "");
    assert_ok(tar_parser_new(&(struct tar_events){refuse_entry, NULL}, &parser, &err));
    assert_int_equal(tar_parser_feed(parser, buf_bytes(&tar), &err), -ENOSPC);
    assert_string_equal(err_text(&err), "full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ustar_prefix_goes_before_the_name),
        cmocka_unit_test(names_of_full_length_need_no_nul),
        cmocka_unit_test(v7_headers_have_no_owner_names_and_no_devices),
        cmocka_unit_test(what_is_over_a_gnu_prefix_is_a_name_only_when_it_is_no_time),
        cmocka_unit_test(a_star_prefix_is_shorter_and_its_times_must_be_numbers),
        cmocka_unit_test(a_checksum_of_signed_bytes_is_taken_too),
        cmocka_unit_test(numbers_may_be_in_base_256),
        cmocka_unit_test(octal_may_have_spaces_and_nuls_around_it_and_nothing_else),
        cmocka_unit_test(a_negative_size_is_refused),
        cmocka_unit_test(a_size_that_overflows_is_refused),
        cmocka_unit_test(types_without_a_place_in_a_ztoc_are_refused),
        cmocka_unit_test(content_is_given_to_who_wants_it_and_global_headers_are_nobodys),
        cmocka_unit_test(a_global_header_over_1_mib_is_refused_by_who_passes_over_it),
        cmocka_unit_test(only_files_have_content),
        cmocka_unit_test(pax_records_go_over_the_header),
        cmocka_unit_test(an_empty_pax_value_keeps_the_header_and_the_record),
        cmocka_unit_test(of_two_records_or_two_pax_headers_the_last_counts),
        cmocka_unit_test(gnu_long_names_go_before_pax),
        cmocka_unit_test(a_pax_size_decides_how_much_content_there_is),
        cmocka_unit_test(times_have_fractions_that_go_backwards_before_1970),
        cmocka_unit_test(pax_values_that_do_not_parse_are_refused),
        cmocka_unit_test(pax_records_that_are_malformed_are_refused),
        cmocka_unit_test(nuls_in_pax_names_are_refused_but_not_in_other_values),
        cmocka_unit_test(an_extended_header_over_1_mib_is_refused),
        cmocka_unit_test(a_sparse_map_in_the_content_is_read_and_skipped),
        cmocka_unit_test(sparse_maps_that_cannot_be_are_refused),
        cmocka_unit_test(sparse_maps_in_records_are_joined_and_checked),
        cmocka_unit_test(an_archive_ends_with_two_blocks_of_zeros_or_with_the_bytes),
        cmocka_unit_test(something_after_one_block_of_zeros_is_refused),
        cmocka_unit_test(a_long_name_at_the_end_is_forgotten),
        cmocka_unit_test(an_error_of_the_receiver_ends_the_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
