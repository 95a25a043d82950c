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

#define RZ_FACTS(tests)                                                                                      \
    int main(int argc, char **argv)                                                                          \
    {                                                                                                        \
        if (argc > 1)                                                                                        \
            cmocka_set_test_filter(argv[1]);                                                                 \
        return cmocka_run_group_tests(tests, NULL, NULL);                                                    \
    }
