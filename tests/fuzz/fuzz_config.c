/* config_parse() over arbitrary bytes: an accepted file has every value within its row's limits, a
 * refused one gets a message. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_item network_items[] = {
    {"port", CONFIG_UINT, "8080", 0, 65535, NULL, false, "Port to listen on."},
    {"listen", CONFIG_TEXT, "", 0, 0, NULL, false, "Address to listen on."},
    {"transport", CONFIG_CHOICE, "noise", 0, 0, "noise|plaintext", false, "How to talk."},
    {.key = NULL},
};
static const struct config_item limit_items[] = {
    {"memory", CONFIG_SIZE, "64M", 4096, UINT64_C(2) << 30, NULL, true, "Memory for queues."},
    {"timeout", CONFIG_SECONDS, "15", 1, 7200, NULL, true, "When to give up."},
    {"strict", CONFIG_BOOL, "no", 0, 0, NULL, true, "Refuse strangers."},
    {.key = NULL},
};
static const struct config_section sections[] = {
    {"network", network_items},
    {"limits", limit_items},
};

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    char error[256] = "";
    if (config_parse(sections, 2, "f", bytes_make(data, size), &config, error, sizeof error) != 0) {
        check(config == NULL && strncmp(error, "f:", 2) == 0 && strchr(error, '\n') == NULL);
        return 0;
    }
    check(config_uint(config, "network", "port") <= 65535);
    check(config_uint(config, "limits", "memory") >= 4096);
    check(config_uint(config, "limits", "memory") <= UINT64_C(2) << 30);
    check(config_uint(config, "limits", "timeout") - 1 < 7200);
    const char *transport = config_text(config, "network", "transport");
    check(strcmp(transport, "noise") == 0 || strcmp(transport, "plaintext") == 0);
    check(strlen(config_text(config, "network", "listen")) < size + 1);
    (void)config_bool(config, "limits", "strict");
    config_free(config);
    return 0;
}
