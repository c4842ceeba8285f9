/* SPDX-License-Identifier: Apache-2.0 */
/* layer.c – the ztoc of one layer: skipped, known from before, or built from the layer's bytes. */
#include "index/internal.h"

#include "ztoc/ztoc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void index_print(struct index_printer *printer, const char *fmt, ...)
{
    char line[1024];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    (void)pthread_mutex_lock(&printer->lock);
    printer->output.line(printer->output.self, line);
    (void)pthread_mutex_unlock(&printer->lock);
}

static int set_descriptor(const struct index_build_options *options,
                          const struct oci_descriptor *layer, const struct digest *ztoc,
                          uint64_t ztoc_bytes, bool needs_xattrs, struct soci_index_ztoc *ret,
                          struct err *err)
{
    *ret = (struct soci_index_ztoc){
        .ztoc = *ztoc,
        .ztoc_bytes = ztoc_bytes,
        .layer = layer->digest,
        .layer_media_type = text_copy(layer->media_type),
        .span_size = options->span_size_bytes,
        .disable_xattrs = options->optimize_xattrs && !needs_xattrs,
    };
    return ret->layer_media_type == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* A layer needs its xattrs served when it has some or when it has an opaque directory, which is
 * one. */
static bool needs_xattrs(const struct ztoc *toc)
{
    size_t i, k;

    for (i = 0; i < ztoc_file_count(toc); i++) {
        struct ztoc_file file;

        ztoc_file_at(toc, i, &file);
        if (text_has_suffix(file.name, ".wh..wh..opq"))
            return true;
        for (k = 0; k < file.xattr_count; k++) {
            struct ztoc_xattr xattr;

            ztoc_xattr_at(toc, i, k, &xattr);
            if (text_has_prefix(xattr.key, "SCHILY.xattr."))
                return true;
        }
    }
    return false;
}

/* 1: the ztoc of an earlier run is there and fits; 0: build one. */
static int use_known(const struct index_build_options *options, struct index_printer *printer,
                     pthread_mutex_t *known_lock, const struct oci_descriptor *layer,
                     struct soci_index_ztoc *ret, struct err *err)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    char layer_text[DIGEST_TEXT_BYTES], ztoc_text[DIGEST_TEXT_BYTES];
    struct digest known, actual;
    int rc;

    if (options->find_known == NULL)
        return 0;
    (void)pthread_mutex_lock(known_lock);
    rc = options->find_known(options->known_self, &layer->digest, options->span_size_bytes, &known);
    (void)pthread_mutex_unlock(known_lock);
    if (rc < 0 || index_content_read_all(&options->content, &known, &blob, err) < 0)
        return 0; /* whatever is wrong with the old one, a new one mends it */
    if (digest_of(buf_bytes(&blob), &actual) < 0 || !digest_equal(&actual, &known) ||
        ztoc_parse(buf_bytes(&blob), &toc, err) < 0 || ztoc_comp_size(toc) != layer->size_bytes)
        return 0;
    rc = set_descriptor(options, layer, &known, blob.len, needs_xattrs(toc), ret, err);
    if (rc < 0)
        return rc;
    digest_format(&layer->digest, layer_text);
    digest_format(&known, ztoc_text);
    index_print(printer, "layer %s -> ztoc %s (already exists)", layer_text, ztoc_text);
    return 1;
}

static int feed_builder(void *arg, struct bytes part, struct err *err)
{
    return ztoc_builder_feed(arg, part, err);
}

static int build(const struct index_build_options *options, struct index_printer *printer,
                 const struct oci_descriptor *layer, enum ztoc_compression compression,
                 struct soci_index_ztoc *ret, struct err *err)
{
    const struct ztoc_build_options build_options = {
        .span_size = options->span_size_bytes,
        .build_tool = options->build_tool == NULL ? INDEX_BUILD_TOOL : options->build_tool,
    };
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    char layer_text[DIGEST_TEXT_BYTES], ztoc_text[DIGEST_TEXT_BYTES];
    struct ztoc_build_info info;
    int rc = ztoc_builder_new(compression, &build_options, &builder, err);

    if (rc == 0)
        rc = options->content.read(options->content.self, &layer->digest, feed_builder, builder,
                                   err);
    if (rc == 0)
        rc = ztoc_builder_finish(builder, &blob, &info, err);
    if (rc != 0)
        return rc;
    if (info.comp_size != layer->size_bytes)
        return err_set(err, -EBADMSG, "the content store gave %llu bytes, the image says %llu",
                       (unsigned long long)info.comp_size, (unsigned long long)layer->size_bytes);
    rc = options->content.write(options->content.self, &info.digest, buf_bytes(&blob), NULL, err);
    if (rc < 0)
        return err_prefix(err, rc, "cannot push ztoc to local store");
    rc = set_descriptor(options, layer, &info.digest, blob.len, info.has_xattrs || info.has_opaque,
                        ret, err);
    if (rc < 0)
        return rc;
    digest_format(&layer->digest, layer_text);
    digest_format(&info.digest, ztoc_text);
    index_print(printer, "layer %s -> ztoc %s", layer_text, ztoc_text);
    return 0;
}

/* Prints why a layer gets no ztoc. */
static bool is_skipped(const struct index_build_options *options, struct index_printer *printer,
                       const struct oci_descriptor *layer, enum oci_compression compression)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(&layer->digest, text);
    if (layer->size_bytes < options->min_layer_bytes) {
        index_print(printer,
                    "ztoc skipped - layer %s (%s) size %llu is less than min-layer-size %llu", text,
                    layer->media_type, (unsigned long long)layer->size_bytes,
                    (unsigned long long)options->min_layer_bytes);
        return true;
    }
    if (compression == OCI_COMPRESSION_UNSUPPORTED) {
        index_print(printer,
                    "ztoc skipped - layer %s (%s) is compressed in an unsupported format. "
                    "expect: [tar, gzip, unknown] but got \"%s\"",
                    text, layer->media_type, oci_layer_compression_word(layer->media_type));
        return true;
    }
    return false;
}

int index_layer_build(const struct index_build_options *options, struct index_printer *printer,
                      pthread_mutex_t *known_lock, const struct oci_descriptor *layer,
                      struct soci_index_ztoc *ret, enum index_layer_outcome *ret_outcome,
                      struct err *err)
{
    const char *media_type = layer->media_type == NULL ? "" : layer->media_type;
    enum oci_compression compression = oci_layer_compression(media_type);
    char text[DIGEST_TEXT_BYTES];
    int rc;

    digest_format(&layer->digest, text);
    *ret_outcome = INDEX_LAYER_SKIPPED;
    if (compression == OCI_COMPRESSION_PREFETCH)
        return 0;
    if (compression == OCI_COMPRESSION_NO_LAYER)
        return err_set(err, -EINVAL, "layer %s: not a layer mediaType: \"%s\"", text, media_type);
    if (is_skipped(options, printer, layer, compression))
        return 0;
    rc = use_known(options, printer, known_lock, layer, ret, err);
    if (rc == 0)
        rc = build(options, printer, layer,
                   compression == OCI_COMPRESSION_GZIP ? ZTOC_GZIP : ZTOC_UNCOMPRESSED, ret, err);
    if (rc < 0)
        return err_prefix(err, rc, "layer %s", text);
    *ret_outcome = INDEX_LAYER_BUILT;
    return 0;
}
