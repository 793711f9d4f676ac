#include "util/ban_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/alloc.h"

static size_t family(uint8_t ip_size)
{
    return ip_size == 4 ? 0 : 1;
}

static struct bytes key_of(const struct ban_subject *subject)
{
    return bytes_make(subject, sizeof *subject); /* bytes only: no padding between them */
}

_Static_assert(sizeof(struct ban_subject) == PEER_ID_SIZE + 18, "a subject is its own key");

/* ---- subjects ---- */

static void set_network(struct ban_subject *subject, const struct endpoint *address, unsigned bits)
{
    memset(subject, 0, sizeof *subject);
    subject->ip_size = address->ip_size;
    subject->bits = (uint8_t)bits;
    memcpy(subject->ip, address->ip, bits / 8);
    if (bits % 8 != 0) {
        subject->ip[bits / 8] = (uint8_t)(address->ip[bits / 8] & (0xff00u >> (bits % 8)));
    }
}

/* The decimal digits behind the slash, at most max. */
static int parse_bits(const char *text, unsigned max, unsigned *ret_bits)
{
    unsigned bits = 0;
    size_t size = strlen(text);
    if (size < 1 || size > 3) {
        return -EINVAL;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return -EINVAL;
        }
        bits = bits * 10 + (unsigned)(*text - '0');
    }
    *ret_bits = bits;
    return bits <= max ? 0 : -EINVAL;
}

static int parse_network(const char *text, struct ban_subject *ret_subject)
{
    char ip[ENDPOINT_TEXT_SIZE];
    const char *slash = strchr(text, '/');
    size_t size = slash == NULL ? strlen(text) : (size_t)(slash - text);
    struct endpoint address;
    if (size >= sizeof ip) {
        return -EINVAL;
    }
    memcpy(ip, text, size);
    ip[size] = '\0';
    if (endpoint_parse_ip(ip, 0, &address) != 0 || address.scope != 0) {
        return -EINVAL;
    }
    unsigned bits = address.ip_size * 8u;
    /* "::ffff:10.0.0.0/104": the text is IPv6, the address is IPv4. */
    unsigned unwrapped = address.ip_size == 4 && strchr(ip, ':') != NULL ? 96 : 0;
    if (slash != NULL) {
        if (parse_bits(slash + 1, bits + unwrapped, &bits) != 0 || bits < unwrapped) {
            return -EINVAL;
        }
        bits -= unwrapped;
    }
    set_network(ret_subject, &address, bits);
    return 0;
}

int ban_subject_parse(const char *text, struct ban_subject *ret_subject)
{
    struct ban_subject subject = {0};
    if (peer_id_parse(text, &subject.peer) != 0) {
        return parse_network(text, ret_subject);
    }
    *ret_subject = subject;
    return 0;
}

struct ban_subject_text ban_subject_format(const struct ban_subject *subject)
{
    struct ban_subject_text text;
    if (subject->ip_size == 0) {
        (void)snprintf(text.text, sizeof text.text, "%s", peer_id_format(&subject->peer).text);
        return text;
    }
    struct endpoint address = {0};
    (void)endpoint_set_ip(&address, bytes_make(subject->ip, subject->ip_size));
    struct endpoint_text ip = endpoint_format_ip(&address);
    if (subject->bits == subject->ip_size * 8) {
        (void)snprintf(text.text, sizeof text.text, "%s", ip.text);
    } else {
        (void)snprintf(text.text, sizeof text.text, "%s/%u", ip.text, (unsigned)subject->bits);
    }
    return text;
}

/* ---- the list ---- */

void ban_list_init(struct ban_list *list, const uint64_t seed[2])
{
    memset(list, 0, sizeof *list);
    map_init(&list->bans, seed);
    list_init(&list->order);
}

static void drop(struct ban_list *list, struct ban *ban)
{
    (void)map_remove(&list->bans, key_of(&ban->subject));
    if (ban->subject.ip_size != 0) {
        list->in_use[family(ban->subject.ip_size)][ban->subject.bits]--;
    }
    list_remove(&ban->node);
    free(ban);
}

void ban_list_fini(struct ban_list *list)
{
    LIST_EACH(&list->order, node)
    {
        drop(list, CONTAINER_OF(node, struct ban, node));
    }
    map_fini(&list->bans);
}

/* Cuts between characters: what is shown stays UTF-8. */
static void set_reason(struct ban *ban, const char *reason)
{
    size_t size = strlen(reason);
    if (size > BAN_REASON_MAX) {
        size = BAN_REASON_MAX;
        while (size > 0 && ((unsigned char)reason[size] & 0xc0u) == 0x80u) {
            size--;
        }
    }
    memcpy(ban->reason, reason, size);
    ban->reason[size] = '\0';
}

int ban_list_add(struct ban_list *list, const struct ban_subject *subject, int64_t until_ms,
                 int64_t added_unix_s, const char *reason)
{
    struct ban *ban = map_find(&list->bans, key_of(subject));
    if (ban == NULL) {
        ban = try_alloc(sizeof *ban);
        if (ban == NULL) {
            return -ENOMEM;
        }
        ban->subject = *subject;
        if (map_insert(&list->bans, key_of(&ban->subject), ban) != 0) {
            free(ban);
            return -ENOMEM;
        }
        list_append(&list->order, &ban->node);
        if (subject->ip_size != 0) {
            list->in_use[family(subject->ip_size)][subject->bits]++;
        }
    }
    ban->until_ms = until_ms;
    ban->added_unix_s = added_unix_s;
    set_reason(ban, reason);
    return 0;
}

static bool has_ended(const struct ban *ban, int64_t now_ms)
{
    return ban->until_ms <= now_ms;
}

bool ban_list_remove(struct ban_list *list, const struct ban_subject *subject, int64_t now_ms)
{
    struct ban *ban = map_find(&list->bans, key_of(subject));
    if (ban == NULL) {
        return false;
    }
    bool applied = !has_ended(ban, now_ms);
    drop(list, ban);
    return applied;
}

const struct ban *ban_list_find(const struct ban_list *list, const struct ban_subject *subject)
{
    return map_find(&list->bans, key_of(subject));
}

size_t ban_list_expire(struct ban_list *list, int64_t now_ms)
{
    size_t count = 0;
    LIST_EACH(&list->order, node)
    {
        struct ban *ban = CONTAINER_OF(node, struct ban, node);
        if (has_ended(ban, now_ms)) {
            drop(list, ban);
            count++;
        }
    }
    return count;
}

static const struct ban *find_valid(const struct ban_list *list, const struct ban_subject *subject,
                                    int64_t now_ms)
{
    const struct ban *ban = map_find(&list->bans, key_of(subject));
    return ban == NULL || has_ended(ban, now_ms) ? NULL : ban;
}

const struct ban *ban_list_peer(const struct ban_list *list, const struct peer_id *peer,
                                int64_t now_ms)
{
    const struct ban_subject subject = {.peer = *peer};
    return find_valid(list, &subject, now_ms);
}

const struct ban *ban_list_address(const struct ban_list *list, const struct endpoint *address,
                                   int64_t now_ms)
{
    if (address->ip_size == 0) {
        return NULL;
    }
    for (unsigned left = address->ip_size * 8u + 1; left > 0; left--) {
        if (list->in_use[family(address->ip_size)][left - 1] > 0) {
            struct ban_subject subject;
            set_network(&subject, address, left - 1);
            const struct ban *ban = find_valid(list, &subject, now_ms);
            if (ban != NULL) {
                return ban;
            }
        }
    }
    return NULL;
}
