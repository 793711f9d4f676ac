#include "ratsctl/output.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ratsctl/report.h"
#include "util/alloc.h"
#include "util/text.h"

#define DUMP_FLAGS (JSON_ENSURE_ASCII | JSON_ENCODE_ANY)

void output_init(struct output *output, const struct options *options)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    const bool wanted = (no_color == NULL || *no_color == '\0') &&
                        (terminal == NULL || strcmp(terminal, "dumb") != 0);
    *output = (struct output){
        .json = options->json,
        .tab = options->tab,
        .colored = options->color == COLOR_ALWAYS ||
                   (options->color == COLOR_AUTO && wanted && isatty(STDOUT_FILENO) == 1),
    };
    report_set_color(options->color == COLOR_ALWAYS ||
                     (options->color == COLOR_AUTO && wanted && isatty(STDERR_FILENO) == 1));
}

/* jansson leaves DEL as it is; it can only stand inside a text, where \u007f means the same. */
static int write_part(const char *buffer, size_t size, void *data)
{
    FILE *to = data;
    while (size > 0) {
        const char *found = memchr(buffer, 0x7f, size);
        const size_t plain = found == NULL ? size : (size_t)(found - buffer);
        (void)fwrite(buffer, 1, plain, to);
        buffer += plain;
        size -= plain;
        if (found != NULL) {
            (void)fputs("\\u007f", to);
            buffer++;
            size--;
        }
    }
    return 0;
}

static void dump(const json_t *value, size_t flags)
{
    (void)json_dump_callback(value, write_part, stdout, DUMP_FLAGS | flags);
    (void)fputc('\n', stdout);
}

/* A new object with "schema" first and the members of object behind it. Takes object. */
static json_t *with_schema(json_t *object)
{
    json_t *document = json_object();
    if (object == NULL || document == NULL ||
        json_object_set_new(document, "schema", json_integer(OUTPUT_SCHEMA)) != 0 ||
        json_object_update_missing(document, object) != 0) {
        exit((int)report(EXIT_FAILED, "out of memory"));
    }
    json_decref(object);
    return document;
}

void output_object(const struct output *output, json_t *object)
{
    json_t *document = with_schema(object);
    dump(document, output->json == JSON_LINES ? JSON_COMPACT : JSON_INDENT(2));
    json_decref(document);
}

void output_line(json_t *object)
{
    json_t *document = with_schema(object);
    dump(document, JSON_COMPACT);
    json_decref(document);
}

void output_list(const struct output *output, const char *key, json_t *array)
{
    if (output->json == JSON_DOCUMENT) {
        output_object(output, json_pack("{s:o}", key, array));
        return;
    }
    size_t index = 0;
    json_t *element = NULL;
    json_array_foreach(array, index, element)
    {
        output_line(json_incref(element));
    }
    json_decref(array);
}

void output_value(const json_t *value)
{
    dump(value, JSON_INDENT(2));
}

void output_text(const char *text)
{
    char *shown = escape_new(text, strlen(text));
    (void)printf("%s\n", shown);
    free(shown);
}

void output_table(const struct output *output, const struct table *table)
{
    if (output->tab) {
        table_print_tabs(table, stdout);
    } else {
        table_print_aligned(table, stdout, output->colored);
    }
}

void output_rows(const struct output *output, const char *key, const char *const *headings,
                 json_t *array,
                 void (*add_row)(struct table *table, const json_t *element, bool tab))
{
    if (output->json != JSON_NONE) {
        output_list(output, key, json_incref(array));
        return;
    }
    struct table table;
    size_t index = 0;
    json_t *element = NULL;
    table_init(&table, headings);
    json_array_foreach(array, index, element)
    {
        add_row(&table, element, output->tab);
    }
    output_table(output, &table);
    table_fini(&table);
}

json_t *text_value(const void *text, size_t size)
{
    if (text_is_utf8(bytes_make(text, size))) {
        return json_stringn(text, size);
    }
    char *escaped = escape_new(text, size);
    json_t *value = json_string(escaped);
    free(escaped);
    return value;
}

const char *member_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

json_int_t member_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

bool member_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

size_t member_count_prefixed(const json_t *array, const char *name, const char *prefix,
                             char *ret_text, size_t size)
{
    size_t count = 0;
    size_t index = 0;
    json_t *element = NULL;
    json_array_foreach(array, index, element)
    {
        const char *text = member_text(element, name);
        if (strncmp(text, prefix, strlen(prefix)) == 0) {
            count++;
            (void)snprintf(ret_text, size, "%s", text);
        }
    }
    return count;
}

char *member_words(const json_t *object, const char *name)
{
    const json_t *array = json_object_get(object, name);
    size_t size = 1;
    size_t index = 0;
    json_t *word = NULL;
    json_array_foreach(array, index, word)
    {
        size += json_string_length(word) + 2;
    }
    char *words = xalloc(size);
    char *end = words;
    json_array_foreach(array, index, word)
    {
        if (json_is_string(word)) {
            end = stpcpy(stpcpy(end, end == words ? "" : ", "), json_string_value(word));
        }
    }
    return words;
}

int output_finish(void)
{
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : -1;
}
