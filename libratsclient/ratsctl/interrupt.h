/* Ctrl-C for commands that have something to undo before they end: the wait of stream.h ends, and
 * the command with it. A second one ends ratsctl at once. */
#ifndef RATSCTL_INTERRUPT_H
#define RATSCTL_INTERRUPT_H

#include <stdbool.h>

/* From now on Ctrl-C is noticed, unless it is ignored as in the background job of a script. */
void interrupt_catch(void);

/* Whether there was one. */
bool interrupt_caught(void);

/* Waits until fd is readable, timeout_ms have passed, or there was one: none is missed, whenever it
 * comes. False when Ctrl-C is not caught; nothing was waited for then. */
bool interrupt_wait(int fd, int timeout_ms);

#endif
