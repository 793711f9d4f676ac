/* hex_parse() and peer_id_parse() over arbitrary text. */
#include <stdlib.h>
#include <strings.h>

#include "fuzz_text.h"
#include "util/hex.h"
#include "util/peer_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char lower(char digit)
{
    return digit >= 'A' && digit <= 'F' ? (char)(digit - 'A' + 'a') : digit;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size);
    char *again = text_of(data, size);
    uint8_t *parsed = malloc(size / 2 + 1);
    struct peer_id id;
    if (parsed == NULL) {
        abort();
    }
    if (hex_parse(text, parsed, size / 2) == 0) {
        hex_format(bytes_make(parsed, size / 2), again);
        for (size_t i = 0; i < size; i++) {
            if (again[i] != lower(text[i])) {
                abort();
            }
        }
    }
    if (peer_id_parse(text, &id) == 0) {
        if (strlen(text) != PEER_ID_TEXT_SIZE - 1 ||
            strncasecmp(peer_id_format(&id).text, text, PEER_ID_TEXT_SIZE) != 0) {
            abort();
        }
    }
    free(parsed);
    free(again);
    free(text);
    return 0;
}
