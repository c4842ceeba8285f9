/* SPDX-License-Identifier: Apache-2.0 */
/* list.c – the layers that are being made, for whoever asks. */
#include "local/internal.h"

#include <errno.h>
#include <stdlib.h>

static int copy_job(const struct job *job, struct local_work *ret)
{
    const struct oci_manifest *content = job->pull->content;

    *ret = (struct local_work){
        .name = text_copy(job->pull->name),
        .manifest = job->pull->manifest,
        .layer = job->layer,
        .is_ready = job->state == JOB_READY,
    };
    for (size_t i = 0; content != NULL && i < content->layer_count; i++) {
        if (digest_equal(&content->layers[i].digest, &job->layer))
            ret->layer_bytes = content->layers[i].size_bytes;
    }
    return ret->name == NULL ? -ENOMEM : 0;
}

int local_list(struct local *local, struct local_works *ret, struct err *err)
{
    SCOPED(local_works) struct local_works works = {.items = NULL, .count = 0};
    const struct job *job;
    LOCKED(&local->lock);

    works.items = calloc(local->job_count + 1, sizeof(*works.items));
    if (works.items == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    TAILQ_FOREACH(job, &local->jobs, link)
    {
        if (job->state == JOB_FAILED || works.count == local->job_count ||
            (atomic_load(&job->cancelled) && !job->taken))
            continue;
        if (copy_job(job, &works.items[works.count++]) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = works;
    works = (struct local_works){.items = NULL, .count = 0};
    return 0;
}

void local_works_fini(struct local_works *works)
{
    for (size_t i = 0; i < works->count; i++)
        free(works->items[i].name);
    free(works->items);
    *works = (struct local_works){.items = NULL, .count = 0};
}
