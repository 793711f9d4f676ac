#include "service/reconnect.h"

#include <errno.h>
#include <stdlib.h>

#include "core/random.h"
#include "service/reconnect_private.h"
#include "util/alloc.h"
#include "util/text.h"

#define DIAL_TIMEOUT_MS 15000
#define LOOK_MS         5000  /* while somebody waits the clock is looked at this often */
#define CLOCK_JUMP_MS   60000 /* more than any clock drifts between two looks */
#define LEFT_ALONE_MS   60000 /* api.md 3.5: not dialed again after a disconnect */
#define SHOWN_SIZE      96

static const struct config_item config_items[] = {
    {.key = "targets",
     .type = CONFIG_TEXT,
     .default_text = "",
     .max = 4096,
     .summary = "Addresses to stay connected to, host:port or ID@host:port, separated by spaces; "
                "ratsctl reconnect adds more."},
    {.key = "learn",
     .type = CONFIG_BOOL,
     .default_text = "yes",
     .summary = "Whether addresses of peers that were dialed are remembered, and dialed again at "
                "the start and when the peer is lost."},
    {.key = "at_start",
     .type = CONFIG_UINT,
     .default_text = "32",
     .max = 256,
     .summary = "How many of the remembered addresses are dialed at the start, best first."},
    {.key = "max_targets",
     .type = CONFIG_UINT,
     .default_text = "1024",
     .min = 1,
     .max = 4096,
     .summary = "Addresses to stay connected to, all kinds together."},
    {.key = NULL},
};

#define ROW(member, metric_kind, text)                                                             \
    {                                                                                              \
        .name = "reconnect_" #member, .kind = (metric_kind),                                       \
        .offset = offsetof(struct reconnect_metrics, member), .help = (text),                      \
    }

static const struct metric_row metric_rows[] = {
    ROW(targets, METRIC_GAUGE, "Addresses the instance tries to stay connected to."),
    ROW(known, METRIC_GAUGE, "Addresses in the address book."),
    ROW(dials, METRIC_COUNTER, "Dials of those addresses."),
    ROW(dials_failed, METRIC_COUNTER, "Those that reached nobody."),
    ROW(postponed, METRIC_COUNTER, "Those put off because a limit of the instance was reached."),
    ROW(writes, METRIC_COUNTER, "Times the address book was written."),
    ROW(writes_failed, METRIC_COUNTER, "Times it could not be written."),
    {.name = NULL},
};

int64_t reconnect_now_ms(const struct reconnect *reconnect)
{
    return loop_now_ms(host_loop(reconnect->host));
}

int64_t reconnect_now_s(struct reconnect *reconnect)
{
    int64_t unix_ms = loop_unix_ms(host_loop(reconnect->host));
    int64_t wall_ms = unix_ms - reconnect_now_ms(reconnect);
    int64_t jump_ms = wall_ms - reconnect->wall_ms;
    reconnect->wall_ms = wall_ms;
    if (jump_ms > CLOCK_JUMP_MS || jump_ms < -CLOCK_JUMP_MS) {
        /* Set, or the machine slept. Nobody got older by that; whoever was waited for may have
         * come back meanwhile. */
        book_shift(reconnect->book, jump_ms / 1000, unix_ms / 1000);
        targets_wake(reconnect->targets, reconnect_now_ms(reconnect), random_u64());
    }
    return unix_ms / 1000;
}

static void update_gauges(struct reconnect *reconnect)
{
    reconnect->counts.targets = targets_count(reconnect->targets);
    reconnect->counts.known = book_count(reconnect->book);
}

/* ---- who is connected ---- */

static bool has_address(const struct peer *peer, const struct endpoint *endpoint)
{
    const struct endpoint *addresses = NULL;
    size_t count = peer_addresses(peer, &addresses);
    for (size_t i = 0; i < count; i++) {
        if (endpoint_equal(&addresses[i], endpoint)) {
            return true;
        }
    }
    return false;
}

