/* The name this header had in librats before version 1; programs written for it compile unchanged.
 */
#ifndef LIBRATS_C_H
#define LIBRATS_C_H

#include "librats.h"

#endif
