/* main.c - rhizome, the command line: finds the verb, reads its options, runs it. */
#include "out.h"
#include "verb.h"

#include "base/buf.h"
#include "base/edits.h"
#include "base/log.h"
#include "base/privacy.h"

#include <stdio.h>
#include <string.h>

/* The order of the list is the order of `rhizome help`. */
static const struct {
    const char *heading; /* begins a group, else NULL */
    const verb_t *verb;
} verbs[] = {
    { "Daily", &verb_up },
    { NULL, &verb_run },
    { NULL, &verb_submit },
    { NULL, &verb_ps },
    { NULL, &verb_watch },
    { NULL, &verb_send },
    { NULL, &verb_cancel },
    { NULL, &verb_approve },
    { NULL, &verb_deny },
    { NULL, &verb_wait },
    { NULL, &verb_logs },
    { NULL, &verb_explain },
    { NULL, &verb_retry },
    { "Looking after it", &verb_status },
    { NULL, &verb_runner_list },
    { NULL, &verb_runner_cordon },
    { NULL, &verb_runner_uncordon },
    { NULL, &verb_runner_drain },
    { NULL, &verb_session_show },
    { NULL, &verb_session_put },
    { NULL, &verb_session_list },
    { NULL, &verb_config_check },
    { NULL, &verb_config_dump },
    { NULL, &verb_store_init },
    { NULL, &verb_store_upgrade },
    { NULL, &verb_store_check },
    { NULL, &verb_store_accept },
    { NULL, &verb_key_new },
    { NULL, &verb_key_list },
    { NULL, &verb_key_allow },
    { NULL, &verb_key_revoke },
};
enum { VERBS = sizeof verbs / sizeof *verbs };

/* ---- help ---- */

