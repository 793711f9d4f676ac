/* How long an instance runs and when it has a network. The test is the host and the mesh. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"
#include "service/host.h"
#include "service/life.h"
#include "service/request.h"
#include "virtual_loop.h"

#define PORT        4711
#define IDLE_MS     60000
#define ERROR_TEXTS 128

/* What the life asked for. */
static struct {
    struct loop *loop;
    struct config *config;
    bool up;
    int start_result;
    unsigned starts;
    unsigned stops;
    unsigned changes;  /* sessions were told */
    unsigned networks; /* main was told */
    unsigned ends;
    uint16_t port; /* main was told last */
    size_t queued;
    unsigned opened; /* services were told that it is up, or down */
    unsigned closed;
} seen;

struct request {
    bool answered;
    void (*on_cancel)(void *arg);
    void *arg;
};

static struct life *life;
static char error[ERROR_TEXTS];

/* ---- the host ---- */

struct loop *host_loop(const struct host *host)
{
    (void)host;
    return seen.loop;
}

struct mesh *host_mesh(const struct host *host)
{
    (void)host;
    return NULL;
}

const struct config *host_config(const struct host *host)
{
    (void)host;
    return seen.config;
}

void host_instance_changed(struct host *host)
{
    (void)host;
    seen.changes++;
}

void host_network_opened(struct host *host, bool is_open)
{
    (void)host;
    assert_true(seen.up); /* services close what they have while the mesh is still there */
    if (is_open) {
        seen.opened++;
    } else {
        seen.closed++;
    }
}

int mesh_start(struct mesh *mesh, char *text, size_t size)
{
    (void)mesh;
    seen.starts++;
    seen.up = seen.start_result == 0;
    if (!seen.up) {
        (void)snprintf(text, size, "port %d is taken", PORT);
    }
    return seen.start_result;
}

void mesh_stop(struct mesh *mesh)
{
    (void)mesh;
    seen.stops++;
    seen.up = false;
}

uint16_t mesh_port(const struct mesh *mesh)
{
    (void)mesh;
    return seen.up ? PORT + 1 : 0;
}

size_t mesh_queued_bytes(const struct mesh *mesh)
{
    (void)mesh;
    return seen.queued;
}

void request_reply(struct request *request, json_t *result)
{
    assert_null(result);
    assert_false(request->answered);
    request->answered = true;
}

void request_defer(struct request *request, void (*on_cancel)(void *arg), void *arg)
{
    request->on_cancel = on_cancel;
    request->arg = arg;
}

static void on_network(void *arg, uint16_t port)
{
    (void)arg;
    seen.networks++;
    seen.port = port;
}

static void on_end(void *arg)
{
    (void)arg;
    seen.ends++;
}

/* ---- the story ---- */

static const struct config_item items[] = {
    {.key = "listen", .type = CONFIG_TEXT, .default_text = "", .max = 64, .summary = "x"},
    {.key = "port", .type = CONFIG_UINT, .default_text = "4711", .max = 65535, .summary = "x"},
    {0},
};
static const struct config_section sections[] = {{"network", items}};

static int set_up(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    memset(&seen, 0, sizeof seen);
    error[0] = '\0';
    if (loop_new(&seen.loop) != 0) {
        return -1;
    }
    return config_load(sections, 1, NULL, &seen.config, error, sizeof error);
}

static int tear_down(void **state)
{
    (void)state;
    life_free(life);
    config_free(seen.config);
    loop_free(seen.loop);
    return 0;
}

static void begin(enum life_kind kind)
{
    life = life_new(NULL, &(struct life_options){
                              .kind = kind,
                              .idle_ms = IDLE_MS,
                              .on_network = on_network,
                              .on_end = on_end,
                          });
}

/* A private instance with one session, which is started. */
static void begin_started(void)
{
    begin(LIFE_PRIVATE);
    assert_int_equal(life_open(life, error, sizeof error), 0);
    life_attached(life);
    assert_int_equal(life_begin(life, error, sizeof error), 0);
}

