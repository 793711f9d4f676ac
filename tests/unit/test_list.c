#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/list.h"

struct item {
    int number;
    struct list node;
};

static void items_are_walked_in_the_order_they_were_added(void **state)
{
    (void)state;
    struct list head;
    struct item items[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_first(&head));
    for (int i = 0; i < 3; i++) {
        list_append(&head, &items[i].node);
    }
    int expected = 0;
    LIST_EACH(&head, node)
    {
        assert_int_equal(CONTAINER_OF(node, struct item, node)->number, expected++);
    }
    assert_int_equal(expected, 3);
    assert_ptr_equal(list_first(&head), &items[0].node);
}

static void the_current_item_may_be_removed_while_walking(void **state)
{
    (void)state;
    struct list head;
    struct item items[4] = {{0}};
    list_init(&head);
    for (int i = 0; i < 4; i++) {
        list_append(&head, &items[i].node);
    }
    int seen = 0;
    LIST_EACH(&head, node)
    {
        list_remove(node);
        seen++;
    }
    assert_int_equal(seen, 4);
    assert_true(list_is_empty(&head));
}

static void removing_what_is_in_no_list_is_harmless(void **state)
{
    (void)state;
    struct list node;
    list_init(&node);
    assert_false(list_is_linked(&node));
    list_remove(&node);
    list_remove(&node);
    assert_false(list_is_linked(&node));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_walked_in_the_order_they_were_added),
        cmocka_unit_test(the_current_item_may_be_removed_while_walking),
        cmocka_unit_test(removing_what_is_in_no_list_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
