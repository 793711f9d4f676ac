#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "peer/identity.h"
#include "vectors.h"

#define NOBODY      65534
#define RECORD_SIZE (4 * X25519_SIZE + 2)

static const char *vectors_directory;
static char path[64];
static int directory;

static int begin(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/test_identity.XXXXXX");
    if (mkdtemp(path) == NULL) {
        return -1;
    }
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory < 0 ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    static const char *const names[] = {IDENTITY_FILE, IDENTITY_RECORD, IDENTITY_FILE ".old",
                                        IDENTITY_RECORD ".old", IDENTITY_FILE ".tmp"};
    (void)fchmod(directory, 0700);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unlinkat(directory, names[i], 0);
    }
    (void)close(directory);
    return rmdir(path);
}

static void put_named(const char *name, const void *data, size_t size, mode_t mode)
{
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void put_file(const uint8_t *data, size_t size, mode_t mode)
{
    put_named(IDENTITY_FILE, data, size, mode);
}

static size_t get_named(const char *name, void *data, size_t size)
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t got = read(fd, data, size);
    assert_true(got >= 0);
    assert_int_equal(close(fd), 0);
    return (size_t)got;
}

static size_t get_file(uint8_t *data, size_t size)
{
    return get_named(IDENTITY_FILE, data, size);
}

static bool is_there(const char *name)
{
    return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static mode_t mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode & 07777;
}

struct outcome {
    int rc;
    struct identity identity;
    struct identity_report report;
    char error[512];
};

static struct outcome load(void)
{
    struct outcome outcome = {0};
    outcome.rc = identity_load(directory, path, &outcome.identity, &outcome.report, outcome.error,
                               sizeof outcome.error);
    return outcome;
}

static void the_first_start_creates_a_key_the_next_ones_find(void **state)
{
    (void)state;
    mode_t before = umask(0);
    struct outcome first = load();
    (void)umask(before);
    assert_int_equal(first.rc, 0);
    assert_true(first.report.created);
    assert_int_equal(mode_of(IDENTITY_FILE), 0600);
    uint8_t content[64];
    assert_int_equal(get_file(content, sizeof content), X25519_SIZE);
    assert_memory_equal(content, first.identity.secret, X25519_SIZE);
    assert_int_equal(content[0] & 7, 0); /* clamped */
    assert_int_equal(content[31] & 0xc0, 0x40);
    struct outcome second = load();
    assert_int_equal(second.rc, 0);
    assert_false(second.report.created || second.report.fixed_mode || second.report.record_added ||
                 second.report.record_repaired);
    assert_true(peer_id_equal(&first.identity.id, &second.identity.id));
}

static void two_nodes_get_two_keys(void **state)
{
    (void)state;
    struct outcome first = load();
    assert_int_equal(unlinkat(directory, IDENTITY_FILE, 0), 0);
    assert_int_equal(unlinkat(directory, IDENTITY_RECORD, 0), 0);
    struct outcome second = load();
    assert_true(second.report.created);
    assert_false(peer_id_equal(&first.identity.id, &second.identity.id));
}

static void a_file_of_any_other_length_is_refused_and_kept(void **state)
{
    (void)state;
    uint8_t damaged[65];
    memset(damaged, 0x5a, sizeof damaged);
    for (size_t size = 0; size <= 64; size++) {
        if (size == X25519_SIZE) {
            continue;
        }
        put_file(damaged, size, 0600);
        struct outcome outcome = load();
        assert_int_equal(outcome.rc, -EINVAL);
        assert_non_null(strstr(outcome.error, path));
        assert_non_null(strstr(outcome.error, "damaged"));
        assert_non_null(strstr(outcome.error, "restore it from a backup"));
        uint8_t content[65];
        assert_int_equal(get_file(content, sizeof content), size);
        assert_memory_equal(content, damaged, size);
    }
}

static void a_key_others_may_read_is_closed_to_them(void **state)
{
    (void)state;
    uint8_t secret[X25519_SIZE] = {1};
    put_file(secret, sizeof secret, 0644);
    struct outcome outcome = load();
    assert_int_equal(outcome.rc, 0);
    assert_true(outcome.report.fixed_mode);
    assert_int_equal(mode_of(IDENTITY_FILE), 0600);
    assert_false(load().report.fixed_mode);
}

