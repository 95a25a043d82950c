/* fuzz_control_request.c - control requests: what is decoded can be written and decoded again. */
#include "fuzz.h"
#include "wire/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_control_request_t first, again;
    rz_buf_t written = { 0 };
    if (rz_control_decode((const char *)data, size, &first, NULL) != RZ_OK)
        return 0;
    rz_control_encode(&first, &written);
    MUST(rz_control_decode(written.data, written.len, &again, NULL) == RZ_OK);
    rz_control_fini(&again);
    rz_control_fini(&first);
    rz_buf_fini(&written);
    return 0;
}
