/* SPDX-License-Identifier: Apache-2.0 */
/* path.c – names as a tar has them, made clean. */
#include "tar/tar.h"

#include <errno.h>
#include <string.h>

/* Take the last component off what is in `path`. */
static void pop(struct buf *path)
{
    while (path->len > 0 && path->data[path->len - 1] != '/')
        path->len--;
    if (path->len > 0)
        path->len--;
}

static int push(struct buf *path, struct bytes component)
{
    if (path->len > 0 && buf_add_byte(path, '/') < 0)
        return -ENOMEM;
    return buf_add(path, component.data, component.len);
}

static struct bytes next_component(struct bytes *rest)
{
    const uint8_t *slash = memchr(rest->data, '/', rest->len);
    size_t len = slash == NULL ? rest->len : (size_t)(slash - rest->data);
    struct bytes component = bytes_of(rest->data, len);
    size_t past = slash == NULL ? len : len + 1;

    *rest = bytes_of(rest->data + past, rest->len - past);
    return component;
}

int tar_path_clean(struct bytes name, struct buf *ret)
{
    ret->len = 0;
    while (name.len > 0) {
        struct bytes component = next_component(&name);

        if (component.len == 0 || bytes_equal(component, bytes_of_str(".")))
            continue;
        if (bytes_equal(component, bytes_of_str("..")))
            pop(ret);
        else if (push(ret, component) < 0)
            return -ENOMEM;
    }
    return buf_str(ret) == NULL ? -ENOMEM : 0;
}