static void an_unclamped_key_is_accepted_and_left_as_it_is(void **state)
{
    (void)state;
    uint8_t secret[X25519_SIZE];
    uint8_t content[X25519_SIZE];
    memset(secret, 0xff, sizeof secret);
    put_file(secret, sizeof secret, 0600);
    assert_int_equal(load().rc, 0);
    assert_int_equal(get_file(content, sizeof content), X25519_SIZE);
    assert_memory_equal(content, secret, X25519_SIZE);
}

static void a_symbolic_link_is_not_followed(void **state)
{
    (void)state;
    assert_int_equal(symlinkat("/dev/zero", directory, IDENTITY_FILE), 0);
    struct outcome outcome = load();
    assert_int_equal(outcome.rc, -ELOOP);
    assert_non_null(strstr(outcome.error, "symbolic link"));
}

static void a_read_only_directory_stops_the_start_with_a_remedy(void **state)
{
    (void)state;
    assert_int_equal(fchmod(directory, 0555), 0);
    bool is_root = geteuid() == 0;
    assert_int_equal(is_root ? seteuid(NOBODY) : 0, 0);
    struct outcome outcome = load();
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    assert_int_equal(outcome.rc, -EACCES);
    assert_non_null(strstr(outcome.error, "cannot create the identity key"));
    assert_non_null(strstr(outcome.error, "check the permissions"));
}

static void a_key_that_may_not_be_read_stops_the_start(void **state)
{
    (void)state;
    uint8_t secret[X25519_SIZE] = {1};
    put_file(secret, sizeof secret, 0000);
    assert_int_equal(fchmod(directory, 0755), 0);
    bool is_root = geteuid() == 0;
    assert_int_equal(is_root ? seteuid(NOBODY) : 0, 0);
    struct outcome outcome = load();
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    assert_int_equal(outcome.rc, -EACCES);
    assert_non_null(strstr(outcome.error, "cannot read the identity key"));
}

/* A limit on file sizes stands in for a full disk: half the key can be written. */
static void a_full_disk_stops_the_start_and_leaves_no_half_key(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit half = {.rlim_cur = X25519_SIZE / 2, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &half), 0);
    struct outcome outcome = load();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(outcome.rc, -EFBIG);
    assert_non_null(strstr(outcome.error, "there is no room"));
    assert_int_equal(faccessat(directory, IDENTITY_FILE, F_OK, 0), -1);
    assert_int_equal(load().rc, 0);
}

/* What load() makes of a good key: the record, 130 bytes of text. */
static struct outcome make_both(char record[RECORD_SIZE + 1])
{
    struct outcome made = load();
    assert_int_equal(made.rc, 0);
    assert_int_equal(get_named(IDENTITY_RECORD, record, RECORD_SIZE + 1), RECORD_SIZE);
    record[RECORD_SIZE] = '\0';
    return made;
}

static void the_record_holds_the_public_key_and_the_id(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    char expected[RECORD_SIZE + 1];
    mode_t before = umask(0);
    struct outcome made = make_both(record);
    (void)umask(before);
    for (size_t i = 0; i < X25519_SIZE; i++) {
        (void)snprintf(expected + 2 * i, 3, "%02x", made.identity.public_key[i]);
    }
    (void)snprintf(expected + 2 * X25519_SIZE, sizeof expected - 2 * X25519_SIZE, " %s\n",
                   peer_id_format(&made.identity.id).text);
    assert_string_equal(record, expected);
    assert_int_equal(mode_of(IDENTITY_RECORD), 0600);
    assert_false(made.report.record_added);
}

static void a_key_without_a_record_gets_one_and_a_warning(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    char again[RECORD_SIZE + 1];
    struct outcome made = make_both(record);
    assert_int_equal(unlinkat(directory, IDENTITY_RECORD, 0), 0);
    struct outcome outcome = load();
    assert_int_equal(outcome.rc, 0);
    assert_true(outcome.report.record_added);
    assert_true(peer_id_equal(&outcome.identity.id, &made.identity.id));
    assert_int_equal(get_named(IDENTITY_RECORD, again, sizeof again), RECORD_SIZE);
    assert_memory_equal(again, record, RECORD_SIZE);
    assert_false(load().report.record_added);
}

