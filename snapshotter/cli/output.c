/* SPDX-License-Identifier: Apache-2.0 */
/* output.c – a file is replaced as a whole, anything else is written to as it stands. */
#include "cli/output.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_in_place(const char *path, struct cli_output *output, struct err *err)
{
    output->fd = open(path, O_WRONLY | O_CLOEXEC);
    return output->fd < 0 ? err_sys(err, -errno, "%s", path) : 0;
}

static int open_beside(struct cli_output *output, struct err *err)
{
    output->temporary = text_format("%s.XXXXXX", output->path);
    if (output->temporary == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    output->fd = mkostemp(output->temporary, O_CLOEXEC);
    if (output->fd >= 0)
        return 0;
    free(output->temporary);
    output->temporary = NULL; /* nothing was made that had to go */
    return err_sys(err, -errno, "%s", output->path);
}

int cli_output_open(const char *path, struct cli_output *ret, struct err *err)
{
    SCOPED(cli_output) struct cli_output output = CLI_OUTPUT_NONE;
    struct stat st = {.st_mode = 0644};
    bool there = stat(path, &st) == 0;
    int rc;

    if (*path == '\0')
        return err_set(err, -ENOENT, "--output is empty; name a file");
    if (there && S_ISDIR(st.st_mode))
        return err_sys(err, -EISDIR, "%s", path);
    output.path = there ? realpath(path, NULL) : text_copy(path);
    output.mode = st.st_mode & 0777;
    if (output.path == NULL)
        return err_sys(err, -errno, "%s", path);
    rc = there && !S_ISREG(st.st_mode) ? open_in_place(path, &output, err)
                                       : open_beside(&output, err);
    if (rc < 0)
        return rc;
    *ret = output;
    output = (struct cli_output)CLI_OUTPUT_NONE;
    return 0;
}

int cli_output_done(struct cli_output *output, struct err *err)
{
    if (output->temporary == NULL)
        return 0;
    if (fchmod(output->fd, output->mode) < 0 || fsync(output->fd) < 0 ||
        rename(output->temporary, output->path) < 0)
        return err_sys(err, -errno, "%s", output->path);
    free(output->temporary);
    output->temporary = NULL;
    return 0;
}

void cli_output_fini(struct cli_output *output)
{
    if (output->temporary != NULL)
        (void)unlink(output->temporary);
    if (output->fd >= 0)
        (void)close(output->fd);
    free(output->temporary);
    free(output->path);
    *output = (struct cli_output)CLI_OUTPUT_NONE;
}
