/* SPDX-License-Identifier: Apache-2.0 */
/* config_keys.c – the table of keys, in the order in which they are printed: the top first, tables
 * together. */
#include "daemon/config_internal.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define BOOL_KEY(use_, path_, field, initial_)                                                     \
    {                                                                                              \
        .path = (path_), .type = CONFIG_BOOL, .use = (use_),                                       \
        .offset = offsetof(struct config, field), .initial = (initial_), .max = 1                  \
    }
#define INTEGER_KEY(use_, path_, field, initial_, min_, max_)                                      \
    {                                                                                              \
        .path = (path_), .type = CONFIG_INTEGER, .use = (use_),                                    \
        .offset = offsetof(struct config, field), .initial = (initial_), .min = (min_),            \
        .max = (max_)                                                                              \
    }
#define ANY_INTEGER_KEY(use_, path_, field, initial_)                                              \
    INTEGER_KEY(use_, path_, field, initial_, INT64_MIN, INT64_MAX)
#define TEXT_KEY(use_, path_, field, initial_, choice_)                                            \
    {                                                                                              \
        .path = (path_), .type = CONFIG_TEXT, .use = (use_),                                       \
        .offset = offsetof(struct config, field), .initial_text = (initial_), .choice = (choice_)  \
    }

#define MS_MAX INT64_C(86400000) /* a day */
#define S_MAX INT64_C(86400)

/* As the reference words them; each names its key. */
static const struct config_choice metadata_stores = {
    {"db", "db-multi"},
    "metadata_store: unknown metadata store type: ",
    "; must be db or db-multi",
};
static const struct config_choice content_stores = {
    {"soci", "containerd"},
    "content_store.type: unknown content store type: ",
    "; must be one of [soci containerd]",
};
static const struct config_choice drop_policies = {
    {"newest", "oldest"},
    "background_fetch.drop_policy must be \"oldest\" or \"newest\", got \"",
    "\"",
};
static const struct config_choice backends = {
    {"auto", "erofs", "fuse"},
    "backend must be \"auto\", \"erofs\" or \"fuse\", got \"",
    "\"",
};
static const struct config_choice networks = {
    {"tcp", "unix"},
    "metrics_network must be \"tcp\" or \"unix\", got \"",
    "\"",
};

