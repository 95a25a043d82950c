/* The allow list, what a key may do by it, and topics that are counted. */
#include "rights.h"
#include "topics.h"

#include "base/clock.h"

#include "facts.h"

#define KEY_A "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define KEY_B "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

static rz_allow_t *list(const char *text, rz_err_t *err)
{
    return rz_allow_decode(text, strlen(text), err);
}

#define ENTRY(name, role, key, more)                                                                         \
    "{\"name\":\"" name "\",\"role\":\"" role "\",\"public_key\":\"" key "\"" more "}"

static void a_list_is_read_and_written_as_it_is(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    rz_buf_t text = { 0 };
    rz_allow_t *allow =
        list("{\"keys\":[ // two\n" ENTRY("b", "runner", KEY_B, ",\"runners\":[\"x-*\"]") "," ENTRY(
                 "a", "producer", KEY_A, ",\"parents\":[\"p\"],\"tenant\":\"t\"") "]}",
             &err);
    assert_non_null(allow);
    assert_int_equal(rz_allow_count(allow), 2);
    assert_string_equal(rz_allow_at(allow, 0)->name, "a");
    assert_string_equal(rz_allow_by_key(allow, KEY_B)->name, "b");
    assert_null(rz_allow_by_name(allow, "c"));
    rz_allow_encode(allow, NULL, NULL, &text);
    rz_allow_t *again = rz_allow_decode(text.data, text.len, &err);
    assert_non_null(again);
    for (size_t i = 0; i < 2; i++)
        assert_true(rz_allowed_same(rz_allow_at(allow, i), rz_allow_at(again, i)));
    rz_buf_clear(&text);
    rz_allow_encode(allow, "a", NULL, &text);
    assert_null(strstr(text.data, KEY_A));
    rz_buf_fini(&text);
    rz_allow_destroy(&allow);
    rz_allow_destroy(&again);
}

static void a_list_with_anything_wrong_is_no_list_and_says_what(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        rz_rc_t rc;
        const char *field;
    } row[] = {
        { "", RZ_BAD_JSON, "" },
        { "[]", RZ_BAD_FIELD, "keys" },
        { "{}", RZ_BAD_FIELD, "keys" },
        { "{\"keys\":[],\"more\":1}", RZ_BAD_FIELD, "more" },
        { "{\"keys\":[1]}", RZ_BAD_FIELD, "keys[0]." },
        { "{\"keys\":[" ENTRY("a", "king", KEY_A, "") "]}", RZ_BAD_FIELD, "keys[0].role" },
        { "{\"keys\":[" ENTRY("a", "broker", KEY_A, "") "]}", RZ_BAD_FIELD, "keys[0].role" },
        { "{\"keys\":[" ENTRY("a/b", "admin", KEY_A, "") "]}", RZ_BAD_ID, "keys[0].name" },
        { "{\"keys\":[" ENTRY("a", "admin", "short", "") "]}", RZ_BAD_FIELD, "keys[0].public_key" },
        { "{\"keys\":[" ENTRY("a", "admin", KEY_A, ",\"topic\":[\"x\"]") "]}", RZ_BAD_FIELD,
          "keys[0].topic" },
        { "{\"keys\":[" ENTRY("a", "admin", KEY_A, ",\"topics\":[\"x\"]") "]}", RZ_BAD_FIELD,
          "keys[0].topics" },
        { "{\"keys\":[" ENTRY("a", "client", KEY_A, ",\"parents\":[\"x\"]") "]}", RZ_BAD_FIELD,
          "keys[0].parents" },
        { "{\"keys\":[" ENTRY("a", "runner", KEY_A, ",\"tenant\":\"x\"") "]}", RZ_BAD_FIELD,
          "keys[0].tenant" },
        { "{\"keys\":[" ENTRY("a", "producer", KEY_A, ",\"parents\":[]") "]}", RZ_BAD_FIELD,
          "keys[0].parents" },
        { "{\"keys\":[" ENTRY("a", "producer", KEY_A, ",\"parents\":[\"*x\"]") "]}", RZ_BAD_ID,
          "keys[0].parents" },
        { "{\"keys\":[" ENTRY("a", "admin", KEY_A, "") "," ENTRY("a", "admin", KEY_B, "") "]}", RZ_CONFLICT,
          "" },
        { "{\"keys\":[" ENTRY("a", "admin", KEY_A, "") "," ENTRY("b", "client", KEY_A, "") "]}", RZ_CONFLICT,
          "" },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        rz_err_t err = { 0 };
        assert_null(list(row[i].text, &err));
        if (err.rc != row[i].rc || strcmp(err.field, row[i].field) != 0)
            fail_msg("%s: %s %s (%s)", row[i].text, rz_rc_name(err.rc), err.field, err.text);
    }
}

