/*
 * Questions about a table.
 * Side: enclave. Called by vault.c. Never changes the table.
 */
#include "query.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct query {
    const struct table *table;
    char *answer;
    size_t answer_size, used;
};

static int say(struct query *q, int result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int say(struct query *q, int result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(q->answer + q->used, q->answer_size - q->used, format, arguments);
    va_end(arguments);
    if (length > 0) {
        size_t left = q->answer_size - q->used - 1;
        q->used += (size_t)length < left ? (size_t)length : left;
    }
    return result;
}

static const char *cell_text(const struct query *q, struct table_cell cell)
{
    return q->table->text + cell.at;
}

/* The longest column name that `text` starts with; its number, or -1. *ret_rest is what follows. */
static ptrdiff_t find_column(const struct query *q, const char *text, const char **ret_rest)
{
    ptrdiff_t found = -1;
    size_t longest = 0;
    for (size_t i = 0; i < q->table->columns; i++) {
        struct table_cell name = table_at(q->table, -1, i);
        if (name.size > longest && strncmp(text, cell_text(q, name), name.size) == 0 &&
            (text[name.size] == ' ' || text[name.size] == '\0')) {
            found = (ptrdiff_t)i;
            longest = name.size;
        }
    }
    *ret_rest = text + longest;
    return found;
}

static int no_column(struct query *q, const char *text)
{
    say(q, 0, "no column \"%.64s\"; there are:", text);
    for (size_t i = 0; i < q->table->columns; i++) {
        struct table_cell name = table_at(q->table, -1, i);
        say(q, 0, "%s \"%.*s\"", i ? "," : "", (int)name.size, cell_text(q, name));
    }
    return -1;
}

static int count_where(struct query *q, const char *text)
{
    const char *rest;
    ptrdiff_t column = find_column(q, text, &rest);
    if (column < 0) {
        return no_column(q, text);
    }
    int whole = strncmp(rest, " is ", 4) == 0;
    if (!whole && strncmp(rest, " contains ", 10) != 0) {
        return say(q, -1, "expected \"is TEXT\" or \"contains TEXT\" behind the column");
    }
    const char *wanted = rest + (whole ? 4 : 10);
    size_t size = strlen(wanted), count = 0;
    for (size_t i = 0; i < q->table->records; i++) {
        struct table_cell cell = table_at(q->table, (ptrdiff_t)i, (size_t)column);
        count += whole ? cell.size == size && memcmp(cell_text(q, cell), wanted, size) == 0
                       : memmem(cell_text(q, cell), cell.size, wanted, size) != NULL;
    }
    return say(q, 0, "%zu", count);
}

static int compare_cells(const void *left, const void *right, void *text)
{
    const struct table_cell *a = left, *b = right;
    size_t size = a->size < b->size ? a->size : b->size;
    int order = memcmp((const char *)text + a->at, (const char *)text + b->at, size);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

static struct table_cell *sorted_column(const struct query *q, size_t column)
{
    struct table_cell *cells = malloc((q->table->records + 1) * sizeof(*cells));
    if (!cells) {
        return NULL;
    }
    for (size_t i = 0; i < q->table->records; i++) {
        cells[i] = table_at(q->table, (ptrdiff_t)i, column);
    }
    qsort_r(cells, q->table->records, sizeof(*cells), compare_cells, q->table->text);
    return cells;
}

/* The end of the run of equal fields that starts at `start`. */
static size_t run_end(const struct query *q, struct table_cell *cells, size_t start)
{
    size_t end = start + 1;
    while (end < q->table->records &&
           compare_cells(&cells[start], &cells[end], q->table->text) == 0) {
        end++;
    }
    return end;
}

static int distinct(struct query *q, size_t column)
{
    struct table_cell *cells = sorted_column(q, column);
    if (!cells) {
        return say(q, -1, "out of memory");
    }
    size_t count = 0;
    for (size_t i = 0; i < q->table->records; i = run_end(q, cells, i)) {
        count++;
    }
    free(cells);
    return say(q, 0, "%zu", count);
}

#define TOP_MAX 100u

static int top(struct query *q, size_t wanted, size_t column)
{
    struct {
        size_t count;
        struct table_cell cell;
    } best[TOP_MAX];
    size_t held = 0;
    struct table_cell *cells = sorted_column(q, column);
    if (!cells) {
        return say(q, -1, "out of memory");
    }
    for (size_t i = 0, end; i < q->table->records; i = end) {
        end = run_end(q, cells, i);
        size_t place = held;
        while (place > 0 && best[place - 1].count < end - i) {
            place--;
        }
        if (place < wanted) {
            held += held < wanted;
            memmove(&best[place + 1], &best[place], (held - place - 1) * sizeof(best[0]));
            best[place].count = end - i;
            best[place].cell = cells[i];
        }
    }
    for (size_t i = 0; i < held; i++) {
        say(q, 0, "%s%zu %.*s", i ? "\n" : "", best[i].count, (int)best[i].cell.size,
            cell_text(q, best[i].cell));
    }
    free(cells);
    return 0;
}

static int numbers(struct query *q, const char *verb, size_t column)
{
    double sum = 0, least = 0, most = 0;
    size_t count = 0;
    for (size_t i = 0; i < q->table->records; i++) {
        struct table_cell cell = table_at(q->table, (ptrdiff_t)i, column);
        char text[64], *end;
        if (cell.size == 0 || cell.size >= sizeof(text)) {
            continue;
        }
        memcpy(text, cell_text(q, cell), cell.size);
        text[cell.size] = '\0';
        double value = strtod(text, &end);
        if (*end != '\0') {
            continue;
        }
        least = count == 0 || value < least ? value : least;
        most = count == 0 || value > most ? value : most;
        sum += value;
        count++;
    }
    if (count == 0) {
        return say(q, -1, "no field of that column is a number");
    }
    double value = strcmp(verb, "sum") == 0   ? sum
                   : strcmp(verb, "min") == 0 ? least
                   : strcmp(verb, "max") == 0 ? most
                                              : sum / (double)count;
    return say(q, 0, "%.15g (%zu numbers, %zu other fields)", value, count,
               q->table->records - count);
}

static int with_column(struct query *q, const char *verb, size_t wanted, const char *text)
{
    const char *rest;
    ptrdiff_t column = find_column(q, text, &rest);
    if (column < 0 || *rest != '\0') {
        return no_column(q, text);
    }
    if (strcmp(verb, "distinct") == 0) {
        return distinct(q, (size_t)column);
    }
    return strcmp(verb, "top") == 0 ? top(q, wanted, (size_t)column)
                                    : numbers(q, verb, (size_t)column);
}

int query_run(const struct table *table, const char *question, char *answer, size_t answer_size)
{
    struct query q = {.table = table, .answer = answer, .answer_size = answer_size};
    static const char *const verbs[] = {"distinct", "sum", "min", "max", "mean"};
    if (strcmp(question, "count") == 0) {
        return say(&q, 0, "%zu", table->records);
    }
    if (strncmp(question, "count ", 6) == 0) {
        return count_where(&q, question + 6);
    }
    if (strncmp(question, "top ", 4) == 0) {
        char *rest;
        unsigned long wanted = strtoul(question + 4, &rest, 10);
        if (wanted == 0 || wanted > TOP_MAX || *rest != ' ') {
            return say(&q, -1, "expected \"top N COLUMN\" with N from 1 to %u", TOP_MAX);
        }
        return with_column(&q, "top", wanted, rest + 1);
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        size_t size = strlen(verbs[i]);
        if (strncmp(question, verbs[i], size) == 0 && question[size] == ' ') {
            return with_column(&q, verbs[i], 0, question + size + 1);
        }
    }
    return say(&q, -1, "\"%.64s\" is none of: count, distinct, top, sum, min, max, mean", question);
}
