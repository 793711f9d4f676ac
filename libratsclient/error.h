/* The calling thread's last error: what rats_last_error() and rats_last_error_message() tell.
 *
 * Thread-local, so no lock and no handle is involved. Functions of the public API clear it on
 * success and set it on failure; the code is one of all of rats_error_t. */
#ifndef LIBRATS_ERROR_H
#define LIBRATS_ERROR_H

#include "librats.h"

#define ERROR_TEXT_SIZE 512

void error_clear(void);
/* Returns code. */
__attribute__((format(printf, 2, 3))) int error_set(int code, const char *format, ...);
int error_code(void);
/* The same for what is not the last error yet: writes it into error, returns code. */
__attribute__((format(printf, 3, 4))) int error_note(char error[ERROR_TEXT_SIZE], int code,
                                                     const char *format, ...);
/* The code a function of librats 0.3 may return for it (api.md D4). */
rats_error_t error_v1(int code);

#endif
