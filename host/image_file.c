/*
 * An image's file in memory, for as long as an enclave is made of it.
 * Side: host. Called by enclave.c and load.c.
 * Never lets the host read a mapped file: whoever makes that file shorter would end the process. What the host reads is
 * a copy; only whole pages that the processor alone reads (through the kernel's ABI, which says EFAULT) are mapped.
 */
#include "host/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "abi/image.h"
#include "image/elf64.h"

#define EDGE_SIZE (64u * 1024u)    /* at both ends: headers here, the note there */
#define HOLE_MIN (256u * 1024u)    /* less is as soon copied as mapped */
#define WHOLE_SIZE (1024u * 1024u) /* files up to here are copied whole */

/* Bytes of the file that stay mapped; page-aligned. */
struct hole {
    uint64_t start;
    uint64_t end;
};

void cella_host_image_file_done(struct cella_host_image_file *file)
{
    if (file->data) {
        munmap(file->data, file->mapped);
    }
    if (file->opened) {
        close(file->fd);
    }
}

cella_result cella_host_image_file_new(struct cella_host_image_file *file, size_t size,
                                       struct cella_error *error)
{
    void *data = mmap(NULL, size + SGX_PAGE_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
        return cella_error_errno(error, CELLA_RESULT(OUT_OF_MEMORY), errno, "image of %zu bytes",
                                 size);
    }
    file->data = data;
    file->size = size;
    file->mapped = size + SGX_PAGE_SIZE;
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result copy(const struct cella_host_image_file *file, uint64_t start,
                                        uint64_t end, struct cella_error *error)
{
    while (start < end) {
        const ssize_t got = pread(file->fd, file->data + start, end - start, (off_t)start);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return cella_error_errno(error, CELLA_RESULT(IO), got < 0 ? errno : EIO,
                                     "%s: read at offset %llu", file->path,
                                     (unsigned long long)start);
        }
        start += (uint64_t)got;
    }
    return CELLA_OK;
}

/* The program headers, wherever they are: the linker puts them at the start, objcopy and signing at the end. */
static CELLA_MUST_USE cella_result headers_copy(const struct cella_host_image_file *file,
                                                struct cella_error *error)
{
    Elf64_Ehdr header;
    memcpy(&header, file->data, sizeof(header));
    const uint64_t size = (uint64_t)header.e_phnum * sizeof(Elf64_Phdr);
    if (header.e_phoff > file->size || size > file->size - header.e_phoff) {
        return CELLA_OK; /* the parser will say it */
    }
    return copy(file, header.e_phoff, header.e_phoff + size, error);
}

/* The information object, which the host reads, lies in one of the segments. */
static bool info_find(struct cella_bytes file, const struct cella_image_segment *segments,
                      uint32_t count, uint64_t *ret_at)
{
    struct cella_image_note note;
    memcpy(&note, file.data + file.size - sizeof(note), sizeof(note));
    return cella_is_ok(
        cella_elf_at(segments, count, note.info_offset, sizeof(struct cella_image_info), ret_at));
}

/* Takes the pages of [start, end) out of a hole; its bigger part is left. */
static void hole_cut(struct hole *hole, uint64_t start, uint64_t end)
{
    start = cella_page_down(start);
    end = cella_page_up(end);
    if (start >= hole->end || end <= hole->start) {
        return;
    }
    if (start > hole->start && (end >= hole->end || start - hole->start > hole->end - end)) {
        hole->end = start;
    } else {
        hole->start = end;
    }
}

/*
 * Finds what can be mapped, in ascending order. false where the image is broken, or not one of ours: then all is copied,
 * and the parser says what is wrong.
 */
