/* fuzz_event_header.c - event headers: what is decoded can be written and decoded again. */
#include "fuzz.h"
#include "wire/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_event_header_t first, again;
    rz_buf_t written = { 0 };
    if (rz_event_header_decode((const char *)data, size, &first, NULL) != RZ_OK)
        return 0;
    rz_event_header_encode(&first, &written);
    MUST(rz_event_header_decode(written.data, written.len, &again, NULL) == RZ_OK);
    rz_event_header_fini(&again);
    rz_event_header_fini(&first);
    rz_buf_fini(&written);
    return 0;
}
