/* File transfers: files and directories, pushed and pulled (wire-services 3; api.md 7.4, 7.5).
 *
 * The engine (transfer_engine.h) knows who may say what, the disk (transfer_disk.h) reads and
 * writes on descriptors that clients opened; this service joins both to sessions, links and other
 * ratsd. It never opens a path, and no byte of a file is touched on the loop.
 *
 * Between two ratsd, on their reserved channel (ctl.h), beside what api.md 7.5 lists:
 *
 *     hello   caps has "resume" too
 *     waits   offer: wire id as decimal text. Sender to receiver, once hello was heard on a new
 * link: the transfer whose link was lost is still there. A receiver that does not know it says
 * CANCEL. resume  offer, file: number, offset: number. Receiver to sender, the same: all before
 * that byte of that file is on disk, and was read and hashed again. The sender goes on there, or
 * says COMPLETE 0. */
#ifndef RATSD_SERVICE_TRANSFERS_H
#define RATSD_SERVICE_TRANSFERS_H

#include "service/service.h"

extern const struct service transfer_service;

#endif
