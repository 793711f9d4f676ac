/* The text of one option: read as its row says, or refused with the values that are allowed. Used
 * by config.c only; apart from it because it knows nothing of files and sections. */
#ifndef RATSD_CORE_CONFIG_VALUE_H
#define RATSD_CORE_CONFIG_VALUE_H

#include "core/config.h"

/* 0 and the number (BOOL: 0 or 1; TEXT, CHOICE: 0), or -EINVAL and in error a phrase that ends the
 * sentence "key = value: ...". */
int config_value_parse(const struct config_item *item, const char *text, uint64_t *ret_number,
                       char *error, size_t error_size);

#endif