static void who_enters_where_is_one_table(void **state)
{
    (void)state;
    static const char *const rows[RZ_KEY_ROLES] = {
        /* jobs control events runners publish */
        [RZ_KEY_PRODUCER] = "yy---", [RZ_KEY_CLIENT] = "yyy--", [RZ_KEY_SUBSCRIBER] = "-yy--",
        [RZ_KEY_RUNNER] = "-y-yy",   [RZ_KEY_ADMIN] = "yyy--",  [RZ_KEY_BROKER] = "-----"
    };
    for (rz_key_role_t role = 0; role < RZ_KEY_ROLES; role++)
        for (gate_t gate = 0; gate < GATES; gate++)
            assert_int_equal(role_enters(role, gate), rows[role][gate] == 'y');
}

static void every_operation_is_somebodys_and_a_runner_says_hello_only(void **state)
{
    (void)state;
    for (rz_control_op_t op = 0; op < RZ_CONTROL_OP_COUNT; op++) {
        assert_true(role_calls(RZ_KEY_ADMIN, op));
        assert_false(role_calls(RZ_KEY_BROKER, op));
        assert_int_equal(role_calls(RZ_KEY_RUNNER, op), op == RZ_OP_HELLO);
        if (role_calls(RZ_KEY_PRODUCER, op))
            assert_true(role_calls(RZ_KEY_CLIENT, op));
    }
}

static void a_scope_fits_whole_ids_and_beginnings_with_a_star(void **state)
{
    (void)state;
    cJSON *patterns = cJSON_Parse("[\"root\",\"ci-*\"]"), *all = cJSON_Parse("[\"*\"]");
    assert_true(rz_scope_fits(patterns, "root"));
    assert_false(rz_scope_fits(patterns, "roots"));
    assert_false(rz_scope_fits(patterns, "roo"));
    assert_true(rz_scope_fits(patterns, "ci-"));
    assert_true(rz_scope_fits(patterns, "ci-7"));
    assert_false(rz_scope_fits(patterns, "ci"));
    assert_true(rz_scope_fits(all, "anything"));
    assert_true(rz_scope_fits(NULL, "anything"));
    assert_true(rz_scope_covers(patterns, RZ_STR("root/c/x")));
    assert_false(rz_scope_covers(patterns, RZ_STR("roo")));
    assert_false(rz_scope_covers(patterns, RZ_STR("")));
    assert_true(rz_scope_covers(NULL, RZ_STR("")));
    cJSON_Delete(patterns);
    cJSON_Delete(all);
}

/* Whoever has an even id is there. */
static bool is_odd(const holder_t *holder)
{
    return holder->id % 2 == 1;
}

static const holder_t here = { 5, 2 }, there = { 6, 4 }, dead = { 7, 1 }, nobody_says = { -1, 0 };

static bool add(topics_t *topics, const char *topic, holder_t holder)
{
    bool first;
    assert_true(topics_add(topics, rz_str(topic), holder, &first));
    return first;
}

static void a_topic_is_asked_for_once_and_given_back_when_its_last_holder_goes(void **state)
{
    (void)state;
    topics_t *topics = topics_create(10, is_odd);
    assert_true(add(topics, "t", here));
    assert_false(add(topics, "t", here)); /* twice is once */
    assert_false(add(topics, "t", there));
    assert_true(add(topics, "", there));
    assert_int_equal(topics_count(topics), 2);
    assert_false(topics_take(topics, RZ_STR("t"), here));
    assert_true(topics_take(topics, RZ_STR("t"), there));
    assert_int_equal(topics_count(topics), 1);
    topics_destroy(&topics);
}

