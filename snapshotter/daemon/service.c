/* SPDX-License-Identifier: Apache-2.0 */
/* service.c – which part gets which: from the disk upwards, and down again in reverse. */
#include "daemon/service.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "cri/cri.h"
#include "daemon/address.h"
#include "daemon/config_internal.h"
#include "daemon/keep.h"
#include "daemon/registry_config.h"
#include "daemon/scrape.h"
#include "discover/discover.h"
#include "fs/fs.h"
#include "grpc/grpc.h"
#include "layer/layer.h"
#include "lazy/lazy.h"
#include "local/local.h"
#include "metrics/metrics.h"
#include "registry/registry.h"
#include "rpc/rpc.h"
#include "snapshot/snapshot.h"
#include "span/span.h"
#include "store/store.h"
#include "unpack/unpack.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include <version.h>

/* In the order of construction. */
struct service {
    struct metrics *metrics;
    struct store *store;
    struct cri *cri; /* NULL: not configured */
    struct registry_keychain keychain;
    struct registry *registry;
    struct discover *discover;
    struct span_engine *engine;
    struct layer_set *layers;
    struct fs *fs;
    const char **unpack_argv[CONFIG_STREAMS]; /* NULL: none; strings are the configuration's */
    struct unpack_programs programs;
    struct keep *keep; /* NULL: layers are not kept packed */
    struct local *local;
    struct lazy *lazy;
    struct snapshotter *snapshotter;
    struct scrape *scrape;
    struct rpc_version version;
    struct text_list addresses; /* of the sockets that are served */
    struct rpc_status status;
    struct grpc_service services[5];
    struct grpc_server *server;
    char *socket; /* the one that we made; NULL: none, or it was passed to us */
};

static int start_keychain(struct service *s, const struct config *config, struct err *err)
{
    const struct cri_options options = {.address = config->cri_image_service_path,
                                        .first = &registry_keychain_docker};
    int rc;

    s->keychain = registry_keychain_docker;
    if (!config->cri_enabled)
        return 0;
    rc = cri_new(&options, &s->cri, err);
    if (rc < 0)
        return err_prefix(err, rc, "line %u: cri_keychain.image_service_path",
                          config_line(config, "cri_keychain.image_service_path"));
    s->keychain = cri_keychain(s->cri);
    return 0;
}

static int start_discover(struct service *s, const struct config *config, struct err *err)
{
    const struct discover_options options = {
        .store = s->store,
        .v1_enabled = config->v1_enabled,
        .v2_enabled = config->v2_enabled,
        .prefetch_artifacts = config->prefetch_enabled,
        .metrics = s->metrics,
    };

    return discover_new(&options, &s->discover, err);
}

static unsigned digest_retries(int64_t configured)
{
    return configured < 0 ? 3 : (unsigned)configured;
}

static int start_layers(struct service *s, const struct config *config, struct err *err)
{
    const struct span_engine_options options = {
        .disable_background = config->background.disable,
        .silence_ms = config->background.silence_period_ms,
        .period_ms = config->background.fetch_period_ms,
        .digest_retries = digest_retries(config->blob.max_verification_retries),
        .read_budget_ms = config->blob.fetching_timeout_s * 1000,
        .max_preferred_sets =
            config->prefetch_max_concurrency < 0 ? 0 : (size_t)config->prefetch_max_concurrency,
    };
    int rc = span_engine_new(&options, &s->engine, err);

    if (rc == 0)
        rc = layer_set_new(s->store, s->engine, &s->layers, err);
    if (rc == 0)
        layer_set_count_in(s->layers, s->metrics);
    return rc;
}

/* 0: no limit. */
static size_t limit_of(int64_t configured)
{
    return configured < 0 ? 0 : (size_t)configured;
}

static int set_program(const struct config_stream *stream, const char ***argv, struct err *err)
{
    if (stream->path == NULL)
        return 0;
    *argv = calloc(stream->args.count + 2, sizeof(**argv));
    if (*argv == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    (*argv)[0] = stream->path;
    for (size_t i = 0; i < stream->args.count; i++)
        (*argv)[i + 1] = stream->args.items[i];
    return 0;
}

static int set_programs(struct service *s, const struct config_parallel *parallel, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < CONFIG_STREAMS && rc == 0; i++)
        rc = set_program(&parallel->streams[i], &s->unpack_argv[i], err);
    s->programs.gzip = s->unpack_argv[CONFIG_STREAM_GZIP];
    s->programs.zstd = s->unpack_argv[CONFIG_STREAM_ZSTD];
    return rc;
}

static int start_keep(struct service *s, const struct config *config, struct err *err)
{
    const struct keep_options options = {.address = config->containerd_address};
    int rc = config_keeps_layers(config) ? keep_new(&options, &s->keep, err) : 0;

    return rc < 0 ? err_prefix(err, rc, "line %u: content_store.containerd_address",
                               config_line(config, "content_store.containerd_address"))
                  : 0;
}

