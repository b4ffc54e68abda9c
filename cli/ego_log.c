/*
 * `ego`: the lines of its start, as text or as JSON (EDG_LOG_FORMAT=json), in the shape of Go's log/slog.
 * Side: tools. Called by the parts of ego.
 */
#include "cli/ego.h"

#include <stdlib.h>
#include <strings.h>
#include <time.h>

static bool logs_json(void)
{
    const char *format = getenv("EDG_LOG_FORMAT");
    return format && strcasecmp(format, "json") == 0;
}

/* time.RFC3339Nano, for the records of Go's log/slog. */
static void time_text(char *ret_text, size_t size)
{
    struct timespec now;
    struct tm parts;
    char zone[16] = "Z";
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &parts);
    const size_t used = strftime(ret_text, size, "%Y-%m-%dT%H:%M:%S", &parts);
    if (parts.tm_gmtoff != 0) {
        const long minutes = labs(parts.tm_gmtoff) / 60;
        snprintf(zone, sizeof(zone), "%c%02ld:%02ld", parts.tm_gmtoff < 0 ? '-' : '+',
                 minutes / 60 % 100, minutes % 60);
    }
    snprintf(ret_text + used, size - used, ".%09ld%s", now.tv_nsec, zone);
}

void ego_say(const char *line)
{
    char now[64];
    if (logs_json()) {
        time_text(now, sizeof(now));
        printf("{\"time\":\"%s\",\"level\":\"INFO\",\"msg\":\"%s\"}\n", now, line);
    } else {
        puts(line);
    }
    fflush(stdout);
}

void ego_log_version(void)
{
    static const char commit[] = "0000000000000000000000000000000000000000";
    char now[64];
    if (logs_json()) {
        time_text(now, sizeof(now));
        fprintf(stderr,
                "{\"time\":\"%s\",\"level\":\"INFO\",\"msg\":\"EGo\",\"version\":\"" EGO_VERSION
                "\",\"git_commit\":\"%s\"}\n",
                now, commit);
    } else {
        const time_t seconds = time(NULL);
        struct tm parts;
        localtime_r(&seconds, &parts);
        strftime(now, sizeof(now), "%Y/%m/%d %H:%M:%S", &parts);
        fprintf(stderr, "%s INFO EGo version=" EGO_VERSION " git_commit=%s\n", now, commit);
    }
}
