/* SPDX-License-Identifier: Apache-2.0 */
/* containerd_config.c – what containerd must be told, and where: a file of its own in conf.d where
 * containerd reads that, else a marked block at the end of config.toml.
 *
 * Facts (containerd 1.6, 2.2, 2.4 tried): files of `imports` come after the main one; an entry of
 * proxy_plugins is replaced as a whole by the later file, lists of tables are joined. From 2.2 on
 * `config dump` lists conf.d as a built-in import, but no file is read that config.toml itself does
 * not import. A table that is there twice in one file is refused, so the block comments out another
 * [proxy_plugins.soci], line by line, and undo brings that back. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define BEGIN "# finch-soci begin"
#define BEGIN_BARE "# finch-soci begin, no newline before"
#define END "# finch-soci end"
#define WAS "#finch-soci-was: "

/* ---- lines ----------------------------------------------------------------------------------- */

/* The next line without its end. False: there is none. */
static bool next_line(struct bytes *text, struct bytes *ret)
{
    const uint8_t *newline;
    size_t len;

    if (text->len == 0)
        return false;
    newline = memchr(text->data, '\n', text->len);
    len = newline == NULL ? text->len : (size_t)(newline - text->data);
    *ret = bytes_of(text->data, len);
    len += newline == NULL ? 0 : 1;
    *text = bytes_of(text->data + len, text->len - len);
    return true;
}

static bool starts_with(struct bytes line, const char *prefix)
{
    size_t len = strlen(prefix);

    return line.len >= len && memcmp(line.data, prefix, len) == 0;
}

/* A line without spaces and quotes, and without a comment, cut to fit: what is written in several
 * ways in TOML becomes one. */
static void normal(struct bytes line, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < line.len && n + 1 < size && line.data[i] != '#'; i++)
        if (strchr(" \t\r\"'", line.data[i]) == NULL)
            out[n++] = (char)line.data[i];
    out[n] = '\0';
}

static bool any_line(struct bytes text, bool (*is_it)(const char *line))
{
    struct bytes line;
    char plain[512];

    while (next_line(&text, &line)) {
        normal(line, plain, sizeof(plain));
        if (is_it(plain))
            return true;
    }
    return false;
}

/* ---- what containerd says that it has -------------------------------------------------------- */

#define ENTRY "[proxy_plugins.soci]"
#define EXPORTS "[proxy_plugins.soci.exports]"
#define UNPACK "[[plugins.io.containerd.transfer.v1.local.unpack_config]]"

struct told {
    bool address, exports, unpack;
};

static void read_told(struct told *told, const char *table, const char *line)
{
    if (strcmp(table, ENTRY) == 0 && strcmp(line, "address=" GUEST_SOCKET) == 0)
        told->address = true;
    if (strcmp(table, EXPORTS) == 0 && strcmp(line, "enable_remote_snapshot_annotations=true") == 0)
        told->exports = true;
    if (strcmp(table, UNPACK) == 0 && strcmp(line, "snapshotter=soci") == 0)
        told->unpack = true;
}

bool containerd_is_told(struct bytes effective, unsigned major)
{
    struct told told = {.address = false};
    struct bytes line;
    char table[512] = "", plain[512];

    while (next_line(&effective, &line)) {
        normal(line, plain, sizeof(plain));
        if (plain[0] == '[')
            memcpy(table, plain, sizeof(table));
        else
            read_told(&told, table, plain);
    }
    /* containerd 1 has no transfer service that pulls, and does not print exports. */
    return told.address && (major < 2 || (told.exports && told.unpack));
}

unsigned containerd_major(const char *version_line)
{
    const char *word = version_line;

    while (word != NULL && *word != '\0') {
        const char *digits = word + (*word == 'v' ? 1 : 0);
        unsigned long major = strtoul(digits, NULL, 10);

        if (*digits >= '0' && *digits <= '9' && major < 1000 &&
            digits[strspn(digits, "0123456789")] == '.')
            return (unsigned)major;
        word = strchr(word, ' ');
        word = word == NULL ? NULL : word + 1;
    }
    return 0;
}

/* ---- the main file --------------------------------------------------------------------------- */

static bool is_import_of_parts(const char *line)
{
    return strstr(line, "/etc/containerd/conf.d/*") != NULL && line[0] != '[';
}

static bool is_unpack(const char *line)
{
    return strstr(line, "unpack_config") != NULL;
}

/* `version = N` before the first table. 0: it is not said. */
static unsigned version_of(struct bytes text)
{
    struct bytes line;
    char plain[512];

    while (next_line(&text, &line)) {
        normal(line, plain, sizeof(plain));
        if (plain[0] == '[')
            break;
        if (text_has_prefix(plain, "version="))
            return (unsigned)strtoul(plain + 8, NULL, 10);
    }
    return 0;
}

bool containerd_has_block(struct bytes text)
{
    struct bytes line;

    while (next_line(&text, &line))
        if (starts_with(line, BEGIN))
            return true;
    return false;
}

