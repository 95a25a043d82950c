/* fuzz_event.c - worker events: any checked JSON gets a class and a type that is safe in a topic; and what
 * can be parsed as a topic is made of the parts it was parsed into. */
#include "fuzz.h"
#include "wire/event.h"

static void parse_as_topic(rz_str_t bytes)
{
    rz_str_t parent, child, type;
    if (rz_topic_parse(bytes, &parent, &child, &type))
        MUST(parent.n + child.n + type.n + 2 == bytes.n);
}

static void publish(rz_str_t event)
{
    rz_str_t parent, child, type;
    rz_buf_t topic = { 0 }, wrapped = { 0 };
    char name[65];
    rz_event_type(event, name);
    MUST(rz_event_classify(name, event) <= RZ_CLASS_EPHEMERAL);
    rz_topic("p", "c", "sub_agent_event", name, &topic);
    MUST(rz_topic_parse(rz_buf_str(&topic), &parent, &child, &type));
    rz_event_wrap("p", "c", event, &wrapped);
    rz_rc_t rc = rz_json_check(wrapped.data, wrapped.len, 0, NULL);
    MUST(rc == RZ_OK || rc == RZ_TOO_DEEP);
    rz_buf_fini(&topic);
    rz_buf_fini(&wrapped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rz_str_t bytes = { (const char *)data, size };
    parse_as_topic(bytes);
    if (rz_json_check(bytes.p, bytes.n, 0, NULL) == RZ_OK)
        publish(bytes);
    return 0;
}
