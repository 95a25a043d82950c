/* test_settings.c - what the configuration says about a runner. */
#include "facts.h"

#include "settings.h"

/* The configuration of these flags; at most 8. */
static rz_config_t *configured(char **flags, int n)
{
    char *argv[9] = { "rhizome-runner" };
    int argc = 1;
    for (int i = 0; i < n; i++)
        argv[argc++] = flags[i];
    rz_err_t err = { 0 };
    rz_config_t *config = rz_config_load(NULL, &argc, argv, &err);
    if (config == NULL)
        fail_msg("%s", err.text);
    return config;
}

static rz_rc_t settings_of(char *flag, settings_t *out, rz_err_t *err)
{
    rz_config_t *config = configured(&flag, flag != NULL);
    rz_rc_t rc = settings_init(out, config, err);
    settings_fini(out);
    rz_config_destroy(&config);
    return rc;
}

static void a_missing_credential_is_an_error_unless_configured(void **state)
{
    (void)state;
    settings_t settings;
    assert_int_equal(settings_of(NULL, &settings, NULL), RZ_OK);
    assert_true(settings.needs_credential);
    assert_string_equal(settings.credentials, "");
    assert_string_equal(settings.default_provider, "");
    assert_int_equal(settings_of("--runner-missing-credential=error", &settings, NULL), RZ_OK);
    assert_true(settings.needs_credential);
    assert_int_equal(settings_of("--runner-missing-credential=warn", &settings, NULL), RZ_OK);
    assert_false(settings.needs_credential);
}

static void another_word_for_it_is_refused_with_the_allowed_ones(void **state)
{
    (void)state;
    static char *const flags[] = { "--runner-missing-credential=ignore",
                                   "--runner-missing-credential=", "--runner-missing-credential=Warn" };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        char *argv[] = { "rhizome-runner", flags[i], NULL };
        int argc = 2;
        rz_err_t err = { 0 };
        assert_null(rz_config_load(NULL, &argc, argv, &err));
        assert_int_equal(err.rc, RZ_BAD_FIELD);
        assert_string_equal(err.field, "runner.missing_credential");
        assert_non_null(strstr(err.text, "one of error, warn"));
    }
}

static void control_groups_are_used_where_they_can_be_had_unless_configured(void **state)
{
    (void)state;
    settings_t settings;
    assert_int_equal(settings_of(NULL, &settings, NULL), RZ_OK);
    assert_int_equal(settings.tree.wish, TREE_AUTO);
    assert_int_equal(settings_of("--runner-cgroups=on", &settings, NULL), RZ_OK);
    assert_int_equal(settings.tree.wish, TREE_ON);
    assert_int_equal(settings_of("--runner-cgroups=off", &settings, NULL), RZ_OK);
    assert_int_equal(settings.tree.wish, TREE_OFF);
}

static void the_policy_of_a_drain_is_the_one_that_its_word_names(void **state)
{
    (void)state;
    settings_t settings;
    assert_int_equal(settings_of(NULL, &settings, NULL), RZ_OK);
    assert_int_equal(settings.drain_policy, RZ_DRAIN_WAIT);
    for (unsigned policy = 0; rz_drain_policies[policy] != NULL; policy++) {
        char flag[64];
        snprintf(flag, sizeof flag, "--runner-drain-policy=%s", rz_drain_policies[policy]);
        assert_int_equal(settings_of(flag, &settings, NULL), RZ_OK);
        assert_int_equal(settings.drain_policy, policy);
    }
}

static void a_default_provider_is_a_short_name(void **state)
{
    (void)state;
    char flag[400] = "--runner-default-provider=";
    settings_t settings;
    rz_err_t err = { 0 };
    memset(flag + strlen(flag), 'p', RZ_NAME_MAX);
    assert_int_equal(settings_of(flag, &settings, &err), RZ_OK);
    assert_int_equal(strlen(settings.default_provider), RZ_NAME_MAX);
    flag[strlen(flag)] = 'p';
    assert_int_equal(settings_of(flag, &settings, &err), RZ_TOO_LARGE);
    assert_string_equal(err.field, "runner.default_provider");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_missing_credential_is_an_error_unless_configured),
    cmocka_unit_test(another_word_for_it_is_refused_with_the_allowed_ones),
    cmocka_unit_test(control_groups_are_used_where_they_can_be_had_unless_configured),
    cmocka_unit_test(the_policy_of_a_drain_is_the_one_that_its_word_names),
    cmocka_unit_test(a_default_provider_is_a_short_name),
};

RZ_FACTS(tests)
