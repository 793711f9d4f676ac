/* The addresses that are to be connected, and when each is dialed next (wire-services 8).
 *
 * Pure: time, randomness and what is connected are arguments. A target waits, is being dialed, or
 * is connected. What fails waits 1 s, doubled each time up to 60 s, with a quarter of jitter; a
 * connection that held for a minute counts as a new beginning. Those the owner named (configured,
 * added) stay for good; learned ones came from dials that reached a peer, and make room for others.
 *
 * Bounded: dials in progress, and dials a second (a burst may go before). How often one address may
 * be dialed is the mesh's to say (peer/dial_budget.h): the caller gives back what it may not dial
 * yet. Nothing is done for a target that does not wait: the caller keeps one timer for
 * targets_due_ms(). Easy to break: a target is owned here and valid until it is removed.
 */
#ifndef RATSD_SERVICE_TARGETS_H
#define RATSD_SERVICE_TARGETS_H

#include "util/endpoint.h"
#include "util/list.h"
#include "util/peer_id.h"

#define TARGETS_MAX_DIALING  32
#define TARGETS_DIALS_PER_S  8
#define TARGETS_BURST        32
#define TARGETS_WAIT_MAX_MS  60000
#define TARGETS_STABLE_MS    60000
#define TARGETS_HOST_MAX     255
#define TARGETS_MAX_LEARNED  256
#define TARGETS_ADDRESS_SIZE (TARGETS_HOST_MAX + 16)

struct mesh_dial;
struct reconnect;

enum target_origin { TARGET_LEARNED, TARGET_ADDED, TARGET_CONFIGURED };
enum target_state { TARGET_WAITING, TARGET_DIALING, TARGET_CONNECTED };

struct target_spec {
    const char *host; /* copied */
    uint16_t port;
    enum target_origin origin;
    bool has_expected; /* nobody else will do */
    struct peer_id expected;
};

struct target {
    struct list node;
    char *host;
    uint16_t port;
    struct endpoint endpoint; /* of a literal; of a name nothing */
    enum target_origin origin;
    enum target_state state;
    bool has_expected;
    struct peer_id expected;
    bool has_peer; /* who answered last */
    struct peer_id peer;
    unsigned attempts;     /* dials that failed since it was last connected for a while */
    int64_t due_ms;        /* while it waits */
    int64_t held_until_ms; /* somebody ended it: nothing but targets_ask() dials before */
    int64_t connected_ms;
    char *error; /* why the last dial failed; NULL when none did since it was connected */
    struct mesh_dial *dial;  /* of whoever dials */
    struct reconnect *owner; /* of the dial */
};

struct targets;

struct targets *targets_new(size_t max_targets, int64_t now_ms);
void targets_free(struct targets *targets);
size_t targets_count(const struct targets *targets);
/* Walk in the order they were added: *cursor starts NULL. The target given may be removed. */
struct target *targets_next(const struct targets *targets, struct list **cursor);
struct target *targets_find(const struct targets *targets, const char *host, uint16_t port);

/* Due at once. 0; -EEXIST with the one there is (of the higher of both origins then); -EDQUOT no
 * room, and none that may be given up; -EINVAL no host and port. */
int targets_add(struct targets *targets, const struct target_spec *spec, int64_t now_ms,
                struct target **ret_target);
/* Whether one that is added would find room. */
bool targets_have_room(const struct targets *targets);
/* Its dial must have been ended. */
void targets_remove(struct targets *targets, struct target *target);

/* When targets_take() may have something again; INT64_MAX: not before something changes. */
int64_t targets_due_ms(const struct targets *targets, int64_t now_ms);
/* The next to dial, being dialed from now on; NULL when none is due. Those that failed least come
 * first, so that dead ones do not keep others waiting. */
struct target *targets_take(struct targets *targets, int64_t now_ms);
/* One that was taken and is not dialed before due_ms: others get their turn. */
void targets_give_back(struct targets *targets, struct target *target, int64_t due_ms);

/* What became of it. random: a fresh number each time. */
void target_connected(struct targets *targets, struct target *target, const struct peer_id *peer,
                      int64_t now_ms);
/* error (may be NULL) is copied. */
void target_failed(struct targets *targets, struct target *target, const char *error,
                   int64_t now_ms, uint64_t random);
/* It was not its fault: tried again after a while, without counting. */
void target_postponed(struct targets *targets, struct target *target, int64_t now_ms,
                      uint64_t random);
void target_lost(struct targets *targets, struct target *target, int64_t now_ms, uint64_t random);
/* Not dialed before until_ms. */
void target_hold(struct target *target, int64_t until_ms);
/* Somebody wants it now: it begins anew. */
void target_ask(struct target *target, int64_t now_ms);
/* The network is another one: who waits begins anew, within a second. Held ones stay held. */
void targets_wake(struct targets *targets, int64_t now_ms, uint64_t random);

/* "1.2.3.4:80", "[::1]:80", "example.org:80". Returns ret_text. */
char *target_format(const struct target *target, char ret_text[TARGETS_ADDRESS_SIZE]);
/* The same parsed, maybe with the peer that is expected in front: "ID@host:port". The host is
 * written to host. 0 or -EINVAL. */
int target_spec_parse(const char *text, char host[TARGETS_HOST_MAX + 1],
                      struct target_spec *ret_spec);

#endif