static void nobody_takes_back_what_another_holds(void **state)
{
    (void)state;
    topics_t *topics = topics_create(10, is_odd);
    add(topics, "t", here);
    assert_false(topics_take(topics, RZ_STR("t"), there));
    assert_false(topics_take(topics, RZ_STR("t"),
                             (holder_t){ here.fd, here.id + 2 })); /* the number is another's now */
    assert_false(topics_take(topics, RZ_STR("other"), here));
    assert_int_equal(topics_count(topics), 1);
    assert_true(topics_take(topics, RZ_STR("t"), here));
    assert_false(topics_take(topics, RZ_STR("t"), here));
    topics_destroy(&topics);
}

static void one_who_went_gives_back_his_own(void **state)
{
    (void)state;
    topics_t *topics = topics_create(10, is_odd);
    add(topics, "t", dead);
    add(topics, "t", here);
    assert_false(topics_take(topics, RZ_STR("t"), nobody_says));
    assert_true(topics_take(topics, RZ_STR("t"), here));
    add(topics, "t", here);
    assert_true(topics_take(topics, RZ_STR("t"), nobody_says)); /* the kernel still has it */
    topics_destroy(&topics);
}

static void of_topics_so_many_are_kept_and_no_more(void **state)
{
    (void)state;
    bool first;
    topics_t *topics = topics_create(2, is_odd);
    add(topics, "a", here);
    add(topics, "b", here);
    assert_false(topics_add(topics, RZ_STR("c"), here, &first));
    add(topics, "a", there);
    assert_int_equal(topics_count(topics), 2);
    assert_true(topics_take(topics, RZ_STR("b"), here));
    add(topics, "c", here);
    for (uint64_t i = 3; i < 2 * TOPICS_HELD; i++)
        add(topics, "a", (holder_t){ 10, 2 * i });
    assert_false(topics_add(topics, RZ_STR("a"), dead, &first));
    topics_destroy(&topics);
}

#define MANY_TOPICS 300000

static topics_t *many_topics(size_t n)
{
    char text[32];
    topics_t *topics = topics_create(n, is_odd);
    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "t%zu", i);
        add(topics, text, here);
        add(topics, text, there);
    }
    return topics;
}

/* One by one, and a new one now and then: if each began its search at the front, the walk over the empty places would be some
 * ten thousand million steps. */
static void to_take_all_topics_out_costs_one_walk(void **state)
{
    (void)state;
    topics_t *topics = many_topics(MANY_TOPICS);
    rz_buf_t out = { 0 };
    uint64_t deadline = rz_now_ms() + 5000;
    size_t popped = 0;
    for (; topics_pop(topics, &out); rz_buf_clear(&out)) {
        popped++;
        assert_true(rz_now_ms() < deadline);
        if (popped == MANY_TOPICS / 2)
            assert_true(add(topics, "another", here));
    }
    assert_int_equal(popped, MANY_TOPICS + 1);
    rz_buf_fini(&out);
    topics_destroy(&topics);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_list_is_read_and_written_as_it_is),
    cmocka_unit_test(a_list_with_anything_wrong_is_no_list_and_says_what),
    cmocka_unit_test(who_enters_where_is_one_table),
    cmocka_unit_test(every_operation_is_somebodys_and_a_runner_says_hello_only),
    cmocka_unit_test(a_scope_fits_whole_ids_and_beginnings_with_a_star),
    cmocka_unit_test(a_topic_is_asked_for_once_and_given_back_when_its_last_holder_goes),
    cmocka_unit_test(nobody_takes_back_what_another_holds),
    cmocka_unit_test(one_who_went_gives_back_his_own),
    cmocka_unit_test(of_topics_so_many_are_kept_and_no_more),
    cmocka_unit_test(to_take_all_topics_out_costs_one_walk),
};
RZ_FACTS(tests)
