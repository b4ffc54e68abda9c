/*
 * Mappings of files: pages are filled when they are touched, by one instruction that adds a page and its content at once.
 * Side: enclave. Called by memory.c, never with its lock. Source: mmap(2); EACCEPTCOPY, SDM Vol. 3D.
 * Never shows another thread a page that is half filled. The code of ELF files is changed as the image says on its way.
 */
#include "enclave/descriptors.h"
#include "linux/fs.h"
#include "linux/memory.h"

#define MS_ALL 7u

static const void *described(uint32_t offset)
{
    return (const uint8_t *)cella_linux_program + offset;
}

/* ------------------------------------------------------------------ code of ELF files */

/* Lays the trampolines of an ELF file behind its first mapping, at `at`. */
static void trampolines_map(const struct cella_program_patches *patches, uint64_t at)
{
    const uint64_t size = LINUX_PAGE_UP(patches->trampolines_size);
    const struct linux_area area = {.rights = LINUX_PROT_READ | LINUX_PROT_WRITE,
                                    .flags = LINUX_AREA_IMAGE};
    if (linux_map_zeros(at, size, MAP_FIXED_NOREPLACE, area) != (long)at) {
        return; /* its system calls will trap */
    }
    __builtin_memcpy((void *)at, described(patches->trampolines_offset), patches->trampolines_size);
    (void)linux_protect(at, at + size, LINUX_PROT_READ | LINUX_PROT_EXEC);
}

static bool trampolines_are_at(uint64_t at)
{
    linux_memory_take();
    const struct linux_area *area = linux_space_find(at);
    const bool are = area && area->start == at && (area->flags & LINUX_AREA_IMAGE) != 0 &&
                     area->rights == (LINUX_PROT_READ | LINUX_PROT_EXEC);
    linux_memory_give();
    return are;
}

/* One site into the piece [offset, offset + size) of the file, whose copy is at `bytes`: also where it is cut off. */
static void site_write(const struct cella_program_site *site, uint8_t *bytes, uint64_t offset,
                       uint64_t size)
{
    for (uint32_t i = 0; i < site->size; i++) {
        const uint64_t at = site->file_offset + i - offset;
        if (site->file_offset + i >= offset && at < size) {
            bytes[at] = site->bytes[i];
        }
    }
}

