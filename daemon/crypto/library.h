/* What libcrypto, the library behind this folder, is told once, before anything else is called. */
#ifndef RATSD_CRYPTO_LIBRARY_H
#define RATSD_CRYPTO_LIBRARY_H

/* It allocates as the daemon does: to run out of memory ends the process. Left to itself libcrypto
 * goes on with tables it could only half make, and follows a NULL in them at the next call. Also
 * leaves out its sentences for errors, which nobody reads here: a quarter of the allocations that
 * it makes at start. Without this call it works with malloc(). */
void crypto_library_init(void);

#endif
