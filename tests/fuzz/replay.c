/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c – main() of a fuzz target where there is no libFuzzer: feeds it every file it is given,
 * or that lies in a directory it is given. */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_MAX_BYTES = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, size_t *count, struct err *err)
{
    SCOPED(buf) struct buf *input = buf_new();
    int rc = input == NULL ? -ENOMEM : file_read(path, INPUT_MAX_BYTES, input, err);

    if (rc < 0)
        return rc;
    (void)LLVMFuzzerTestOneInput(input->data, input->len);
    ++*count;
    return 0;
}

static int replay_dir(const char *path, size_t *count, struct err *err)
{
    SCOPED(dir) DIR *dir = opendir(path);
    const struct dirent *entry;
    int rc = 0;

    if (dir == NULL)
        return err_sys(err, -errno, "%s", path);
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        SCOPED(mem) char *file = path_join(path, entry->d_name);
        if (file == NULL)
            return -ENOMEM;
        if (entry->d_name[0] != '.')
            rc = replay_file(file, count, err);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct err err = ERR_NONE;
    size_t count = 0;
    int rc = 0;

    for (int i = 1; i < argc && rc == 0; i++) {
        struct stat st;
        if (stat(argv[i], &st) < 0)
            rc = err_sys(&err, -errno, "%s", argv[i]);
        else if (S_ISDIR(st.st_mode))
            rc = replay_dir(argv[i], &count, &err);
        else
            rc = replay_file(argv[i], &count, &err);
    }
    if (rc == 0 && count == 0)
        rc = err_set(&err, -ENOENT, "no input");
    if (rc < 0) {
        (void)fprintf(stderr, "%s\n", err_text(&err));
        return 1;
    }
    (void)printf("%zu inputs\n", count);
    return 0;
}
