/*
 * What the tree shows of the process: the personality's state, in the tree's words.
 * Side: enclave. The seam between linux/fs_*.c and the rest of linux/; tests have their own in its place.
 * Never more than what is asked for: areas by index, threads by index.
 */
#include "linux/fs_tree.h"
#include "linux/memory.h"

#define NANOSECONDS 1000000000ull
#define PROCESS_ID 1u

bool cella_linux_fs(struct cella_regs *regs, long *ret_result)
{
    return linux_unix_syscall(regs, ret_result) || linux_netlink_syscall(regs, ret_result) ||
           fs_syscall(regs, ret_result);
}

cella_result cella_linux_fs_init(void)
{
    uint64_t size = 0;
    const char *directory = cella_linux_directory(&size);
    return fs_start(cella_linux_description(), cella_bytes_of(directory, size));
}

void cella_linux_fs_end(void)
{
    linux_shared_sync(0, CELLA_PROGRAM_KERNEL);
    fs_encrypted_end();
}

static void time_of(uint64_t nanoseconds, int64_t ret_time[2])
{
    ret_time[0] = (int64_t)(nanoseconds / NANOSECONDS);
    ret_time[1] = (int64_t)(nanoseconds % NANOSECONDS);
}

void fs_system_now(int64_t ret_time[2])
{
    time_of(linux_clock_now(true), ret_time);
}

void fs_system_uptime(int64_t ret_time[2])
{
    const uint64_t now = linux_clock_now(false);
    time_of(now > cella_linux_start_time ? now - cella_linux_start_time : 0, ret_time);
}

/* Nobody counts what a thread has run: as long as the program has been there. */
void fs_system_cpu_time(uint64_t *ret_nanoseconds)
{
    const uint64_t now = linux_clock_now(false);
    *ret_nanoseconds = now > cella_linux_start_time ? now - cella_linux_start_time : 0;
}

void fs_system_memory(struct fs_memory_use *ret_use)
{
    struct linux_area area;
    const uint64_t max = cella_linux_program->memory_max;
    *ret_use = (struct fs_memory_use){.total = max != 0 ? max : CELLA_PROGRAM_KERNEL / 4};
    ret_use->resident = linux_pages_used() * SGX_PAGE_SIZE;
    ret_use->used = ret_use->resident + fs_pages_in_use() * SGX_PAGE_SIZE;
    ret_use->peak = linux_pages_peak() * SGX_PAGE_SIZE;
    for (uint32_t i = 0; cella_linux_area_get(i, &area); i++) {
        const uint64_t size = area.end - area.start;
        if (area.file) {
            cella_open_put(area.file);
        }
        ret_use->mapped += size;
        ret_use->stack += (area.flags & LINUX_AREA_STACK) != 0 ? size : 0;
        ret_use->data += (area.rights & LINUX_PROT_WRITE) != 0 ? size : 0;
    }
}

/* The measured path of the program for the areas that its image has loaded. */
static const char *label_of(const struct linux_area *area)
{
    static char path[FS_PATH_SIZE / 4];
    if ((area->flags & LINUX_AREA_STACK) != 0) {
        return "[stack]";
    }
    if ((area->flags & LINUX_AREA_IMAGE) != 0 && area->start == linux_vdso_at()) {
        return "[vdso]";
    }
    for (uint32_t i = 0; i < fs_description.head.loads.count; i++) {
        const struct cella_program_load load = cella_program_load_at(&fs_description, i);
        const struct cella_bytes text =
            cella_program_text(&fs_description, fs_description.head.executable);
        if (area->start >= load.address && area->start < load.address + load.size &&
            load.kind == CELLA_PROGRAM_LOAD_PROGRAM && text.size < sizeof(path)) {
            __builtin_memcpy(path, text.data, text.size);
            return path;
        }
    }
    return (area->flags & LINUX_AREA_BREAK) != 0 ? "[heap]" : NULL;
}

