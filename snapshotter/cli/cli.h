/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h – what the verbs of `soci` share: global flags, the table of verbs, where content lives. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/err.h"
#include "base/flags.h"
#include "base/text.h"
#include "index/index.h"

#include <stdbool.h>
#include <stdint.h>

struct cli_globals {
    const char *address; /* containerd's socket */
    const char *namespace_;
    const char *content_store; /* "containerd" */
    const char *root;          /* of the artifact list */
    int64_t timeout_ms;        /* for the whole command; 0: none */
    int64_t deadline_ms;       /* of clock_mono_ms(), from timeout_ms; 0: none */
    bool debug;
    bool help;
    bool version;
};

struct cli_verb {
    const char *name;
    const char *alias;   /* NULL: none */
    const char *args;    /* for the help: "[flags] <image>" */
    const char *summary; /* one line */
    const char *details; /* more lines for the verb's own help, NULL: none */
    const struct flag *flags;
    size_t flag_count;
    size_t options_bytes;                /* of the verb's options struct */
    void (*set_defaults)(void *options); /* NULL: all zero */
    void (*fini)(void *options);         /* NULL: nothing to release */
    bool needs_root_dir;
    /* NULL for a verb that only has verbs below it. `words` are the arguments that are no flags. */
    int (*run)(const struct cli_globals *globals, void *options, const struct text_list *words,
               struct err *err);
    const struct cli_verb *const *verbs; /* below this one, NULL at the end; NULL: none */
};

/* "soci" itself, with all verbs below it, and the flags that all of them have. */
extern const struct cli_verb cli_top;
extern const struct flag cli_global_flags[];
extern const size_t cli_global_flag_count;

extern const struct cli_verb cli_verb_convert;
extern const struct cli_verb cli_verb_create;
extern const struct cli_verb cli_verb_index;
extern const struct cli_verb cli_verb_prefetch;
extern const struct cli_verb cli_verb_push;
extern const struct cli_verb cli_verb_ztoc;

/* Parse and run. Returns the exit status: 0, 1 for any error (one line on stderr), 3 for an unknown
 * word. */
int cli_main(int argc, char **argv);

/* ---- shared by verbs ------------------------------------------------------------------------- */

/* The platform flags. */
struct cli_platforms {
    bool all;
    struct text_list wanted;
};
#define CLI_PLATFORM_FLAGS(type, member)                                                           \
    {.name = "all-platforms",                                                                      \
     .kind = FLAG_BOOL,                                                                            \
     .offset = offsetof(type, member.all),                                                         \
     .help = "every platform of the image"},                                                       \
    {                                                                                              \
        .name = "platform", .alias = "p", .kind = FLAG_LIST,                                       \
        .offset = offsetof(type, member.wanted), .value = "<os/arch>",                             \
        .help = "this platform; may be repeated (default: the host's)"                             \
    }

/* One platform of an image: its manifest, read from containerd. */
struct cli_manifest {
    char *platform; /* "linux/amd64" */
    struct oci_descriptor desc;
    struct oci_manifest *manifest;
};
struct cli_image {
    char *name;
    struct digest target; /* of the image record: an index or a manifest */
    bool is_single;       /* it is a manifest */
    struct cli_manifest *manifests;
    size_t manifest_count;
};
struct containerd;
/* The image's manifests for the wanted platforms. -ENOENT: `image "<ref>": not found`, or no such
 * platform. */
MUST_CHECK int cli_image_load(struct containerd *containerd, const char *ref,
                              const struct cli_platforms *platforms, struct cli_image *ret,
                              struct err *err);
/* The bytes of a blob in containerd, appended to *ret and compared with its digest: containerd did
 * that when they came in, but not since. -EFBIG: more than `max_bytes`. */
MUST_CHECK int cli_read_checked(struct containerd *containerd, const struct digest *digest,
                                size_t max_bytes, struct buf *ret, struct err *err);
/* An entry of a list of manifests that is an image's: no attestation, no SOCI index. */
bool cli_is_image_entry(const struct oci_descriptor *desc);
/* The platform that the image's configuration names. */
MUST_CHECK int cli_config_platform(struct containerd *containerd,
                                   const struct oci_manifest *manifest, struct oci_platform *ret,
                                   struct err *err);
void cli_image_fini(struct cli_image *image);
DEFINE_SCOPED_VALUE(cli_image, struct cli_image, cli_image_fini)

/* Containerd's content store as the table that index/ wants. Each call opens a connection of its
 * own, so calls may run at the same time. `lease` (may be NULL) keeps what is written; both strings
 * are borrowed. */
struct cli_content {
    const struct cli_globals *globals;
    const char *lease;
};
struct index_content cli_content_table(struct cli_content *content);

/* A connection to containerd as the global flags say. */
MUST_CHECK int cli_connect(const struct cli_globals *globals, struct containerd **ret,
                           struct err *err);

/* Lines on stdout, each flushed: nerdctl shows them as they come. */
struct index_output cli_stdout(void);

#endif
