/* fuzz_link.c - broker <-> runner headers: what is decoded can be written and decoded again; of the states in a
 * sync only what the store may have is left. */
#include "fuzz.h"
#include "states.h"
#include "wire/link.h"

static void take_states(const cJSON *tree)
{
    states_t states;
    states_read(tree, &states);
    for (size_t i = 0; i < states.n; i++)
        MUST(rz_json_check(states.list[i].progress.p, states.list[i].progress.n, 0, NULL) == RZ_OK);
    states_fini(&states);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_link_t first, again;
    rz_buf_t written = { 0 };
    if (rz_link_decode((const char *)data, size, &first, NULL) != RZ_OK)
        return 0;
    take_states(first.states);
    rz_link_encode(&first, &written);
    MUST(rz_link_decode(written.data, written.len, &again, NULL) == RZ_OK);
    rz_link_fini(&again);
    rz_link_fini(&first);
    rz_buf_fini(&written);
    return 0;
}
