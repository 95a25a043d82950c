/* fuzz.h - the frame of a fuzz target: includes, and a property that must hold or the input is kept as a
 * finding. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(property)                                                                                       \
    do {                                                                                                     \
        if (!(property))                                                                                     \
            abort();                                                                                         \
    } while (0)
