/* SPDX-License-Identifier: Apache-2.0 */
/* refusal.c – what a registry says about why it refuses: {"errors":[{"code":…,"message":…}]}. */
#include "registry/internal.h"

#include <cjson/cJSON.h>

enum { REFUSAL_TEXT_MAX_BYTES = 200 };

DEFINE_SCOPED_PTR(refusal_json, cJSON, cJSON_Delete)

/* Answers are cut at REFUSAL_MAX_BYTES, so that the nesting is bounded as well. */
static const cJSON *first_error(const cJSON *tree)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(tree, "errors"), 0);
}

/* For a terminal and a log: printable ASCII. */
static void make_printable(char *s)
{
    for (; *s != '\0'; s++) {
        if (*s < ' ' || *s > '~')
            *s = '?';
    }
}

char *refusal_text(struct bytes body)
{
    SCOPED(refusal_json) cJSON *tree = NULL;
    const char *code, *message;
    char *text;

    if (body.len == 0)
        return NULL;
    tree = cJSON_ParseWithLength((const char *)body.data, body.len);
    code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(first_error(tree), "code"));
    message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(first_error(tree), "message"));
    if (code == NULL && message == NULL)
        return NULL;
    text = text_format("%.*s%s%.*s", REFUSAL_TEXT_MAX_BYTES, code == NULL ? "" : code,
                       code == NULL || message == NULL ? "" : ": ", REFUSAL_TEXT_MAX_BYTES,
                       message == NULL ? "" : message);
    if (text != NULL)
        make_printable(text);
    return text;
}

/* Amazon's registry says 403 and this where others say 401. */
bool refusal_is_expired_token(struct bytes body)
{
    static const char words[] =
        "Your authorization token has expired. Reauthenticate and try again.";

    return body.len > 0 && memmem(body.data, body.len, words, strlen(words)) != NULL;
}

/* S3 says 400 where others say 401 or 403: <Error><Code>ExpiredToken</Code>… */
bool refusal_is_expired_key(struct bytes body)
{
    static const char words[] = "<Code>ExpiredToken</Code>";

    return body.len > 0 && memmem(body.data, body.len, words, strlen(words)) != NULL;
}
