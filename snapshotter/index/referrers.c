/* SPDX-License-Identifier: Apache-2.0 */
/* referrers.c – the tag sha256-<hex>, by which clients of a registry without the referrers API find
 * an index.
 *
 * Nothing locks that tag: two pushes at once read the same list, and the later write loses the
 * other's entry. So the list is read again after each write, and written again until our entry is
 * in it. */
#include "index/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>

enum { TAG_TRIES = 5 };
enum { TAG_RETRY_MS = 200 };

static const struct oci_descriptor *find_entry(const struct oci_index *list,
                                               const struct digest *digest)
{
    size_t i;

    for (i = 0; i < list->manifest_count; i++) {
        if (digest_equal(&list->manifests[i].digest, digest))
            return &list->manifests[i];
    }
    return NULL;
}

/* The list under the tag, empty when there is none, and the digest of its bytes. */
static int get_list(struct registry_repo *repo, const char *tag, struct oci_index **ret,
                    struct digest *ret_digest, bool *ret_exists, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    int rc = registry_get_manifest(repo, tag, &json, NULL, err);

    *ret_exists = rc == 0;
    if (rc == -ENOENT) {
        *ret = oci_index_new();
        return *ret == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
    }
    if (rc < 0)
        return rc;
    if (digest_of(buf_bytes(&json), ret_digest) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return oci_index_parse(buf_bytes(&json), ret, err);
}

/* 1: the entry is in the list; 0: it was written, look again. */
static int try_update(struct registry_repo *repo, const char *tag,
                      const struct oci_descriptor *entry, struct err *err)
{
    SCOPED(oci_index) struct oci_index *list = NULL;
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    struct err ignored = ERR_NONE;
    struct digest old;
    bool exists;
    int rc = get_list(repo, tag, &list, &old, &exists, err);

    if (rc < 0)
        return rc;
    if (find_entry(list, &entry->digest) != NULL)
        return 1;
    rc = oci_index_add(list, entry);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    rc = oci_index_encode(list, &json, err);
    if (rc == 0)
        rc = registry_push_manifest(repo, tag, OCI_MEDIA_INDEX, buf_bytes(&json), NULL, err);
    /* The list that was replaced is garbage now. Registries may forbid deletion, which does no
     * harm. */
    if (rc == 0 && exists)
        (void)!registry_delete_manifest(repo, &old, &ignored);
    return rc;
}

int index_update_referrers_tag(struct registry_repo *repo, const struct digest *subject,
                               const struct oci_descriptor *entry, struct err *err)
{
    char tag[7 + 2 * DIGEST_BYTES + 1] = "sha256-";
    int tries, rc = 0;

    digest_hex(subject, tag + 7);
    for (tries = 0; tries < TAG_TRIES && rc == 0; tries++) {
        if (tries > 1)
            clock_sleep_ms(TAG_RETRY_MS);
        rc = try_update(repo, tag, entry, err);
    }
    if (rc < 0)
        return err_prefix(err, rc, "referrers tag %s", tag);
    return rc == 1
               ? 0
               : err_set(err, -EAGAIN,
                         "referrers tag %s: others keep replacing it; push again in a while", tag);
}
