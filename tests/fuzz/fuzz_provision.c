/* fuzz_provision.c - ProvisionSpec: what is decoded can be written and decoded again. */
#include "fuzz.h"
#include "wire/provision.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_provision_t first, again;
    rz_buf_t written = { 0 };
    if (rz_provision_decode((const char *)data, size, &first, NULL) != RZ_OK)
        return 0;
    rz_provision_encode(&first, &written);
    MUST(rz_provision_decode(written.data, written.len, &again, NULL) == RZ_OK);
    rz_provision_fini(&again);
    rz_provision_fini(&first);
    rz_buf_fini(&written);
    return 0;
}
