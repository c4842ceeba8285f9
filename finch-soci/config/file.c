/* SPDX-License-Identifier: Apache-2.0 */
/* file.c – finch.yaml on disk: edited beside a Finch that rewrites it at every call, with a way
 * back. */
#include "config/internal.h"

#include "base/files.h"
#include "digest/digest.h"
#include "platform/platform.h"

#include <errno.h>
#include <stdlib.h>

enum { EDIT_TRIES = 5 };
enum { NOTE_MAX_BYTES = 4096 };

void finch_file_result_fini(struct finch_file_result *result)
{
    free(result->backup);
    result->backup = NULL;
}

/* *ret_there false: no such file, *ret is empty. */
static int read_file(const char *path, struct buf *ret, bool *ret_there, struct err *err)
{
    int rc = platform_file_read(path, FINCH_CONFIG_MAX_BYTES, ret, err);

    *ret_there = rc == 0;
    return rc == -ENOENT ? 0 : rc;
}

int finch_file_read(const char *path, struct finch_config *ret, struct err *err)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    bool there;
    int rc = read_file(path, &text, &there, err);

    if (rc < 0)
        return rc;
    rc = finch_config_parse(buf_bytes(&text), ret, err);
    return rc < 0 ? err_prefix(err, rc, "%s", path) : 0;
}

/* ---- what is kept beside it ------------------------------------------------------------------ */

/* What we wrote: digests of the text that we wrote last and, since the note is written before the
 * file is, of the one before. With `had_file` the backup holds what was there before our first
 * edit. */
enum { NOTE_TEXTS = 2 };
struct note {
    size_t count; /* 0: nothing is known */
    bool had_file;
    char written[NOTE_TEXTS][DIGEST_TEXT_BYTES]; /* newest first */
};

static char *note_path(const char *path)
{
    return text_format("%s.finch-soci", path);
}

static char *backup_path(const char *path)
{
    return text_format("%s.before-finch-soci", path);
}

/* Lines `sha256:… file` or `sha256:… none`. Anything else is as good as no note. */
static struct note parse_note(const char *text)
{
    struct note note = {.count = 0};
    struct digest digest;
    char last[8] = "";
    int used = 0;

    while (note.count < NOTE_TEXTS &&
           sscanf(text, "%71s %7s%n", note.written[note.count], last, &used) == 2 &&
           digest_parse(note.written[note.count], &digest, NULL) == 0) {
        note.had_file = strcmp(last, "file") == 0;
        if (!note.had_file && strcmp(last, "none") != 0)
            break;
        note.count++;
        text += used;
    }
    return note;
}

static int read_note(const char *path, struct note *ret, struct err *err)
{
    SCOPED(mem) char *name = note_path(path);
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = name == NULL ? -ENOMEM : platform_file_read(name, NOTE_MAX_BYTES, &text, err);

    *ret = (struct note){.count = 0};
    if (rc == -ENOENT || rc == -EFBIG)
        return 0;
    if (rc == 0 && buf_str(&text) == NULL)
        rc = -ENOMEM;
    if (rc < 0)
        return name == NULL || rc == -ENOMEM ? err_set(err, -ENOMEM, "out of memory") : rc;
    *ret = parse_note(buf_str(&text));
    return 0;
}

/* Written whatever was there. */
static int write_beside(const char *name, struct bytes content, struct err *err)
{
    SCOPED(buf_value) struct buf old = BUF_EMPTY;
    struct bytes was;
    int rc = platform_file_read(name, FINCH_CONFIG_MAX_BYTES, &old, err);

    if (rc < 0 && rc != -ENOENT)
        return rc;
    was = buf_bytes(&old);
    return platform_file_replace(name, rc == 0 ? &was : NULL, content, err);
}

