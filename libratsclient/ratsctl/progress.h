/* The line that shows people how far a transfer is: name, bar, percent, bytes, rate, time left and
 * files, as much of it as the terminal is wide. Pure: terminal.h draws it. */
#ifndef RATSCTL_PROGRESS_H
#define RATSCTL_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#define PROGRESS_SIZE 2048u

struct progress {
    const char *name; /* borrowed; a stranger may have chosen it: it is escaped here */
    uint64_t done_bytes;
    uint64_t total_bytes;
    uint64_t done_files;
    uint64_t total_files; /* 1: of files nothing is shown */
    uint64_t rate;        /* bytes in a second; 0: not known, or it stands still */
    const char *note;     /* shown in place of rate and time left: "paused"; NULL: none */
};

/* Part of the whole in percent, rounded down: 100 only when nothing is missing. Of a transfer
 * without bytes its files count. */
unsigned progress_percent(const struct progress *progress);

/* One line without its end that takes at most width columns, whatever the name is; the less
 * important parts go first when there is no room. Returns ret_line. */
char *progress_format(const struct progress *progress, size_t width, char ret_line[PROGRESS_SIZE]);

#endif
