/* File transfers: files and directories, pushed and pulled (wire-services 3; api.md 7.4, 7.5).
 *
 * The engine (transfer_engine.h) knows who may say what, the disk (transfer_disk.h) reads and
 * writes on descriptors that clients opened; this service joins both to sessions, links and other
 * ratsd. It never opens a path, and no byte of a file is touched on the loop.
 *
 * Between two ratsd, on their reserved channel (ctl.h), there is more than api.md 7.5 lists. Their
 * hello has the capability "resume". After a link was lost and hello was heard on another:
 *
 * waits {offer: wire id as decimal text}, sender to receiver: that transfer is still there. A
 * receiver that has completed it says COMPLETE 1 again, one that does not know it CANCEL.
 *
 * alive {offer}, either way: what is there already is being hashed again, which may take longer
 * than the two wait for each other. Said every half second.
 *
 * resume {offer, file: number, offset: number, paused: boolean, word: 0, 1 or 2}, receiver to
 * sender: all before that byte of that file is on disk, and was read and hashed again. The sender
 * goes on there, or says COMPLETE 0. Whether it is paused is for whoever said so last, a word of
 * its user (1) or one given while the link was gone (2); the sender decides, and says PAUSE or
 * RESUME. */
#ifndef RATSD_SERVICE_TRANSFERS_H
#define RATSD_SERVICE_TRANSFERS_H

#include "service/service.h"

extern const struct service transfer_service;

#endif
