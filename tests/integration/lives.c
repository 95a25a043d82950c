/* lives.c - see lives.h. */
#include "lives.h"

#include "../facts.h"

void child_submitted(const char *parent, const char *child, const char *more)
{
    cJSON *reply = ask(
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"%s\",\"child_session_id\":\"%s\",\"session\":{"
        "\"id\":\"%s\",\"kind\":\"child\",\"parent_session_id\":\"%s\",\"metadata\":{\"external.agent_id\":\"echo\"},"
        "\"messages\":[{\"id\":\"m1\",\"role\":\"user\",\"content\":\"hello\"}]}%s}}",
        parent, child, child, parent, more);
    answers(reply, "OK");
}

assigned_t child_begins(runner_t *runner, const char *child)
{
    child_submitted("root", child, "");
    assigned_t a = take_assign(runner);
    assert_string_equal(a.child, child);
    start(runner, &a);
    expect_ack(runner, "start", "OK");
    return a;
}

void child_ends(runner_t *runner, const assigned_t *a, const char *status, const char *error)
{
    static const char *const payload[] = { "", "{\"v\":1,\"seq\":9}", "{\"type\":\"sub_agent_completed\"}" };
    char more[256];
    snprintf(more, sizeof more, ",\"status\":\"%s\"%s%s%s", status, error != NULL ? ",\"error\":\"" : "",
             error != NULL ? error : "", error != NULL ? "\"" : "");
    tell_write(runner, "finish", a, "9", more, payload, 3);
    expect_ack(runner, "finish", "OK");
}

void child_lives(runner_t *runner, const char *child)
{
    assigned_t a = child_begins(runner, child);
    child_ends(runner, &a, "completed", NULL);
}

unsigned times_in_stream(const char *stream, const char *text)
{
    char command[128];
    unsigned times = 0;
    snprintf(command, sizeof command, "XRANGE rz:{0}:%s - +", stream);
    for (const char *at = redis_do(&stage.redis, command); (at = strstr(at, text)) != NULL; at++)
        times++;
    return times;
}

int number_at(const cJSON *reply, const char *path)
{
    char key[64];
    for (size_t n; reply != NULL && *path != '\0'; path += path[n] == '.' ? n + 1 : n) {
        n = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        reply = cJSON_GetObjectItemCaseSensitive(reply, key);
    }
    return cJSON_IsNumber(reply) ? reply->valueint : -1;
}
