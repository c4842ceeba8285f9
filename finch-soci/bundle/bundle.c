/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.c – a bundle found, read and checked. */
#include "internal.h"

#include "base/files.h"
#include "base/text.h"
#include "platform/platform.h"

#include <errno.h>
#include <stdlib.h>

void bundle_close(struct bundle *bundle)
{
    if (bundle == NULL)
        return;
    for (size_t i = 0; i < bundle->count; i++) {
        free(bundle->entries[i].name);
        buf_fini(&bundle->entries[i].content);
    }
    free(bundle->entries);
    free(bundle->version);
    free(bundle->arch);
    free(bundle);
}

/* ---- checking -------------------------------------------------------------------------------- */

static int check_entry(struct bundle_entry *entry, struct err *err)
{
    struct digest digest;

    if (!entry->seen || entry->content.len != entry->size)
        return err_set(err, -EBADMSG, "%s is missing in it", entry->name);
    if (digest_of(buf_bytes(&entry->content), &digest) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (!digest_equal(&digest, &entry->digest))
        return err_set(err, -EBADMSG, "%s has another digest than the manifest says", entry->name);
    entry->file = (struct bundle_file){
        .name = entry->name,
        .mode = entry->mode,
        .content = buf_bytes(&entry->content),
        .digest = digest,
    };
    return 0;
}

static int check(struct bundle *bundle, const char *arch, struct err *err)
{
    int rc = 0;

    if (arch != NULL && strcmp(arch, bundle->arch) != 0)
        return err_set(err, -EBADMSG, "it is for %s, the machine is %s", bundle->arch, arch);
    for (size_t i = 0; i < bundle->count && rc == 0; i++)
        rc = check_entry(&bundle->entries[i], err);
    return rc;
}

int bundle_parse(struct bytes gzip, const char *arch, struct bundle **ret, struct err *err)
{
    SCOPED(bundle) struct bundle *bundle = calloc(1, sizeof(*bundle));
    int rc;

    if (bundle == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = bundle_read_archive(gzip, bundle, err);
    if (rc == 0)
        rc = check(bundle, arch, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(bundle);
    return 0;
}

/* ---- finding --------------------------------------------------------------------------------- */

static int open_file(const char *path, const char *arch, struct bundle **ret, struct err *err)
{
    SCOPED(buf_value) struct buf gzip = BUF_EMPTY;
    int rc = file_read(path, BUNDLE_GZIP_MAX_BYTES, &gzip, err);

    if (rc < 0)
        return rc;
    rc = bundle_parse(buf_bytes(&gzip), arch, ret, err);
    return rc < 0 ? err_prefix(err, rc, "%s", path) : 0;
}

/* From the directory of our own program. */
static const char *const places[] = {".", "../lib/finch-soci"};

static int open_beside(const char *arch, struct bundle **ret, struct err *err)
{
    SCOPED(mem) char *dir = platform_program_dir();

    if (dir == NULL)
        return err_set(err, -ENOENT, "our own program's place is not known: say --bundle FILE");
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        SCOPED(mem)
        char *path = text_format("%s/%s/finch-soci-guest-%s.tar.gz", dir, places[i], arch);

        if (path == NULL)
            return err_set(err, -ENOMEM, "out of memory");
        if (path_exists(path))
            return open_file(path, arch, ret, err);
    }
    return err_set(
        err, -ENOENT,
        "no finch-soci-guest-%s.tar.gz in %s or %s/%s: make it with ./tools/bundle, or say "
        "--bundle FILE",
        arch, dir, dir, places[1]);
}

int bundle_open(const char *path, const char *arch, struct bundle **ret, struct err *err)
{
    if (path != NULL)
        return open_file(path, arch, ret, err);
    return arch == NULL ? err_set(err, -EINVAL, "which architecture?")
                        : open_beside(arch, ret, err);
}

/* ---- what is in it --------------------------------------------------------------------------- */

const char *bundle_version(const struct bundle *bundle)
{
    return bundle->version;
}

const char *bundle_arch(const struct bundle *bundle)
{
    return bundle->arch;
}

size_t bundle_count(const struct bundle *bundle)
{
    return bundle->count;
}

const struct bundle_file *bundle_at(const struct bundle *bundle, size_t n)
{
    return &bundle->entries[n].file;
}

const struct bundle_file *bundle_find(const struct bundle *bundle, const char *name)
{
    for (size_t i = 0; i < bundle->count; i++) {
        if (strcmp(bundle->entries[i].name, name) == 0)
            return &bundle->entries[i].file;
    }
    return NULL;
}