static void print_indented(const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        printf("  %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void print_options(const option_t *options)
{
    for (const option_t *option = options; option != NULL && option->name != NULL; option++) {
        char usage[64];
        snprintf(usage, sizeof usage, "%s%s%s", option->name, option->metavar != NULL ? " " : "",
                 option->metavar != NULL ? option->metavar : "");
        printf("  %-22s %s\n", usage, option->help);
    }
}

static void help_all(void)
{
    puts("usage: rhizome VERB [options] [arguments]\n\n"
         "Rhizome runs agents: a job goes in, a warm worker's events come out.");
    for (size_t i = 0; i < VERBS; i++) {
        if (verbs[i].heading != NULL)
            printf("\n%s%s%s\n", look(LOOK_BOLD), verbs[i].heading, unlook());
        printf("  %-16s %s\n", verbs[i].verb->name, verbs[i].verb->summary);
    }
    puts("\nEvery verb takes --json and --help. First steps:\n"
         "  rhizome up                                     # in one terminal\n"
         "  rhizome run --executor echo \"hello world\"      # in another");
}

static void help_config(const verb_t *verb)
{
    rz_buf_t text = { 0 };
    if (verb->config_prefixes == NULL)
        return;
    rz_config_help(verb->config_prefixes, &text);
    puts("\nSettings (also from --config FILE and RHIZOME_* variables):");
    fwrite(text.data, 1, text.len, stdout);
    rz_buf_fini(&text);
}

static const char *space_before(const char *synopsis)
{
    return *synopsis != '\0' ? " " : "";
}

static outcome_t help_verb(const verb_t *verb)
{
    printf("usage: rhizome %s%s%s\n\n%c%s.\n", verb->name, space_before(verb->synopsis), verb->synopsis,
           verb->summary[0] - 'a' + 'A', verb->summary + 1);
    if (verb->detail != NULL)
        printf("\n%s\n", verb->detail);
    printf("\nOptions\n");
    print_options(verb->options);
    print_options(common_options);
    help_config(verb);
    printf("\nExamples\n");
    print_indented(verb->examples);
    return EXIT_DONE;
}

/* ---- finding the verb ---- */

/* How many words of argv name this verb: 0 when they do not. */
static int words_of(const verb_t *verb, int argc, char **argv)
{
    const char *space = strchr(verb->name, ' ');
    size_t n = space != NULL ? (size_t)(space - verb->name) : strlen(verb->name);
    if (argc < 1 || strlen(argv[0]) != n || memcmp(argv[0], verb->name, n) != 0)
        return 0;
    if (space == NULL)
        return 1;
    return argc > 1 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

static const verb_t *find(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < VERBS; i++)
        if ((*words = words_of(verbs[i].verb, argc, argv)) > 0)
            return verbs[i].verb;
    return NULL;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static bool is_of_noun(const verb_t *verb, const char *noun)
{
    size_t n = strlen(noun);
    return strncmp(verb->name, noun, n) == 0 && verb->name[n] == ' ';
}

static void list_of_noun(FILE *to, const char *noun)
{
    for (size_t i = 0; i < VERBS; i++)
        if (is_of_noun(verbs[i].verb, noun))
            fprintf(to, "  rhizome %-16s %s\n", verbs[i].verb->name, verbs[i].verb->summary);
}

/* "list runner" for "runner list", "rnu" for "run". */
static bool is_meant_by(const verb_t *verb, const char *word)
{
    const char *space = strchr(verb->name, ' ');
    return space != NULL ? strcmp(space + 1, word) == 0
                         : rz_edits(verb->name, word) <= EDITS_MAX && strlen(word) > EDITS_MAX;
}

static outcome_t no_verb(const char *word)
{
    if (word[0] == '-') {
        say("no verb \"%s\": options come behind the verb", word);
        note("`rhizome help` lists the verbs");
        return EXIT_USAGE;
    }
    say("no verb \"%s\"; `rhizome help` lists them", word);
    const char *before = "did you mean";
    for (size_t i = 0; i < VERBS; i++)
        if (is_meant_by(verbs[i].verb, word)) {
            note("%s `rhizome %s`", before, verbs[i].verb->name);
            before = "or";
        }
    return EXIT_USAGE;
}

/* A noun without its verb lists what there is of it: to who asked for help, as help. */
static outcome_t unknown(bool help, int argc, char **argv)
{
    bool noun = false;
    for (size_t i = 0; i < VERBS; i++)
        noun = noun || is_of_noun(verbs[i].verb, argv[0]);
    if (!noun)
        return no_verb(argv[0]);
    bool named = argc > 1 && argv[1][0] != '-';
    if (!named && (help || wants_help(argc, argv))) {
        printf("usage: rhizome %s VERB ...\n\n", argv[0]);
        list_of_noun(stdout, argv[0]);
        return EXIT_DONE;
    }
    if (named)
        say("no verb \"%s %s\"; there are:", argv[0], argv[1]);
    else
        say("usage: rhizome %s VERB ...", argv[0]);
    list_of_noun(stderr, argv[0]);
    return EXIT_USAGE;
}

/* ---- running it ---- */

/* What the configuration took out of argv: `before` minus `after`, in order. */
static void keep_config_flags(char *const *before, int before_n, char *const *after, int after_n)
{
    int kept = 0;
    for (int i = 0; i < before_n; i++) {
        if (kept < after_n && before[i] == after[kept])
            kept++;
        else if (common.config_flags.n < TEXTS_MAX)
            common.config_flags.text[common.config_flags.n++] = before[i];
    }
}

/* argv[0] is the program's name, as rz_config_load() has it. */
static bool read_config(int *argc, char **argv)
{
    rz_err_t err = { 0 };
    int before_n = *argc;
    char **before = rz_alloc((size_t)before_n * sizeof *before);
    memcpy(before, argv, (size_t)before_n * sizeof *before);
    common.config = rz_config_load(NULL, argc, argv, &err);
    if (common.config == NULL)
        say("%s", err.text); /* begins with the setting */
    else
        keep_config_flags(before, before_n, argv, *argc);
    rz_free(before);
    if (common.config != NULL) {
        common.control = rz_or_null(rz_config_str(common.config, "control"));
        common.state_dir = rz_or_null(rz_config_str(common.config, "up.state_dir"));
    }
    return common.config != NULL;
}

/* argv: the words behind the verb, with one slot for a program name before them. */
static outcome_t run(const verb_t *verb, int argc, char **argv)
{
    if (wants_help(argc - 1, argv + 1))
        return help_verb(verb);
    if (verb->config_prefixes != NULL && !read_config(&argc, argv))
        return EXIT_CONFIG;
    argc--;
    argv++;
    if (!options_take(verb->options, &argc, argv)) {
        note("`rhizome %s --help` lists the options", verb->name);
        return EXIT_USAGE;
    }
    if (argc < verb->min || (verb->max >= 0 && argc > verb->max)) {
        say("usage: rhizome %s%s%s", verb->name, space_before(verb->synopsis), verb->synopsis);
        note("`rhizome %s --help` shows examples", verb->name);
        return EXIT_USAGE;
    }
    return verb->run(argc, argv);
}

int main(int argc, char **argv)
{
    rz_keep_memory_private(); /* many verbs hold a key or a password */
    out_setup();
    rz_log_setup("rhizome", RZ_LOG_WARN);
    int words = 0;
    bool help = argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
                strcmp(argv[1], "-h") == 0;
    if (help && argc < 3) {
        help_all();
        return (int)(argc < 2 ? EXIT_USAGE : EXIT_DONE);
    }
    if (strcmp(argv[1], "--version") == 0)
        return puts("rhizome " RZ_VERSION) < 0;
    int skip = help ? 2 : 1;
    const verb_t *verb = find(argc - skip, argv + skip, &words);
    if (verb == NULL)
        return (int)unknown(help, argc - skip, argv + skip);
    if (help)
        return (int)help_verb(verb);
    outcome_t outcome = run(verb, argc - words, argv + words);
    rz_config_destroy(&common.config);
    return (int)outcome;
}
