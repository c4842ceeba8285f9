/* SPDX-License-Identifier: Apache-2.0 */
/* config.h – config.toml as a struct. The keys are those of the SOCI snapshotter, all of them, so
 * that a file of its runs here; docs/config.md has what each does. A key that has no meaning here
 * is still checked; when it is set to something else than its default, config_warn() says so.
 *
 * Where the reference has a default, 0 and "" mean it, here as there. Strings are ASCII. */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum { CONFIG_KEYS_MAX = 80 };

struct config_http {
    int64_t dial_timeout_ms, response_timeout_ms, request_timeout_ms;
    int64_t fetching_timeout_s;
    int64_t max_retries; /* negative: none */
    int64_t min_wait_ms, max_wait_ms;
};

/* For ranges of layers. */
struct config_blob {
    int64_t valid_interval_s;
    int64_t fetching_timeout_s;       /* a reader waits so long, for all attempts */
    int64_t max_retries;              /* negative: none; 0: as in [http] */
    int64_t min_wait_ms, max_wait_ms; /* 0: as in [http] */
    bool check_always, force_single_range;
    int64_t max_verification_retries; /* how often a span that is not what its digest says is
                                         fetched again; never 0, negative: 3 */
};

struct config_directory_cache {
    int64_t max_lru_entries, max_fds;
    bool sync_add, direct;
};

/* Seconds. 0: as long as the kernel keeps anything; negative: not at all. */
struct config_fuse {
    int64_t attr_timeout_s, entry_timeout_s, negative_timeout_s;
    bool log_operations;
};

struct config_background_fetch {
    bool disable;
    int64_t silence_period_ms; /* after a mount; 0: none */
    int64_t fetch_period_ms;   /* between the starts of two fetches; 0: as fast as the link */
    int64_t max_queue_size;
    const char *drop_policy;
    int64_t emit_metric_period_s;
};

/* [pull_modes.parallel_pull_unpack.decompress_streams.<kind of layer>] */
struct config_stream {
    char *path;            /* NULL: not in the file */
    struct text_list args; /* without the program's name */
    unsigned line;         /* of the table */
};
enum { CONFIG_STREAM_GZIP, CONFIG_STREAM_ZSTD, CONFIG_STREAMS };

struct config_parallel {
    bool enable, as_fallback, discard_unpacked_layers;
    int64_t max_downloads, max_downloads_per_image; /* negative: no limit */
    int64_t max_unpacks, max_unpacks_per_image;     /* the same */
    const char *chunk_size;                         /* "": not said; config_size() reads it */
    struct config_stream streams[CONFIG_STREAMS];
};

/* [[resolver.host."of".mirrors]], by host, those of a host in the order of the file. */
struct config_mirror {
    char *of;                  /* the registry whose images it has */
    char *number;              /* in its list, from "0" */
    char *url;                 /* with http:// or https://; NULL: only `insecure` was of interest */
    bool insecure;             /* http, whatever the url says */
    int64_t request_timeout_s; /* 0: as for others, negative: none */
};

/* What the keys say; strings live as long as the struct. */
struct config {
    const char *namespace_, *http_cache_type, *filesystem_cache_type;
    int64_t resolve_result_entries;
    bool debug, disable_verification;
    int64_t max_concurrency;
    int64_t mount_timeout_s;
    int64_t fuse_metrics_wait_s;
    const char *metrics_address, *metrics_network; /* "": no metrics; "tcp" or "unix" */
    bool no_prometheus;
    const char *debug_address;
    const char *metadata_store;
    bool metadata_no_sync;
    int64_t metadata_chunk_size;
    bool skip_check_supported;
    const char *backend; /* as struct fs_options has it */
    struct config_http http;
    struct config_blob blob;
    struct config_directory_cache directory_cache;
    struct config_fuse fuse;
    struct config_background_fetch background;
    const char *content_store_type, *containerd_address;
    int64_t learned_start_s; /* recorded from a container's first read on; 0: off */
    bool prefetch_enabled;
    int64_t prefetch_max_concurrency;
    bool v1_enabled, v2_enabled;
    struct config_parallel parallel;
    bool kubeconfig_enabled;
    const char *kubeconfig_path;
    bool cri_enabled;
    const char *cri_image_service_path;
    int64_t auth_client_ttl_s; /* negative: never expires */
    bool auth_client_sharing;
    int64_t min_layer_bytes; /* negative: none is too small */
    bool allow_invalid_mounts;

    struct config_mirror *mirrors;
    size_t mirror_count;
    struct text_list plain_http_hosts; /* registries that an entry of their own calls insecure */

    /* Where all this comes from. */
    unsigned lines[CONFIG_KEYS_MAX]; /* of each key of the table; 0: not in the file */
    struct text_list strings;        /* those of the file */
    struct text_list unused;         /* "key (line 3)": known, without meaning, not in the table */
    struct text_list unknown;        /* the same for keys that nobody knows */
};

/* The defaults; nothing to release in them. */
struct config config_default(void);
void config_fini(struct config *config);
DEFINE_SCOPED_VALUE(config, struct config, config_fini)

/* What the text says, over what is in *config. -EINVAL: no TOML, or a value of the wrong type (the
 * text begins with "toml: "); -ERANGE: a value that makes no sense. Both name key and line. */
MUST_CHECK int config_parse(struct bytes text, struct config *config, struct err *err);
/* The same from a file. A file that is not there is an error unless `may_be_missing`. */
MUST_CHECK int config_load(const char *path, bool may_be_missing, struct config *config,
                           struct err *err);
/* Does the file say how often a range is asked for again? */
bool config_has_blob_retries(const struct config *config);
/* Are layers of images that are pulled as a whole kept in containerd's content store? */
bool config_keeps_layers(const struct config *config);
/* Append the configuration as TOML, every key. 0 or -ENOMEM. */
MUST_CHECK int config_print(const struct config *config, struct buf *ret);

/* The keys that were set and do nothing, as "a (line 1), b (line 7)"; nothing is appended when
 * there are none. 0 or -ENOMEM. */
MUST_CHECK int config_list_unused(const struct config *config, struct buf *ret);
MUST_CHECK int config_list_unknown(const struct config *config, struct buf *ret);
/* A line in the log for each of these, and for what a value promises that is not kept here. */
void config_warn(const struct config *config);

/* "8mb", "1.5 GB", "512": a number and perhaps b, kb, mb or gb, of 1024 each, in any case; "" is 0.
 * -EINVAL: anything else, or more than 2^63 bytes. */
MUST_CHECK int config_size(const char *text, uint64_t *ret_bytes);

#endif
