#include "core/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ini.h>

#include "core/config_value.h"
#include "util/alloc.h"
#include "util/text.h"

#define FILE_SIZE_MAX ((size_t)1024 * 1024)
#define SHOWN_SIZE    96 /* of a name or value in a message */

struct value {
    char *text;
    uint64_t number;
    unsigned line; /* of the file, 0 when it is the default */
};

struct section_values {
    struct value *items; /* one for each row of the section */
};

struct config {
    const struct config_section *sections;
    size_t count;
    struct section_values *values; /* one for each section */
};

/* One reading of a file. The first error ends it. */
struct parse {
    struct config *config;
    const char *name;
    struct bytes left;
    unsigned line; /* the one inih is looking at */
    bool failed;
    char *error;
    size_t error_size;
};

static size_t count_items(const struct config_item *items)
{
    size_t count = 0;
    while (items[count].key != NULL) {
        count++;
    }
    return count;
}

static const struct config_section *find_section(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->count; i++) {
        if (strcmp(config->sections[i].name, name) == 0) {
            return &config->sections[i];
        }
    }
    return NULL;
}

static const struct config_item *find_item(const struct config_section *section, const char *key)
{
    for (const struct config_item *item = section->items; item->key != NULL; item++) {
        if (strcmp(item->key, key) == 0) {
            return item;
        }
    }
    return NULL;
}

static struct value *value_of(const struct config *config, const struct config_section *section,
                              const struct config_item *item)
{
    return &config->values[section - config->sections].items[item - section->items];
}

static void set_value(struct value *value, const char *text, uint64_t number, unsigned line)
{
    free(value->text);
    value->text = xstrdup(text);
    value->number = number;
    value->line = line;
}

static struct config *new_with_defaults(const struct config_section *sections, size_t count)
{
    struct config *config = xalloc(sizeof *config);
    config->sections = sections;
    config->count = count;
    config->values = xalloc((count + 1) * sizeof *config->values);
    for (size_t i = 0; i < count; i++) {
        config->values[i].items =
            xalloc((count_items(sections[i].items) + 1) * sizeof(struct value));
        for (const struct config_item *item = sections[i].items; item->key != NULL; item++) {
            char error[512];
            uint64_t number = 0;
            int result = config_value_parse(item, item->default_text, &number, error, sizeof error);
            assert(result == 0); /* a row whose default it would refuse */
            (void)result;
            set_value(value_of(config, &sections[i], item), item->default_text, number, 0);
        }
    }
    return config;
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->count; i++) {
        size_t items = count_items(config->sections[i].items);
        for (size_t j = 0; j < items; j++) {
            free(config->values[i].items[j].text);
        }
        free(config->values[i].items);
    }
    free(config->values);
    free(config);
}

