/* questions.h - what the worker of one run has asked and nobody has answered yet (rule 4.4).
 *
 * A question has an id and a deadline, by which it is answered with no. Plain data: time arrives as `now` in
 * milliseconds; a zeroed one is empty. */
#pragma once

#include "base/id.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUESTIONS_MAX 64 /* open at a time: nobody reads more */

typedef struct {
    char id[RZ_ID_MAX + 1];
    uint64_t due_ms;
} question_t;

typedef struct {
    question_t *list; /* oldest first */
    size_t count;
} questions_t;

typedef enum {
    QUESTION_OPEN,    /* waits for an answer now               */
    QUESTION_KNOWN,   /* is open already: nothing new          */
    QUESTION_REFUSED, /* no valid id, or too many are open     */
} question_asked_t;

void questions_fini(questions_t *questions);
question_asked_t questions_ask(questions_t *questions, const char *id, uint64_t due_ms);
/* False: no such question is open. */
bool questions_close(questions_t *questions, const char *id);
/* The oldest one, copied; false: there is none. */
bool questions_first(const questions_t *questions, question_t *out);
/* One whose deadline has come, copied; false: there is none. */
bool questions_overdue(const questions_t *questions, uint64_t now_ms, question_t *out);
