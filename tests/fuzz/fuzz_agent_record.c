/* fuzz_agent_record.c - agent records: what is decoded can be written and decoded again. */
#include "fuzz.h"
#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_record_t first, again;
    rz_buf_t written = { 0 };
    if (rz_record_decode((const char *)data, size, &first, NULL) != RZ_OK)
        return 0;
    rz_record_encode(&first, &written);
    MUST(rz_record_decode(written.data, written.len, &again, NULL) == RZ_OK);
    rz_record_fini(&again);
    rz_record_fini(&first);
    rz_buf_fini(&written);
    return 0;
}