/* A target that expects somebody is connected when that peer is. Else an address that a live peer
 * lists counts (wire-services 8): it is a claim, but of an address nobody vouched for either. */
static bool serves(const struct peer *peer, const struct target *target)
{
    const struct peer_id *id = peer_id_of(peer);
    if (target->has_expected) {
        return peer_id_equal(&target->expected, id);
    }
    return (target->has_peer && peer_id_equal(&target->peer, id)) ||
           (target->endpoint.ip_size != 0 && has_address(peer, &target->endpoint));
}

static const struct peer *find_serving(const struct reconnect *reconnect,
                                       const struct target *target)
{
    size_t cursor = 0;
    for (const struct peer *peer;
         (peer = mesh_next(host_mesh(reconnect->host), &cursor)) != NULL;) {
        if (serves(peer, target)) {
            return peer;
        }
    }
    return NULL;
}

/* ---- dialing ---- */

static void arm(struct reconnect *reconnect)
{
    int64_t now_ms = reconnect_now_ms(reconnect);
    int64_t due_ms = targets_due_ms(reconnect->targets, now_ms);
    update_gauges(reconnect);
    if (!reconnect->is_open || due_ms == INT64_MAX) {
        timer_stop(&reconnect->dial_timer);
        return;
    }
    timer_start(&reconnect->dial_timer, due_ms - now_ms < LOOK_MS ? due_ms - now_ms : LOOK_MS);
}

void reconnect_drop(struct reconnect *reconnect, struct target *target)
{
    mesh_dial_cancel(target->dial);
    target->dial = NULL;
    targets_remove(reconnect->targets, target);
}

void reconnect_drop_unknown(struct reconnect *reconnect)
{
    struct list *cursor = NULL;
    for (struct target *target; (target = targets_next(reconnect->targets, &cursor)) != NULL;) {
        if (target->origin == TARGET_LEARNED &&
            book_find(reconnect->book, &target->endpoint) == NULL) {
            reconnect_drop(reconnect, target);
        }
    }
    arm(reconnect);
}

/* A name the owner gave leads there: the address learned for the same peer needs no care of its
 * own. */
static void drop_learned(struct reconnect *reconnect, const struct target *serving)
{
    struct list *cursor = NULL;
    for (struct target *target; (target = targets_next(reconnect->targets, &cursor)) != NULL;) {
        if (target != serving && target->origin == TARGET_LEARNED &&
            target->state == TARGET_CONNECTED && peer_id_equal(&target->peer, &serving->peer)) {
            reconnect_drop(reconnect, target);
        }
    }
}

static void note_reached(struct reconnect *reconnect, struct target *target,
                         const struct peer_id *peer)
{
    int64_t now_ms = reconnect_now_ms(reconnect);
    target_connected(reconnect->targets, target, peer, now_ms);
    if (mesh_find(host_mesh(reconnect->host), peer) == NULL) { /* gone again within this turn */
        target_lost(reconnect->targets, target, now_ms, random_u64());
    } else if (target->origin != TARGET_LEARNED) {
        drop_learned(reconnect, target);
    }
}

static void note_unreached(struct reconnect *reconnect, struct target *target, int result,
                           const char *error)
{
    int64_t now_ms = reconnect_now_ms(reconnect);
    if (result == -EUSERS || result == -EAGAIN || result == -EBUSY || result == -ESHUTDOWN ||
        result == -ENOMEM) {
        reconnect->counts.postponed++;
        target_postponed(reconnect->targets, target, now_ms, random_u64());
        return;
    }
    reconnect->counts.dials_failed++;
    if (target->endpoint.ip_size != 0) {
        book_failed(reconnect->book, &target->endpoint);
        reconnect_changed(reconnect);
    }
    if (target->origin == TARGET_LEARNED && (result == -EPERM || result == -ELOOP)) {
        targets_remove(reconnect->targets, target); /* another lives there now */
        return;
    }
    target_failed(reconnect->targets, target, error, now_ms, random_u64());
}

