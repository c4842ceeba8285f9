/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cri.c – requests of CRI: protobuf's wire format, image references, credentials in all their
 * forms; what is remembered is found again under its repository, until it is forgotten. */
#include "cri/internal.h"

#include "base/text.h"
#include "oci/oci.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was kept belongs to the image of the request. */
static void check(struct cri_credentials *credentials, const struct cri_request *request)
{
    SCOPED(mem) char *text = strndup((const char *)request->image.data, request->image.len);
    SCOPED(oci_reference) struct oci_reference image = {.host = NULL};
    struct registry_credentials c = {.username = NULL};

    if (text == NULL || oci_reference_parse(text, &image, NULL) < 0)
        abort();
    if (cri_find(credentials, image.host, image.repository, &c, NULL) < 0)
        abort();
    if ((c.username != NULL || c.password != NULL || c.identity_token != NULL ||
         c.registry_token != NULL) != (credentials->count == 1))
        abort();
    registry_credentials_fini(&c);
    cri_forget(credentials, request->image);
    if (credentials->count != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cri_credentials credentials;
    struct cri_request request;

    if (cri_request_parse(bytes_of(data, size), &request, NULL) < 0)
        return 0;
    cri_credentials_init(&credentials);
    if (cri_remember(&credentials, &request, NULL) == 0)
        check(&credentials, &request);
    else if (credentials.count != 0)
        abort();
    cri_credentials_fini(&credentials);
    return 0;
}
