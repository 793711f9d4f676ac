#include "ratsctl/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ratsctl/words.h"
#include "util/text.h"

#define GAP       ((size_t)2)
#define NAME_MIN  8u /* columns that the name keeps whatever else is shown */
#define BAR_MIN   12u
#define BAR_MAX   40u
#define TAIL_SIZE 160u
#define LEFT_SIZE 16u
#define CUT_MARK  "..."
#define WIDE_FROM 0x1100u /* from here on a character may take two columns, and none takes more */

/* What stands behind the bar. */
enum part { PERCENT = 1, BYTES = 2, RATE = 4, LEFT = 8, FILES = 16 };

/* From everything to what is shown on the narrowest terminal. */
static const unsigned choices[] = {
    PERCENT | BYTES | RATE | LEFT | FILES,
    PERCENT | RATE | LEFT | FILES,
    PERCENT | LEFT | FILES,
    PERCENT | LEFT,
    PERCENT,
};

#define CHOICE_COUNT (sizeof choices / sizeof choices[0])

unsigned progress_percent(const struct progress *progress)
{
    const bool by_files = progress->total_bytes == 0;
    const uint64_t done = by_files ? progress->done_files : progress->done_bytes;
    const uint64_t total = by_files ? progress->total_files : progress->total_bytes;
    if (done < total) {
        return (unsigned)((long double)done * 100 / (long double)total);
    }
    return progress->done_files < progress->total_files ? 99 : 100;
}

/* "0:22", "1:02:03", "4 d 11 h" */
static void format_left(uint64_t seconds, char ret_text[LEFT_SIZE])
{
    const uint64_t hours = seconds / 3600;
    if (hours == 0) {
        (void)snprintf(ret_text, LEFT_SIZE, "%" PRIu64 ":%02" PRIu64, seconds / 60, seconds % 60);
    } else if (hours < 100) {
        (void)snprintf(ret_text, LEFT_SIZE, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, hours,
                       seconds / 60 % 60, seconds % 60);
    } else if (hours < 24000) {
        (void)snprintf(ret_text, LEFT_SIZE, "%" PRIu64 " d %" PRIu64 " h", hours / 24, hours % 24);
    } else {
        (void)snprintf(ret_text, LEFT_SIZE, "long");
    }
}

struct tail {
    char text[TAIL_SIZE];
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct tail *tail, const char *format, ...)
{
    char part[TAIL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(part, sizeof part, format, arguments);
    va_end(arguments);
    const size_t size = strlen(part);
    if (tail->size + size < sizeof tail->text) {
        memcpy(tail->text + tail->size, part, size + 1);
        tail->size += size;
    }
}

/* Each part takes the same room whatever the figures are, so that the bar does not tremble. */
static void add_rate(struct tail *tail, const struct progress *progress, unsigned parts)
{
    char text[SIZE_SIZE];
    if (progress->note != NULL) {
        add(tail, "  %s", progress->note);
        return;
    }
    if ((parts & RATE) != 0) {
        add(tail, "  %8s/s", size_format(progress->rate, text));
    }
    if ((parts & LEFT) != 0 && progress->rate > 0 && progress->done_bytes < progress->total_bytes) {
        char left[LEFT_SIZE];
        format_left((progress->total_bytes - progress->done_bytes) / progress->rate, left);
        add(tail, "  %7s left", left);
    } else if ((parts & LEFT) != 0) {
        add(tail, "  %12s", "");
    }
}

static void make_tail(const struct progress *progress, unsigned parts, struct tail *ret_tail)
{
    char done[SIZE_SIZE];
    char total[SIZE_SIZE];
    ret_tail->size = 0;
    add(ret_tail, "%3u%%", progress_percent(progress));
    if ((parts & BYTES) != 0) {
        add(ret_tail, "  %8s of %s", size_format(progress->done_bytes, done),
            size_format(progress->total_bytes, total));
    }
    if ((parts & (RATE | LEFT)) != 0) {
        add_rate(ret_tail, progress, parts);
    }
    if ((parts & FILES) != 0 && progress->total_files != 1) {
        add(ret_tail, "  %" PRIu64 " of %" PRIu64 " files", progress->done_files,
            progress->total_files);
    }
    while (ret_tail->size > 0 && ret_tail->text[ret_tail->size - 1] == ' ') {
        ret_tail->size--;
    }
    ret_tail->text[ret_tail->size] = '\0';
}

/* How many bytes of text fit into columns; ret_columns is what they take at most. */
static size_t fit(const char *text, size_t columns, size_t *ret_columns)
{
    struct reader reader;
    const size_t size = strlen(text);
    size_t used = 0;
    size_t taken = 0;
    uint32_t code = 0;
    reader_init(&reader, bytes_make(text, size));
    while (taken < size && text_take(&reader, &code) > 0) {
        const size_t wide = code >= WIDE_FROM ? 2 : 1;
        if (used + wide > columns) {
            break;
        }
        used += wide;
        taken = size - reader_left(&reader);
    }
    *ret_columns = used;
    return taken;
}

/* Writes the name, cut and marked where it is too long. Returns the columns it takes. */
static size_t put_name(const char *name, size_t columns, char *ret_text)
{
    char shown[PROGRESS_SIZE / 2];
    size_t used = 0;
    (void)text_escape(bytes_from_string(name), shown, sizeof shown);
    size_t size = fit(shown, columns, &used);
    const bool cut = shown[size] != '\0';
    if (cut && columns > strlen(CUT_MARK)) {
        size = fit(shown, columns - strlen(CUT_MARK), &used);
        used += strlen(CUT_MARK);
    }
    shown[size] = '\0';
    (void)stpcpy(stpcpy(ret_text, shown), cut && columns > strlen(CUT_MARK) ? CUT_MARK : "");
    return used;
}

/* A bar of that many columns with its brackets. */
static void put_bar(unsigned percent, size_t columns, char *ret_text)
{
    const size_t room = columns - 2;
    const size_t full = room * percent / 100;
    memset(ret_text, ' ', columns);
    memset(ret_text + 1, '=', full);
    if (full > 0 && full < room) {
        ret_text[full] = '>';
    }
    ret_text[0] = '[';
    ret_text[columns - 1] = ']';
    ret_text[columns] = '\0';
}

char *progress_format(const struct progress *progress, size_t width, char ret_line[PROGRESS_SIZE])
{
    struct tail tail;
    size_t i = 0;
    width = width > PROGRESS_SIZE / 4 ? PROGRESS_SIZE / 4 : width;
    do {
        make_tail(progress, choices[i], &tail);
    } while (tail.size + BAR_MIN + NAME_MIN + 2 * GAP > width && ++i < CHOICE_COUNT);

    const size_t behind = tail.size + GAP; /* the tail and what stands before it */
    if (tail.size > width) {
        ret_line[0] = '\0';
        return ret_line;
    }
    if (behind >= width) {
        memcpy(ret_line, tail.text, tail.size + 1);
        return ret_line;
    }
    const bool with_bar = i < CHOICE_COUNT;
    const size_t name_room = width - behind - (with_bar ? BAR_MIN + GAP : 0);
    size_t used = put_name(progress->name, name_room, ret_line);
    char *end = ret_line + strlen(ret_line);
    if (with_bar) {
        size_t bar = width - behind - GAP - used;
        bar = bar > BAR_MAX ? BAR_MAX : bar;
        end = stpcpy(end, "  ");
        put_bar(progress_percent(progress), bar, end);
        end += bar;
    }
    (void)stpcpy(stpcpy(end, "  "), tail.text);
    return ret_line;
}