const struct config_key config_keys[] = {
    /* In the file that Finch's package brings. */
    TEXT_KEY(CONFIG_SILENT, "namespace", namespace_, "", NULL),
    /* Spans are kept in files, whole and across restarts: there are no caches to choose or size. */
    TEXT_KEY(CONFIG_UNUSED, "http_cache_type", http_cache_type, "", NULL),
    TEXT_KEY(CONFIG_UNUSED, "filesystem_cache_type", filesystem_cache_type, "", NULL),
    ANY_INTEGER_KEY(CONFIG_UNUSED, "resolve_result_entry", resolve_result_entries, 0),
    /* The same as fuse.log_fuse_operations. */
    BOOL_KEY(CONFIG_USED, "debug", debug, false),
    /* Every span is compared with its digest. */
    BOOL_KEY(CONFIG_UNUSED, "disable_verification", disable_verification, false),
    ANY_INTEGER_KEY(CONFIG_UNUSED, "max_concurrency", max_concurrency, 100),
    /* A Prepare leaves its layer to containerd after so long. */
    INTEGER_KEY(CONFIG_USED, "mount_timeout_sec", mount_timeout_s, 30, 0, S_MAX),
    ANY_INTEGER_KEY(CONFIG_UNUSED, "fuse_metrics_emit_wait_duration_sec", fuse_metrics_wait_s, 60),
    TEXT_KEY(CONFIG_USED, "metrics_address", metrics_address, "", NULL),
    TEXT_KEY(CONFIG_USED, "metrics_network", metrics_network, "tcp", &networks),
    /* Only the process itself then. */
    BOOL_KEY(CONFIG_USED, "no_prometheus", no_prometheus, false),
    TEXT_KEY(CONFIG_UNUSED, "debug_address", debug_address, "", NULL),
    /* Trees are read from their ztocs: there is no database of them. */
    TEXT_KEY(CONFIG_UNUSED, "metadata_store", metadata_store, "db", &metadata_stores),
    BOOL_KEY(CONFIG_UNUSED, "metadata_db_no_sync", metadata_no_sync, false),
    ANY_INTEGER_KEY(CONFIG_UNUSED, "metadata_insertion_chunk_size", metadata_chunk_size, 0),
    /* Of whether overlayfs can be used in the root; it takes a millisecond. */
    BOOL_KEY(CONFIG_USED, "skip_check_snapshotter_supported", skip_check_supported, false),
    /* Ours: how layers are mounted. */
    TEXT_KEY(CONFIG_USED, "backend", backend, "auto", &backends),

    /* How a registry is talked to. */
    INTEGER_KEY(CONFIG_USED, "http.DialTimeoutMsec", http.dial_timeout_ms, 3000, 0, MS_MAX),
    INTEGER_KEY(CONFIG_USED, "http.ResponseHeaderTimeoutMsec", http.response_timeout_ms, 3000, 0,
                MS_MAX),
    INTEGER_KEY(CONFIG_USED, "http.RequestTimeoutMsec", http.request_timeout_ms, 300000, 0, MS_MAX),
    INTEGER_KEY(CONFIG_USED, "http.MaxRetries", http.max_retries, 8, -1, 1000),
    INTEGER_KEY(CONFIG_USED, "http.MinWaitMsec", http.min_wait_ms, 30, 0, MS_MAX),
    INTEGER_KEY(CONFIG_USED, "http.MaxWaitMsec", http.max_wait_ms, 300000, 0, MS_MAX),

    /* The same for ranges of layers. Addresses are not checked ahead of reads, so no check has an
     * interval. 0 is what [http] says; the reference means
     * that too, but its defaults stay what they were before the file was read. */
    ANY_INTEGER_KEY(CONFIG_UNUSED, "blob.valid_interval", blob.valid_interval_s, 60),
    /* So long a read in a container waits for its bytes, whatever the network does: then EIO. One
     * attempt has the time of [http]. */
    INTEGER_KEY(CONFIG_USED, "blob.fetching_timeout_sec", blob.fetching_timeout_s, 300, 0, S_MAX),
    INTEGER_KEY(CONFIG_USED, "blob.max_retries", blob.max_retries, 0, -1, 1000),
    INTEGER_KEY(CONFIG_USED, "blob.min_wait_msec", blob.min_wait_ms, 0, 0, MS_MAX),
    INTEGER_KEY(CONFIG_USED, "blob.max_wait_msec", blob.max_wait_ms, 0, 0, MS_MAX),
    BOOL_KEY(CONFIG_UNUSED, "blob.check_always", blob.check_always, false),
    /* A range is asked for alone always. */
    BOOL_KEY(CONFIG_SILENT, "blob.force_single_range_mode", blob.force_single_range, false),
    INTEGER_KEY(CONFIG_USED, "blob.max_span_verification_retries", blob.max_verification_retries, 1,
                INT64_MIN, 100),

    ANY_INTEGER_KEY(CONFIG_UNUSED, "directory_cache.max_lru_cache_entry",
                    directory_cache.max_lru_entries, 0),
    ANY_INTEGER_KEY(CONFIG_UNUSED, "directory_cache.max_cache_fds", directory_cache.max_fds, 0),
    BOOL_KEY(CONFIG_UNUSED, "directory_cache.sync_add", directory_cache.sync_add, false),
    BOOL_KEY(CONFIG_UNUSED, "directory_cache.direct", directory_cache.direct, true),

    /* A layer does not change, so the kernel keeps what it knows for as long as it likes. The
     * reference has a second, and cannot have none: that is what less than 0 is for. */
    INTEGER_KEY(CONFIG_USED, "fuse.attr_timeout", fuse.attr_timeout_s, 0, INT64_MIN, INT32_MAX),
    INTEGER_KEY(CONFIG_USED, "fuse.entry_timeout", fuse.entry_timeout_s, 0, INT64_MIN, INT32_MAX),
    INTEGER_KEY(CONFIG_USED, "fuse.negative_timeout", fuse.negative_timeout_s, 0, INT64_MIN,
                INT32_MAX),
    BOOL_KEY(CONFIG_USED, "fuse.log_fuse_operations", fuse.log_operations, false),

    /* Fetching what nobody has read yet. It yields to readers by itself, so that neither silence
     * nor a pace is needed: there is one when the file asks for it. */
    BOOL_KEY(CONFIG_USED, "background_fetch.disable", background.disable, false),
    INTEGER_KEY(CONFIG_USED, "background_fetch.silence_period_msec", background.silence_period_ms,
                0, INT64_MIN, MS_MAX),
    INTEGER_KEY(CONFIG_USED, "background_fetch.fetch_period_msec", background.fetch_period_ms, 0,
                INT64_MIN, MS_MAX),
    ANY_INTEGER_KEY(CONFIG_UNUSED, "background_fetch.max_queue_size", background.max_queue_size,
                    300),
    TEXT_KEY(CONFIG_UNUSED, "background_fetch.drop_policy", background.drop_policy, "newest",
             &drop_policies),
    ANY_INTEGER_KEY(CONFIG_UNUSED, "background_fetch.emit_metric_period_sec",
                    background.emit_metric_period_s, 10),

    /* Ours alone: what a container reads in its first seconds is fetched first at the image's next
     * cold start. 0: neither recorded nor used. */
    INTEGER_KEY(CONFIG_USED, "learned_start.record_sec", learned_start_s, 30, 0, 3600),

    /* config_warn() has a line of its own for the type. */
    TEXT_KEY(CONFIG_SILENT, "content_store.type", content_store_type, "soci", &content_stores),
    /* Where layers of images that are pulled as a whole are kept, with the type `containerd`. */
    TEXT_KEY(CONFIG_USED, "content_store.containerd_address", containerd_address,
             "/run/containerd/containerd.sock", NULL),

    BOOL_KEY(CONFIG_USED, "prefetch.enable", prefetch_enabled, false),
    ANY_INTEGER_KEY(CONFIG_USED, "prefetch.max_concurrency", prefetch_max_concurrency, 0),

    /* Indexes that refer to an image; on here, so that what `push` makes is used without further
       ado. */
    BOOL_KEY(CONFIG_USED, "pull_modes.soci_v1.enable", v1_enabled, true),
    /* Indexes that an image names. */
    BOOL_KEY(CONFIG_USED, "pull_modes.soci_v2.enable", v2_enabled, true),

    /* Images that are downloaded and unpacked as a whole. The reference's limits for an image are
     * 3 and 1 and no size, which is what containerd does; here they are what makes it faster. */
    BOOL_KEY(CONFIG_USED, "pull_modes.parallel_pull_unpack.enable", parallel.enable, false),
    ANY_INTEGER_KEY(CONFIG_USED, "pull_modes.parallel_pull_unpack.max_concurrent_downloads",
                    parallel.max_downloads, -1),
    ANY_INTEGER_KEY(CONFIG_USED,
                    "pull_modes.parallel_pull_unpack.max_concurrent_downloads_per_image",
                    parallel.max_downloads_per_image, 16),
    TEXT_KEY(CONFIG_USED, "pull_modes.parallel_pull_unpack.concurrent_download_chunk_size",
             parallel.chunk_size, "", NULL),
    ANY_INTEGER_KEY(CONFIG_USED, "pull_modes.parallel_pull_unpack.max_concurrent_unpacks",
                    parallel.max_unpacks, -1),
    ANY_INTEGER_KEY(CONFIG_USED, "pull_modes.parallel_pull_unpack.max_concurrent_unpacks_per_image",
                    parallel.max_unpacks_per_image, -1),
    /* With content_store.type `soci` they are in any case. */
    BOOL_KEY(CONFIG_USED, "pull_modes.parallel_pull_unpack.discard_unpacked_layers",
             parallel.discard_unpacked_layers, false),
    BOOL_KEY(CONFIG_USED, "pull_modes.parallel_pull_unpack.experimental_parallel_pull_as_fallback",
             parallel.as_fallback, false),

    BOOL_KEY(CONFIG_UNUSED, "kubeconfig_keychain.enable_keychain", kubeconfig_enabled, false),
    TEXT_KEY(CONFIG_UNUSED, "kubeconfig_keychain.kubeconfig_path", kubeconfig_path, "", NULL),
    BOOL_KEY(CONFIG_USED, "cri_keychain.enable_keychain", cri_enabled, false),
    TEXT_KEY(CONFIG_USED, "cri_keychain.image_service_path", cri_image_service_path,
             "/run/containerd/containerd.sock", NULL),

    ANY_INTEGER_KEY(CONFIG_USED, "resolver.auth_client_ttl_sec", auth_client_ttl_s, 3600),
    BOOL_KEY(CONFIG_UNUSED, "resolver.enable_auth_client_sharing", auth_client_sharing, false),

    /* Layers that the client says are smaller are not mounted but unpacked. */
    ANY_INTEGER_KEY(CONFIG_USED, "snapshotter.min_layer_size", min_layer_bytes, 0),
    /* The daemon starts always: what cannot be mounted now is tried again when it is asked for. */
    BOOL_KEY(CONFIG_SILENT, "snapshotter.allow_invalid_mounts_on_restart", allow_invalid_mounts,
             false),
};

const size_t config_key_count = ARRAY_LEN(config_keys);
static_assert(ARRAY_LEN(config_keys) <= CONFIG_KEYS_MAX, "config.lines has one for each key");

bool config_is_initial(const struct config *config, const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_BOOL:
        return *config_bool(config, key) == (key->initial != 0);
    case CONFIG_INTEGER:
        return *config_integer(config, key) == key->initial;
    case CONFIG_TEXT:
        break;
    }
    return strcmp(*config_text(config, key), key->initial_text) == 0;
}

bool config_keeps_layers(const struct config *config)
{
    const struct config_parallel *parallel = &config->parallel;

    return (parallel->enable || parallel->as_fallback) && !parallel->discard_unpacked_layers &&
           strcmp(config->content_store_type, "containerd") == 0;
}

unsigned config_line(const struct config *config, const char *path)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (strcmp(config_keys[i].path, path) == 0)
            return config->lines[i];
    }
    return 0;
}
