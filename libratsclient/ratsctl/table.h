/* Rows of text in columns: aligned under a heading for people, or between tabs for programs
 * (usability C2: no heading, "-" for an empty cell). Every cell is escaped when it is added, so
 * what strangers chose cannot leave its cell (C6). */
#ifndef RATSCTL_TABLE_H
#define RATSCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table {
    const char *const *headings; /* borrowed; NULL ends it; NULL itself: no heading line */
    size_t columns;
    char **cells;
    size_t count;
    size_t capacity;
};

void table_init(struct table *table, const char *const *headings);
/* Without a heading line. */
void table_init_plain(struct table *table, size_t columns);
void table_fini(struct table *table);

/* Adds the next cell, left to right, row by row. NULL is an empty cell. */
void table_add(struct table *table, const char *text);
void table_add_format(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints the whole rows. colored: the heading is bold. */
void table_print_aligned(const struct table *table, FILE *to, bool colored);
void table_print_tabs(const struct table *table, FILE *to);

/* text in a safe, printable form, whatever its length; release with free(). */
char *escape_new(const void *text, size_t size);

#endif
