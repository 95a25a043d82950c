/* fuzz_control_reply.c - what a broker, or who says that he is one, answers the command line: whatever stands in a reply,
 * its pages can be made. */
#include "activation.h"
#include "base/json.h"
#include "base/limits.h"
#include "explain.h"
#include "fuzz.h"
#include "groups.h"
#include "out.h"
#include "pick.h"

#define NOW_US INT64_C(1781602200000000)

static void show_activation(const cJSON *activation)
{
    char attempt[24];
    rz_buf_t text = { 0 };
    MUST(activation_word(activation) != NULL);
    activation_attempt(activation, attempt);
    activation_detail(activation, &text);
    activation_doing(activation, &text);
    rz_buf_fini(&text);
}

static void show_page(const cJSON *reply)
{
    rz_buf_t text = { 0 };
    explain_headline(reply, NOW_US, &text);
    explain_facts(reply, &text);
    explain_remedy(reply, &text);
    rz_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_buf_t warning = { 0 };
    cJSON *reply = rz_json_parse((const char *)data, size, RZ_FRAME_MAX, NULL);
    if (reply == NULL)
        return 0;
    const cJSON *item;
    show_activation(pick(reply, "activation"));
    cJSON_ArrayForEach(item, pick(reply, "activations")) show_activation(item);
    cJSON_ArrayForEach(item, pick(reply, "completions.groups"))(void) group_warning(item, &warning);
    show_page(reply);
    MUST(pick_count(reply, "id") <= UINT64_MAX && pick_text(reply, "code") != NULL);
    rz_buf_fini(&warning);
    cJSON_Delete(reply);
    return 0;
}
