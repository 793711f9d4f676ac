#include "util/path_rule.h"

#include <strings.h>

#include "util/text.h"

static bool is_separator(uint8_t byte)
{
    return byte == '/' || byte == '\\';
}

/* The size of the component that begins at data, up to the next separator of either kind. */
static size_t component_size(struct bytes rest)
{
    size_t size = 0;
    while (size < rest.size && !is_separator(rest.data[size])) {
        size++;
    }
    return size;
}

const char *path_rule_check_offered(struct bytes path)
{
    if (path.size > PATH_RULE_MAX_SIZE) {
        return "has more than 4096 bytes";
    }
    if (!text_is_utf8(path)) {
        return "is not UTF-8";
    }
    if (path.size > 0 && memchr(path.data, '\0', path.size) != NULL) {
        return "has a zero byte";
    }
    return path_rule_is_safe(path) ? NULL : "is no path below a folder";
}

bool path_rule_is_safe(struct bytes path)
{
    if (path.size == 0 || is_separator(path.data[0]) || (path.size > 1 && path.data[1] == ':')) {
        return false;
    }
    for (struct bytes rest = path;;) {
        size_t size = component_size(rest);
        bool is_dots = size <= 2 && size > 0 && rest.data[0] == '.' && rest.data[size - 1] == '.';
        if (size == 0 || is_dots) {
            return false;
        }
        if (size == rest.size) {
            return true;
        }
        rest = bytes_make(rest.data + size + 1, rest.size - size - 1);
    }
}

/* Names that mean a device in any folder on some systems, whatever follows a dot. */
static bool is_device(struct bytes component)
{
    static const char *const whole[] = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"};
    size_t size = 0;
    while (size < component.size && component.data[size] != '.') {
        size++;
    }
    while (size > 0 && component.data[size - 1] == ' ') {
        size--;
    }
    const char *name = (const char *)component.data;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (strlen(whole[i]) == size && strncasecmp(name, whole[i], size) == 0) {
            return true;
        }
    }
    if (size < 4 || (strncasecmp(name, "COM", 3) != 0 && strncasecmp(name, "LPT", 3) != 0)) {
        return false;
    }
    /* A digit, also the raised ones of Latin-1. */
    bool raised =
        size == 5 && component.data[3] == 0xc2 &&
        (component.data[4] == 0xb9 || component.data[4] == 0xb2 || component.data[4] == 0xb3);
    return raised || (size == 4 && component.data[3] >= '0' && component.data[3] <= '9');
}

static const char *check_component(struct bytes component)
{
    size_t dots = 0;
    if (component.size == 0) {
        return "has an empty component";
    }
    if (component.size > PATH_RULE_MAX_COMPONENT) {
        return "has a component of more than 255 bytes";
    }
    while (dots < component.size && component.data[dots] == '.') {
        dots++;
    }
    if (dots == component.size) {
        return "has a component of dots alone";
    }
    uint8_t last = component.data[component.size - 1];
    if (last == '.' || last == ' ' || component.data[0] == ' ') {
        return "has a component that ends in a dot, or begins or ends with a space";
    }
    return is_device(component) ? "has a component that names a device" : NULL;
}

struct character_range {
    uint32_t first;
    uint32_t last;
    const char *fault;
};

#define FAULT_CONTROL   "has a control character"
#define FAULT_INVISIBLE "has an invisible character or one that turns text around"
#define FAULT_SLASH     "has a character that looks like a slash or a backslash"

static const char *check_character(uint32_t value)
{
    static const struct character_range refused[] = {
        {0x00, 0x1f, FAULT_CONTROL},
        {0x7f, 0x9f, FAULT_CONTROL},
        {':', ':', "has a colon"},
        {'\\', '\\', "has a backslash"},
        {0xad, 0xad, FAULT_INVISIBLE},
        {0x61c, 0x61c, FAULT_INVISIBLE},
        {0x180e, 0x180e, FAULT_INVISIBLE},
        {0x200b, 0x200b, FAULT_INVISIBLE},
        {0x200e, 0x200f, FAULT_INVISIBLE},
        {0x2028, 0x202e, FAULT_INVISIBLE},
        {0x2060, 0x206f, FAULT_INVISIBLE},
        {0xfeff, 0xfeff, FAULT_INVISIBLE},
        {0xfff9, 0xfffb, FAULT_INVISIBLE},
        {0xe0000, 0xe007f, FAULT_INVISIBLE},
        {0x1735, 0x1735, FAULT_SLASH},
        {0x2024, 0x2025, "has a character that looks like a dot"},
        {0x2044, 0x2044, FAULT_SLASH},
        {0x2215, 0x2216, FAULT_SLASH},
        {0x2571, 0x2572, FAULT_SLASH},
        {0x27cb, 0x27cb, FAULT_SLASH},
        {0x27cd, 0x27cd, FAULT_SLASH},
        {0x29f5, 0x29f5, FAULT_SLASH},
        {0x29f8, 0x29f9, FAULT_SLASH},
        {0x2afb, 0x2afd, FAULT_SLASH},
        {0x3033, 0x3035, FAULT_SLASH},

        {0xfe68, 0xfe68, FAULT_SLASH},
        {0xff0f, 0xff0f, FAULT_SLASH},
        {0xff3c, 0xff3c, FAULT_SLASH},
        {0x1f67c, 0x1f67d, FAULT_SLASH},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (value >= refused[i].first && value <= refused[i].last) {
            return refused[i].fault;
        }
    }
    return NULL;
}

/* How much of it is ASCII that nobody minds: of most paths all, and lists of files are long. */
static size_t plain_size(struct bytes path)
{
    size_t size = 0;
    while (size < path.size && path.data[size] > 0x1f && path.data[size] < 0x7f &&
           path.data[size] != ':' && path.data[size] != '\\') {
        size++;
    }
    return size;
}

static const char *check_characters(struct bytes path)
{
    struct reader reader;
    uint32_t code = 0;
    reader_init(&reader, path);
    (void)reader_bytes(&reader, plain_size(path));
    while (reader_left(&reader) > 0) {
        if (text_take(&reader, &code) == 0) {
            return "is not UTF-8";
        }
        const char *fault = check_character(code);
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

const char *path_rule_check(struct bytes path)
{
    if (path.size == 0) {
        return "is empty";
    }
    if (path.size > PATH_RULE_MAX_SIZE) {
        return "has more than 4096 bytes";
    }
    if (is_separator(path.data[0])) {
        return "begins with a slash";
    }
    const char *fault = check_characters(path);
    size_t depth = 0;
    for (struct bytes rest = path; fault == NULL;) {
        size_t size = component_size(rest);
        fault = ++depth > PATH_RULE_MAX_DEPTH ? "is more than 128 folders deep"
                                              : check_component(bytes_make(rest.data, size));
        if (size == rest.size) {
            break;
        }
        rest = bytes_make(rest.data + size + 1, rest.size - size - 1);
    }
    return fault;
}