/* Beside the snapshots, for which it unpacks. */
static int start_local(struct service *s, const struct config *config, struct err *err)
{
    SCOPED(mem) char *dir = text_format("%s/snapshotter/unpack", store_root(s->store));
    const struct config_parallel *parallel = &config->parallel;
    struct local_options options = {
        .dir = dir,
        .unpacks = limit_of(parallel->max_unpacks),
        .unpacks_per_image = limit_of(parallel->max_unpacks_per_image),
        .gets = limit_of(parallel->max_downloads),
        .gets_per_image = parallel->max_downloads_per_image < 0
                              ? SIZE_MAX
                              : (size_t)parallel->max_downloads_per_image,
        .programs = &s->programs,
    };
    uint64_t chunk_bytes = 0;
    int rc = set_programs(s, parallel, err);

    if (rc == 0)
        rc = start_keep(s, config, err);
    if (rc == 0 && dir == NULL)
        rc = err_set(err, -ENOMEM, "out of memory");
    if (rc < 0)
        return rc;
    options.keeper = s->keep == NULL ? NULL : keep_ops(s->keep);
    (void)!config_size(parallel->chunk_size, &chunk_bytes); /* was checked */
    options.chunk_bytes = (size_t)chunk_bytes;
    return local_new(&options, &s->local, err);
}

static enum lazy_whole whole_of(const struct config_parallel *parallel)
{
    if (parallel->enable)
        return LAZY_WHOLE_ALWAYS;
    return parallel->as_fallback ? LAZY_WHOLE_WITHOUT_INDEX : LAZY_WHOLE_NEVER;
}

