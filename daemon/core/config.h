/* Configuration: rows of options beside the code that uses them, one file that sets them.
 *
 * A struct config is immutable once made; a reload makes a new one, and only options marked
 * reloadable differ in effect. The file is INI (inih): [section] is the module's name, key = value.
 * Unknown sections, unknown keys, values out of range and duplicate keys are errors that name the
 * file, line, option and the values allowed: a typing mistake never passes for a default. */
#ifndef RATSD_CORE_CONFIG_H
#define RATSD_CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"

enum config_type {
    CONFIG_BOOL,    /* yes or no (true, false, on, off) */
    CONFIG_UINT,    /* a whole number */
    CONFIG_SIZE,    /* bytes, or with K, M or G: 64M is 67108864 */
    CONFIG_SECONDS, /* seconds, or with s, m or h: 2h is 7200 */
    CONFIG_TEXT,
    CONFIG_CHOICE, /* one of choices */
};

struct config_item {
    const char *key; /* NULL ends an array of items */
    enum config_type type;
    const char *default_text; /* as it would stand in the file; "" = empty text */
    uint64_t min;             /* for UINT, SIZE (bytes), SECONDS */
    uint64_t max;
    const char *choices; /* for CHOICE: "noise|plaintext" */
    bool reloadable;     /* takes effect on SIGHUP */
    const char *summary; /* one sentence for --list-config and ratsd.conf(5) */
};

struct config_section {
    const char *name;
    const struct config_item *items;
};

struct config;

/* Reads path over the defaults of sections (count of them, borrowed for the life of the config);
 * path NULL: defaults only; a file that does not exist is -ENOENT. On failure a negative errno and
 * a sentence with its remedy in error. */
int config_load(const struct config_section *sections, size_t count, const char *path,
                struct config **ret_config, char *error, size_t error_size);
/* The same from memory; name stands for the path in messages. */
int config_parse(const struct config_section *sections, size_t count, const char *name,
                 struct bytes text, struct config **ret_config, char *error, size_t error_size);
void config_free(struct config *config);
/* Overrides one option as the command line does; same checks and message as the file. */
int config_set(struct config *config, const char *section, const char *key, const char *value,
               char *error, size_t error_size);

/* Asking for an option no row declares is our own mistake (assert). */
bool config_bool(const struct config *config, const char *section, const char *key);
/* Of UINT, SIZE and SECONDS. */
uint64_t config_uint(const struct config *config, const char *section, const char *key);
/* The same for what is counted or measured in memory: at most SIZE_MAX, where that is less. */
size_t config_size(const struct config *config, const char *section, const char *key);
/* Of TEXT and CHOICE. */
const char *config_text(const struct config *config, const char *section, const char *key);

/* Prints every option as a commented sample file: "# summary", "# key = default". */
void config_print(const struct config_section *sections, size_t count);

#endif
