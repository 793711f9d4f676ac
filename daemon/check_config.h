/* What --check-config finds out beyond the syntax: whether a daemon could listen as the
 * configuration says. Nothing is made or changed, and a daemon that runs is not disturbed; a port
 * that this instance itself has counts as free. */
#ifndef RATSD_CHECK_CONFIG_H
#define RATSD_CHECK_CONFIG_H

#include "core/config.h"
#include "paths.h"

/* 0, or a negative errno and a sentence that names the option and a remedy; -EINVAL when the
 * configuration is wrong, others when the machine does not let us. */
int check_config(const struct paths *paths, const struct config *config, char *error,
                 size_t error_size);

#endif
