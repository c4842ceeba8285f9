/* SPDX-License-Identifier: Apache-2.0 */
/* footprint.c – what the start alone needed of memory is given back.
 *
 * Forty libraries are relocated and initialised at the start of a process, most of them for what
 * libcurl could do and never does here, and the kernel maps sixteen pages where one is touched. So
 * two thirds of a daemon that has just started are pages of files that it will not look at again.
 *
 * Only segments without the right to write are let go: they are as they are in the file. (But for a
 * debugger's breakpoints, which are lost when they were set before.) */
#include "daemon/footprint.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static void let_go(uintptr_t start, uintptr_t end)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    start = start / page * page;
    end = (end + page - 1) / page * page;
    /* An old kernel, or no file after all: then they stay. */
    (void)madvise((void *)start, end - start, MADV_DONTNEED); /* NOLINT: an address of ld.so's */
}

static int trim_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;

        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) == 0)
            let_go(start, start + segment->p_filesz);
    }
    return 0;
}

void footprint_trim(void)
{
    (void)malloc_trim(0);
    (void)dl_iterate_phdr(trim_object, NULL);
}
