/* fuzz_head.c - heads of HTTP requests: nothing that passes has an upgrade that is not served, and more bytes behind it change
 * nothing. */
#include "fuzz.h"

#include "base/head.h"

#include <stdbool.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *head = (const char *)data;
    bool page = rz_head_judge(head, size, RZ_HEAD_PAGE) == RZ_HEAD_WHOLE;
    bool websocket = rz_head_judge(head, size, RZ_HEAD_WEBSOCKET) == RZ_HEAD_WHOLE;
    MUST(!page || !websocket);
    if (!page && !websocket)
        return 0;
    char *longer = malloc(size + 1);
    MUST(longer != NULL);
    memcpy(longer, head, size);
    longer[size] = '\n';
    MUST(rz_head_judge(longer, size + 1, page ? RZ_HEAD_PAGE : RZ_HEAD_WEBSOCKET) == RZ_HEAD_WHOLE);
    free(longer);
    return 0;
}
