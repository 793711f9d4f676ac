#include "util/peer_id.h"

#include "util/hex.h"

struct peer_id_text peer_id_format(const struct peer_id *id)
{
    struct peer_id_text text;
    hex_format(bytes_make(id->bytes, sizeof id->bytes), text.text);
    return text;
}

struct peer_id_text peer_id_format_short(const struct peer_id *id)
{
    struct peer_id_text text = {0};
    hex_format(bytes_make(id->bytes, PEER_ID_SHORT / 2), text.text);
    return text;
}

int peer_id_parse(const char *text, struct peer_id *ret_id)
{
    return hex_parse(text, ret_id->bytes, sizeof ret_id->bytes);
}