static void pass(int64_t ms)
{
    struct virtual_world *world = virtual_loop_world(seen.loop);
    virtual_world_run(world, virtual_world_now_ms(world) + ms);
}

static void a_shared_instance_has_its_network_from_the_start(void **state)
{
    (void)state;
    begin(LIFE_SHARED);
    assert_int_equal(life_open(life, error, sizeof error), 0);
    assert_int_equal(seen.starts, 1);
    assert_int_equal(seen.port, PORT + 1);
    assert_int_equal(life_port(life), PORT + 1);
    assert_true(life_is_shared(life));
    assert_false(life_is_on_demand(life));
    life_attached(life);
    assert_int_equal(life_begin(life, error, sizeof error), 0);
    life_end(life, NULL);
    life_left(life, -1);
    pass((int64_t)1000 * IDLE_MS);
    assert_int_equal(seen.starts, 1);
    assert_int_equal(seen.stops + seen.ends, 0);
    assert_int_equal(life_take_witness(life), -1);
}

static void a_start_that_fails_is_told_in_the_words_of_the_mesh(void **state)
{
    (void)state;
    seen.start_result = -EADDRINUSE;
    begin(LIFE_SHARED);
    assert_int_equal(life_open(life, error, sizeof error), -EADDRINUSE);
    assert_string_equal(error, "port 4711 is taken");
    assert_int_equal(seen.networks, 0);
}

static void an_instance_on_demand_ends_when_nobody_was_there_for_a_while(void **state)
{
    (void)state;
    begin(LIFE_ON_DEMAND);
    assert_int_equal(life_open(life, error, sizeof error), 0);
    assert_true(life_is_shared(life) && life_is_on_demand(life));
    assert_int_equal(seen.starts, 1);
    pass(IDLE_MS - 1);
    life_attached(life);
    pass(10 * (int64_t)IDLE_MS);
    life_attached(life);
    life_left(life, -1);
    pass(10 * (int64_t)IDLE_MS);
    assert_int_equal(seen.ends, 0);
    life_left(life, -1);
    pass(IDLE_MS - 1);
    assert_int_equal(seen.ends, 0);
    pass(1);
    assert_int_equal(seen.ends, 1);
    pass(10 * (int64_t)IDLE_MS);
    assert_int_equal(seen.ends, 1);
}

static void a_private_instance_is_idle_until_it_is_started(void **state)
{
    (void)state;
    begin(LIFE_PRIVATE);
    assert_int_equal(life_open(life, error, sizeof error), 0);
    assert_false(life_is_shared(life) || life_is_on_demand(life));
    life_attached(life);
    pass(10 * (int64_t)IDLE_MS);
    assert_int_equal(seen.starts + seen.ends, 0);
    assert_int_equal(life_port(life), PORT); /* it is going to have that one */
    assert_int_equal(life_begin(life, error, sizeof error), 0);
    assert_int_equal(seen.starts, 1);
    assert_int_equal(seen.opened, 1);
    assert_int_equal(life_port(life), PORT + 1);
    assert_int_equal(seen.changes, 1);
}

static void a_private_instance_that_only_dials_has_no_port(void **state)
{
    (void)state;
    assert_int_equal(config_set(seen.config, "network", "listen", "none", error, sizeof error), 0);
    begin(LIFE_PRIVATE);
    assert_int_equal(life_port(life), 0);
}

static void a_private_instance_whose_network_fails_stays_idle(void **state)
{
    (void)state;
    begin(LIFE_PRIVATE);
    assert_int_equal(life_open(life, error, sizeof error), 0);
    life_attached(life);
    seen.start_result = -EADDRINUSE;
    assert_int_equal(life_begin(life, error, sizeof error), -EADDRINUSE);
    assert_string_equal(error, "port 4711 is taken");
    assert_int_equal(seen.opened, 0);
    seen.start_result = 0;
    assert_int_equal(life_begin(life, error, sizeof error), 0);
    assert_int_equal(seen.starts, 2);
}