static void a_lost_key_is_not_replaced(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    (void)make_both(record);
    assert_int_equal(unlinkat(directory, IDENTITY_FILE, 0), 0);
    struct outcome outcome = load();
    assert_int_equal(outcome.rc, -EINVAL);
    assert_non_null(strstr(outcome.error, "is gone"));
    assert_non_null(strstr(outcome.error, "restore it from a backup"));
    assert_false(is_there(IDENTITY_FILE));
}

static void a_key_of_somebody_else_is_refused_until_the_record_goes(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    uint8_t secret[X25519_SIZE] = {8};
    struct outcome made = make_both(record);
    put_file(secret, sizeof secret, 0600);
    struct outcome outcome = load();
    assert_int_equal(outcome.rc, -EINVAL);
    assert_non_null(strstr(outcome.error, "does not fit " IDENTITY_RECORD));
    assert_non_null(strstr(outcome.error, "--new-identity"));
    assert_int_equal(unlinkat(directory, IDENTITY_RECORD, 0), 0);
    outcome = load();
    assert_int_equal(outcome.rc, 0);
    assert_false(peer_id_equal(&outcome.identity.id, &made.identity.id));
}

/* R8: whatever becomes of one of the two files, there is no other identity. */
static void assert_same_or_refused(const struct peer_id *id, bool *ret_refused)
{
    struct outcome outcome = load();
    assert_false(outcome.report.created);
    if (outcome.rc == 0) {
        assert_true(peer_id_equal(&outcome.identity.id, id));
    } else {
        assert_int_equal(outcome.rc, -EINVAL);
        assert_non_null(strstr(outcome.error, path));
    }
    *ret_refused = outcome.rc != 0;
}

static void every_flipped_bit_of_the_key_is_noticed_or_means_nothing(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    struct outcome made = make_both(record);
    size_t harmless = 0;
    for (size_t bit = 0; bit < (size_t)X25519_SIZE * 8; bit++) {
        uint8_t flipped[X25519_SIZE];
        bool refused = false;
        memcpy(flipped, made.identity.secret, sizeof flipped);
        flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
        put_file(flipped, sizeof flipped, 0600);
        assert_same_or_refused(&made.identity.id, &refused);
        harmless += refused ? 0 : 1;
        uint8_t content[X25519_SIZE];
        assert_int_equal(get_file(content, sizeof content), X25519_SIZE);
        assert_memory_equal(content, flipped, sizeof content);
    }
    assert_int_equal(harmless, 5); /* RFC 7748: X25519 ignores 3 bits at one end, 2 at the other */
}

static void a_flipped_bit_of_the_record_is_repaired(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    struct outcome made = make_both(record);
    for (size_t bit = 0; bit < (size_t)RECORD_SIZE * 8; bit += 9) {
        char flipped[RECORD_SIZE];
        char found[RECORD_SIZE + 1];
        memcpy(flipped, record, sizeof flipped);
        flipped[bit / 8] = (char)(flipped[bit / 8] ^ (1 << bit % 8));
        put_named(IDENTITY_RECORD, flipped, sizeof flipped, 0600);
        struct outcome outcome = load();
        assert_int_equal(outcome.rc, 0);
        assert_true(outcome.report.record_repaired);
        assert_true(peer_id_equal(&outcome.identity.id, &made.identity.id));
        assert_int_equal(get_named(IDENTITY_RECORD, found, sizeof found), RECORD_SIZE);
        assert_memory_equal(found, record, RECORD_SIZE);
    }
}

static void a_record_of_any_other_length_never_means_another_identity(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 8] = "";
    struct outcome made = make_both(record);
    for (size_t size = 0; size <= sizeof record; size++) {
        bool refused = false;
        put_named(IDENTITY_RECORD, record, size, 0600);
        assert_same_or_refused(&made.identity.id, &refused);
        assert_int_equal(refused, size < (size_t)2 * X25519_SIZE);
    }
}

static void both_damaged_is_refused(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    struct outcome made = make_both(record);
    record[0] = record[0] == 'a' ? 'b' : 'a';
    made.identity.secret[7] ^= 1;
    put_named(IDENTITY_RECORD, record, RECORD_SIZE, 0600);
    put_file(made.identity.secret, X25519_SIZE, 0600);
    assert_int_equal(load().rc, -EINVAL);
}

