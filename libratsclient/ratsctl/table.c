#include "ratsctl/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/text.h"

#define GAP          2
#define MAX_COLUMNS  16
#define CELL_SIZE    1024
#define ESCAPE_RATIO 4 /* one byte becomes at most "\xNN" */

char *escape_new(const void *text, size_t size)
{
    const size_t capacity = size * ESCAPE_RATIO + 8;
    return text_escape(bytes_make(text, size), xalloc(capacity), capacity);
}

void table_init(struct table *table, const char *const *headings)
{
    *table = (struct table){.headings = headings};
    while (headings[table->columns] != NULL) {
        table->columns++;
    }
    assert(table->columns > 0 && table->columns <= MAX_COLUMNS);
}

void table_init_plain(struct table *table, size_t columns)
{
    assert(columns > 0 && columns <= MAX_COLUMNS);
    *table = (struct table){.columns = columns};
}

void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    *table = (struct table){.columns = table->columns, .headings = table->headings};
}

void table_add(struct table *table, const char *text)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 64 : table->capacity * 2;
        table->cells = xrealloc(table->cells, table->capacity * sizeof *table->cells);
    }
    const char *shown = text == NULL ? "" : text;
    table->cells[table->count++] = escape_new(shown, strlen(shown));
}

void table_add_format(struct table *table, const char *format, ...)
{
    char text[CELL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    table_add(table, text);
}

/* Characters, not bytes; good enough a width without the tables of a locale. */
static size_t width(const char *text)
{
    size_t characters = 0;
    for (; *text != '\0'; text++) {
        characters += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return characters;
}

static void print_row(const struct table *table, const char *const *cells, const size_t *widths,
                      FILE *to)
{
    size_t owed = 0; /* spaces due before the next cell: none stand at the end of a line */
    for (size_t i = 0; i < table->columns; i++) {
        if (cells[i][0] != '\0') {
            (void)fprintf(to, "%*s%s", (int)owed, "", cells[i]);
            owed = 0;
        }
        owed += widths[i] + GAP - width(cells[i]);
    }
}

void table_print_aligned(const struct table *table, FILE *to, bool colored)
{
    size_t widths[MAX_COLUMNS] = {0};
    for (size_t i = 0; table->headings != NULL && i < table->columns; i++) {
        widths[i] = width(table->headings[i]);
    }
    for (size_t row = 0; row + table->columns <= table->count; row += table->columns) {
        for (size_t i = 0; i < table->columns; i++) {
            const size_t size = width(table->cells[row + i]);
            widths[i] = size > widths[i] ? size : widths[i];
        }
    }
    if (table->headings != NULL) {
        (void)fputs(colored ? "\033[1m" : "", to);
        print_row(table, table->headings, widths, to);
        (void)fputs(colored ? "\033[0m\n" : "\n", to);
    }
    for (size_t i = 0; i + table->columns <= table->count; i += table->columns) {
        print_row(table, (const char *const *)&table->cells[i], widths, to);
        (void)fputc('\n', to);
    }
}

void table_print_tabs(const struct table *table, FILE *to)
{
    for (size_t row = 0; row + table->columns <= table->count; row += table->columns) {
        for (size_t i = 0; i < table->columns; i++) {
            const char *cell = table->cells[row + i];
            (void)fprintf(to, "%s%c", cell[0] == '\0' ? "-" : cell,
                          i + 1 == table->columns ? '\n' : '\t');
        }
    }
}
