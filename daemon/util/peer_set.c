#include "util/peer_set.h"

#include <stdlib.h>

#include "util/alloc.h"

static size_t place(const struct peer_set *set, const struct peer_id *id)
{
    size_t at = 0;
    while (at < set->count && !peer_id_equal(&set->ids[at], id)) {
        at++;
    }
    return at;
}

bool peer_set_has(const struct peer_set *set, const struct peer_id *id)
{
    return place(set, id) < set->count;
}

void peer_set_append(struct peer_set *set, const struct peer_id *id)
{
    if (set->count == set->capacity) {
        set->capacity = set->capacity == 0 ? 4 : set->capacity * 2;
        set->ids = xrealloc(set->ids, set->capacity * sizeof(*set->ids));
    }
    set->ids[set->count++] = *id;
}

bool peer_set_add(struct peer_set *set, const struct peer_id *id)
{
    if (peer_set_has(set, id)) {
        return false;
    }
    peer_set_append(set, id);
    return true;
}

void peer_set_remove_at(struct peer_set *set, size_t at)
{
    set->ids[at] = set->ids[--set->count];
    if (set->count == 0) {
        peer_set_fini(set);
    }
}

bool peer_set_remove(struct peer_set *set, const struct peer_id *id)
{
    size_t at = place(set, id);
    if (at == set->count) {
        return false;
    }
    peer_set_remove_at(set, at);
    return true;
}

void peer_set_fini(struct peer_set *set)
{
    free(set->ids);
    *set = (struct peer_set){0};
}
