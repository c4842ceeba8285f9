/* SPDX-License-Identifier: Apache-2.0 */
/* darwin.h – what macOS's headers have beyond Linux's, put in front of each darwin_*.c; and what a
 * test says of the calls behind it. */
#ifndef FAKE_DARWIN_H
#define FAKE_DARWIN_H

#include <sys/stat.h>

#define st_mtimespec st_mtim
#define O_EVTONLY 0 /* Linux's O_RDONLY is what comes nearest */
#define F_FULLFSYNC 51
#define RENAME_SWAP 0x00000002u
#define RENAME_EXCL 0x00000004u

int renameatx_np(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);

/* What the loader was told that our program is called; NULL: what it is called. */
extern const char *fake_executable;
/* Not 0: renameatx_np() fails with it, as on a file system that cannot. */
extern int fake_rename_errno;

#endif
