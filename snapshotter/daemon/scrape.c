/* SPDX-License-Identifier: Apache-2.0 */
/* scrape.c – what a scrape is answered with: what was counted, what the layers say of themselves,
 * and the process. */
#include "daemon/scrape.h"

#include "base/log.h"
#include "base/text.h"
#include "daemon/config_internal.h"
#include "grpc/grpc.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { SOCKET_MODE = 0660 };

struct scrape {
    struct metrics *metrics; /* fixed at creation, as all */
    struct lazy *lazy;
    bool process_only;
    char *socket; /* the one that we made; NULL: none */
    struct metrics_server *server;
};

/* ---- layers ---------------------------------------------------------------------------------- */

static int write_layer(const char *name, const struct lazy_layer *layer, uint64_t value,
                       struct buf *ret)
{
    char digest[DIGEST_TEXT_BYTES];
    const struct metrics_labels labels = {"digest", digest, "mountpoint", layer->dir};

    digest_format(&layer->layer, digest);
    return metrics_write_sample(ret, name, &labels, value);
}

static bool is_mounted(const struct lazy_layer *layer)
{
    return layer->state == LAZY_LAYER_MOUNTED || layer->state == LAZY_LAYER_COMPLETE;
}

static int write_layers(struct lazy *lazy, struct buf *ret)
{
    static const char fetched[] = "soci_fs_layer_fetched_size_bytes",
                      size[] = "soci_fs_layer_size_bytes";
    SCOPED(lazy_layers) struct lazy_layers layers = {.items = NULL, .count = 0};
    int rc = lazy_list(lazy, &layers, NULL);

    if (rc == 0)
        rc = metrics_write_head(ret, fetched, "counter",
                                "Compressed bytes of the layer that are on the disk.");
    for (size_t i = 0; i < layers.count && rc == 0; i++) {
        if (is_mounted(&layers.items[i]))
            rc = write_layer(fetched, &layers.items[i], layers.items[i].present_bytes, ret);
    }
    if (rc == 0)
        rc = metrics_write_head(ret, size, "counter", "Compressed bytes of the layer.");
    for (size_t i = 0; i < layers.count && rc == 0; i++) {
        if (is_mounted(&layers.items[i]))
            rc = write_layer(size, &layers.items[i], layers.items[i].size_bytes, ret);
    }
    return rc;
}

static int write_all(void *self, struct buf *ret)
{
    struct scrape *scrape = self;
    int rc = 0;

    if (!scrape->process_only)
        rc = metrics_write(scrape->metrics, ret);
    if (rc == 0 && !scrape->process_only)
        rc = write_layers(scrape->lazy, ret);
    return rc < 0 ? rc : metrics_write_process(ret);
}

/* ---- serving --------------------------------------------------------------------------------- */

static int listen_at(struct scrape *scrape, const struct metrics_address *address, int *ret_fd,
                     struct err *err)
{
    int rc;

    if (address->path == NULL)
        return metrics_listen_tcp(address, ret_fd, err);
    scrape->socket = text_copy(address->path);
    if (scrape->socket == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = grpc_listen_unix(address->path, SOCKET_MODE, ret_fd, err);
    if (rc < 0) {
        free(scrape->socket); /* not ours */
        scrape->socket = NULL;
    }
    return rc;
}

static int start(struct scrape *scrape, const struct config *config, struct err *err)
{
    const struct metrics_server_options options = {.write = write_all, .self = scrape};
    struct metrics_address address;
    SCOPED(fd) int fd = -1;
    int rc = metrics_address_parse(config->metrics_network, config->metrics_address, &address, err);

    if (rc == 0)
        rc = listen_at(scrape, &address, &fd, err);
    return rc < 0 ? rc : metrics_server_start(&options, &fd, &scrape->server, err);
}

int scrape_start(const struct config *config, struct metrics *metrics, struct lazy *lazy,
                 struct scrape **ret, struct err *err)
{
    SCOPED(scrape) struct scrape *scrape = NULL;
    int rc;

    *ret = NULL;
    if (config->metrics_address[0] == '\0')
        return 0;
    scrape = calloc(1, sizeof(*scrape));
    if (scrape == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    scrape->metrics = metrics;
    scrape->lazy = lazy;
    scrape->process_only = config->no_prometheus;
    rc = start(scrape, config, err);
    if (rc < 0)
        return err_prefix(err, rc, "line %u: metrics_address \"%s\"",
                          config_line(config, "metrics_address"), config->metrics_address);
    log_info("serving metrics", "network=%s address=%s", config->metrics_network,
             config->metrics_address);
    *ret = TAKE(scrape);
    return 0;
}

void scrape_stop(struct scrape *scrape)
{
    if (scrape == NULL)
        return;
    if (scrape->socket != NULL)
        (void)unlink(scrape->socket);
    metrics_server_stop(scrape->server);
    free(scrape->socket);
    free(scrape);
}