static int digest_text(struct bytes bytes, char ret[DIGEST_TEXT_BYTES], struct err *err)
{
    struct digest digest;

    if (digest_of(bytes, &digest) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    digest_format(&digest, ret);
    return 0;
}

static int is_ours(const struct note *note, struct bytes text, bool *ret, struct err *err)
{
    char digest[DIGEST_TEXT_BYTES];
    int rc = digest_text(text, digest, err);

    *ret = false;
    for (size_t i = 0; rc == 0 && i < note->count; i++)
        *ret = *ret || strcmp(digest, note->written[i]) == 0;
    return rc;
}

/* `was`: what we wrote before that, which is there until the file is replaced. NULL: nothing. */
static int write_note(const char *path, bool had_file, struct bytes written,
                      const struct bytes *was, struct err *err)
{
    SCOPED(mem) char *name = note_path(path);
    SCOPED(buf_value) struct buf lines = BUF_EMPTY;
    const char *last = had_file ? "file" : "none";
    char digest[DIGEST_TEXT_BYTES];
    int rc = digest_text(written, digest, err);

    if (rc == 0 && buf_addf(&lines, "%s %s\n", digest, last) < 0)
        rc = err_set(err, -ENOMEM, "out of memory");
    if (rc == 0 && was != NULL)
        rc = digest_text(*was, digest, err);
    if (rc == 0 && was != NULL && buf_addf(&lines, "%s %s\n", digest, last) < 0)
        rc = err_set(err, -ENOMEM, "out of memory");
    if (rc == 0 && name == NULL)
        rc = err_set(err, -ENOMEM, "out of memory");
    return rc < 0 ? rc : write_beside(name, buf_bytes(&lines), err);
}

static int remove_if_there(char *name, struct err *err)
{
    int rc = name == NULL ? err_set(err, -ENOMEM, "out of memory") : file_unlink(name, err);

    return rc == -ENOENT ? 0 : rc;
}

int finch_file_forget(const char *path, struct err *err)
{
    SCOPED(mem) char *note = note_path(path);
    SCOPED(mem) char *backup = backup_path(path);
    int rc = remove_if_there(note, err);

    return rc < 0 ? rc : remove_if_there(backup, err);
}

/* ---- edits ----------------------------------------------------------------------------------- */

/* A text, and what it is to become. */
struct change {
    const char *path;
    struct bytes was, text;
    bool there; /* the file */
    bool ours;  /* it is as we wrote it */
};

/* Puts the backup and the note in order before the file is touched: whoever is killed in between
 * has lost nothing. A second edit of ours keeps the first one's backup. */
static int keep_backup(const struct change *change, const struct note *note, char **ret_backup,
                       struct err *err)
{
    SCOPED(mem) char *name = backup_path(change->path);
    bool had_file = change->ours ? note->had_file : change->there;
    int rc = name == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;

    if (rc == 0 && !change->ours && change->there)
        rc = write_beside(name, change->was, err);
    if (rc == 0)
        rc = write_note(change->path, had_file, change->text, change->ours ? &change->was : NULL,
                        err);
    if (rc < 0)
        return err_prefix(err, rc, "backup");
    if (had_file)
        *ret_backup = TAKE(name);
    return 0;
}

/* Of an edit that came to nothing, nothing stays. */
static int carry_out(const struct change *change, const struct note *note, char **ret_backup,
                     struct err *err)
{
    int rc = keep_backup(change, note, ret_backup, err);

    if (rc == 0)
        rc = platform_file_replace(change->path, change->there ? &change->was : NULL, change->text,
                                   err);
    if (rc < 0 && !change->ours && finch_file_forget(change->path, NULL) < 0)
        return rc; /* what could not be written cannot be removed either */
    return rc;
}

/* One attempt; -EAGAIN: the file was changed meanwhile. */
static int enable_once(const char *path, bool first, struct finch_file_result *ret, struct err *err)
{
    SCOPED(buf_value) struct buf old = BUF_EMPTY;
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct change change = {.path = path};
    struct note note;
    int rc = read_file(path, &old, &change.there, err);

    if (rc < 0)
        return rc;
    change.was = buf_bytes(&old);
    rc = finch_config_enable(change.was, first, &text, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s", path);
    ret->change = rc == 0 ? FINCH_FILE_SAME : FINCH_FILE_EDITED;
    if (rc == 0)
        return 0;
    change.text = buf_bytes(&text);
    rc = read_note(path, &note, err);
    if (rc == 0)
        rc = is_ours(&note, change.was, &change.ours, err);
    return rc < 0 ? rc : carry_out(&change, &note, &ret->backup, err);
}

static bool lists_soci(struct bytes text)
{
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};

    return finch_config_parse(text, &config, NULL) == 0 && finch_config_has_soci(&config);
}

/* -ENOENT: what was there before is gone, or would not do: it lists soci, as when others wrote the
 * file between two edits of ours, or somebody had put soci there himself. */
static int restore(const char *path, const struct note *note, struct bytes was,
                   struct finch_file_result *ret, struct err *err)
{
    SCOPED(mem) char *name = backup_path(path);
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = name == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;

    if (rc == 0 && note->had_file)
        rc = platform_file_read(name, FINCH_CONFIG_MAX_BYTES, &text, err);
    if (rc < 0)
        return rc;
    if (lists_soci(buf_bytes(&text)))
        return -ENOENT;
    rc = note->had_file ? platform_file_replace(path, &was, buf_bytes(&text), err)
                        : platform_file_remove(path, was, err);
    ret->change = FINCH_FILE_RESTORED;
    return rc < 0 ? rc : finch_file_forget(path, err);
}

static int take_out(const char *path, struct bytes was, struct finch_file_result *ret,
                    struct err *err)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    SCOPED(mem) char *backup = backup_path(path);
    int rc = finch_config_disable(was, &text, err);

    if (rc < 0)
        return err_prefix(err, rc, "%s", path);
    ret->change = rc == 0 ? FINCH_FILE_SAME : FINCH_FILE_EDITED;
    if (rc > 0)
        rc = platform_file_replace(path, &was, buf_bytes(&text), err);
    if (rc == 0 && backup != NULL && path_exists(backup))
        ret->backup = TAKE(backup);
    return rc;
}

static int disable_once(const char *path, struct finch_file_result *ret, struct err *err)
{
    SCOPED(buf_value) struct buf old = BUF_EMPTY;
    struct note note;
    bool there = false, ours = false;
    int rc = read_file(path, &old, &there, err);

    if (rc == 0)
        rc = read_note(path, &note, err);
    if (rc == 0)
        rc = is_ours(&note, buf_bytes(&old), &ours, err);
    if (rc < 0)
        return rc;
    if (there && ours) {
        rc = restore(path, &note, buf_bytes(&old), ret, err);
        if (rc != -ENOENT) /* then the entry alone goes */
            return rc;
    }
    ret->change = FINCH_FILE_SAME;
    return there ? take_out(path, buf_bytes(&old), ret, err) : 0;
}

int finch_file_enable(const char *path, bool first, struct finch_file_result *ret, struct err *err)
{
    int rc = -EAGAIN;

    *ret = (struct finch_file_result){.backup = NULL};
    for (int tries = 0; rc == -EAGAIN && tries < EDIT_TRIES; tries++) {
        finch_file_result_fini(ret);
        rc = enable_once(path, first, ret, err);
    }
    return rc;
}

int finch_file_disable(const char *path, struct finch_file_result *ret, struct err *err)
{
    int rc = -EAGAIN;

    *ret = (struct finch_file_result){.backup = NULL};
    for (int tries = 0; rc == -EAGAIN && tries < EDIT_TRIES; tries++) {
        finch_file_result_fini(ret);
        rc = disable_once(path, ret, err);
    }
    return rc;
}
