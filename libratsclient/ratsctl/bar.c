#include "ratsctl/bar.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CLEAR_LINE    "\r\033[K"
#define DEFAULT_WIDTH 80

static bool on;
static bool visible;

void bar_init(const struct output *output)
{
    const char *terminal = getenv("TERM");
    on = output->json == JSON_NONE && terminal != NULL && strcmp(terminal, "dumb") != 0 &&
         isatty(STDOUT_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
}

bool bar_is_on(void)
{
    return on;
}

/* As it is now: people resize their windows. A line that fills the last column would wrap. */
static size_t terminal_width(void)
{
    struct winsize size;
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return (known ? size.ws_col : DEFAULT_WIDTH) - 1u;
}

void bar_show(const struct progress *progress)
{
    char line[PROGRESS_SIZE];
    if (on) {
        (void)fprintf(stderr, CLEAR_LINE "%s", progress_format(progress, terminal_width(), line));
        (void)fflush(stderr);
        visible = true;
    }
}

void bar_clear(void)
{
    if (visible) {
        (void)fputs(CLEAR_LINE, stderr);
        (void)fflush(stderr);
        visible = false;
    }
}
