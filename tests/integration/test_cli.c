/* test_cli.c - the command line without anything to talk to: help, wrong use, configuration. */
#include "cli.h"

#include <stdlib.h>

static void no_broker_is_exit_code_69_and_names_the_remedy(void **state)
{
    (void)state;
    shell("rhizome ps");
    ended_with(69);
    out_is("");
    has(said.err, "connection refused");
    has(said.err, "rhizome up");
    has(said.err, "RHIZOME_CONTROL");
    shell("RHIZOME_REDIS_URL=redis://:hush@127.0.0.1:1 rhizome store check");
    ended_with(69);
    has_not(said.err, "hush");
}

static void wrong_use_is_exit_code_two_and_one_sentence(void **state)
{
    (void)state;
    static const char *const lines[][2] = {
        { "rhizome nonsense", "no verb \"nonsense\"" },
        { "rhizome run", "usage: rhizome run" },
        { "rhizome run a b", "usage: rhizome run" },
        { "rhizome run --what x", "unknown option --what" },
        { "rhizome run --child ../x text", "--child \"../x\" is no id" },
        { "rhizome ps --limit many", "--limit takes a whole number, not \"many\"" },
        { "rhizome ps --limit 0", "--limit takes 1 to 100000, not 0" },
        { "rhizome ps --limit 100001", "--limit takes 1 to 100000, not 100001" },
        { "rhizome ps --since soon", "--since takes 90s, 10m, 2h, 3d or a time" },
        { "rhizome wait", "usage: rhizome wait CHILD..." },
        { "rhizome wait --any --all a", "--all, --any and --first-error exclude each other" },
        { "rhizome approve a", "usage: rhizome approve CHILD REQUEST" },
        { "rhizome deny", "usage: rhizome deny CHILD REQUEST" },
        { "rhizome explain", "usage: rhizome explain CHILD" },
        { "rhizome explain a b", "usage: rhizome explain CHILD" },
        { "rhizome retry", "usage: rhizome retry CHILD..." },
        { "rhizome cancel --tree", "usage: rhizome cancel CHILD..." },
        { "rhizome cancel a --tree=yes", "--tree takes no value" },
        { "rhizome --key F ps", "no verb \"--key\": options come behind the verb" },
        { "rhizome up --runners 0", "--runners takes 1 to 64" },
        { "rhizome up --runners 65", "--runners takes 1 to 64" },
        { "rhizome key new vm --role client --parents x",
          "--parents is for producers; a client takes --topics" },
        { "rhizome key new vm --role runner --topics x",
          "--topics is for subscribers and clients; a runner takes --runners" },
        { "rhizome key new vm --role broker --tenant x",
          "--tenant is for producers; a broker has no limits" },
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        shell("%s </dev/null", lines[i][0]);
        ended_with(2);
        out_is("");
        has(said.err, lines[i][1]);
    }
    shell("rhizome");
    ended_with(2);
    shell("rhizome session");
    ended_with(2);
}

static void a_broker_that_is_named_wrongly_is_no_broker_that_is_away(void **state)
{
    (void)state;
    shell("rhizome ps --control foo");
    ended_with(2);
    has(said.err, "--control takes HOST:PORT, e.g. 10.0.0.5:7411, not \"foo\"");
    has_not(said.err, "rhizome up");
    shell("rhizome ps --control 10.0.0.5:74111");
    ended_with(2);
    shell("RHIZOME_CONTROL=tcp://:7411 rhizome ps");
    ended_with(2);
    has(said.err, "RHIZOME_CONTROL takes HOST:PORT");
    shell(
        "rhizome up --join foo --up-state-dir /tmp/rhizome-nowhere-$$; c=$?; rm -r /tmp/rhizome-nowhere-$$; exit $c");
    ended_with(2);
    has(said.err, "--join takes HOST:PORT");
    shell("rhizome ps --control nosuch..example:7411");
    ended_with(69);
    has(said.err, "host nosuch..example is not known");
}

