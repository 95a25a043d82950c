/* facts.h - the frame of a test program: include this, list the facts, end with RZ_FACTS(tests).
 *
 * Run without arguments for all facts, or with the name of one; ctest runs each by name
 * (tests/CMakeLists.txt), so every fact stands on its own. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* cmocka runs nothing, and calls that a success, when no fact has the name that was asked for. */
static inline int facts_select(const struct CMUnitTest *tests, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(tests[i].name, name) == 0) {
            cmocka_set_test_filter(name);
            return 1;
        }
    fprintf(stderr, "no fact is named %s\n", name);
    return 0;
}

#define RZ_FACTS(tests)                                                                                      \
    int main(int argc, char **argv)                                                                          \
    {                                                                                                        \
        if (argc > 1 && !facts_select(tests, sizeof(tests) / sizeof(*(tests)), argv[1]))                     \
            return 2;                                                                                        \
        return cmocka_run_group_tests(tests, NULL, NULL);                                                    \
    }
