/* Two kinds of allocation (style 7, Errors).
 *
 * x*(): for sizes we chose ourselves. Out of memory there is the end: the handler set by main is
 * told (it logs) and the process exits; the service manager restarts it and state on disk is whole
 * at any instant. try_alloc(): for sizes that somebody outside had a say in, already capped; NULL
 * is an answer. Everything is released with free().
 *
 * The libraries behind us (libevent, libcrypto, jansson) allocate with xmalloc() and xrealloc() as
 * well. What they ask for is small, and out of memory they leave half-made objects behind. */
#ifndef RATSD_UTIL_ALLOC_H
#define RATSD_UTIL_ALLOC_H

#include <stddef.h>

void *xalloc(size_t size);              /* zeroed */
void *xmalloc(size_t size);             /* not zeroed: what libraries are given to allocate with */
void *xrealloc(void *old, size_t size); /* new bytes are not zeroed */
char *xstrdup(const char *text);
void *try_alloc(size_t size); /* zeroed; NULL when there is none */

/* Called once with the size that could not be had, before _exit(1). */
void alloc_set_failure_handler(void (*handler)(size_t size));

#endif