static void the_secret_a_crash_left_is_removed(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    struct outcome made = make_both(record);
    put_named(IDENTITY_FILE ".tmp", made.identity.secret, X25519_SIZE, 0600);
    assert_int_equal(load().rc, 0);
    assert_false(is_there(IDENTITY_FILE ".tmp"));
}

static void an_identity_set_aside_can_be_put_back(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    char error[512] = "";
    struct outcome first = make_both(record);
    assert_int_equal(identity_set_aside(directory, path, error, sizeof error), 0);
    assert_int_equal(mode_of(IDENTITY_FILE ".old"), 0600);
    struct outcome second = load();
    assert_int_equal(second.rc, 0);
    assert_true(second.report.created);
    assert_false(peer_id_equal(&first.identity.id, &second.identity.id));
    assert_int_equal(renameat(directory, IDENTITY_FILE ".old", directory, IDENTITY_FILE), 0);
    assert_int_equal(renameat(directory, IDENTITY_RECORD ".old", directory, IDENTITY_RECORD), 0);
    struct outcome third = load();
    assert_true(peer_id_equal(&first.identity.id, &third.identity.id));
    assert_int_equal(identity_set_aside(directory, path, error, sizeof error), 0);
    assert_int_equal(identity_set_aside(directory, path, error, sizeof error), 0); /* none left */
}

static int install(const uint8_t secret[X25519_SIZE], bool *ret_changed)
{
    char error[512] = "";
    int rc = identity_install(directory, path, secret, ret_changed, error, sizeof error);
    assert_int_equal(rc == 0, error[0] == '\0');
    return rc;
}

static void a_key_that_is_given_takes_the_place_of_the_old_one_which_is_kept(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    uint8_t given[X25519_SIZE];
    uint8_t kept[X25519_SIZE];
    bool changed = false;
    struct outcome first = make_both(record);
    memset(given, 0x5a, sizeof given);
    assert_int_equal(install(given, &changed), 0);
    assert_true(changed);
    struct outcome second = load();
    assert_int_equal(second.rc, 0);
    assert_false(second.report.created);
    assert_memory_equal(second.identity.secret, given, sizeof given);
    assert_int_equal(get_named(IDENTITY_FILE ".old", kept, sizeof kept), X25519_SIZE);
    assert_memory_equal(kept, first.identity.secret, sizeof kept);
    assert_int_equal(mode_of(IDENTITY_FILE), 0600);
    assert_int_equal(mode_of(IDENTITY_FILE ".old"), 0600);
    assert_int_equal(install(given, &changed), 0); /* the same again: the old one stays kept */
    assert_false(changed);
    assert_int_equal(get_named(IDENTITY_FILE ".old", kept, sizeof kept), X25519_SIZE);
    assert_memory_equal(kept, first.identity.secret, sizeof kept);
}

static void a_key_can_be_given_to_an_empty_directory(void **state)
{
    (void)state;
    uint8_t given[X25519_SIZE] = {1};
    bool changed = false;
    assert_int_equal(install(given, &changed), 0);
    assert_true(changed);
    struct outcome outcome = load();
    assert_int_equal(outcome.rc, 0);
    assert_memory_equal(outcome.identity.secret, given, sizeof given);
    assert_false(is_there(IDENTITY_FILE ".old"));
}

static void a_damaged_key_is_not_replaced_by_one_that_is_given(void **state)
{
    (void)state;
    uint8_t bytes[X25519_SIZE + 1] = {1};
    bool changed = false;
    put_file(bytes, sizeof bytes, 0600);
    assert_int_equal(install(bytes, &changed), -EINVAL);
    put_file(bytes, 5, 0600);
    assert_int_equal(install(bytes, &changed), -EINVAL);
    uint8_t found[8];
    assert_int_equal(get_file(found, sizeof found), 5);
}

static void a_key_that_cannot_be_written_leaves_the_old_one(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    uint8_t given[X25519_SIZE] = {7};
    bool changed = false;
    struct outcome made = make_both(record);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int rc = install(given, &changed);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rc, -EFBIG);
    struct outcome outcome = load();
    assert_int_equal(outcome.rc, 0);
    assert_true(peer_id_equal(&outcome.identity.id, &made.identity.id));
}

