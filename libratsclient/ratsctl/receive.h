/* Messages as they come, of all kinds: what recv and sub print, and when they end. */
#ifndef RATSCTL_RECEIVE_H
#define RATSCTL_RECEIVE_H

#include "ratsctl/session.h"

/* Prints the messages that the session has asked for until --count, --timeout or a failure ends
 * it. command: "recv". */
enum exit_code receive_run(struct ctl *ctl, const char *command);

#endif
