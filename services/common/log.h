/*
 * What services say: one JSON object a line, on standard error.
 * Side: services. Called from every thread. A line is one write; nothing is kept.
 */
#ifndef CELLA_SERVICES_LOG_H
#define CELLA_SERVICES_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* Once at start; `service` must live on. */
void log_start(const char *service);
void log_set_level(enum log_level level);
enum log_level log_level(void);

/* A line being made. What does not fit is cut, and the line stays JSON. */
struct log_line {
    char text[4096];
    size_t used;
    enum log_level level;
};

void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_text(struct log_line *line, const char *name, const char *value); /* value may be NULL */
void log_number(struct log_line *line, const char *name, int64_t value);
void log_decimal(struct log_line *line, const char *name, double value);
void log_end(struct log_line *line);

/* An event with one formatted message. */
void log_say(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
