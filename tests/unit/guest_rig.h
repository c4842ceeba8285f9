/* SPDX-License-Identifier: Apache-2.0 */
/* guest_rig.h – recorded facts, changed in places, and a bundle of two words. */
#ifndef UNIT_GUEST_RIG_H
#define UNIT_GUEST_RIG_H

#include "test.h"

#include "bundle/internal.h"
#include "guest/internal.h"

#define RIG_SOCI "the program soci"
#define RIG_DAEMON "the daemon"

static inline struct bundle *rig_bundle(void)
{
    static char version[] = "1.2.3", arch[] = "x86_64";
    static char soci[] = "bin/soci", daemon[] = "bin/soci-snapshotter-grpc";
    static struct bundle_entry entries[2] = {{.name = soci}, {.name = daemon}};
    static struct bundle bundle = {
        .version = version, .arch = arch, .entries = entries, .count = 2};
    const char *const contents[] = {RIG_SOCI, RIG_DAEMON};

    for (size_t i = 0; i < 2; i++) {
        entries[i].file = (struct bundle_file){
            .name = entries[i].name, .mode = 0755, .content = bytes_of_str(contents[i])};
        assert_ok(digest_of(entries[i].file.content, &entries[i].file.digest));
    }
    return &bundle;
}

/* Every `from` in the text becomes `to`. */
static inline void rig_replace(struct buf *text, const char *from, const char *to)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct buf old;
    char *rest = buf_str(text), *found;

    while ((found = strstr(rest, from)) != NULL) {
        assert_ok(buf_add(&out, rest, (size_t)(found - rest)));
        assert_ok(buf_add_str(&out, to));
        rest = found + strlen(from);
    }
    assert_ok(buf_add_str(&out, rest));
    old = *text;
    *text = out;
    out = old;
}

static inline struct guest_facts *rig_parse(struct buf *text)
{
    struct guest_facts *facts = NULL;
    struct err err = ERR_NONE;

    if (guest_facts_parse(buf_bytes(text), &facts, &err) < 0)
        fail_msg("%s", err_text(&err));
    return facts;
}

static inline struct guest_facts *rig_facts(const char *name)
{
    char path[128];
    struct buf *text;
    struct guest_facts *facts;

    (void)snprintf(path, sizeof(path), "guest/%s.facts", name);
    text = vector_load(path);
    facts = rig_parse(text);
    buf_free(text);
    return facts;
}

#endif