/* Everything a crash may leave on the way is one of the two identities. */
static void no_moment_of_giving_a_key_is_without_one(void **state)
{
    (void)state;
    char record[RECORD_SIZE + 1];
    struct outcome made = make_both(record);
    put_named(IDENTITY_FILE ".old", made.identity.secret, X25519_SIZE, 0600);
    assert_int_equal(load().rc, 0);
    assert_int_equal(renameat(directory, IDENTITY_RECORD, directory, IDENTITY_RECORD ".old"), 0);
    struct outcome outcome = load();
    assert_int_equal(outcome.rc, 0);
    assert_true(peer_id_equal(&outcome.identity.id, &made.identity.id));
}

static int read_secret(const void *data, size_t size, uint8_t secret[X25519_SIZE])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], data, size), size);
    assert_int_equal(close(ends[1]), 0);
    int rc = identity_read_secret(ends[0], secret);
    assert_int_equal(close(ends[0]), 0);
    return rc;
}

static void a_key_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    const uint8_t data[X25519_SIZE + 8] = {3, 1, 4};
    uint8_t secret[X25519_SIZE] = {0};
    for (size_t size = 0; size <= sizeof data; size++) {
        assert_int_equal(read_secret(data, size, secret), size == X25519_SIZE ? 0 : -EINVAL);
    }
    assert_memory_equal(secret, data, sizeof secret);
    assert_int_equal(identity_read_secret(-1, secret), -EBADF);
}

static void keys_and_ids_are_those_of_the_vectors(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(vectors_directory, "identity.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "identities"), i, entry)
    {
        struct identity identity;
        struct peer_id expected;
        assert_int_equal(
            identity_init(&identity,
                          vectors_hex_of(vectors, entry, "identity_key_file_hex", X25519_SIZE)),
            0);
        assert_memory_equal(identity.public_key,
                            vectors_hex_of(vectors, entry, "public_key_hex", X25519_SIZE),
                            X25519_SIZE);
        assert_int_equal(peer_id_parse(vectors_text(entry, "peer_id_hex"), &expected), 0);
        assert_true(peer_id_equal(&identity.id, &expected));
        identity_wipe(&identity);
        assert_true(peer_id_is_zero(&identity.id));
    }
    assert_true(i > 0);
    vectors_close(vectors);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(int argc, char **argv)
{
    vectors_directory = argc > 1 ? argv[1] : "tests/vectors";
    const struct CMUnitTest tests[] = {
        CASE(the_first_start_creates_a_key_the_next_ones_find),
        CASE(two_nodes_get_two_keys),
        CASE(a_file_of_any_other_length_is_refused_and_kept),
        CASE(a_key_others_may_read_is_closed_to_them),
        CASE(an_unclamped_key_is_accepted_and_left_as_it_is),
        CASE(a_symbolic_link_is_not_followed),
        CASE(a_read_only_directory_stops_the_start_with_a_remedy),
        CASE(a_key_that_may_not_be_read_stops_the_start),
        CASE(a_full_disk_stops_the_start_and_leaves_no_half_key),
        CASE(the_record_holds_the_public_key_and_the_id),
        CASE(a_key_without_a_record_gets_one_and_a_warning),
        CASE(a_lost_key_is_not_replaced),
        CASE(a_key_of_somebody_else_is_refused_until_the_record_goes),
        CASE(every_flipped_bit_of_the_key_is_noticed_or_means_nothing),
        CASE(a_flipped_bit_of_the_record_is_repaired),
        CASE(a_record_of_any_other_length_never_means_another_identity),
        CASE(both_damaged_is_refused),
        CASE(the_secret_a_crash_left_is_removed),
        CASE(an_identity_set_aside_can_be_put_back),
        CASE(a_key_that_is_given_takes_the_place_of_the_old_one_which_is_kept),
        CASE(a_key_can_be_given_to_an_empty_directory),
        CASE(a_damaged_key_is_not_replaced_by_one_that_is_given),
        CASE(a_key_that_cannot_be_written_leaves_the_old_one),
        CASE(no_moment_of_giving_a_key_is_without_one),
        cmocka_unit_test(a_key_is_read_whole_or_not_at_all),
        cmocka_unit_test(keys_and_ids_are_those_of_the_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
