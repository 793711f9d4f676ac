/* The tables as JSON: what protocol.describe returns and `ratsctl protocol describe` prints. */
#ifndef RATS_PROTO_DESCRIBE_H
#define RATS_PROTO_DESCRIBE_H

#include <jansson.h>

/* The whole contract, or one method (NULL = all). A new reference; NULL when the method does not
 * exist or memory is out. */
json_t *describe_protocol(const char *method);

#endif
