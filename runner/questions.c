/* questions.c - a short list. */
#include "questions.h"

#include "base/mem.h"

#include <string.h>

void questions_fini(questions_t *questions)
{
    rz_free(questions->list);
    *questions = (questions_t){ 0 };
}

static size_t find(const questions_t *questions, const char *id)
{
    size_t i = 0;
    while (i < questions->count && strcmp(questions->list[i].id, id) != 0)
        i++;
    return i;
}

question_asked_t questions_ask(questions_t *questions, const char *id, uint64_t due_ms)
{
    if (!rz_id_valid(rz_str(id)))
        return QUESTION_REFUSED;
    if (find(questions, id) < questions->count)
        return QUESTION_KNOWN;
    if (questions->count == QUESTIONS_MAX)
        return QUESTION_REFUSED;
    if (questions->list == NULL)
        questions->list = rz_alloc(QUESTIONS_MAX * sizeof *questions->list);
    question_t *question = &questions->list[questions->count++];
    memcpy(question->id, id, strlen(id) + 1);
    question->due_ms = due_ms;
    return QUESTION_OPEN;
}

bool questions_close(questions_t *questions, const char *id)
{
    size_t i = find(questions, id);
    if (i == questions->count)
        return false;
    questions->count--;
    memmove(&questions->list[i], &questions->list[i + 1], (questions->count - i) * sizeof *questions->list);
    return true;
}

bool questions_first(const questions_t *questions, question_t *out)
{
    if (questions->count == 0)
        return false;
    *out = questions->list[0];
    return true;
}

/* All have the same time to live, so the oldest is the first to be due. */
bool questions_overdue(const questions_t *questions, uint64_t now_ms, question_t *out)
{
    return questions_first(questions, out) && now_ms >= out->due_ms;
}
