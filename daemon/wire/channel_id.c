#include "wire/channel_id.h"

uint16_t channel_id(struct bytes name)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < name.size; i++) {
        hash = (hash ^ name.data[i]) * UINT32_C(16777619);
    }
    uint16_t folded = (uint16_t)(hash >> 16 ^ (hash & 0xffff));
    return folded == 0 ? 1 : folded;
}
