/* Who may not connect: peers by id, and addresses by network, each for ever or until some time.
 *
 * Asking costs one lookup for a peer and one for each prefix length in use for an address, however
 * many bans there are: the question is asked of every stranger who connects. Pure; times are those
 * of a clock that never jumps, so setting the machine's clock ends no ban. Easy to break: a ban
 * that has ended must never match, also while it is still in here; and the list is bounded. */
#ifndef RATSD_UTIL_BAN_LIST_H
#define RATSD_UTIL_BAN_LIST_H

#include "util/endpoint.h"
#include "util/list.h"
#include "util/map.h"
#include "util/peer_id.h"

#define BAN_SUBJECT_TEXT_SIZE 80 /* an id, or "v6/128", with the NUL */
#define BAN_REASON_MAX        200
#define BAN_FOR_EVER          INT64_MAX

/* A peer, or a network: ip_size 0 means a peer. Bits beyond the prefix are zero. */
struct ban_subject {
    struct peer_id peer;
    uint8_t ip[16];
    uint8_t ip_size;
    uint8_t bits;
};

struct ban {
    struct list node;
    struct ban_subject subject;
    int64_t until_ms; /* BAN_FOR_EVER, or when it ends */
    int64_t added_unix_s;
    char reason[BAN_REASON_MAX + 1];
};

struct ban_list {
    struct map bans;       /* by subject */
    struct list order;     /* oldest first */
    size_t in_use[2][129]; /* bans by family and prefix length */
};

struct ban_subject_text {
    char text[BAN_SUBJECT_TEXT_SIZE];
};

/* 64 hexadecimal digits, or an address with or without "/bits"; bits beyond the prefix are cut.
 * 0 or -EINVAL. */
int ban_subject_parse(const char *text, struct ban_subject *ret_subject);
/* In one form: a whole address without its prefix length. */
struct ban_subject_text ban_subject_format(const struct ban_subject *subject);

void ban_list_init(struct ban_list *list, const uint64_t seed[2]);
void ban_list_fini(struct ban_list *list);
/* Adds, or replaces the ban of the same subject. reason is cut at BAN_REASON_MAX bytes, between
 * characters. 0 or -ENOMEM. */
int ban_list_add(struct ban_list *list, const struct ban_subject *subject, int64_t until_ms,
                 int64_t added_unix_s, const char *reason);
/* False when there was none, or it had ended. */
bool ban_list_remove(struct ban_list *list, const struct ban_subject *subject, int64_t now_ms);
/* NULL when there is none. */
const struct ban *ban_list_find(const struct ban_list *list, const struct ban_subject *subject);
/* Drops those that have ended; how many. */
size_t ban_list_expire(struct ban_list *list, int64_t now_ms);

/* The ban that applies, or NULL. */
const struct ban *ban_list_peer(const struct ban_list *list, const struct peer_id *peer,
                                int64_t now_ms);
const struct ban *ban_list_address(const struct ban_list *list, const struct endpoint *address,
                                   int64_t now_ms);

static inline size_t ban_list_count(const struct ban_list *list)
{
    return map_count(&list->bans);
}

#endif
