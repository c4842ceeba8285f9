/* SPDX-License-Identifier: Apache-2.0 */
/* status.c – gRPC's status codes and the project's errnos. */
#include "internal.h"

struct status_row {
    int negative_errno;
    int status;
};

/* Read from the left for errno to status, the first row of an errno counts; from the right for the
 * inverse, the first row of a status counts. */
static const struct status_row rows[] = {
    {0, GRPC_OK},
    {-ECANCELED, GRPC_CANCELLED},
    {-EINVAL, GRPC_INVALID_ARGUMENT},
    {-EINVAL, GRPC_OUT_OF_RANGE},
    {-ETIMEDOUT, GRPC_DEADLINE_EXCEEDED},
    {-ENOENT, GRPC_NOT_FOUND},
    {-EEXIST, GRPC_ALREADY_EXISTS},
    {-EACCES, GRPC_PERMISSION_DENIED},
    {-EACCES, GRPC_UNAUTHENTICATED},
    {-EFBIG, GRPC_RESOURCE_EXHAUSTED},
    {-ENOSPC, GRPC_RESOURCE_EXHAUSTED},
    {-ENOMEM, GRPC_RESOURCE_EXHAUSTED},
    {-EBUSY, GRPC_FAILED_PRECONDITION},
    {-EAGAIN, GRPC_UNAVAILABLE},
    {-EAGAIN, GRPC_ABORTED},
    {-EOPNOTSUPP, GRPC_UNIMPLEMENTED},
    {-ENOSYS, GRPC_UNIMPLEMENTED},
    {-EBADMSG, GRPC_DATA_LOSS},
};

int grpc_status_of(int negative_errno)
{
    size_t i;

    for (i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].negative_errno == negative_errno)
            return rows[i].status;
    }
    return GRPC_UNKNOWN;
}

int grpc_errno_of(int status)
{
    size_t i;

    for (i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].status == status)
            return rows[i].negative_errno;
    }
    return -EIO;
}

int grpc_status_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

int grpc_status_of_reset(uint32_t http2_error)
{
    switch (http2_error) {
    case NGHTTP2_REFUSED_STREAM:
        return GRPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return GRPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return GRPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return GRPC_PERMISSION_DENIED;
    default:
        return GRPC_INTERNAL;
    }
}