static int start_fs(struct service *s, const struct config *config, struct err *err)
{
    SCOPED(mem) char *image_dir = path_join(store_root(s->store), "erofs");
    const struct fs_options options = {
        .read_deadline_ms = config->blob.fetching_timeout_s * 1000 + 1000,
        .attr_timeout_s = config->fuse.attr_timeout_s,
        .entry_timeout_s = config->fuse.entry_timeout_s,
        .negative_timeout_s = config->fuse.negative_timeout_s,
        .backend = config->backend,
        .image_dir = image_dir,
        .log_operations = config->debug || config->fuse.log_operations,
    };

    if (image_dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    return fs_new(&options, &s->fs, err);
}

static int start_lazy(struct service *s, const struct config *config, struct err *err)
{
    struct lazy_options options = {
        .store = s->store,
        .registry = s->registry,
        .keychain = &s->keychain,
        .discover = s->discover,
        .layers = s->layers,
        .whole = whole_of(&config->parallel),
        .keep_whole = config_keeps_layers(config),
        .mount_timeout_ms = config->mount_timeout_s * 1000,
        .min_layer_bytes = config->min_layer_bytes < 0 ? 0 : (uint64_t)config->min_layer_bytes,
        .disable_background = config->background.disable,
        .record_ms = config->learned_start_s * 1000,
        .use_prefetch_artifacts = config->prefetch_enabled,
        .metrics = s->metrics,
    };
    int rc = start_fs(s, config, err);

    if (rc < 0)
        return rc;
    options.fs = s->fs;
    rc = start_local(s, config, err);
    if (rc < 0)
        return rc;
    options.local = s->local;
    return lazy_new(&options, &s->lazy, err);
}

/* What it takes to mount a layer and keep what was fetched. */
static int start_filesystem(struct service *s, const struct options *options,
                            const struct config *config, struct err *err)
{
    int rc = snapshot_check_root(options->root, err);

    if (rc == 0)
        rc = metrics_new(&s->metrics, err);
    if (rc == 0)
        rc = store_open(options->root, &s->store, err);
    if (rc == 0)
        rc = start_keychain(s, config, err);
    if (rc == 0)
        rc = config_open_registry(config, false, &s->registry, err);
    if (rc == 0)
        rc = start_discover(s, config, err);
    if (rc == 0)
        rc = start_layers(s, config, err);
    if (rc == 0)
        rc = start_lazy(s, config, err);
    return rc < 0 ? err_prefix(err, rc, "failed to configure filesystem") : 0;
}

static int start_snapshotter(struct service *s, const struct config *config, struct err *err)
{
    const struct snapshotter_options options = {.store = s->store, .lazy = lazy_ops(s->lazy)};
    int rc = config->skip_check_supported ? 0 : snapshot_check_supported(store_root(s->store), err);

    if (rc == 0)
        rc = snapshotter_new(&options, &s->snapshotter, err);
    if (rc < 0)
        return err_prefix(err, rc, "failed to create new snapshotter");
    lazy_collect(s->lazy);
    return 0;
}

static void describe(struct service *s, const struct options *options)
{
    s->version = (struct rpc_version){.version = SOCI_VERSION, .revision = SOCI_REVISION};
    s->status = (struct rpc_status){
        .version = SOCI_VERSION,
        .revision = SOCI_REVISION,
        .config = options->config,
        .addresses = &s->addresses,
        .started_wall_ms = clock_wall_ms(),
        .started_mono_ms = clock_mono_ms(),
        .backend = s->fs == NULL ? "" : fs_backend(s->fs),
        .store = s->store,
        .engine = s->engine,
        .local = s->local,
        .lazy = s->lazy,
        .snapshotter = s->snapshotter,
    };
}

/* Its calls would go round in a ring until there are no more threads. */
static int check_image_service(const struct service *s, const struct config *config,
                               const struct address_sockets *sockets, struct err *err)
{
    const char *key = "cri_keychain.image_service_path";
    const char *address = config->cri_image_service_path;

    if (s->cri == NULL || !address_is_served(sockets, cri_socket_path(address)))
        return 0;
    return err_set(err, -EINVAL, "line %u: %s: %s is the daemon's own socket, not the runtime's",
                   config_line(config, key), key, address);
}

static int start_server(struct service *s, const char *address, const struct config *config,
                        struct passed *passed, struct err *err)
{
    SCOPED(address_sockets) struct address_sockets sockets = ADDRESS_SOCKETS_NONE;
    const struct grpc_server_options options = {
        .services = s->services,
        .service_count = ARRAY_LEN(s->services) - (s->cri == NULL ? 1 : 0),
    };
    int rc;

    s->services[0] = rpc_snapshots_service(s->snapshotter);
    s->services[1] = rpc_health_service();
    s->services[2] = rpc_version_service(&s->version);
    s->services[3] = rpc_status_service(&s->status);
    if (s->cri != NULL)
        s->services[4] = cri_image_service(s->cri);
    rc = grpc_server_new(&options, &s->server, err);
    if (rc == 0)
        rc = address_listen(address, passed, &sockets, err);
    if (rc == 0)
        rc = check_image_service(s, config, &sockets, err);
    s->socket = TAKE(sockets.made);
    if (rc == 0)
        rc = address_names(&sockets, &s->addresses, err);
    for (size_t i = 0; i < sockets.count && rc == 0; i++)
        rc = grpc_server_add_listener(s->server, &sockets.fds[i], err);
    return rc < 0 ? err_prefix(err, rc, "failed to serve snapshotter") : 0;
}

int service_start(const struct options *options, const struct config *config, struct passed *passed,
                  struct service **ret, struct err *err)
{
    struct service *s = calloc(1, sizeof(*s));
    int rc;

    if (s == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = start_filesystem(s, options, config, err);
    if (rc == 0)
        rc = start_snapshotter(s, config, err);
    describe(s, options);
    if (rc == 0)
        rc = scrape_start(config, s->metrics, s->lazy, &s->scrape, err);
    if (rc == 0)
        rc = start_server(s, options->address, config, passed, err);
    if (rc < 0) {
        service_free(s, false);
        return rc;
    }
    *ret = s;
    return 0;
}

int service_run(struct service *s, struct err *err)
{
    return grpc_server_run(s->server, err);
}

void service_stop(struct service *s)
{
    grpc_server_stop(s->server);
}

static void release_unused(struct service *s)
{
    struct err err = ERR_NONE;

    if (s->snapshotter != NULL && snapshot_release_unused(s->snapshotter, &err) < 0)
        log_warn("mounts that nobody uses stay", "err=%s", err_text(&err));
}

/* While there is no socket, containerd's client waits a moment for one; where nobody listens, it
 * fails at once. */
void service_free(struct service *s, bool unmount)
{
    if (s == NULL)
        return;
    if (s->discover != NULL)
        discover_stop(s->discover); /* a Prepare that waits for the network ends now */
    if (s->local != NULL)
        local_stop(s->local); /* or for its layer's files */
    if (s->keep != NULL)
        keep_stop(s->keep); /* or for containerd to take the layer */
    if (s->registry != NULL)
        registry_cancel_all(s->registry); /* and so does the network */
    if (s->socket != NULL)
        (void)unlink(s->socket);
    grpc_server_free(s->server);
    scrape_stop(s->scrape);
    if (unmount)
        release_unused(s);
    snapshotter_free(s->snapshotter);
    lazy_free(s->lazy);
    local_free(s->local);
    keep_free(s->keep);
    for (size_t i = 0; i < CONFIG_STREAMS; i++)
        free(s->unpack_argv[i]);
    fs_free(s->fs);
    layer_set_free(s->layers);
    span_engine_free(s->engine);
    discover_free(s->discover);
    registry_free(s->registry);
    cri_free(s->cri);
    store_close(s->store);
    metrics_free(s->metrics);
    text_list_fini(&s->addresses);
    free(s->socket);
    free(s);
}