static bool holes_find(struct cella_bytes file, struct hole *holes, uint32_t *ret_count)
{
    struct cella_elf elf;
    struct cella_image_segment segments[CELLA_IMAGE_SEGMENT_MAX];
    uint32_t count;
    uint64_t info_at;
    if (!cella_is_ok(cella_elf_parse(file, &elf, NULL)) ||
        !cella_is_ok(cella_elf_segments(&elf, true, segments, &count, NULL)) ||
        !info_find(file, segments, count, &info_at)) {
        return false;
    }
    uint64_t before = EDGE_SIZE;
    *ret_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct hole hole = {cella_page_up(segments[i].file_offset),
                            cella_page_down(segments[i].file_offset + segments[i].file_size)};
        hole_cut(&hole, 0, before);
        hole_cut(&hole, file.size - EDGE_SIZE, file.size);
        hole_cut(&hole, info_at, info_at + sizeof(struct cella_image_info));
        hole_cut(&hole, elf.header.e_phoff,
                 elf.header.e_phoff + elf.header.e_phnum * sizeof(Elf64_Phdr));
        if (hole.end > hole.start && hole.end - hole.start >= HOLE_MIN) {
            holes[(*ret_count)++] = hole;
            before = hole.end;
        }
    }
    return true;
}

/* Pages of a file on a noexec mount cannot be added as executable ones. */
static bool may_be_mapped(int fd)
{
    struct statvfs mount;
    return fstatvfs(fd, &mount) == 0 && !(mount.f_flag & ST_NOEXEC);
}

static bool hole_map(const struct cella_host_image_file *file, const struct hole *hole)
{
    return mmap(file->data + hole->start, hole->end - hole->start, PROT_READ,
                MAP_PRIVATE | MAP_FIXED, file->fd, (off_t)hole->start) != MAP_FAILED;
}

static CELLA_MUST_USE cella_result fill(struct cella_host_image_file *file,
                                        struct cella_error *error)
{
    struct hole holes[CELLA_IMAGE_SEGMENT_MAX];
    uint32_t count = 0;
    uint64_t at = EDGE_SIZE;
    const uint64_t tail = file->size - EDGE_SIZE;
    CELLA_TRY(copy(file, 0, at, error));
    CELLA_TRY(copy(file, tail, file->size, error));
    CELLA_TRY(headers_copy(file, error));
    if (!may_be_mapped(file->fd) ||
        !holes_find(cella_bytes_of(file->data, file->size), holes, &count)) {
        count = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (hole_map(file, &holes[i])) {
            file->in_part = true;
            CELLA_TRY(copy(file, at, holes[i].start, error));
            at = holes[i].end;
        }
    }
    return copy(file, at, tail, error);
}

cella_result cella_host_image_file_read(const char *path, bool whole,
                                        struct cella_host_image_file *file,
                                        struct cella_error *error)
{
    struct stat status;
    file->path = path;
    file->fd = open(path, O_RDONLY | O_CLOEXEC);
    file->opened = file->fd >= 0;
    if (!file->opened || fstat(file->fd, &status) < 0) {
        const cella_result result = errno == ENOENT ? CELLA_RESULT(NOT_FOUND) : CELLA_RESULT(IO);
        return cella_error_errno(error, result, errno, "%s", path);
    }
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size > CELLA_IMAGE_FILE_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "%s: not a regular file of at most %llu bytes", path,
                               CELLA_IMAGE_FILE_MAX);
    }
    CELLA_TRY(cella_host_image_file_new(file, (size_t)status.st_size, error));
    if (whole || file->size <= WHOLE_SIZE) {
        return copy(file, 0, file->size, error);
    }
    return fill(file, error);
}

cella_result cella_host_image_file_settle(struct cella_host_image_file *file,
                                          struct cella_error *error)
{
    if (!file->in_part) {
        return CELLA_OK;
    }
    void *data = mmap(file->data, file->mapped, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (data == MAP_FAILED) {
        return cella_error_errno(error, CELLA_RESULT(OUT_OF_MEMORY), errno, "image of %zu bytes",
                                 file->size);
    }
    file->in_part = false;
    return copy(file, 0, file->size, error);
}
