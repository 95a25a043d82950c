/* fuzz_spawn_job.c - spawn jobs: what is decoded can be written, and what is written is the same job. */
#include "fuzz.h"
#include "wire/job.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_job_t first, again;
    rz_buf_t written = { 0 };
    char a[RZ_DIGEST_LEN + 1], b[RZ_DIGEST_LEN + 1];
    if (rz_job_decode((const char *)data, size, &first, NULL) != RZ_OK)
        return 0;
    rz_job_encode(&first, &written);
    MUST(rz_job_decode(written.data, written.len, &again, NULL) == RZ_OK);
    rz_job_digest(&first, a);
    rz_job_digest(&again, b);
    MUST(strcmp(a, b) == 0);
    rz_job_fini(&again);
    rz_job_fini(&first);
    rz_buf_fini(&written);
    return 0;
}
