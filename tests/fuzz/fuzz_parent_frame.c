/* fuzz_parent_frame.c - frames to a worker: what is decoded can be written and decoded again. */
#include "fuzz.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_parent_frame_t first, again;
    rz_buf_t written = { 0 };
    if (rz_parent_frame_decode((const char *)data, size, &first, NULL) != RZ_OK)
        return 0;
    rz_parent_frame_encode(&first, &written);
    MUST(rz_parent_frame_decode(written.data, written.len, &again, NULL) == RZ_OK);
    rz_parent_frame_fini(&again);
    rz_parent_frame_fini(&first);
    rz_buf_fini(&written);
    return 0;
}
