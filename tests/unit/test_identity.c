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

#define NOBODY 65534

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
    (void)fchmod(directory, 0700);
    (void)unlinkat(directory, IDENTITY_FILE, 0);
    (void)close(directory);
    return rmdir(path);
}

static void put_file(const uint8_t *data, size_t size, mode_t mode)
{
    int fd = openat(directory, IDENTITY_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static size_t get_file(uint8_t *data, size_t size)
{
    int fd = openat(directory, IDENTITY_FILE, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t got = read(fd, data, size);
    assert_true(got >= 0);
    assert_int_equal(close(fd), 0);
    return (size_t)got;
}

static mode_t file_mode(void)
{
    struct stat st;
    assert_int_equal(fstatat(directory, IDENTITY_FILE, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode & 07777;
}

struct outcome {
    int rc;
    struct identity identity;
    bool created;
    bool fixed_mode;
    char error[512];
};

static struct outcome load(void)
{
    struct outcome outcome = {0};
    outcome.rc = identity_load(directory, path, &outcome.identity, &outcome.created,
                               &outcome.fixed_mode, outcome.error, sizeof outcome.error);
    return outcome;
}

static void the_first_start_creates_a_key_the_next_ones_find(void **state)
{
    (void)state;
    mode_t before = umask(0);
    struct outcome first = load();
    (void)umask(before);
    assert_int_equal(first.rc, 0);
    assert_true(first.created);
    assert_int_equal(file_mode(), 0600);
    uint8_t content[64];
    assert_int_equal(get_file(content, sizeof content), X25519_SIZE);
    assert_memory_equal(content, first.identity.secret, X25519_SIZE);
    assert_int_equal(content[0] & 7, 0); /* clamped */
    assert_int_equal(content[31] & 0xc0, 0x40);
    struct outcome second = load();
    assert_int_equal(second.rc, 0);
    assert_false(second.created || second.fixed_mode);
    assert_true(peer_id_equal(&first.identity.id, &second.identity.id));
}

static void two_nodes_get_two_keys(void **state)
{
    (void)state;
    struct outcome first = load();
    assert_int_equal(unlinkat(directory, IDENTITY_FILE, 0), 0);
    struct outcome second = load();
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
    assert_true(outcome.fixed_mode);
    assert_int_equal(file_mode(), 0600);
    assert_false(load().fixed_mode);
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
        cmocka_unit_test(keys_and_ids_are_those_of_the_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