bool fs_system_area(uint32_t index, struct fs_area *ret_area)
{
    struct linux_area area;
    if (!cella_linux_area_get(index, &area)) {
        return false;
    }
    *ret_area = (struct fs_area){
        .start = area.start,
        .end = area.end,
        .offset = area.offset,
        .rights = area.rights,
        .shared = (area.flags & LINUX_AREA_SHARED) != 0,
        .file = area.file,
        .label = area.file ? NULL : label_of(&area),
    };
    return true;
}

/* As long as nobody has given it another: the file's. */
static void name_of_program(char name[LINUX_NAME_SIZE])
{
    const struct cella_bytes path =
        cella_program_text(&fs_description, fs_description.head.executable);
    uint64_t at = path.size;
    while (at > 0 && path.data[at - 1] != '/') {
        at--;
    }
    const uint64_t size = path.size - at;
    __builtin_memcpy(name, path.data + at, size < LINUX_NAME_SIZE ? size : LINUX_NAME_SIZE - 1);
}

/* By slots; the main thread has the first. */
bool fs_system_thread(uint32_t index, struct fs_thread *ret_thread)
{
    for (uint32_t slot = 0; slot < cella_image_info.thread_count; slot++) {
        const struct linux_thread *thread = linux_thread_at(slot);
        if (thread && index-- == 0) {
            ret_thread->tid = thread->td->tid;
            ret_thread->is_running = true;
            __builtin_memcpy(ret_thread->name, thread->name, sizeof(ret_thread->name));
            ret_thread->name[sizeof(ret_thread->name) - 1] = 0;
            if (ret_thread->name[0] == 0) {
                name_of_program(ret_thread->name);
            }
            return true;
        }
    }
    return false;
}

bool fs_system_name_set(uint32_t tid, const char *name)
{
    struct linux_thread *thread = linux_thread_of(tid);
    if (thread) {
        __builtin_memcpy(thread->name, name, sizeof(thread->name));
    }
    return thread != NULL;
}

uint32_t fs_system_cpus(void)
{
    return cella_linux_cpu_count();
}

void fs_system_ids(struct fs_ids *ret_ids)
{
    const struct cella_program *program = cella_linux_program;
    *ret_ids = (struct fs_ids){
        .process = PROCESS_ID,
        .user = program->user,
        .group = program->group,
        .user_effective = program->user,
        .group_effective = program->group,
    };
}

struct cella_bytes fs_system_arguments(void)
{
    uint64_t size = 0;
    const char *text = cella_linux_arguments(&size);
    return cella_bytes_of(text, size);
}

struct cella_bytes fs_system_environment(void)
{
    uint64_t size = 0;
    const char *text = cella_linux_environment(&size);
    return cella_bytes_of(text, size);
}

struct cella_bytes fs_system_auxv(void)
{
    return cella_bytes_of(cella_linux_auxv, cella_linux_auxv_count * sizeof(cella_linux_auxv[0]));
}

const char *fs_system_host_name(void)
{
    static char name[65];
    uint32_t size = 0;
    const char *text = cella_linux_text(cella_linux_program->host_name, &size);
    size = size < sizeof(name) - 1 ? size : (uint32_t)sizeof(name) - 1;
    __builtin_memcpy(name, text, size);
    return name;
}

void fs_system_signals(uint64_t ret_masks[4])
{
    const struct linux_thread *thread = linux_thread_self();
    ret_masks[0] = atomic_load(&thread->pending.bits);
    ret_masks[1] = thread->td->signal_mask;
    ret_masks[2] = ret_masks[3] = 0;
}

uint64_t fs_system_descriptor_max(void)
{
    return linux_descriptor_max();
}

uint64_t fs_system_stack_limit(void)
{
    return cella_linux_program->stack_size;
}

void fs_system_quiet_pipe(void)
{
    linux_thread_self()->has_quiet_pipe = true;
}
