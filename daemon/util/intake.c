#include "util/intake.h"

/* A tail up to this size is copied back in front of the next read, so that a stream of small units
 * is taken from the scratch many at a time. A longer one stays where it is and its unit is
 * completed there: otherwise one that arrives byte by byte would be copied whole for each byte. */
#define COPY_BACK_MAX 4096

void intake_init(struct intake *intake)
{
    *intake = (struct intake){0};
    buf_init(&intake->kept);
}

void intake_fini(struct intake *intake)
{
    if (intake != NULL) {
        buf_fini(&intake->kept);
        intake_init(intake);
    }
}

size_t intake_size(const struct intake *intake)
{
    return intake->scratch != NULL ? intake->end - intake->start : buf_size(&intake->kept);
}

uint8_t *intake_data(struct intake *intake)
{
    if (intake->scratch != NULL) {
        return intake->scratch->data + intake->start;
    }
    return intake->kept.data == NULL ? NULL : intake->kept.data + intake->kept.start;
}

/* Room behind the kept bytes for the rest of their unit. It grows with what has arrived, not with
 * what was announced: a stranger's word alone takes no memory. */
static uint8_t *room_in_place(struct intake *intake, size_t *ret_space)
{
    size_t size = buf_size(&intake->kept);
    size_t wanted = size > INTAKE_SCRATCH_SIZE ? size : INTAKE_SCRATCH_SIZE;
    size_t space = INTAKE_SCRATCH_SIZE;
    if (intake->expected > size) {
        size_t missing = intake->expected - size;
        wanted = missing < wanted ? missing : wanted;
        space = missing < space ? missing : space;
    }
    uint8_t *room = NULL;
    if (buf_room(&intake->kept) < space) {
        if (buf_reserve(&intake->kept, wanted, &room) != 0) {
            return NULL;
        }
    } else {
        room = intake->kept.data + intake->kept.end;
    }
    *ret_space = space;
    return room;
}

uint8_t *intake_room(struct intake *intake, struct intake_scratch *scratch, size_t *ret_space)
{
    if (intake->scratch != NULL && intake_settle(intake) != 0) {
        return NULL;
    }
    size_t size = buf_size(&intake->kept);
    if (size > COPY_BACK_MAX) {
        return room_in_place(intake, ret_space);
    }
    if (size > 0) {
        memcpy(scratch->data, intake_data(intake), size);
        buf_consume(&intake->kept, size);
    }
    intake->scratch = scratch;
    intake->start = 0;
    intake->end = size;
    *ret_space = INTAKE_SCRATCH_SIZE - size;
    return scratch->data + size;
}

void intake_filled(struct intake *intake, size_t size)
{
    if (intake->scratch != NULL) {
        intake->end += size;
    } else {
        buf_commit(&intake->kept, size);
    }
}

void intake_consume(struct intake *intake, size_t size)
{
    intake->expected = 0;
    if (intake->scratch != NULL) {
        intake->start += size;
    } else {
        buf_consume(&intake->kept, size);
    }
}

void intake_expect(struct intake *intake, size_t size)
{
    intake->expected = size;
}

int intake_settle(struct intake *intake)
{
    int rc = 0;
    if (intake->scratch != NULL) {
        struct bytes left = bytes_make(intake_data(intake), intake_size(intake));
        intake->scratch = NULL;
        intake->start = 0;
        intake->end = 0;
        rc = buf_append(&intake->kept, left);
    }
    buf_trim(&intake->kept, 0);
    return rc;
}

size_t intake_held(const struct intake *intake)
{
    return intake->kept.capacity;
}
