/* fuzz_link.c - broker <-> runner headers: what is decoded can be written and decoded again. */
#include "fuzz.h"
#include "wire/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_link_t first, again;
    rz_buf_t written = { 0 };
    if (rz_link_decode((const char *)data, size, &first, NULL) != RZ_OK)
        return 0;
    rz_link_encode(&first, &written);
    MUST(rz_link_decode(written.data, written.len, &again, NULL) == RZ_OK);
    rz_link_fini(&again);
    rz_link_fini(&first);
    rz_buf_fini(&written);
    return 0;
}
