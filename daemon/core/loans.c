#include "core/loans.h"

#include <assert.h>

void loans_init(struct loans *loans)
{
    loans->region = bytes_make(NULL, 0);
    list_init(&loans->takers);
}

void loans_begin(struct loans *loans, struct bytes region)
{
    assert(loans->region.size == 0 && list_is_empty(&loans->takers));
    loans->region = region;
}

void loans_end(struct loans *loans)
{
    struct list *node;
    while ((node = list_first(&loans->takers)) != NULL) {
        struct loan *loan = CONTAINER_OF(node, struct loan, node);
        list_remove(node);
        loan->on_end(loan->arg);
    }
    loans->region = bytes_make(NULL, 0);
}

bool loans_cover(const struct loans *loans, struct bytes view)
{
    const uintptr_t start = (uintptr_t)loans->region.data;
    const uintptr_t at = (uintptr_t)view.data;
    return at >= start && at - start <= loans->region.size &&
           view.size <= loans->region.size - (at - start);
}

void loan_init(struct loan *loan, void (*on_end)(void *arg), void *arg)
{
    list_init(&loan->node);
    loan->on_end = on_end;
    loan->arg = arg;
}

void loan_take(struct loans *loans, struct loan *loan)
{
    if (!list_is_linked(&loan->node)) {
        list_append(&loans->takers, &loan->node);
    }
}

void loan_cancel(struct loan *loan)
{
    list_remove(&loan->node);
}
