#include "service/lww.h"

const char *lww_verdict_name(enum lww_verdict verdict)
{
    static const char *const names[LWW_VERDICT_COUNT] = {
        [LWW_WINS] = "wins",
        [LWW_LOSES] = "loses",
        [LWW_AHEAD] = "from the future",
        [LWW_KEY_SIZE] = "key too long",
        [LWW_VALUE_SIZE] = "value too large",
        [LWW_FULL_KEYS] = "too many keys",
        [LWW_FULL_BYTES] = "too many bytes",
    };
    return names[verdict];
}

/* As std::string does: byte by byte, then the shorter first. */
static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

int lww_compare(const struct entry *entry, const struct lww_known *known)
{
    if (entry->timestamp_ms != known->timestamp_ms) {
        return entry->timestamp_ms > known->timestamp_ms ? 1 : -1;
    }
    return compare_bytes(entry->origin, known->origin);
}

static uint64_t size_of(const struct entry *entry)
{
    return (uint64_t)entry->key.size + entry->data.size;
}

enum lww_verdict lww_judge_local(const struct lww_limits *limits, const struct lww_totals *totals,
                                 const struct entry *entry, const struct lww_known *known)
{
    uint64_t size = size_of(entry);
    uint64_t old = known == NULL ? 0 : known->size;
    if (entry->key.size > limits->max_key) {
        return LWW_KEY_SIZE;
    }
    if (entry->data.size > limits->max_value) {
        return LWW_VALUE_SIZE;
    }
    if (known == NULL && totals->keys + totals->tombstones >= limits->max_keys) {
        return LWW_FULL_KEYS;
    }
    if (size > old && totals->bytes + (size - old) > limits->max_total) {
        return LWW_FULL_BYTES;
    }
    return LWW_WINS;
}

enum lww_verdict lww_judge(const struct lww_limits *limits, const struct lww_totals *totals,
                           const struct entry *entry, const struct lww_known *known,
                           uint64_t now_ms)
{
    if (known != NULL && lww_compare(entry, known) <= 0) {
        return LWW_LOSES;
    }
    if (known == NULL && entry->deleted &&
        entry->timestamp_ms < lww_forget_before(limits, now_ms)) {
        return LWW_LOSES; /* forgotten here, and still remembered there */
    }
    if (entry->timestamp_ms > now_ms && entry->timestamp_ms - now_ms > limits->ahead_ms) {
        return LWW_AHEAD;
    }
    return lww_judge_local(limits, totals, entry, known);
}

uint64_t lww_stamp(const struct lww_known *known, uint64_t now_ms)
{
    return known == NULL || known->timestamp_ms < now_ms ? now_ms : known->timestamp_ms + 1;
}

void lww_account(struct lww_totals *totals, const struct entry *entry,
                 const struct lww_known *known)
{
    if (known != NULL) {
        totals->bytes -= known->size;
        totals->keys -= known->deleted ? 0 : 1;
        totals->tombstones -= known->deleted ? 1 : 0;
    }
    totals->bytes += size_of(entry);
    totals->keys += entry->deleted ? 0 : 1;
    totals->tombstones += entry->deleted ? 1 : 0;
}

uint64_t lww_forget_before(const struct lww_limits *limits, uint64_t now_ms)
{
    return now_ms > limits->tombstone_ms ? now_ms - limits->tombstone_ms : 0;
}
