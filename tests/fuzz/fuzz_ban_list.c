/* ban_subject_parse() over arbitrary text; what it accepts has one form and covers itself. */
#include <stdlib.h>

#include "util/ban_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t seed[2] = {1, 2};
    char text[160];
    struct ban_subject first;
    struct ban_subject second;
    struct ban_list list;
    if (size >= sizeof text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (ban_subject_parse(text, &first) != 0) {
        return 0;
    }
    struct ban_subject_text form = ban_subject_format(&first);
    require(ban_subject_parse(form.text, &second) == 0);
    require(memcmp(&first, &second, sizeof first) == 0);
    ban_list_init(&list, seed);
    require(ban_list_add(&list, &first, BAN_FOR_EVER, 0, text) == 0);
    if (first.ip_size == 0) {
        require(ban_list_peer(&list, &first.peer, 0) != NULL);
    } else {
        struct endpoint address = {.port = 1};
        require(endpoint_set_ip(&address, bytes_make(first.ip, first.ip_size)) == 0);
        require(address.ip_size != first.ip_size || ban_list_address(&list, &address, 0) != NULL);
    }
    ban_list_fini(&list);
    return 0;
}