/* Adds to what stands in out, cutting what does not fit. */
static void append(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void append(char *out, size_t size, const char *format, ...)
{
    size_t used = strlen(out);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(out + used, size - used, format, args);
    va_end(args);
}

static const char *shown(const char *text, char out[static SHOWN_SIZE])
{
    return text_escape(bytes_from_string(text), out, SHOWN_SIZE);
}

static void refuse_section(const struct config *config, const char *name, char *error, size_t size)
{
    char name_shown[SHOWN_SIZE];
    append(error, size, "[%s]: unknown section; there are", shown(name, name_shown));
    for (size_t i = 0; i < config->count; i++) {
        append(error, size, "%s [%s]", i == 0 ? "" : ",", config->sections[i].name);
    }
}

static void refuse_key(const struct config_section *section, const char *key, char *error,
                       size_t size)
{
    char key_shown[SHOWN_SIZE];
    append(error, size, "[%s] %s: unknown option; [%s] has", section->name, shown(key, key_shown),
           section->name);
    for (const struct config_item *item = section->items; item->key != NULL; item++) {
        append(error, size, "%s %s", item == section->items ? "" : ",", item->key);
    }
}

/* Sets one option; what is wrong is appended to error. line 0 is the command line, which may
 * set what the file has set. */
static int set(struct config *config, const char *section_name, const char *key, const char *text,
               unsigned line, char *error, size_t size)
{
    const struct config_section *section = find_section(config, section_name);
    if (section == NULL) {
        refuse_section(config, section_name, error, size);
        return -EINVAL;
    }
    const struct config_item *item = find_item(section, key);
    if (item == NULL) {
        refuse_key(section, key, error, size);
        return -EINVAL;
    }
    struct value *value = value_of(config, section, item);
    char why[512];
    uint64_t number = 0;
    int result = config_value_parse(item, text, &number, why, sizeof why);
    if (result == 0 && line != 0 && value->line != 0) {
        (void)snprintf(why, sizeof why, "already set in line %u; keep one of the two", value->line);
        result = -EINVAL;
    }
    if (result != 0) {
        char text_shown[SHOWN_SIZE];
        append(error, size, "[%s] %s = %s: %s", section_name, key, shown(text, text_shown), why);
        return result;
    }
    set_value(value, text, number, line);
    return 0;
}

int config_set(struct config *config, const char *section, const char *key, const char *value,
               char *error, size_t error_size)
{
    assert(error_size > 0);
    char message[1024] = "";
    int result = set(config, section, key, value, 0, message, sizeof message);
    if (result != 0) {
        (void)snprintf(error, error_size, "%s", message);
    }
    return result;
}

static void begin_error(struct parse *parse, unsigned line)
{
    parse->failed = true;
    (void)snprintf(parse->error, parse->error_size, "%s:%u: ", parse->name, line);
}

/* inih checks a section's name only when it has a key; we want the empty one checked too. */
static void check_section_line(struct parse *parse, const char *line)
{
    char name[64];
    line += strspn(line, " \t");
    size_t length = strcspn(line, "]");
    if (*line != '[' || line[length] != ']' || length >= sizeof name) {
        return;
    }
    memcpy(name, line + 1, length - 1);
    name[length - 1] = '\0';
    if (find_section(parse->config, name) == NULL) {
        begin_error(parse, parse->line);
        refuse_section(parse->config, name, parse->error, parse->error_size);
    }
}

/* The fgets() of inih. It counts lines, since inih does not tell its handler where it is, and
 * refuses what inih would take apart in silence. */
static char *read_line(char *out, int size, void *arg)
{
    struct parse *parse = arg;
    struct bytes left = parse->left;
    if (parse->failed || left.size == 0) {
        return NULL;
    }
    parse->line++;
    const uint8_t *newline = memchr(left.data, '\n', left.size);
    size_t length = newline == NULL ? left.size : (size_t)(newline - left.data) + 1;
    if (length >= (size_t)size) {
        begin_error(parse, parse->line);
        append(parse->error, parse->error_size, "longer than %d characters", size - 2);
        return NULL;
    }
    if (memchr(left.data, '\0', length) != NULL || !text_is_utf8(bytes_make(left.data, length))) {
        begin_error(parse, parse->line);
        append(parse->error, parse->error_size, "not text (UTF-8)");
        return NULL;
    }
    memcpy(out, left.data, length);
    out[length] = '\0';
    parse->left = bytes_make(left.data + length, left.size - length);
    /* Indented lines would continue the value above; nobody means that here. */
    size_t indent = strspn(out, " \t");
    memmove(out, out + indent, length - indent + 1);
    check_section_line(parse, out);
    return parse->failed ? NULL : out;
}

static int on_option(void *arg, const char *section, const char *key, const char *value)
{
    struct parse *parse = arg;
    if (parse->failed) {
        return 1;
    }
    char message[1024] = "";
    int result = 0;
    if (*section == '\0') {
        char key_shown[SHOWN_SIZE];
        append(message, sizeof message, "%s: stands before the first [section]",
               shown(key, key_shown));
        result = -EINVAL;
    } else {
        result = set(parse->config, section, key, value, parse->line, message, sizeof message);
    }
    if (result != 0) {
        begin_error(parse, parse->line);
        append(parse->error, parse->error_size, "%s", message);
    }
    return 1;
}

int config_parse(const struct config_section *sections, size_t count, const char *name,
                 struct bytes text, struct config **ret_config, char *error, size_t error_size)
{
    assert(error_size > 0);
    struct parse parse = {
        .config = new_with_defaults(sections, count),
        .name = name,
        .left = text,
        .error = error,
        .error_size = error_size,
    };
    int bad_line = ini_parse_stream(read_line, &parse, on_option, &parse);
    if (bad_line != 0 && (!parse.failed || (unsigned)bad_line < parse.line)) {
        begin_error(&parse, bad_line < 0 ? 0 : (unsigned)bad_line);
        append(error, error_size, "neither \"key = value\" nor \"[section]\"");
    }
    if (parse.failed) {
        config_free(parse.config);
        return -EINVAL;
    }
    *ret_config = parse.config;
    return 0;
}

/* Reads all of path into memory of at most FILE_SIZE_MAX. */
static int read_file(const char *path, uint8_t *out, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    size_t size = 0;
    int result = 0;
    while (result == 0) {
        ssize_t got = read(fd, out + size, FILE_SIZE_MAX - size);
        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            result = -errno;
        }
        size += got > 0 ? (size_t)got : 0;
        if (size == FILE_SIZE_MAX) {
            result = -EFBIG;
        }
    }
    (void)close(fd);
    if (result == 0) {
        *ret_size = size;
    }
    return result;
}

