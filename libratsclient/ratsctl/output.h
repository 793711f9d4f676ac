/* What ratsctl prints on standard output: JSON documents, each with "schema" at its top, or text
 * for people (usability C1, C5, C6). No byte below 0x20 but the line feed ever leaves through
 * here, nor DEL; JSON is pure ASCII, since its texts may come from strangers. */
#ifndef RATSCTL_OUTPUT_H
#define RATSCTL_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "ratsctl/options.h"
#include "ratsctl/table.h"

/* Raised when a field vanishes or changes its meaning; never when one is added. */
#define OUTPUT_SCHEMA 1

struct output {
    enum json_mode json;
    bool tab;
    bool colored;
};

/* Decides about colours: the option, else NO_COLOR and whether stdout is a terminal. */
void output_init(struct output *output, const struct options *options);

/* Prints {"schema": 1, members of object}. Takes the reference; NULL is a failure to allocate.
 * For JSON modes only. */
void output_object(const struct output *output, json_t *object);
/* One object on one line in either mode: for commands whose output has no end. Takes it. */
void output_line(json_t *object);
/* A list under key; with --json=lines each element is an object of its own. Takes it. */
void output_list(const struct output *output, const char *key, json_t *array);
/* Any JSON text for people to read: indented, escaped, without "schema". Borrows value. */
void output_value(const json_t *value);

/* One line for people, escaped. */
void output_text(const char *text);
/* The table in the mode asked for: aligned, or between tabs. */
void output_table(const struct output *output, const struct table *table);

/* A list as JSON under key, or as a table with a row for each element. Borrows array. */
void output_rows(const struct output *output, const char *key, const char *const *headings,
                 json_t *array,
                 void (*add_row)(struct table *table, const json_t *element, bool tab));

/* Bytes that should be text: as they are when they are UTF-8, else escaped. A new reference. */
json_t *text_value(const void *text, size_t size);

/* The member as text, "" when it is missing or no text. Borrowed from object. */
const char *member_text(const json_t *object, const char *name);
json_int_t member_number(const json_t *object, const char *name);
bool member_true(const json_t *object, const char *name);
/* How many elements have a member that begins with prefix; ret_text is the last of them, cut at
 * size. Borrows array. */
size_t member_count_prefixed(const json_t *array, const char *name, const char *prefix,
                             char *ret_text, size_t size);
/* An array of texts as "a, b". Release with free(). */
char *member_words(const json_t *object, const char *name);

/* Flushes stdout. 0, or -1 when something printed did not arrive (a full disk). */
int output_finish(void);

#endif