static void a_noun_asked_for_help_lists_its_verbs(void **state)
{
    (void)state;
    static const char *const nouns[] = { "runner", "session", "config", "store", "key" };
    for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "usage: rhizome %s VERB ...\n\n  rhizome %s ", nouns[i], nouns[i]);
        shell("rhizome %s --help && rhizome help %s >/dev/null", nouns[i], nouns[i]);
        ended_with(0);
        has(said.out, usage);
        assert_string_equal(said.err, "");
        shell("rhizome %s", nouns[i]);
        ended_with(2);
        out_is("");
    }
    shell("rhizome key nonsense --help");
    ended_with(2);
    has(said.err, "no verb \"key nonsense\"");
    shell("rhizome status x; rhizome status --help");
    has(said.err, "usage: rhizome status\n");
    has(said.out, "usage: rhizome status\n");
}

static void a_word_that_is_almost_right_is_told_the_right_one(void **state)
{
    (void)state;
    shell("rhizome rnu x");
    ended_with(2);
    has(said.err, "no verb \"rnu\"");
    has(said.err, "did you mean `rhizome run`\n");
    shell("rhizome list runner");
    ended_with(2);
    has(said.err, "did you mean `rhizome runner list`\n");
    has(said.err, "or `rhizome key list`\n");
    shell("rhizome frobnicate");
    has_not(said.err, "did you mean");
    shell("rhizome up --runner 2");
    ended_with(2);
    has(said.err, "unknown option --runner; did you mean --runners?\n");
    shell("rhizome ps --jsno");
    has(said.err, "unknown option --jsno; did you mean --json?\n");
    shell("rhizome ps --frobnicate");
    has_not(said.err, "did you mean");
}

static void every_verb_has_help_with_examples(void **state)
{
    (void)state;
    shell("rhizome help | sed -n 's/^  \\([a-z]*\\( [a-z]*\\)\\{0,1\\}\\)   *.*/\\1/p' | grep -v '^rhizome' "
          "| sort -u");
    int count = 0;
    char *verbs = strdup(said.out), *rest = verbs;
    for (char *verb; (verb = strtok_r(rest, "\n", &rest)) != NULL; count++) {
        shell("rhizome %s --help", verb);
        ended_with(0);
        has(said.out, "usage: rhizome ");
        has(strstr(said.out, "Examples"), "rhizome ");
    }
    free(verbs);
    assert_int_equal(count, 31);
}

static void a_bad_configuration_is_exit_code_78_and_names_key_and_value(void **state)
{
    (void)state;
    shell("f=$(mktemp); echo '{\"runner\":{\"slots\":0}} // none' > $f; rhizome config check $f; c=$?; rm "
          "$f; exit $c");
    ended_with(78);
    has(said.err, "runner.slots");
    has(said.err, "found 0");
    shell("f=$(mktemp); echo '{\"runner\":{\"slots\":3}} // three' > $f; rhizome config check $f; c=$?; rm "
          "$f; exit $c");
    ended_with(0);
}

static void a_wrong_setting_is_named_once(void **state)
{
    (void)state;
    shell("RHIZOME_RUNNER_CGROUPS=perhaps rhizome up");
    ended_with(78);
    has(said.err, "rhizome: runner.cgroups: found \"perhaps\" in ");
}

static void config_dump_tells_the_source_of_each_value(void **state)
{
    (void)state;
    shell("RHIZOME_RUNNER_SLOTS=3 rhizome config dump --log-level warn --json");
    ended_with(0);
    cJSON *dump = cJSON_Parse(said.out);
    const cJSON *slots = cJSON_GetObjectItemCaseSensitive(dump, "runner.slots");
    assert_string_equal(rig_text(slots, "source"), "env");
    assert_string_equal(rig_text(cJSON_GetObjectItemCaseSensitive(dump, "log.level"), "source"), "flag");
    cJSON_Delete(dump);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(no_broker_is_exit_code_69_and_names_the_remedy, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(wrong_use_is_exit_code_two_and_one_sentence, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(a_broker_that_is_named_wrongly_is_no_broker_that_is_away, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(a_noun_asked_for_help_lists_its_verbs, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(a_word_that_is_almost_right_is_told_the_right_one, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(every_verb_has_help_with_examples, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(a_bad_configuration_is_exit_code_78_and_names_key_and_value, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(a_wrong_setting_is_named_once, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(config_dump_tells_the_source_of_each_value, nothing_up, NULL),
};
/* clang-format on */

RZ_FACTS(tests)