/* Rewrites the sites of a piece of a file that goes to `to`, as the image says, where the trampolines are in place. */
static void sites_write(const struct cella_program_patches *patches, uint8_t *bytes,
                        uint64_t offset, uint64_t size, uint64_t to)
{
    const struct cella_program_site *sites = described(patches->sites.offset);
    uint32_t low = 0, high = patches->sites.count;
    while (low < high) { /* the first that may reach into the piece */
        const uint32_t middle = low + (high - low) / 2;
        if (sites[middle].file_offset + sizeof(sites[middle].bytes) <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < patches->sites.count && sites[low].file_offset < offset + size; low++) {
        const struct cella_program_site *site = &sites[low];
        const uint64_t base = to + (site->file_offset - offset) - site->address;
        if (trampolines_are_at(base + patches->trampolines_at)) {
            site_write(site, bytes, offset, size);
        }
    }
}

/* ------------------------------------------------------------------ faults */

/* As many bytes as the file has there, into pages of zeros; an errno. `alike`: between fs_map_take and _give. */
static long piece_read(struct cella_open *open, uint64_t offset, uint64_t size, uint8_t *to,
                       bool alike)
{
    uint64_t done = 0;
    while (done < size) {
        const long count = alike
                               ? fs_map_fill(open, offset + done, size - done, to + done)
                               : cella_linux_file_read(open, offset + done, size - done, to + done);
        if (count < 0) {
            return count;
        }
        if (count == 0) {
            break;
        }
        done += (uint64_t)count;
    }
    return (long)done;
}

static bool is_shared_store(const struct linux_area *area)
{
    return area->file && (area->flags & LINUX_AREA_SHARED) != 0 &&
           (area->file->flags & LINUX_O_ACCMODE) == LINUX_O_RDWR;
}

/*
 * Under the lock and with alike: where another mapping of the same open file has this page, which `area` has at `at`; 0:
 * nowhere. Code that is made through one mapping and runs in the other counts on one page: it is where it was used last.
 * A mapping that is going away neither gives nor takes: what is written to the file no longer comes into it.
 */
static uint64_t alias_find(const struct linux_area *area, uint64_t at)
{
    const uint64_t offset = area->offset + (at - area->start);
    const bool takes = is_shared_store(area) && fs_map_has(area->file, at);
    for (uint32_t i = 0; takes && i < linux_space_count(); i++) {
        const struct linux_area *other = linux_space_at(i);
        if (other->file != area->file || (other->flags & LINUX_AREA_SHARED) == 0 ||
            offset < other->offset || offset - other->offset >= other->end - other->start) {
            continue;
        }
        const uint64_t there = other->start + (offset - other->offset);
        if (there != at && linux_page_exists(there) && fs_map_has(area->file, there)) {
            return there;
        }
    }
    return 0;
}

/* Under the lock: the area at `at`, if it still is the one that `before` is a copy of and has no page there. */
static const struct linux_area *area_again(const struct linux_area *before, uint64_t at)
{
    const struct linux_area *area = linux_space_find(at);
    return area && area->start <= at && area->file == before->file &&
                   area->offset + (at - area->start) == before->offset + (at - before->start) &&
                   area->rights != 0 && !linux_page_exists(at)
               ? area
               : NULL;
}

/* Under the lock: pages that are still missing, as long as the area is what it was. */
static int pages_fill(const struct linux_area *before, uint64_t start, uint64_t end,
                      const uint8_t *bytes)
{
    for (uint64_t at = start; at < end; at += SGX_PAGE_SIZE) {
        const struct linux_area *area = area_again(before, at);
        if (!area || alias_find(area, at) != 0) {
            continue; /* it changed meanwhile: the access is tried again, and sees how */
        }
        if (!linux_page_copy(at, bytes + (at - start), linux_page_rights(area->rights))) {
            return -ENOMEM;
        }
    }
    return 0;
}

/*
 * Moves the page from the mapping that has it; nobody can store into it any more when it is copied. 1: done, 0: no other
 * has it, or an errno.
 */
static int alias_move(const struct linux_area *before, uint64_t address)
{
    int result = 0;
    const uint64_t page = LINUX_PAGE_DOWN(address);
    linux_memory_take();
    const struct linux_area *area = area_again(before, page);
    const uint64_t from = area ? alias_find(area, page) : 0;
    if (from != 0) {
        linux_memory_touches(true);
        result = linux_pages_rights(from, from + SGX_PAGE_SIZE, LINUX_PROT_READ) &&
                         linux_page_copy(page, (const void *)from, linux_page_rights(area->rights))
                     ? 1
                     : -ENOMEM;
        linux_memory_touches(false);
    }
    if (result > 0) {
        linux_pages_drop(from, from + SGX_PAGE_SIZE);
    }
    linux_memory_give();
    if (result > 0) { /* what was stored there is here now, and not yet the file's */
        fs_map_stored(before->file, page, SGX_PAGE_SIZE);
    }
    return result;
}

int linux_file_fault(const struct linux_area *area, uint64_t address)
{
    uint64_t start = address & ~(uint64_t)(LINUX_FAULT_WINDOW - 1);
    uint64_t end = start + LINUX_FAULT_WINDOW;
    start = start > area->start ? start : area->start;
    end = end < area->end ? end : area->end;
    const uint64_t size = end - start;
    const uint64_t offset = area->offset + (start - area->start);
    const bool shared = (area->flags & LINUX_AREA_SHARED) != 0;
    uint8_t *bytes = cella_pages_new(size);
    if (!bytes) {
        return -ENOMEM;
    }
    if (shared) { /* what is read must still be the file's when the pages become the program's */
        fs_map_take(area->file);
    }
    int code = is_shared_store(area) ? alias_move(area, address) : 0;
    const long count = code == 0 ? piece_read(area->file, offset, size, bytes, shared) : (long)size;
    if (code != 0) {
        code = code > 0 ? 0 : code; /* moved, or not */
    } else if (count < 0 || LINUX_PAGE_UP((uint64_t)count) <= LINUX_PAGE_DOWN(address) - start) {
        code = LINUX_FAULT_BUS; /* behind the end of the file, or the host has lost it */
    } else {
        const struct cella_program_patches *patches = cella_linux_file_patches(area->file);
        if (patches && (area->rights & LINUX_PROT_EXEC) != 0) {
            sites_write(patches, bytes, offset, size, start);
        }
        linux_memory_take();
        code = pages_fill(area, start, start + LINUX_PAGE_UP((uint64_t)count), bytes);
        linux_memory_give();
    }
    if (shared) {
        fs_map_give(area->file);
    }
    cella_pages_free(bytes, size);
    return code;
}

/* ------------------------------------------------------------------ calls */

long linux_file_place(uint64_t hint, uint64_t size, uint64_t flags, struct linux_area area)
{
    struct cella_open *open = area.file;
    const bool shared = (area.flags & LINUX_AREA_SHARED) != 0;
    const bool writes = (area.rights & LINUX_PROT_WRITE) != 0;
    if ((flags & MAP_FIXED) != 0 && linux_in_space(hint, size)) {
        linux_shared_release(hint, hint + size); /* perhaps of the same file */
    }
    const long begun = shared ? fs_map_begin(open) : 0;
    if (begun != 0) {
        return begun;
    }
    atomic_fetch_add(&open->references, 1);
    const long at = linux_map_released(hint, size, flags, area);
    const bool is_at = at >= 0 || at < -4095;
    const long added =
        shared && is_at ? fs_map_add(open, (uint64_t)at, size, area.offset, writes) : 0;
    if (shared) {
        fs_map_end(open);
    }
    if (!is_at) {
        cella_open_put(open);
        return at;
    }
    if (added != 0) {
        linux_unmap((uint64_t)at, (uint64_t)at + size);
        return added;
    }
    if ((area.rights & LINUX_PROT_EXEC) != 0 &&
        !linux_pages_open((uint64_t)at, (uint64_t)at + size)) {
        linux_unmap((uint64_t)at, (uint64_t)at + size);
        return -ENOMEM;
    }
    return at;
}

long linux_file_map(struct cella_regs *regs, uint64_t size, uint32_t rights)
{
    const uint64_t offset = ARG5(regs);
    const uint64_t flags = ARG3(regs);
    CELLA_OPEN_GET(open, (uint32_t)ARG4(regs));
    if (!open) {
        return -EBADF;
    }
    const bool shared = (flags & MAP_TYPE) != 2;
    const long refused = fs_map_check(open, rights, shared);
    if (refused != 0) {
        return refused;
    }
    const struct cella_program_patches *patches = cella_linux_file_patches(open);
    const bool first = patches && offset == 0 && (flags & MAP_FIXED) == 0 && size <= patches->span;
    uint64_t hint = ARG0(regs);
    uint64_t fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
    if (first) { /* room for the trampolines behind it */
        linux_memory_take();
        hint = linux_space_place(patches->span + LINUX_PAGE_UP(patches->trampolines_size),
                                 linux_place_limit);
        linux_memory_give();
        fixed = hint != 0 ? MAP_FIXED_NOREPLACE : 0;
    }
    const struct linux_area area = {
        .rights = rights, .flags = shared ? LINUX_AREA_SHARED : 0, .file = open, .offset = offset};
    const long at = linux_file_place(hint, size, fixed, area);
    if (at < 0 && at >= -4095) {
        return at;
    }
    if (first && fixed != 0) {
        trampolines_map(patches, (uint64_t)at + patches->trampolines_at);
    }
    return at;
}

/* The next shared mapping of a file in [*at, end), cut to it, with a reference more; *at moves behind it. */
static bool shared_next(uint64_t *at, uint64_t end, struct linux_area *ret_area)
{
    bool found = false;
    linux_memory_take();
    while (!found && *at < end) {
        const struct linux_area *area = linux_space_find(*at);
        if (!area || area->start >= end) {
            break;
        }
        if (area->file && (area->flags & LINUX_AREA_SHARED) != 0) {
            *ret_area = *area;
            ret_area->start = area->start > *at ? area->start : *at;
            ret_area->end = area->end < end ? area->end : end;
            atomic_fetch_add(&area->file->references, 1);
            found = true;
        }
        *at = area->end;
    }
    linux_memory_give();
    return found;
}

void linux_shared_release(uint64_t start, uint64_t end)
{
    struct linux_area area;
    for (uint64_t at = start; shared_next(&at, end, &area);) {
        fs_map_remove(area.file, area.start, area.end - area.start);
        cella_open_put(area.file);
    }
}

void linux_shared_write(uint64_t start, uint64_t end)
{
    struct linux_area area;
    for (uint64_t at = start; shared_next(&at, end, &area);) {
        fs_map_write(area.file, area.start, area.end - area.start);
        cella_open_put(area.file);
    }
}

void linux_shared_sync(uint64_t start, uint64_t end)
{
    struct linux_area area;
    for (uint64_t at = start; shared_next(&at, end, &area);) {
        (void)fs_map_sync(area.file, area.start, area.end - area.start);
        cella_open_put(area.file);
    }
}

long linux_file_sync(const struct cella_regs *regs)
{
    long result = (ARG2(regs) & ~(uint64_t)MS_ALL) != 0 ? -EINVAL : linux_range_check(regs);
    struct linux_area area;
    const uint64_t end = ARG0(regs) + LINUX_PAGE_UP(ARG1(regs));
    for (uint64_t at = ARG0(regs); result == 0 && shared_next(&at, end, &area);) {
        result = fs_map_sync(area.file, area.start, area.end - area.start);
        cella_open_put(area.file);
    }
    return result;
}

/* ------------------------------------------------------------------ for the file behind a mapping */

/*
 * Under the lock: the area in which `at` is byte `offset` of a shared mapping of `open`, with its page there. NULL: it is
 * something else by now, or was never touched.
 */
static const struct linux_area *page_of(const struct cella_open *open, uint64_t offset, uint64_t at)
{
    if (at >= CELLA_PROGRAM_KERNEL || !linux_page_exists(LINUX_PAGE_DOWN(at))) {
        return NULL;
    }
    const struct linux_area *area = linux_space_find(at);
    return area && area->start <= at && area->file == open &&
                   (area->flags & LINUX_AREA_SHARED) != 0 &&
                   area->offset + (at - area->start) == offset
               ? area
               : NULL;
}

/* Under the lock: what is copied is there, with `wanted` rights for the time being. A fault is the host's doing. */
static bool page_copy(const struct linux_area *area, uint64_t at, uint32_t wanted, void *to,
                      const void *from, uint64_t size)
{
    const uint64_t page = LINUX_PAGE_DOWN(at);
    const uint32_t rights = linux_page_rights(area->rights);
    if (!linux_pages_rights(page, page + SGX_PAGE_SIZE, rights | wanted)) {
        return false;
    }
    linux_memory_touches(true);
    __builtin_memcpy(to, from, size);
    linux_memory_touches(false);
    return linux_pages_rights(page, page + SGX_PAGE_SIZE, rights);
}

bool linux_memory_get(void *to, struct cella_open *open, uint64_t offset, uint64_t at,
                      uint64_t size)
{
    linux_memory_take();
    const struct linux_area *area = page_of(open, offset, at);
    const bool done = area && page_copy(area, at, LINUX_PROT_READ, to, (const void *)at, size);
    linux_memory_give();
    return done;
}

void linux_memory_put(struct cella_open *open, uint64_t offset, uint64_t at, const void *from,
                      uint64_t size)
{
    linux_memory_take();
    const struct linux_area *area = page_of(open, offset, at);
    if (area && !page_copy(area, at, LINUX_PROT_READ | LINUX_PROT_WRITE, (void *)at, from, size)) {
        cella_trace("a mapping does not get what was written to its file:", at);
        cella_kernel_abort(CELLA_ABORT_HOST);
    }
    linux_memory_give();
}

void linux_memory_drop(struct cella_open *open, uint64_t offset, uint64_t at, uint64_t size)
{
    linux_memory_take();
    for (uint64_t done = 0; done < size; done += SGX_PAGE_SIZE) {
        if (page_of(open, offset + done, at + done)) {
            linux_pages_drop(at + done, at + done + SGX_PAGE_SIZE);
        }
    }
    linux_memory_give();
}
