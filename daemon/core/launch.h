/* What ratsd owes to the program that started it: to get out of its way, and to say when clients
 * can connect (ratsd(8), --background and --ready-fd). */
#ifndef RATSD_CORE_LAUNCH_H
#define RATSD_CORE_LAUNCH_H

/* Goes on in a child with a session of its own, so that the program that started us has no child
 * left to wait for; the parent exits at once. 0 in the child, or a negative errno. */
int launch_background(void);
/* "ready SOCKET\n", then the descriptor is closed. Nothing when *fd is negative. */
void launch_ready(int *fd, const char *socket);
/* "failed CODE TEXT\n", CODE being the exit status that follows; then the descriptor is closed. */
void launch_failed(int *fd, int code, const char *text);

#endif
