/* fuzz_names.c - short texts that strangers choose: ids, topics, endpoints, times, settings, and what makes any text fit
 * for a message. */
#include "base/clock.h"
#include "base/id.h"
#include "base/setting.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "since.h"
#include "state/address.h"
#include "wire/event.h"
#include "wire/record.h"

#include <string.h>

static void topic(rz_str_t text)
{
    rz_str_t parent, child, type;
    if (!rz_topic_parse(text, &parent, &child, &type))
        return;
    MUST(rz_id_valid(parent) && rz_id_valid(child));
    MUST(parent.n + child.n + type.n + 2 == text.n);
    MUST(memchr(type.p, '/', type.n) == NULL && memchr(type.p, '\0', type.n) == NULL);
}

static void moment(const char *text)
{
    int64_t first, again;
    char written[RZ_RFC3339_LEN + 1];
    if (rz_rfc3339_parse(text, &first) != 0 || first < 0)
        return;
    rz_rfc3339(first, written);
    MUST(rz_rfc3339_parse(written, &again) == 0 && again == first);
}

static void scrubbed(const char *text)
{
    char *copy = rz_strdup(text);
    rz_buf_t json = { 0 };
    rz_utf8_scrub(copy);
    rz_json_put_str(&json, NULL, copy);
    MUST(rz_json_check(json.data, json.len, 0, NULL) == RZ_OK);
    rz_buf_fini(&json);
    rz_free(copy);
}

static void settings(const char *text)
{
    for (size_t i = 0; i < rz_settings_count; i++) {
        rz_setting_value_t value;
        if (rz_setting_from_text(&rz_settings[i], text, &value))
            rz_setting_value_fini(&value);
    }
}

static void address(const char *text)
{
    rz_address_t where;
    const rz_store_options_t options = { .url = text };
    if (rz_address_parse(&options, &where, NULL) == RZ_OK)
        rz_address_fini(&where);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = rz_strndup((const char *)data, size), host[64];
    uint16_t port;
    uint64_t since_ms;
    rz_str_t whole = { text, size };
    if (rz_id_valid(whole))
        MUST(size == strlen(text) && size <= 128 && strpbrk(text, "/ *\n") == NULL);
    topic(whole);
    moment(text);
    scrubbed(text);
    settings(text);
    address(text);
    if (rz_endpoint_parse(text, host, &port, NULL) == RZ_OK)
        MUST(port > 0 && strlen(host) < sizeof host);
    (void)since_parse(text, UINT64_C(1781602200000), &since_ms);
    rz_free(text);
    return 0;
}
