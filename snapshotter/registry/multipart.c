/* SPDX-License-Identifier: Apache-2.0 */
/* multipart.c – a body in parts (multipart/byteranges, RFC 9110, 14.6), as it comes: each part says
 * which bytes it has, so only the lines between them have to be looked for. */
#include "registry/internal.h"

#include <errno.h>

/* Of everything that is no part: some hundred bytes each are usual. */
enum { MULTIPART_LINES_MAX_BYTES = 64 * 1024 };

void multipart_init(struct multipart *parts, const char *boundary)
{
    memset(parts, 0, sizeof(*parts));
    parts->boundary = boundary;
}

/* Between parts: a delimiter begins the next one or ends all, anything else is passed over. */
static void take_delimiter(struct multipart *parts, const char *line)
{
    size_t len = strlen(parts->boundary);

    if (strncmp(line, "--", 2) != 0 || strncmp(line + 2, parts->boundary, len) != 0)
        return;
    if (strcmp(line + 2 + len, "--") == 0) {
        parts->state = MULTIPART_END;
    } else if (line[2 + len + strspn(line + 2 + len, " \t")] == '\0') {
        parts->state = MULTIPART_HEADERS;
        parts->has_range = false;
    }
}

static int take_header(struct multipart *parts, const char *line, struct err *err)
{
    static const char name[] = "Content-Range:";

    if (*line == '\0') {
        if (!parts->has_range)
            return err_set(err, -EPROTO, "a part that does not say which");
        parts->state = MULTIPART_BODY;
        return 0;
    }
    if (strncasecmp(line, name, strlen(name)) != 0)
        return 0;
    line += strlen(name);
    line += strspn(line, " \t");
    if (parts->has_range || content_range_parse(line, &parts->range) < 0)
        return err_set(err, -EPROTO, "a part that does not say which");
    parts->has_range = true;
    return 0;
}

static int end_line(struct multipart *parts, struct err *err)
{
    if (parts->line_len > 0 && parts->line[parts->line_len - 1] == '\r')
        parts->line_len--;
    parts->line[parts->line_len] = '\0';
    parts->line_len = 0;
    if (parts->state == MULTIPART_HEADERS)
        return take_header(parts, parts->line, err);
    take_delimiter(parts, parts->line);
    return 0;
}

/* One more byte of a line. What does not fit is no line that counts. */
static int take_byte(struct multipart *parts, uint8_t byte, struct err *err)
{
    if (++parts->lines_bytes > MULTIPART_LINES_MAX_BYTES)
        return err_set(err, -EPROTO, "a body in parts with too much between them");
    if (byte == '\n')
        return end_line(parts, err);
    if (parts->line_len < sizeof(parts->line) - 1)
        parts->line[parts->line_len++] = (char)byte;
    return 0;
}

/* So much of a part as there is: its range moves on. */
static int take_body(struct multipart *parts, struct bytes *in, struct multipart_sink *sink,
                     struct err *err)
{
    uint64_t left = parts->range.last - parts->range.first + 1;
    size_t len = in->len < left ? in->len : (size_t)left;
    int rc = sink->part(sink->arg, &parts->range, bytes_of(in->data, len), err);

    *in = bytes_of(in->data + len, in->len - len);
    if (len == left)
        parts->state = MULTIPART_BETWEEN;
    else
        parts->range.first += len;
    return rc;
}

int multipart_add(struct multipart *parts, struct bytes in, struct multipart_sink *sink,
                  struct err *err)
{
    int rc = 0;

    while (in.len > 0 && rc == 0 && parts->state != MULTIPART_END) {
        if (parts->state == MULTIPART_BODY) {
            rc = take_body(parts, &in, sink, err);
        } else {
            rc = take_byte(parts, in.data[0], err);
            in = bytes_of(in.data + 1, in.len - 1);
        }
    }
    return rc;
}
