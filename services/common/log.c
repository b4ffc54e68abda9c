/*
 * What services say: one JSON object a line, on standard error.
 * Side: services. Called from every thread. Keeps nothing.
 */
#include "services/common/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *g_service = "cella";
static _Atomic int g_level = LOG_INFO;

void log_start(const char *service)
{
    g_service = service;
}

void log_set_level(enum log_level level)
{
    g_level = (int)level;
}

enum log_level log_level(void)
{
    return (enum log_level)g_level;
}

#define TAIL 4u /* room kept for "}\n" */

static void put(struct log_line *line, const char *text, size_t size)
{
    size_t room = sizeof(line->text) - TAIL - line->used;
    if (size > room) {
        return; /* a whole piece or nothing: the line stays JSON */
    }
    memcpy(line->text + line->used, text, size);
    line->used += size;
}

/* Length of the UTF-8 character at `text`; 0 when it is none. */
static size_t utf8_size(const unsigned char *text)
{
    size_t size = text[0] < 0x80   ? 1
                  : text[0] < 0xC2 ? 0
                  : text[0] < 0xE0 ? 2
                  : text[0] < 0xF0 ? 3
                  : text[0] < 0xF5 ? 4
                                   : 0;
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    if (size == 3 && ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F))) {
        return 0;
    }
    return size;
}

static void put_escaped(struct log_line *line, const char *value)
{
    const unsigned char *at = (const unsigned char *)value;
    char code[8];
    while (*at && line->used + 16 < sizeof(line->text) - TAIL) {
        size_t size = utf8_size(at);
        if (*at == '"' || *at == '\\') {
            code[0] = '\\';
            code[1] = (char)*at;
            put(line, code, 2);
        } else if (*at < 0x20 || *at == 0x7F || size == 0) {
            put(line, code, (size_t)snprintf(code, sizeof(code), "\\u%04x", *at));
        } else {
            put(line, (const char *)at, size);
        }
        at += size ? size : 1;
    }
}

static void put_name(struct log_line *line, const char *name)
{
    put(line, ",\"", 2);
    put(line, name, strlen(name));
    put(line, "\":", 2);
}

void log_text(struct log_line *line, const char *name, const char *value)
{
    if (!value || line->used + strlen(name) + 64 > sizeof(line->text)) {
        return;
    }
    put_name(line, name);
    put(line, "\"", 1);
    put_escaped(line, value);
    put(line, "\"", 1);
}

void log_number(struct log_line *line, const char *name, int64_t value)
{
    char text[32];
    if (line->used + strlen(name) + 64 < sizeof(line->text)) {
        put_name(line, name);
        put(line, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)value));
    }
}

void log_decimal(struct log_line *line, const char *name, double value)
{
    char text[48];
    if (line->used + strlen(name) + 64 < sizeof(line->text)) {
        put_name(line, name);
        put(line, text, (size_t)snprintf(text, sizeof(text), "%.3f", value));
    }
}

void log_begin(struct log_line *line, enum log_level level, const char *event)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    struct timespec now;
    struct tm parts;
    char date[32];

    line->used = 0;
    line->level = level;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
    line->used = (size_t)snprintf(line->text, sizeof(line->text),
                                  "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"service\":\"%s\","
                                  "\"event\":\"%s\"",
                                  date, now.tv_nsec / 1000000, names[level], g_service, event);
}

void log_end(struct log_line *line)
{
    if ((int)line->level < g_level) {
        return;
    }
    line->text[line->used++] = '}';
    line->text[line->used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line->text, line->used);
    (void)written; /* nobody to tell */
}

void log_say(enum log_level level, const char *event, const char *format, ...)
{
    struct log_line line;
    char text[1024];
    if ((int)level < g_level) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log_begin(&line, level, event);
    log_text(&line, "message", text);
    log_end(&line);
}
