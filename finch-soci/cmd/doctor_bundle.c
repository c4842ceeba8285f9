/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_bundle.c – `doctor --bundle FILE`: logs and facts of this computer and of the machine, in
 * an archive that only the user can read. */
#include "cmd/internal.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "doctor/doctor.h"
#include "hook/hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "version.h"

enum { HOST_FILE_MAX_BYTES = 8 * 1024 * 1024, HOST_FILE_END_BYTES = 400 * 1000 };

/* ---- the file -------------------------------------------------------------------------------- */

int doctor_may_write(const char *path, struct err *err)
{
    SCOPED(mem) char *dir = path_parent(path);
    char answer[16] = "";

    if (dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (!path_exists(dir)) /* a typo is no reason to make it */
        return err_set(err, -ENOENT, "there is no directory %s", dir);
    if (!path_exists(path))
        return 0;
    if (!platform_is_terminal(stdin) || !platform_is_terminal(stderr))
        return err_set(err, -EEXIST, "%s is there already, and stays: name another file", path);
    (void)fprintf(stderr, "%s is there already. Write over it? [y/N] ", path);
    if (fgets(answer, sizeof(answer), stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y'))
        return err_set(err, -EEXIST, "%s stays as it is", path);
    return remove(path) == 0 ? 0 : err_sys(err, -errno, "%s", path);
}

/* ---- this computer --------------------------------------------------------------------------- */

/* The end of a file, as a file of the archive; one that is not there is none. */
static int add_file(struct doctor_archive *archive, const char *name, const char *path)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct err err = ERR_NONE;
    struct bytes end;
    int rc = path == NULL ? -ENOENT : file_read_regular(path, HOST_FILE_MAX_BYTES, &text, &err);

    if (rc < 0)
        return rc == -ENOMEM ? rc : 0;
    end = buf_bytes(&text);
    if (end.len > HOST_FILE_END_BYTES)
        end = bytes_of(end.data + end.len - HOST_FILE_END_BYTES, HOST_FILE_END_BYTES);
    return doctor_archive_add(archive, name, end);
}

static int add_below(struct doctor_archive *archive, const char *name, const char *dir,
                     const char *below)
{
    SCOPED(mem) char *path = dir == NULL ? NULL : path_join(dir, below);

    return add_file(archive, name, path);
}

/* Whose registries there are credentials for, but none of these. */
static int add_docker_config(struct doctor_archive *archive, const char *finch_dir)
{
    SCOPED(mem) char *path = path_join(finch_dir, "config.json");
    SCOPED(buf_value) struct buf text = BUF_EMPTY, shown = BUF_EMPTY;
    struct err err = ERR_NONE;
    int rc;

    if (path == NULL || file_read_regular(path, HOST_FILE_MAX_BYTES, &text, &err) < 0)
        return 0;
    rc = doctor_docker_config(buf_bytes(&text), &shown);
    return rc < 0 ? rc : doctor_archive_add(archive, "host/docker-config.json", buf_bytes(&shown));
}

static int add_places(struct doctor_archive *archive, const struct session *session)
{
    const struct lima_places *places = &session->places;
    const struct lima_machine *machine = &session->machine;
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = buf_addf(
        &text,
        "finch-soci %s %s\nfinch.yaml: %s\nfinch: %s\nlimactl: %s\nLIMA_HOME: "
        "%s\ninstance: %s\nmachine: %s, %s, %s, Lima %s, ssh port %u\n",
        SOCI_VERSION, SOCI_REVISION, session->config,
        places->finch == NULL ? "none" : places->finch,
        places->limactl == NULL ? "none" : places->limactl, places->lima_home, places->instance,
        lima_state_name(machine->state), machine->vm_type == NULL ? "?" : machine->vm_type,
        machine->arch == NULL ? "?" : machine->arch,
        machine->lima_version == NULL ? "?" : machine->lima_version, machine->ssh_port);

    return rc < 0 ? rc : doctor_archive_add(archive, "host/places.txt", buf_bytes(&text));
}

/* Finch keeps its own beside finch.yaml. */
static int add_finch_dir(struct doctor_archive *archive, const struct session *session)
{
    SCOPED(mem) char *dir = text_copy(session->config);
    size_t len = dir == NULL ? 0 : strlen(dir);
    int rc;

    while (len > 0 && strchr("/\\", dir[len - 1]) == NULL)
        len--;
    if (len == 0)
        return dir == NULL ? -ENOMEM : 0;
    dir[len - 1] = '\0';
    rc = add_docker_config(archive, dir);
    return rc < 0 ? rc : add_below(archive, "host/credserver.log", dir, "logs/credserver.log");
}

static int add_hook_log(struct doctor_archive *archive, const struct session *session)
{
    SCOPED(hook_files) struct hook_files files = {.dir = NULL};
    struct err err = ERR_NONE;

    int rc = 0;

    if (session->is_local ||
        hook_files_init(session->config, session->places.instance, &files, &err) < 0)
        return 0;
    rc = add_file(archive, "host/hook.log", files.log);
    return rc < 0 ? rc : add_file(archive, "host/hook-old.log", files.old_log);
}

static int add_host(struct doctor_archive *archive, const struct session *session)
{
    static const char *const of_instance[] = {"ha.stderr.log", "ha.stdout.log", "lima.yaml",
                                              "ssh.config", "serial.log"};
    int rc = add_places(archive, session);

    if (rc == 0)
        rc = add_file(archive, "host/finch.yaml", session->config);
    if (rc == 0)
        rc = add_finch_dir(archive, session);
    if (rc == 0)
        rc = add_hook_log(archive, session);
    for (size_t i = 0; i < ARRAY_LEN(of_instance) && rc == 0 && !session->is_local; i++) {
        SCOPED(mem) char *name = text_format("host/%s", of_instance[i]);

        rc = name == NULL ? -ENOMEM
                          : add_below(archive, name, session->places.instance_dir, of_instance[i]);
    }
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int add_findings(struct doctor_archive *archive, const struct doctor *doctor)
{
    const struct report_style style = {.colour = false};
    SCOPED(buf_value) struct buf text = BUF_EMPTY, json = BUF_EMPTY;
    int rc = doctor_print(doctor, &style, &text);

    if (rc == 0)
        rc = doctor_encode(doctor, &json);
    if (rc == 0)
        rc = doctor_archive_add(archive, "doctor.txt", buf_bytes(&text));
    return rc == 0 ? doctor_archive_add(archive, "doctor.json", buf_bytes(&json)) : rc;
}

/* A machine that cannot be asked is what the archive is for, often. */
static void add_guest(struct doctor_archive *archive, const struct session *session)
{
    SCOPED(link) struct link link = {.machine = NULL};
    struct err why = ERR_NONE;
    int rc;

    if (session->machine.state != LIMA_RUNNING)
        return;
    rc = session_connect(session, 0, &link, &why);
    if (rc == 0)
        rc = doctor_collect_sections(link.machine, archive, &why);
    if (rc < 0)
        say_warning("nothing of the machine, or not all, is in the archive: %s", err_text(&why));
}

int doctor_write_bundle(const struct session *session, const struct doctor *doctor,
                        const char *path, struct err *err)
{
    SCOPED(mem) struct doctor_archive *archive = calloc(1, sizeof(*archive));
    SCOPED(buf_value) struct buf bytes = BUF_EMPTY;
    size_t count;
    int rc = archive == NULL ? -ENOMEM : add_findings(archive, doctor);

    if (rc == 0)
        rc = add_host(archive, session);
    if (rc == 0)
        add_guest(archive, session);
    if (rc == 0)
        rc = doctor_archive_encode(archive, clock_wall_ms() / 1000, &bytes);
    count = archive == NULL ? 0 : archive->count;
    if (archive != NULL)
        doctor_archive_fini(archive);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    rc = platform_file_replace(path, NULL, buf_bytes(&bytes), err);
    if (rc == -EAGAIN)
        return err_set(err, -EEXIST, "%s is there already, and stays", path);
    if (rc < 0)
        return rc;
    say(session->globals, "%s: %zu files, without secrets. Look through it before you send it.",
        path, count);
    return doctor_is_well(doctor) ? CMD_FINE : CMD_NOT_WELL;
}
