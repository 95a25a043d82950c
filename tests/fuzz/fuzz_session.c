/* fuzz_session.c - sessions: what is decoded can be split and joined, and is a session again. */
#include "fuzz.h"
#include "wire/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_str_t bytes = { (const char *)data, size };
    rz_session_t first, again;
    rz_buf_t header = { 0 }, whole = { 0 };
    if (rz_json_check(bytes.p, size, 0, NULL) != RZ_OK || rz_session_decode(bytes, "", &first, NULL) != RZ_OK)
        return 0;
    rz_session_split(bytes, &header);
    const rz_session_state_t state = { "error", "e", "m", 7 };
    rz_session_join(rz_buf_str(&header), first.messages, &state, &whole);
    MUST(rz_json_check(whole.data, whole.len, 0, NULL) == RZ_OK);
    MUST(rz_session_decode(rz_buf_str(&whole), "", &again, NULL) == RZ_OK);
    MUST(again.message_count == first.message_count);
    MUST(rz_json_kind(rz_session_assignment(rz_buf_str(&header), first.messages)) == '"');
    rz_session_fini(&again);
    rz_session_fini(&first);
    rz_buf_fini(&header);
    rz_buf_fini(&whole);
    return 0;
}
