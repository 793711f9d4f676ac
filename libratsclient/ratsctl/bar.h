/* The progress line on the terminal: drawn in place on standard error, and taken away before
 * anything else is written. There is one terminal, so there is one bar; unless bar_init() found
 * that people look at it, every call does nothing (usability C16). */
#ifndef RATSCTL_BAR_H
#define RATSCTL_BAR_H

#include "ratsctl/output.h"
#include "ratsctl/progress.h"

/* Draws from now on when standard output and error are terminals that can, and people read it. */
void bar_init(const struct output *output);

/* Whether bar_show() draws. */
bool bar_is_on(void);

void bar_show(const struct progress *progress);
/* Leaves an empty line with the cursor at its beginning. */
void bar_clear(void);

#endif