static void on_dialed(void *arg, int result, const struct peer_id *peer, bool already,
                      const char *error)
{
    struct target *target = arg;
    struct reconnect *reconnect = target->owner;
    (void)already;
    target->dial = NULL;
    if (result == 0) {
        note_reached(reconnect, target, peer);
    } else {
        log_debug(RECONNECT_TOPIC, "%s", error);
        note_unreached(reconnect, target, result, error);
    }
    arm(reconnect);
}

/* Where a name leads is known when it has been looked up: then the mesh may still refuse. */
static int64_t find_opening_ms(const struct reconnect *reconnect, const struct target *target)
{
    return target->endpoint.ip_size == 0
               ? 0
               : mesh_dial_opens_ms(host_mesh(reconnect->host), &target->endpoint);
}

static void begin(struct reconnect *reconnect, struct target *target)
{
    const struct peer *peer = find_serving(reconnect, target);
    if (peer != NULL) {
        target_connected(reconnect->targets, target, peer_id_of(peer), reconnect_now_ms(reconnect));
        return;
    }
    int64_t opens_ms = find_opening_ms(reconnect, target);
    if (opens_ms > reconnect_now_ms(reconnect)) {
        reconnect->counts.postponed++;
        targets_give_back(reconnect->targets, target, opens_ms);
        return;
    }
    struct dial_target to = {
        .cause = DIAL_AUTOMATIC,
        .host = target->host,
        .port = target->port,
        .timeout_ms = DIAL_TIMEOUT_MS,
        .expected = target->has_expected ? &target->expected : NULL,
    };
    target->owner = reconnect;
    target->dial = mesh_dial(host_mesh(reconnect->host), &to, on_dialed, target);
    if (target->dial == NULL) {
        note_unreached(reconnect, target, -ENOMEM, "out of memory");
        return;
    }
    reconnect->counts.dials++;
}

void reconnect_dial(struct reconnect *reconnect)
{
    (void)reconnect_now_s(reconnect); /* looks whether the clock was set */
    if (reconnect->is_open) {
        int64_t now_ms = reconnect_now_ms(reconnect);
        for (struct target *target; (target = targets_take(reconnect->targets, now_ms)) != NULL;) {
            begin(reconnect, target);
        }
    }
    arm(reconnect);
}

static void on_dial_timer(void *arg)
{
    reconnect_dial(arg);
}

/* ---- learning ---- */

static bool learn(struct reconnect *reconnect, const struct endpoint *endpoint,
                  const struct peer_id *id, struct target **ret_target)
{
    struct endpoint_text host = endpoint_format_ip(endpoint);
    struct target_spec spec = {
        .host = host.text,
        .port = endpoint->port,
        .origin = TARGET_LEARNED,
        .has_expected = true,
        .expected = *id,
    };
    int result = targets_add(reconnect->targets, &spec, reconnect_now_ms(reconnect), ret_target);
    if (result == -EEXIST && (*ret_target)->origin == TARGET_LEARNED) {
        (*ret_target)->expected = *id; /* another lives there now */
    }
    return result == 0 || result == -EEXIST;
}

size_t reconnect_dial_known(struct reconnect *reconnect, size_t max)
{
    const struct book_record *best[BOOK_MAX_RECORDS];
    size_t count = book_best(reconnect->book, best, BOOK_MAX_RECORDS);
    size_t asked = 0;
    for (size_t i = 0; i < count && asked < max; i++) {
        struct target *target = NULL;
        if (best[i]->has_id && mesh_find(host_mesh(reconnect->host), &best[i]->id) == NULL &&
            learn(reconnect, &best[i]->endpoint, &best[i]->id, &target)) {
            target_ask(target, reconnect_now_ms(reconnect));
            asked++;
        }
    }
    reconnect_dial(reconnect);
    return asked;
}

