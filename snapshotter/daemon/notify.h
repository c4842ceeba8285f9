/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h – tell the service manager how we are (sd_notify's protocol, without its library). */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* Send `state` ("READY=1") to $NOTIFY_SOCKET. Nobody there, or nobody asked: nothing happens. */
void notify_send(const char *state);

#endif
