/* options.c - options out of argv, texts out of arguments and files. */
#include "verb.h"

#include "out.h"

#include "base/buf.h"
#include "base/edits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

common_t common;

const option_t common_options[] = {
    { "--control", "ENDPOINT",
      "a broker's control socket, or several, separated by commas (default:\n"
      "                         $RHIZOME_CONTROL, what `rhizome up` runs, or tcp://127.0.0.1:7411)",
      .text = &common.control },
    { "--up-state-dir", "DIR", "where `rhizome up` keeps data and context (default: ~/.local/state/rhizome)",
      .text = &common.state_dir },
    { "--key", "FILE", "the key to connect with (default: $RHIZOME_SECURITY_KEY, or that of `rhizome up`)",
      .text = &common.key },
    { "--json", NULL, "print JSON: one document, or one a line for streams", .on = &common.json },
    { NULL },
};

static const option_t *find(const option_t *options, const char *name, size_t n)
{
    for (const option_t *option = options; option != NULL && option->name != NULL; option++)
        if (strlen(option->name) == n && memcmp(option->name, name, n) == 0)
            return option;
    return NULL;
}

static bool number_of(const char *name, const char *text, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-') {
        say("%s takes a whole number, not \"%s\"", name, text);
        return false;
    }
    *out = value;
    return true;
}

static bool assign(const option_t *option, const char *value)
{
    if (option->number != NULL)
        return number_of(option->name, value, option->number);
    if (option->text != NULL) {
        *option->text = value;
        return true;
    }
    if (option->list->n == TEXTS_MAX) {
        say("%s may be given at most %d times", option->name, TEXTS_MAX);
        return false;
    }
    option->list->text[option->list->n++] = value;
    return true;
}

/* The option that was probably meant, or NULL. */
static const char *nearest(const option_t *options, const char *name)
{
    const char *best = NULL;
    size_t fewest = EDITS_MAX + 1;
    for (const option_t *option = options; option != NULL && option->name != NULL; option++) {
        size_t edits = rz_edits(option->name, name);
        best = edits < fewest ? option->name : best;
        fewest = edits < fewest ? edits : fewest;
    }
    return best;
}

static void say_unknown(const option_t *options, const char *word)
{
    const char *near = nearest(options, word);
    near = near != NULL ? near : nearest(common_options, word);
    say("unknown option %s%s%s%s", word, near != NULL ? "; did you mean " : "", near != NULL ? near : "",
        near != NULL ? "?" : "");
}

/* Handles the option at argv[*i]; moves *i over its value. */
static bool take_one(const option_t *options, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    size_t n = strcspn(word, "=");
    const option_t *option = find(options, word, n);
    if (option == NULL)
        option = find(common_options, word, n);
    if (option == NULL) {
        say_unknown(options, word);
        return false;
    }
    if (option->on != NULL) {
        if (word[n] == '=') {
            say("%s takes no value", option->name);
            return false;
        }
        *option->on = true;
        return true;
    }
    if (word[n] == '=')
        return assign(option, word + n + 1);
    if (*i + 1 >= argc) {
        say("%s needs a value: %s %s", option->name, option->name, option->metavar);
        return false;
    }
    return assign(option, argv[++*i]);
}

bool options_take(const option_t *options, int *argc, char **argv)
{
    int left = 0;
    bool ended = false;
    for (int i = 0; i < *argc; i++) {
        bool is_option = !ended && argv[i][0] == '-' && argv[i][1] != '\0';
        if (!is_option)
            argv[left++] = argv[i];
        else if (strcmp(argv[i], "--") == 0)
            ended = true;
        else if (!take_one(options, *argc, argv, &i))
            return false;
    }
    *argc = left;
    return true;
}

static bool read_all(FILE *file, const char *path, size_t max, char **out, size_t *len)
{
    rz_buf_t buf = { 0 };
    char piece[65536];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, file)) > 0 && buf.len <= max)
        rz_buf_put(&buf, piece, n);
    bool ok = !ferror(file) && buf.len <= max;
    if (ferror(file))
        say("%s: %s", path, strerror(errno));
    else if (!ok)
        say("%s is larger than %zu bytes", path, max);
    rz_buf_puts(&buf, "");
    if (ok)
        *out = rz_buf_take(&buf, len);
    rz_buf_fini(&buf);
    return ok;
}

bool file_argument(const char *path, size_t max, char **out, size_t *len)
{
    if (strcmp(path, "-") == 0)
        return read_all(stdin, "standard input", max, out, len);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        say("%s: %s", path, strerror(errno));
        return false;
    }
    bool ok = read_all(file, path, max, out, len);
    fclose(file);
    return ok;
}

bool text_argument(const char *argument, size_t max, char **out)
{
    size_t len = strlen(argument);
    if (strcmp(argument, "-") != 0) {
        *out = rz_strndup(argument, len);
    } else {
        if (!file_argument("-", max, out, &len))
            return false;
        while (len > 0 && (*out)[len - 1] == '\n') /* the shell's newline is no part of the text */
            (*out)[--len] = '\0';
    }
    if (len > max)
        say("the text is larger than %zu bytes", max);
    else if (strlen(*out) != len)
        say("the text contains a NUL byte");
    else
        return true;
    rz_free(*out);
    return false;
}
