/* Where bytes from a socket wait until they make a whole unit.
 *
 * All connections of a process read into one shared scratch buffer; only what is left of an
 * incomplete unit is copied into memory of the connection's own. So an idle connection holds no
 * buffer, and a busy one pays a copy only for the tail of each read. The unit being completed may
 * be told ahead (intake_expect) so that a large one is read straight into its final place.
 *
 *     uint8_t *room = intake_room(&in, scratch, &space);
 *     n = read(fd, room, space);
 *     intake_filled(&in, n);
 *     while (take_unit(intake_view(&in), &size)) intake_consume(&in, size);
 *     intake_settle(&in);
 *
 * Between intake_room() and intake_settle() no other intake may use the same scratch. The view is
 * mutable: ciphers decrypt in place. */
#ifndef RATSD_UTIL_INTAKE_H
#define RATSD_UTIL_INTAKE_H

#include "util/buf.h"

#define INTAKE_SCRATCH_SIZE ((size_t)256 * 1024)

struct intake_scratch {
    uint8_t data[INTAKE_SCRATCH_SIZE];
};

struct intake {
    struct buf kept;                /* bytes of our own, when not in scratch */
    struct intake_scratch *scratch; /* non-NULL only between room and settle, when in use */
    size_t start;                   /* of the content within scratch */
    size_t end;
    size_t expected; /* total size of the unit at the front, 0 if unknown */
};

void intake_init(struct intake *intake);
void intake_fini(struct intake *intake);
/* Where to read to and how much fits (1 byte to INTAKE_SCRATCH_SIZE, never past the expected unit
 * when one larger than the scratch is awaited). NULL when out of memory. */
uint8_t *intake_room(struct intake *intake, struct intake_scratch *scratch, size_t *ret_space);
void intake_filled(struct intake *intake, size_t size);
/* All bytes not consumed yet. */
uint8_t *intake_data(struct intake *intake);
size_t intake_size(const struct intake *intake);
void intake_consume(struct intake *intake, size_t size);
/* The unit at the front will be size bytes in all; the caller has capped it. */
void intake_expect(struct intake *intake, size_t size);
/* Moves what is left out of the scratch. 0 or -ENOMEM (content lost: close the connection). */
int intake_settle(struct intake *intake);
/* Bytes of memory held (for accounts). */
size_t intake_held(const struct intake *intake);

#endif
