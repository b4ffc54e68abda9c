/*
 * Where ADD_PAGES may take its pages from: not from a mapping on a noexec mount (the driver's
 * EACCES).
 * Side: soft (untrusted; it plays the kernel driver). Called by driver_ioctl_add.c.
 * The kernel looks at VM_MAYEXEC; from here it is /proc/self/maps and the mount's flags. The last
 * mappings that were good are remembered, so that a loader that adds page by page does not pay for
 * it each time.
 */
#include "soft/mover.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#define NOEXEC_FLAG 0x8 /* ST_NOEXEC in statfs.f_flags */
#define LINE_SIZE 1024u

/* One line of /proc/self/maps. */
struct mapping {
    uint64_t start;
    uint64_t end;
    uint64_t inode;
    const char *path; /* NULL: none, or too long to have been read whole */
};

static const char *take_number(const char *at, unsigned base, uint64_t *ret_value)
{
    *ret_value = 0;
    for (;; at++) {
        unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10
                                                    : base;
        if (digit >= base) {
            return at;
        }
        *ret_value = *ret_value * base + digit;
    }
}

static const char *skip_field(const char *at)
{
    while (*at && *at != ' ') {
        at++;
    }
    while (*at == ' ') {
        at++;
    }
    return at;
}

/* start-end rwxp offset major:minor inode   path */
static struct mapping parse_line(const char *line, bool whole)
{
    struct mapping mapping = {0};
    const char *at = take_number(line, 16, &mapping.start);
    at = take_number(*at == '-' ? at + 1 : at, 16, &mapping.end);
    at = skip_field(skip_field(skip_field(skip_field(at))));
    at = take_number(at, 10, &mapping.inode);
    at = skip_field(at);
    mapping.path = whole && *at == '/' ? at : NULL;
    return mapping;
}

static bool is_on_noexec_mount(const struct mapping *mapping)
{
    struct stat status;
    struct statfs mount;
    if (!mapping->inode || !mapping->path) {
        return false;
    }
    return !soft_syscall(SYS_newfstatat, AT_FDCWD, mapping->path, &status, 0, 0, 0) &&
           status.st_ino == mapping->inode &&
           !soft_syscall(SYS_statfs, mapping->path, &mount, 0, 0, 0, 0) &&
           (mount.f_flags & NOEXEC_FLAG);
}

/* Reads lines until one ends behind `address`. */
struct reader {
    int fd;
    char buffer[4096];
    size_t have;
    size_t at;
};

static bool next_byte(struct reader *reader, char *ret_byte)
{
    if (reader->at == reader->have) {
        long got =
            soft_syscall(SYS_read, reader->fd, reader->buffer, sizeof(reader->buffer), 0, 0, 0);
        if (got <= 0) {
            return false;
        }
        reader->have = (size_t)got;
        reader->at = 0;
    }
    *ret_byte = reader->buffer[reader->at++];
    return true;
}

static bool next_line(struct reader *reader, char line[LINE_SIZE], bool *ret_whole)
{
    size_t size = 0;
    char byte;
    *ret_whole = true;
    while (next_byte(reader, &byte)) {
        if (byte == '\n') {
            line[size] = 0;
            return true;
        }
        if (size + 1 < LINE_SIZE) {
            line[size++] = byte;
        } else {
            *ret_whole = false;
        }
    }
    return false;
}

int driver_source_check(struct driver_enclave *e, uint64_t source)
{
    struct reader reader = {.at = 0};
    char line[LINE_SIZE];
    bool whole;
    int result = -EFAULT; /* nothing is mapped at or behind it */
    for (uint32_t i = 0; i < DRIVER_SOURCES; i++) {
        if (source >= e->sources[i].start && source < e->sources[i].end) {
            e->source_end = e->sources[i].end;
            return 0;
        }
    }
    e->source_end = 0;
    reader.fd =
        (int)soft_syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (reader.fd < 0) {
        return 0; /* no /proc: nothing is known against the source */
    }
    while (next_line(&reader, line, &whole)) {
        struct mapping mapping = parse_line(line, whole);
        if (source < mapping.end) {
            result = is_on_noexec_mount(&mapping) ? -EACCES : 0;
            if (!result) {
                e->sources[e->source_next++ % DRIVER_SOURCES] =
                    (struct driver_source){mapping.start, mapping.end};
                e->source_end = mapping.end;
            }
            break;
        }
    }
    soft_syscall(SYS_close, reader.fd, 0, 0, 0, 0, 0);
    return result;
}
