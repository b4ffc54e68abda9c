/*
 * The log of hosts and enclaves: the callback, standard output, or the file that OE_LOG_DEVICE names.
 * Side: host. Called by the skin and, through service.c, by enclaves. Read once: OE_LOG_LEVEL (NONE, FATAL, ERROR, WARNING,
 * INFO, VERBOSE), OE_LOG_DEVICE, OE_LOG_FORMAT, OE_LOG_ALL_STREAMS, OE_LOG_JSON_ESCAPE.
 * Never uses a format of the environment for printf before it was checked.
 */
#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <openenclave/trace.h>

#include "compat/openenclave/host/skin.h"

#define MESSAGE_MAX 2048

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t log_once = PTHREAD_ONCE_INIT;
static struct {
    uint32_t level;
    const char *device, *format;
    bool all_streams, escape, device_failed;
    oe_log_callback_t callback;
    void *context;
} g_log = {.level = OE_LOG_LEVEL_ERROR};

/*
 * A format has at most nine places: time (%s), microseconds (%ld), side, level (%s), thread (%lx), message, file, function,
 * line (%s), in this order. Anything else would let the environment read memory.
 */
static bool format_is_safe(const char *format)
{
    static const char kinds[] = "sdssxssss";
    size_t place = 0;
    for (const char *at = format; *at; at++) {
        if (*at != '%') {
            continue;
        }
        if (*++at == '%') {
            continue;
        }
        at += strspn(at, "0123456789-.l");
        if (place >= sizeof(kinds) - 1 || (kinds[place] == 'd'   ? *at != 'd'
                                           : kinds[place] == 'x' ? !strchr("xu", *at)
                                                                 : *at != 's')) {
            return false;
        }
        place++;
    }
    return format[0] && format[strlen(format) - 1] == '\n';
}

static void log_read_environment(void)
{
    const char *level = getenv("OE_LOG_LEVEL");
    for (uint32_t i = 0; level && i < OE_LOG_LEVEL_MAX; i++) {
        if (strcmp(level, oe_log_level_strings[i]) == 0) {
            g_log.level = i;
        }
    }
    g_log.device = getenv("OE_LOG_DEVICE");
    g_log.format = getenv("OE_LOG_FORMAT");
    g_log.all_streams = getenv("OE_LOG_ALL_STREAMS") != NULL;
    g_log.escape = getenv("OE_LOG_JSON_ESCAPE") != NULL;
    if (g_log.format && !format_is_safe(g_log.format)) {
        fprintf(stderr,
                "OE_LOG_FORMAT: expected at most nine places, %%s %%ld %%s %%s %%lx %%s %%s %%s "
                "%%s, and a newline at the end; ignored\n");
        g_log.format = NULL;
    }
}

uint32_t oe_log_level_now(void)
{
    pthread_once(&log_once, log_read_environment);
    return __atomic_load_n(&g_log.level, __ATOMIC_RELAXED);
}

oe_result_t oe_set_host_log_level(oe_log_level_t log_level)
{
    OE_ENSURE((uint32_t)log_level < OE_LOG_LEVEL_MAX, OE_INVALID_PARAMETER);
    pthread_once(&log_once, log_read_environment);
    __atomic_store_n(&g_log.level, (uint32_t)log_level, __ATOMIC_RELAXED);
    return OE_OK;
}

oe_result_t oe_log_set_callback(void *context, oe_log_callback_t callback)
{
    pthread_mutex_lock(&log_lock);
    g_log.context = context;
    g_log.callback = callback;
    pthread_mutex_unlock(&log_lock);
    return OE_OK;
}

struct line {
    char time[32];
    long usecs;
    const char *side, *level;
    unsigned long thread;
    const char *message;
};

static void line_write(FILE *to, const struct line *line)
{
    fprintf(to, "%s.%06ldZ [(%s)%s] tid(0x%lx) | %s", line->time, line->usecs, line->side,
            line->level, line->thread, line->message);
}

/* Quotes, backslashes and control characters as JSON wants them. */
static void escape(const char *from, char *to, size_t capacity)
{
    size_t used = 0;
    for (; *from && used + 8 < capacity; from++) {
        const unsigned char c = (unsigned char)*from;
        if (c == '"' || c == '\\') {
            to[used++] = '\\';
            to[used++] = (char)c;
        } else if (c < 32 || c > 126) {
            used += (size_t)snprintf(to + used, capacity - used, "\\u%04x", c);
        } else {
            to[used++] = (char)c;
        }
    }
    to[used] = 0;
}

/* Messages end with "[file:function:line]" where their maker knows that. */
static void line_write_custom(FILE *to, const struct line *line)
{
    char text[MESSAGE_MAX], escaped[2 * MESSAGE_MAX];
    char *parts[4] = {text, "", "", ""};
    snprintf(text, sizeof(text), "%s", line->message);
    char *bracket = strrchr(text, '[');
    if (bracket) {
        *bracket = 0;
        char *save = NULL;
        for (int i = 1; i < 4; i++) {
            char *part = strtok_r(i == 1 ? bracket + 1 : NULL, i == 3 ? "]" : ":", &save);
            parts[i] = part ? part : "";
        }
    }
    text[strcspn(text, "\n")] = 0;
    if (g_log.escape) {
        escape(text, escaped, sizeof(escaped));
        parts[0] = escaped;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    fprintf(to, g_log.format, line->time, line->usecs, line->side, line->level, line->thread,
            parts[0], parts[1], parts[2], parts[3]);
#pragma GCC diagnostic pop
}

static void device_write(const struct line *line)
{
    FILE *file = g_log.device_failed ? NULL : fopen(g_log.device, "ae");
    if (!file) {
        if (!g_log.device_failed) {
            fprintf(stderr, "OE_LOG_DEVICE: %s cannot be written\n", g_log.device);
        }
        g_log.device_failed = true;
        return;
    }
    (g_log.format ? line_write_custom : line_write)(file, line);
    fclose(file);
}

void oe_log_message(bool is_enclave, oe_log_level_t level, const char *message)
{
    struct timeval now;
    struct tm time_;
    struct line line = {.side = is_enclave ? "E" : "H",
                        .level = oe_log_level_strings[level],
                        .thread = (unsigned long)pthread_self(),
                        .message = message};
    const uint32_t wanted = oe_log_level_now();
    gettimeofday(&now, NULL);
    localtime_r(&now.tv_sec, &time_);
    line.usecs = now.tv_usec;
    strftime(line.time, sizeof(line.time), "%Y-%m-%dT%H:%M:%S%z", &time_);
    pthread_mutex_lock(&log_lock);
    if (g_log.callback) {
        g_log.callback(g_log.context, is_enclave, &time_, now.tv_usec, level, line.thread, message);
    } else if ((uint32_t)level <= wanted) {
        if (!g_log.device || g_log.all_streams) {
            line_write(stdout, &line);
        }
        if (g_log.device) {
            device_write(&line);
        }
    }
    pthread_mutex_unlock(&log_lock);
}

oe_result_t oe_log(oe_log_level_t level, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list list;
    if ((uint32_t)level > oe_log_level_now()) {
        return OE_OK;
    }
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    oe_log_message(false, level, text);
    return OE_OK;
}

oe_log_level_t oe_get_current_logging_level(void);
oe_log_level_t oe_get_current_logging_level(void)
{
    return (oe_log_level_t)oe_log_level_now();
}
