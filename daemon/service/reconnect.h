/* Keeps this instance connected to whom it was connected to (wire-services 8): an address book of
 * what dials reached (book.h), targets that are dialed until they answer (targets.h), both kept in
 * peers.db (book_file.h). */
#ifndef RATSD_SERVICE_RECONNECT_H
#define RATSD_SERVICE_RECONNECT_H

#include "service/service.h"

extern const struct service reconnect_service;

#endif
