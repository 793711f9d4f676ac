/* endpoint_parse_ip() over arbitrary text, and endpoint_set_ip() over arbitrary bytes. */
#include <stdlib.h>
#include <string.h>

#include "fuzz_text.h"
#include "util/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted, written out, is accepted again as the same. */
static void check_round(const struct endpoint *endpoint)
{
    struct endpoint again;
    struct endpoint_text text = endpoint_format_ip(endpoint);
    if (endpoint_parse_ip(text.text, endpoint->port, &again) != 0 ||
        !endpoint_equal(endpoint, &again) || endpoint->scope != again.scope ||
        strlen(endpoint_format(endpoint).text) >= ENDPOINT_TEXT_SIZE) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct endpoint endpoint;
    char *text = text_of(data, size);
    if (endpoint_parse_ip(text, 65535, &endpoint) == 0) {
        check_round(&endpoint);
    }
    free(text);
    struct endpoint raw = {.port = 65535, .scope = UINT32_MAX};
    if (endpoint_set_ip(&raw, bytes_make(data, size)) == 0) {
        check_round(&raw);
    }
    return 0;
}
