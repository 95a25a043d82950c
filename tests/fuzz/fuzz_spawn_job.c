/* fuzz_spawn_job.c - spawn jobs: what is decoded can be written, and what is written is the same job; what a broker takes of
 * it is all that the store needs. */
#include "fuzz.h"
#include "intake.h"

#include <string.h>

static void take_in(rz_str_t bytes)
{
    static rz_agents_t *agents;
    if (agents == NULL)
        agents = rz_agents_create(NULL, NULL, NULL, NULL);
    const intake_rules_t rules = { agents, RZ_JOB_MAX, RZ_SESSION_MAX, 0 };
    intake_t intake;
    intake_who_t who;
    rz_err_t err = { 0 };
    rz_rc_t rc = intake_decode(&rules, bytes, false, &intake, &who, &err);
    MUST(rc == err.rc);
    if (rc != RZ_OK)
        return;
    MUST(intake.submit.header.n == 0 ||
         rz_json_check(intake.submit.header.p, intake.submit.header.n, 0, NULL) == RZ_OK);
    for (size_t i = 0; i < intake.submit.message_count; i++)
        MUST(rz_json_check(intake.submit.messages[i].p, intake.submit.messages[i].n, 0, NULL) == RZ_OK);
    intake_fini(&intake);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_job_t first, again;
    rz_buf_t written = { 0 };
    char a[RZ_DIGEST_LEN + 1], b[RZ_DIGEST_LEN + 1];
    take_in((rz_str_t){ (const char *)data, size });
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