int containerd_without_block(struct bytes text, struct buf *ret)
{
    bool is_inside = false, is_bare = text.len > 0 && text.data[text.len - 1] != '\n';
    struct bytes line;
    size_t start = ret->len;
    int rc = 0;

    while (rc == 0 && next_line(&text, &line)) {
        if (starts_with(line, BEGIN)) {
            is_inside = true;
            is_bare = is_bare || starts_with(line, BEGIN_BARE);
        } else if (starts_with(line, END)) {
            is_inside = false;
        } else if (!is_inside) {
            size_t skip = starts_with(line, WAS) ? strlen(WAS) : 0;

            rc = buf_add(ret, line.data + skip, line.len - skip);
            rc = rc == 0 ? buf_add_byte(ret, '\n') : rc;
        }
    }
    if (rc == 0 && is_bare && ret->len > start)
        ret->len--;
    return rc;
}

/* The text with every [proxy_plugins.soci] and what is below it commented out. */
static int comment_out(struct bytes text, struct buf *ret)
{
    bool is_soci = false;
    struct bytes line;
    char plain[512];
    int rc = 0;

    while (rc == 0 && next_line(&text, &line)) {
        normal(line, plain, sizeof(plain));
        if (plain[0] == '[')
            is_soci = strcmp(plain, ENTRY) == 0 || text_has_prefix(plain, "[proxy_plugins.soci.");
        if (is_soci && line.len > 0)
            rc = buf_add_str(ret, WAS);
        rc = rc == 0 ? buf_add(ret, line.data, line.len) : rc;
        rc = rc == 0 ? buf_add_byte(ret, '\n') : rc;
    }
    return rc;
}

/* ---- ours ------------------------------------------------------------------------------------ */

static int add_entry(struct buf *ret, unsigned major)
{
    return buf_addf(ret,
                    "[proxy_plugins.soci]\n"
                    "  type = \"snapshot\"\n"
                    "  address = \"%s\"\n"
                    "%s"
                    "  [proxy_plugins.soci.exports]\n"
                    "    enable_remote_snapshot_annotations = \"true\"\n",
                    GUEST_SOCKET, major >= 2 ? "  capabilities = [\"remap-ids\"]\n" : "");
}

static int add_unpack(struct buf *ret, const char *snapshotter)
{
    return buf_addf(ret,
                    "[[plugins.\"io.containerd.transfer.v1.local\".unpack_config]]\n"
                    "  platform = \"linux\"\n"
                    "  snapshotter = \"%s\"\n",
                    snapshotter);
}

/* `others` true: somebody else lists snapshotters already. Any entry replaces the defaults, of
 * which overlayfs is one. */
static int add_tables(struct buf *ret, unsigned major, bool others)
{
    int rc = add_entry(ret, major);

    if (rc == 0 && major >= 2 && !others)
        rc = add_unpack(ret, "overlayfs");
    return rc == 0 && major >= 2 ? add_unpack(ret, "soci") : rc;
}

/* A file without a version is one of version 1, and one that says 2 makes all of them 2: then
 * containerd 1 no longer takes the short names of plugins in the others. So ours says what the main
 * one says. */
static int want_part(struct bytes main_text, unsigned major, bool others, struct buf *ret)
{
    unsigned version = version_of(main_text);
    int rc = buf_add_str(ret, "# Written by finch-soci; `finch-soci disable` removes it.\n");

    if (rc == 0 && version != 0)
        rc = buf_addf(ret, "version = %u\n", version);
    return rc == 0 ? add_tables(ret, major, others) : rc;
}

static int want_block(struct bytes plain, unsigned major, bool others, struct buf *ret)
{
    bool is_bare = plain.len > 0 && plain.data[plain.len - 1] != '\n';
    int rc = 0;

    if (plain.len == 0 && major >= 2)
        rc = buf_add_str(ret, BEGIN "\nversion = 3\n");
    else if (plain.len == 0)
        rc = buf_add_str(ret, BEGIN "\nversion = 2\n");
    else
        rc = comment_out(plain, ret);
    if (rc == 0 && plain.len > 0)
        rc = buf_addf(ret, "%s\n", is_bare ? BEGIN_BARE : BEGIN);
    rc = rc == 0 ? add_tables(ret, major, others) : rc;
    return rc == 0 ? buf_add_str(ret, END "\n") : rc;
}

int containerd_config_want(const struct guest_facts *facts, const char **ret_path, struct buf *ret,
                           struct err *err)
{
    const char *main_path = guest_containerd_config(facts);
    struct bytes main_text = guest_text(facts, main_path);
    const struct guest_file *file = guest_file(facts, main_path);
    unsigned major = containerd_major(guest_value(facts, "containerd"));
    bool has_part = guest_has(facts, GUEST_CONTAINERD_PART), has_block;
    SCOPED(buf_value) struct buf plain = BUF_EMPTY;
    bool imports, others;
    int rc;

    *ret_path = NULL;
    if (file != NULL && file->kind == GUEST_FILE && !file->is_whole)
        return err_set(err, -EFBIG, "%s is too large, or changes just now", file->path);
    has_block = containerd_has_block(main_text);
    if (!has_part && !has_block && containerd_is_told(buf_bytes(&facts->effective), major))
        return 0;
    rc = containerd_without_block(main_text, &plain);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    imports = any_line(buf_bytes(&plain), is_import_of_parts);
    others =
        any_line(buf_bytes(&plain), is_unpack) || (imports && facts->foreign_unpacks.count > 0);
    if (!has_block && imports) {
        *ret_path = GUEST_CONTAINERD_PART;
        rc = want_part(buf_bytes(&plain), major, others, ret);
    } else {
        *ret_path = main_path;
        rc = want_block(buf_bytes(&plain), major, others, ret);
    }
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}
