/* SPDX-License-Identifier: Apache-2.0 */
/* footprint.h – what the start alone needed of memory is given back. */
#ifndef DAEMON_FOOTPRINT_H
#define DAEMON_FOOTPRINT_H

/* Pages of programs and libraries that are mapped from files and never written, and free memory of
 * the heap. What is still needed comes back by itself, from the page cache. Any thread; once, since
 * it costs some page faults. */
void footprint_trim(void);

#endif
