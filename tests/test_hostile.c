/* Hostile and damaged model files, which hostile/make_hostile.py makes: each is refused or works,
 * and none crashes, hangs, or takes memory without bound.
 *
 * Every file is opened in a process of its own, so that a crash is that file's failure alone. */
#include "exercise_model.h"
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Seconds. Most take milliseconds; sanitizers, and other tests on the same cores, multiply them. */
#ifdef NTAP_TEST_SANITIZED
enum { LONGEST = 300 };
#else
enum { LONGEST = 60 };
#endif

enum {
    MOST_MEMORY = 1024, /* MiB beyond what the process had before */
    NAME_SIZE = 256
};

/* What the generator expects of a file. */
typedef enum expectation { REFUSED, LOADS, RAISES, EITHER } expectation;

static const char *file_path(const char *name) {
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", NTAP_TEST_HOSTILE, name);
    return path;
}

/* ---- in the child ---- */

static void limit_resources(void) {
    (void)alarm(LONGEST);
    (void)signal(SIGSEGV, SIG_DFL); /* CMocka's handlers would go on with the test */
    (void)signal(SIGBUS, SIG_DFL);
    (void)signal(SIGFPE, SIG_DFL);
    (void)signal(SIGILL, SIG_DFL);
#ifndef NTAP_TEST_SANITIZED
    const rlim_t most = (rlim_t)8 << 30; /* a safety net for the machine; MOST_MEMORY is the test */
    const struct rlimit limit = {most, most};
    (void)setrlimit(RLIMIT_DATA, &limit);
#endif
    const struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
}

static int try_file(const char *name, expectation expected) {
    size_t size = 0;
    ntap_error err;
    unsigned char *bytes = read_file(file_path(name), &size);
    limit_resources();
    memset(&err, 0, sizeof err);
    ntap_status status = exercise_model(bytes, size, &err);
    int as_expected = (expected != REFUSED) == (status == NTAP_OK);
    if (expected == RAISES && as_expected) {
        status = attribute_model(bytes, size, &err);
        as_expected = status != NTAP_OK;
    }
    free(bytes);
    if (getenv("HOSTILE_VERBOSE") != NULL)
        print_message("%s: %s %.200s\n", name, ntap_status_name(status), err.message);
    if (expected == EITHER || as_expected)
        return 0;
    print_error("%s: %s, %s\n", name, ntap_status_name(status), err.message);
    return 1;
}

/* ---- in the parent ---- */

static int is_fine(const char *name, int status, const struct rusage *usage, long before) {
    const long grown = (usage->ru_maxrss - before) / 1024;
    if (WIFSIGNALED(status))
        print_error("%s: killed by signal %d%s\n", name, WTERMSIG(status),
                    WTERMSIG(status) == SIGALRM ? ": it takes too long" : "");
    else if (WEXITSTATUS(status) != 0)
        print_error("%s: failed\n", name);
    else if (grown > MOST_MEMORY)
        print_error("%s: took %ld MiB\n", name, grown);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 && grown <= MOST_MEMORY;
}

static int run_file(const char *name, expectation expected) {
    struct rusage self;
    struct rusage usage;
    int status = 0;
    (void)getrusage(RUSAGE_SELF, &self);
    (void)fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const int failed = try_file(name, expected);
        (void)fflush(NULL);
        _exit(failed);
    }
    assert_int_equal(wait4(child, &status, 0, &usage), child);
    return is_fine(name, status, &usage, self.ru_maxrss);
}

/* A line of the list, "name.pt loads". Returns whether the file is as expected. */
static int run_line(const char *line) {
    char name[NAME_SIZE];
    char expected[NAME_SIZE];
    assert_int_equal(sscanf(line, "%255s %255s", name, expected), 2);
    if (strcmp(expected, "loads") == 0)
        return run_file(name, LOADS);
    if (strcmp(expected, "raises") == 0)
        return run_file(name, RAISES);
    return run_file(name, strcmp(expected, "refused") == 0 ? REFUSED : EITHER);
}

static void every_file_is_refused_or_works(void **state) {
    size_t size = 0;
    int count = 0;
    int failures = 0;
    (void)state;
    char *list = (char *)read_file(file_path("expected.txt"), &size);
    for (char *line = list; line < list + size; ++count) {
        char *end = memchr(line, '\n', size - (size_t)(line - list));
        assert_non_null(end);
        *end = '\0';
        failures += !run_line(line);
        line = end + 1;
    }
    free(list);
    print_message("%d files\n", count);
    assert_true(count > 0);
    assert_int_equal(failures, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_file_is_refused_or_works)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
