/* SPDX-License-Identifier: Apache-2.0 */
/* places.c – where Finch, Lima and the instance are. */
#include "lima/lima.h"

#include "base/files.h"
#include "base/text.h"
#include "base/process.h"
#include "platform/platform.h"

#include <errno.h>

void lima_places_fini(struct lima_places *places)
{
    free(places->finch_root);
    free(places->finch);
    free(places->limactl);
    free(places->wsl);
    free(places->lima_home);
    free(places->instance);
    free(places->instance_dir);
    *places = (struct lima_places){.finch_root = NULL};
}

/* What is said on the command line, else in the environment; NULL: nowhere. */
static const char *said(const char *option, const char *variable)
{
    const char *value = getenv(variable);

    if (option != NULL && *option != '\0')
        return option;
    return value != NULL && *value != '\0' ? value : NULL;
}

/* /Applications/Finch/bin/finch, to which /usr/local/bin/finch is a link, gives
 * /Applications/Finch. */
static char *two_above(const char *program)
{
    SCOPED(mem) char *dir = path_parent(program);
    SCOPED(mem) char *above = dir == NULL ? NULL : path_parent(dir);

    return above == NULL || *path_name(above) == '\0' ? NULL : TAKE(above);
}

static int find_finch(const struct lima_options *options, struct lima_places *ret, struct err *err)
{
    const char *root = said(options->finch_root, "FINCH_ROOT");
    int rc;

    if (root != NULL) {
        SCOPED(mem) char *dir = path_join(root, "bin");

        ret->finch_root = text_copy(root);
        if (dir == NULL || ret->finch_root == NULL)
            return err_set(err, -ENOMEM, "out of memory");
        rc = process_program_in(dir, "finch", &ret->finch, err);
        return rc == -ENOENT ? 0 : rc;
    }
    rc = process_find_program("finch", &ret->finch, err);
    if (rc == 0)
        ret->finch_root = two_above(ret->finch);
    else if (rc == -ENOENT && platform_finch_root != NULL && path_exists(platform_finch_root))
        ret->finch_root = text_copy(platform_finch_root);
    return rc == -ENOENT ? 0 : rc;
}

/* Finch uses no other than its own. */
static int find_limactl(struct lima_places *ret, struct err *err)
{
    SCOPED(mem)
    char *own = ret->finch_root == NULL ? NULL : path_join(ret->finch_root, "lima/bin");
    int rc = own == NULL ? -ENOENT : process_program_in(own, "limactl", &ret->limactl, err);

    if (rc == -ENOENT)
        rc = process_find_program("limactl", &ret->limactl, err);
    return rc == -ENOENT ? 0 : rc;
}

static char *default_home(const struct lima_places *places)
{
    SCOPED(mem) char *home = NULL;

    if (places->finch_root != NULL && platform_has_vm)
        return text_format("%s/lima/data", places->finch_root);
    home = platform_home();
    return home == NULL ? NULL : text_format("%s/.lima", home);
}

int lima_find(const struct lima_options *options, struct lima_places *ret, struct err *err)
{
    SCOPED(lima_places) struct lima_places places = {.finch_root = NULL};
    const char *home = said(options->lima_home, "LIMA_HOME");
    const char *instance = said(options->instance, "FINCH_SOCI_INSTANCE");
    int rc = find_finch(options, &places, err);

    if (rc == 0)
        rc = find_limactl(&places, err);
    if (rc < 0)
        return rc;
    instance = instance == NULL ? "finch" : instance;
    if (*instance == '.' || path_name(instance) != instance)
        return err_set(err, -EINVAL, "\"%s\" is no name of an instance", instance);
    places.lima_home = home != NULL ? text_copy(home) : default_home(&places);
    places.instance = text_copy(instance);
    places.wsl = platform_wsl();
    if (places.lima_home != NULL)
        places.instance_dir = path_join(places.lima_home, instance);
    if (places.instance == NULL || places.instance_dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = places;
    places = (struct lima_places){.finch_root = NULL};
    return 0;
}