static void the_last_session_that_stops_takes_the_network_down(void **state)
{
    (void)state;
    struct request first = {0};
    struct request last = {0};
    begin_started();
    life_attached(life);
    assert_int_equal(life_begin(life, error, sizeof error), 0);
    assert_int_equal(seen.starts, 1);
    life_end(life, &first);
    assert_true(first.answered);
    assert_int_equal(seen.stops, 0);
    seen.queued = 100;
    life_end(life, &last);
    pass(1000);
    assert_false(last.answered); /* what was sent is still leaving */
    assert_int_equal(seen.stops, 0);
    seen.queued = 0;
    pass(10);
    assert_true(last.answered);
    assert_int_equal(seen.stops, 1);
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.port, 0);
    assert_int_equal(life_port(life), PORT);
}

static void a_peer_that_takes_nothing_does_not_hold_a_stop_for_ever(void **state)
{
    (void)state;
    struct request request = {0};
    begin_started();
    seen.queued = 100;
    life_end(life, &request);
    pass(2000);
    assert_true(request.answered);
    assert_int_equal(seen.stops, 1);
}

static void who_starts_while_the_network_goes_down_keeps_it(void **state)
{
    (void)state;
    struct request request = {0};
    begin_started();
    seen.queued = 100;
    life_end(life, &request);
    assert_int_equal(life_begin(life, error, sizeof error), 0);
    assert_true(request.answered);
    pass(5000);
    assert_int_equal(seen.stops, 0);
    assert_int_equal(seen.starts, 1);
}

static void who_asked_for_the_stop_may_be_gone_before_it_is_done(void **state)
{
    (void)state;
    struct request request = {0};
    begin_started();
    seen.queued = 100;
    life_end(life, &request);
    request.on_cancel(request.arg);
    pass(5000);
    assert_false(request.answered);
    assert_int_equal(seen.stops, 1);
}

static void a_private_instance_ends_with_its_last_session(void **state)
{
    (void)state;
    int ends[2];
    begin(LIFE_PRIVATE);
    assert_int_equal(life_open(life, error, sizeof error), 0);
    life_attached(life);
    life_attached(life);
    assert_int_equal(pipe(ends), 0);
    life_left(life, ends[1]);
    assert_int_equal(seen.ends, 0);
    life_left(life, ends[1]);
    assert_int_equal(seen.ends, 1);
    assert_int_equal(close(ends[1]), 0);
    /* Who reads the other end sees the end when the witness is closed, and not before. */
    char byte;
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(read(ends[0], &byte, 1), -1);
    const int witness = life_take_witness(life);
    assert_true(witness >= 0);
    assert_int_equal(life_take_witness(life), -1);
    assert_int_equal(close(witness), 0);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    assert_int_equal(close(ends[0]), 0);
}

static void a_private_instance_nobody_comes_to_ends(void **state)
{
    (void)state;
    begin(LIFE_PRIVATE);
    assert_int_equal(life_open(life, error, sizeof error), 0);
    pass(IDLE_MS);
    assert_int_equal(seen.ends, 1);
    assert_int_equal(life_take_witness(life), -1);
    assert_int_equal(life_take_witness(NULL), -1);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_shared_instance_has_its_network_from_the_start),
        STORY(a_start_that_fails_is_told_in_the_words_of_the_mesh),
        STORY(an_instance_on_demand_ends_when_nobody_was_there_for_a_while),
        STORY(a_private_instance_is_idle_until_it_is_started),
        STORY(a_private_instance_that_only_dials_has_no_port),
        STORY(a_private_instance_whose_network_fails_stays_idle),
        STORY(the_last_session_that_stops_takes_the_network_down),
        STORY(a_peer_that_takes_nothing_does_not_hold_a_stop_for_ever),
        STORY(who_starts_while_the_network_goes_down_keeps_it),
        STORY(who_asked_for_the_stop_may_be_gone_before_it_is_done),
        STORY(a_private_instance_ends_with_its_last_session),
        STORY(a_private_instance_nobody_comes_to_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