/* Somebody else reached, or was reached by, whom a target waits for. */
static void note_up(struct reconnect *reconnect, const struct peer *peer)
{
    struct list *cursor = NULL;
    for (struct target *target; (target = targets_next(reconnect->targets, &cursor)) != NULL;) {
        if (target->state == TARGET_WAITING && serves(peer, target)) {
            target_connected(reconnect->targets, target, peer_id_of(peer),
                             reconnect_now_ms(reconnect));
        }
    }
}

static bool is_served(const struct reconnect *reconnect, const struct peer_id *id)
{
    struct list *cursor = NULL;
    for (const struct target *target;
         (target = targets_next(reconnect->targets, &cursor)) != NULL;) {
        if (target->state == TARGET_CONNECTED && peer_id_equal(&target->peer, id)) {
            return true;
        }
    }
    return false;
}

/* Only addresses a dial of ours reached are learned, never where somebody came from. */
static void on_up(struct reconnect *reconnect, const struct peer *peer)
{
    struct target *target = NULL;
    const struct peer_id *id = peer_id_of(peer);
    note_up(reconnect, peer);
    if (peer_is_outgoing(peer) && reconnect->learn) {
        book_connected(reconnect->book, peer_endpoint(peer), id, reconnect_now_s(reconnect));
        reconnect_changed(reconnect);
        if (!is_served(reconnect, id) && learn(reconnect, peer_endpoint(peer), id, &target) &&
            target->state == TARGET_WAITING) {
            target_connected(reconnect->targets, target, id, reconnect_now_ms(reconnect));
        }
    }
    arm(reconnect);
}

static void on_down(struct reconnect *reconnect, const struct peer *peer)
{
    struct list *cursor = NULL;
    int64_t now_ms = reconnect_now_ms(reconnect);
    const struct peer_id *id = peer_id_of(peer);
    for (struct target *target; (target = targets_next(reconnect->targets, &cursor)) != NULL;) {
        if (!target->has_peer || !peer_id_equal(&target->peer, id)) {
            continue;
        }
        if (target->state == TARGET_CONNECTED) {
            target_lost(reconnect->targets, target, now_ms, random_u64());
        }
        if (peer_is_disconnected(peer)) {
            target_hold(target, now_ms + LEFT_ALONE_MS);
        }
    }
    if (peer_is_outgoing(peer)) {
        book_seen(reconnect->book, peer_endpoint(peer), reconnect_now_s(reconnect));
        reconnect_changed(reconnect);
    }
    arm(reconnect);
}

static void reconnect_on_peer(void *self, struct peer *peer, enum peer_event event)
{
    if (event == PEER_UP || event == PEER_REPLACED) {
        on_up(self, peer);
    } else if (event == PEER_DOWN) {
        on_down(self, peer);
    }
}

/* ---- life ---- */

static int read_targets(struct reconnect *reconnect, const char *text)
{
    char *words = xstrdup(text);
    char *rest = NULL;
    int result = 0;
    for (char *word = strtok_r(words, " \t", &rest); word != NULL && result == 0;
         word = strtok_r(NULL, " \t", &rest)) {
        char host[TARGETS_HOST_MAX + 1];
        char shown[SHOWN_SIZE];
        struct target_spec spec;
        struct target *target = NULL;
        result = target_spec_parse(word, host, &spec);
        if (result == 0) {
            int added =
                targets_add(reconnect->targets, &spec, reconnect_now_ms(reconnect), &target);
            result = added == -EDQUOT ? added : 0;
        }
        if (result != 0) {
            log_error(RECONNECT_TOPIC, "[reconnect] targets: '%s' %s",
                      text_escape(bytes_from_string(word), shown, sizeof(shown)),
                      result == -EDQUOT ? "is one more than max_targets"
                                        : "is no address; write host:port or ID@host:port");
        }
    }
    free(words);
    return result;
}