int config_load(const struct config_section *sections, size_t count, const char *path,
                struct config **ret_config, char *error, size_t error_size)
{
    if (path == NULL) {
        *ret_config = new_with_defaults(sections, count);
        return 0;
    }
    uint8_t *text = xalloc(FILE_SIZE_MAX);
    size_t size = 0;
    int result = read_file(path, text, &size);
    if (result == 0) {
        result = config_parse(sections, count, path, bytes_make(text, size), ret_config, error,
                              error_size);
    } else if (result == -EFBIG) {
        (void)snprintf(error, error_size, "%s: larger than 1 MiB; is it the right file?", path);
    } else {
        (void)snprintf(error, error_size, "%s: %s; check that the file exists and may be read",
                       path, strerror(-result));
    }
    free(text);
    return result;
}

static const struct value *get(const struct config *config, const char *section_name,
                               const char *key, const struct config_item **ret_item)
{
    const struct config_section *section = find_section(config, section_name);
    assert(section != NULL);
    const struct config_item *item = find_item(section, key);
    assert(item != NULL);
    *ret_item = item;
    return value_of(config, section, item);
}

bool config_bool(const struct config *config, const char *section, const char *key)
{
    const struct config_item *item;
    const struct value *value = get(config, section, key, &item);
    assert(item->type == CONFIG_BOOL);
    return value->number != 0;
}

uint64_t config_uint(const struct config *config, const char *section, const char *key)
{
    const struct config_item *item;
    const struct value *value = get(config, section, key, &item);
    assert(item->type == CONFIG_UINT || item->type == CONFIG_SIZE || item->type == CONFIG_SECONDS);
    return value->number;
}

size_t config_size(const struct config *config, const char *section, const char *key)
{
    const uint64_t value = config_uint(config, section, key);
#if SIZE_MAX < UINT64_MAX
    return value < SIZE_MAX ? (size_t)value : SIZE_MAX;
#else
    return value;
#endif
}

const char *config_text(const struct config *config, const char *section, const char *key)
{
    const struct config_item *item;
    const struct value *value = get(config, section, key, &item);
    assert(item->type == CONFIG_TEXT || item->type == CONFIG_CHOICE);
    return value->text;
}

void config_print(const struct config_section *sections, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)printf("%s[%s]\n", i == 0 ? "" : "\n", sections[i].name);
        for (const struct config_item *item = sections[i].items; item->key != NULL; item++) {
            (void)printf("# %s\n# %s = %s\n", item->summary, item->key, item->default_text);
        }
    }
}
