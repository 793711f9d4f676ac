#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/alloc.h"

#define TOO_MUCH (SIZE_MAX / 2 + 1) /* more than any object may have */

/* The address sanitizer would otherwise end the process itself for a size it cannot serve. It
 * chose the name. NOLINTBEGIN(readability-identifier-naming) */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}
/* NOLINTEND(readability-identifier-naming) */

static void new_memory_is_zeroed(void **state)
{
    (void)state;
    static const char zero[100];
    char *first = xalloc(sizeof zero);
    char *second = try_alloc(sizeof zero);
    assert_memory_equal(first, zero, sizeof zero);
    assert_memory_equal(second, zero, sizeof zero);
    free(first);
    free(second);
}

static void no_bytes_are_still_an_object(void **state)
{
    (void)state;
    void *nothing = xalloc(0);
    assert_non_null(nothing);
    nothing = xrealloc(nothing, 0);
    assert_non_null(nothing);
    free(nothing);
}

static void a_string_is_copied_with_its_end(void **state)
{
    (void)state;
    char *copy = xstrdup("rats");
    assert_string_equal(copy, "rats");
    copy = xrealloc(copy, 1000);
    assert_string_equal(copy, "rats");
    free(copy);
}

static void a_size_from_outside_may_be_refused(void **state)
{
    (void)state;
    volatile size_t size = TOO_MUCH;
    assert_null(try_alloc(size));
}

static int report;

static void on_failure(size_t size)
{
    uint8_t told = size == TOO_MUCH;
    (void)!write(report, &told, 1);
}

static void running_out_of_memory_tells_the_handler_and_exits(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        volatile size_t size = TOO_MUCH;
        report = ends[1];
        alloc_set_failure_handler(on_failure);
        (void)xalloc(size);
        _exit(0);
    }
    int status = 0;
    uint8_t told = 0;
    (void)close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(read(ends[0], &told, 1), 1);
    assert_int_equal(told, 1);
    (void)close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_memory_is_zeroed),
        cmocka_unit_test(no_bytes_are_still_an_object),
        cmocka_unit_test(a_string_is_copied_with_its_end),
        cmocka_unit_test(a_size_from_outside_may_be_refused),
        cmocka_unit_test(running_out_of_memory_tells_the_handler_and_exits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