static void reconnect_close(void *self)
{
    struct reconnect *reconnect = self;
    timer_stop(&reconnect->dial_timer);
    timer_stop(&reconnect->write_timer);
    metrics_remove(host_metrics(reconnect->host), &reconnect->counts);
    book_file_free(reconnect->file);
    targets_free(reconnect->targets);
    book_free(reconnect->book);
    free(reconnect);
}

static int reconnect_open(struct host *host, void **ret_self)
{
    const struct config *config = host_config(host);
    const char *section = reconnect_service.name;
    const uint64_t seed[2] = {random_u64(), random_u64()};
    struct reconnect *reconnect = xalloc(sizeof(*reconnect));
    reconnect->host = host;
    reconnect->wall_ms = loop_unix_ms(host_loop(host)) - loop_now_ms(host_loop(host));
    reconnect->learn = config_bool(config, section, "learn");
    reconnect->at_start = config_size(config, section, "at_start");
    reconnect->book = book_new(seed);
    reconnect->targets =
        targets_new(config_size(config, section, "max_targets"), loop_now_ms(host_loop(host)));
    reconnect->file = book_file_new(host_worker(host), host_facts(host)->data_directory);
    list_init(&reconnect->writes);
    timer_init(&reconnect->dial_timer, host_loop(host), on_dial_timer, reconnect);
    timer_init(&reconnect->write_timer, host_loop(host), reconnect_on_write_timer, reconnect);
    metrics_add(host_metrics(host), metric_rows, &reconnect->counts);
    int result = read_targets(reconnect, config_text(config, section, "targets"));
    if (result != 0) {
        reconnect_close(reconnect);
        return result;
    }
    *ret_self = reconnect;
    return 0;
}

static int reconnect_start(void *self)
{
    struct reconnect *reconnect = self;
    reconnect_file_open(reconnect);
    update_gauges(reconnect);
    return 0;
}

/* Every dial under way ends; what was dialed waits. */
static void end_dials(struct reconnect *reconnect)
{
    struct list *cursor = NULL;
    for (struct target *target; (target = targets_next(reconnect->targets, &cursor)) != NULL;) {
        if (target->state == TARGET_DIALING) {
            mesh_dial_cancel(target->dial);
            target->dial = NULL;
            target_postponed(reconnect->targets, target, reconnect_now_ms(reconnect), 0);
        }
    }
    timer_stop(&reconnect->dial_timer);
}

static void reconnect_on_network(void *self, bool is_open)
{
    struct reconnect *reconnect = self;
    reconnect->is_open = is_open;
    if (!is_open) {
        end_dials(reconnect);
        return;
    }
    targets_wake(reconnect->targets, reconnect_now_ms(reconnect), random_u64());
    (void)reconnect_dial_known(reconnect, reconnect->learn ? reconnect->at_start : 0);
}

static void reconnect_on_network_change(void *self)
{
    struct reconnect *reconnect = self;
    targets_wake(reconnect->targets, reconnect_now_ms(reconnect), random_u64());
    reconnect_dial(reconnect);
}

static void reconnect_stop(void *self)
{
    struct reconnect *reconnect = self;
    size_t cursor = 0;
    reconnect->is_open = false;
    end_dials(reconnect);
    for (const struct peer *peer;
         (peer = mesh_next(host_mesh(reconnect->host), &cursor)) != NULL;) {
        if (peer_is_outgoing(peer)) {
            book_seen(reconnect->book, peer_endpoint(peer), reconnect_now_s(reconnect));
        }
    }
    reconnect_file_stop(reconnect);
}

const struct service reconnect_service = {
    .name = "reconnect",
    .config = config_items,
    .methods = reconnect_methods,
    .open = reconnect_open,
    .start = reconnect_start,
    .on_peer = reconnect_on_peer,
    .on_network = reconnect_on_network,
    .on_network_change = reconnect_on_network_change,
    .stop = reconnect_stop,
    .close = reconnect_close,
};
