/* A doubly linked ring whose nodes are members of the objects they link.
 *
 * A node that is not in a list points to itself, so list_remove() is safe at any time and
 * list_is_linked() needs no list. Removing the current element while walking is allowed with
 * LIST_EACH (the next one is read first); removing others is not. */
#ifndef RATSD_UTIL_LIST_H
#define RATSD_UTIL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define CONTAINER_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* NOLINTBEGIN(bugprone-macro-parentheses): node is the name of a new variable. */
#define LIST_EACH(head, node)                                                                      \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);              \
         node = node##_next, node##_next = node->next)
/* NOLINTEND(bugprone-macro-parentheses) */

static inline void list_init(struct list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

static inline bool list_is_linked(const struct list *node)
{
    return node->next != node;
}

static inline void list_append(struct list *list, struct list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline struct list *list_first(const struct list *list)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): list_remove() is not seen to change the list */
    return list_is_empty(list) ? NULL : list->next;
}

#endif
