/* fuzz_message.c - messages: what is judged good has a role and content. */
#include "fuzz.h"
#include "wire/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_message_t message;
    if (rz_json_check((const char *)data, size, 0, NULL) != RZ_OK ||
        rz_message_decode((rz_str_t){ (const char *)data, size }, "", &message, NULL) != RZ_OK)
        return 0;
    MUST(message.role < RZ_ROLES && message.content != NULL);
    MUST(message.id == NULL || rz_id_valid(rz_str(message.id)));
    rz_message_fini(&message);
    return 0;
}
