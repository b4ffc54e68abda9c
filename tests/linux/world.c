/*
 * The kernel that the file tree's tests play: pages, time, randomness, and calls to the host that go to world_host.c.
 * Side: tests (native). Linked with linux/fs_*.c and enclave/descriptors*.c, pipes.c, string.c, syscall.c.
 */
#include "tests/linux/world.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "abi/blocks.h"
#include "cella/attest.h"
#include "cella/report.h"
#include "linux/libc_context.h"
#include "linux/unix.h"

struct cella_kernel cella_kernel = {.base = 0, .size = 1ull << 47, .tsc_hz = 2000000000};
uint64_t cella_xsave_size = 16384;
uint8_t world_identity; /* another: another enclave, as far as keys go */
static uint32_t world_user;

/* ------------------------------------------------------------------- memory */

void *cella_pages_new(size_t size)
{
    const size_t whole = (size + 4095) & ~(size_t)4095;
    void *pages = size > 0 && size < 1ull << 32 ? aligned_alloc(4096, whole) : NULL;
    if (pages) {
        memset(pages, 0, whole);
    }
    return pages;
}

void cella_pages_free(void *at, size_t size)
{
    (void)size;
    free(at);
}

void cella_pages_count(uint64_t *ret_total, uint64_t *ret_used)
{
    *ret_total = 1u << 20;
    *ret_used = 1000;
}

/* Bytes that are not there are found out by the kernel: as the enclave's copies end without them. */
int cella_host_copy_bytes(void *to, const void *from, size_t size)
{
    const struct iovec local = {.iov_base = to, .iov_len = size};
    const struct iovec remote = {.iov_base = (void *)from, .iov_len = size};
    volatile uint8_t *probe = to;
    if (size > 0 && ((uint64_t)to < 65536 || (uint64_t)from < 65536)) {
        return 1;
    }
    (void)probe;
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size ? 0 : 1;
}

/* ------------------------------------------------------------------- the rest of the kernel */

void cella_trace(const char *text, uint64_t value)
{
    if (getenv("WORLD_TRACE")) {
        fprintf(stderr, "trace: %s %llu\n", text, (unsigned long long)value);
    }
}

cella_result cella_random(void *out, size_t size)
{
    static uint64_t state = 7;
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)out)[i] = (uint8_t)world_random(&state);
    }
    return CELLA_OK;
}

void cella_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t ret_regs[4])
{
    __asm__("cpuid"
            : "=a"(ret_regs[0]), "=b"(ret_regs[1]), "=c"(ret_regs[2]), "=d"(ret_regs[3])
            : "a"(leaf), "c"(subleaf));
}

long cella_futex(struct cella_regs *regs)
{
    for (int i = 0; i < 1000 && *(volatile uint32_t *)regs->rdi == (uint32_t)regs->rdx; i++) {
        sched_yield();
    }
    return 0;
}

void cella_futex_wake(uint64_t address, uint32_t count)
{
    (void)address;
    (void)count;
}

bool cella_program_range(uint64_t address, uint64_t size)
{
    uint8_t byte;
    return address >= 65536 &&
           (size == 0 ||
            (cella_host_copy_bytes(&byte, (const void *)address, 1) == 0 &&
             cella_host_copy_bytes(&byte, (const void *)(address + size - 1), 1) == 0));
}

bool cella_program_writable(uint64_t address, uint64_t size)
{
    return cella_program_range(address,
                               size); /* which of it can only be read, the tests in enclaves ask */
}

static char console_text[4096];
static size_t console_size;
bool cella_libc_console(struct cella_regs *regs, long *ret_result)
{
    if (regs->rax == __NR_write) {
        const size_t room = sizeof(console_text) - console_size;
        const size_t part = regs->rdx < room ? regs->rdx : room;
        memcpy(console_text + console_size, (const void *)regs->rsi, part);
        console_size += part;
        *ret_result = (long)regs->rdx;
    } else {
        *ret_result = 0;
    }
    return true;
}

long cella_errno_of(cella_result result)
{
    return cella_is_ok(result) ? 0 : -EIO;
}

cella_result cella_system_ocall(uint32_t number, const void *in, size_t in_size, void *out,
                                size_t out_capacity, size_t *ret_size)
{
    if (number == CELLA_OCALL_BLOCKS) {
        return (cella_result){world_host_blocks(in, in_size, out, out_capacity, ret_size)};
    }
    return CELLA_OK;
}

/* ------------------------------------------------------------------- the boundary, which is none here */

const void CELLA_HOST *cella_host_pointer(uint64_t address)
{
    return (const void *)address;
}

void CELLA_HOST *cella_host_pointer_out(uint64_t address)
{
    return (void *)address;
}

cella_result cella_span_check(uint64_t address, uint64_t size)
{
    (void)size;
    return address >= 65536 ? CELLA_OK : CELLA_RESULT(HOST_POINTER);
}

cella_result cella_copy_in(void *to, const void CELLA_HOST *from, size_t size)
{
    memcpy(to, from, size);
    return CELLA_OK;
}

cella_result cella_copy_out(void CELLA_HOST *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    return CELLA_OK;
}

int cella_enclave_inside(const void *at, size_t size)
{
    (void)size;
    return at != NULL;
}

/* One at a time, as in the kernel's libc. */
long cella_linux_libc(long (*function)(void *), void *argument)
{
    static struct linux_mutex mutex;
    linux_mutex_take(&mutex);
    const long result = function(argument);
    linux_mutex_give(&mutex);
    return result;
}

/* As gather.c, without an enclave between. */
static size_t gather(const struct cella_gather *from, uint8_t *to)
{
    uint64_t skip = from->skip, left = from->size;
    size_t used = 0;
    for (uint32_t i = 0; i < from->count && left > 0; i++) {
        const struct cella_part part = from->parts[i];
        if (skip >= part.size) {
            skip -= part.size;
            continue;
        }
        const uint64_t now = part.size - skip < left ? part.size - skip : left;
        memcpy(to + used, (const void *)(part.at + skip), now);
        used += now;
        left -= now;
        skip = 0;
    }
    return used;
}

static void scatter(const struct cella_gather *to, const uint8_t *from, uint64_t left)
{
    uint64_t skip = to->skip;
    for (uint32_t i = 0; i < to->count && left > 0; i++) {
        const struct cella_part part = to->parts[i];
        if (skip >= part.size) {
            skip -= part.size;
            continue;
        }
        const uint64_t now = part.size - skip < left ? part.size - skip : left;
        memcpy((void *)(part.at + skip), from, now);
        from += now;
        left -= now;
        skip = 0;
    }
}

cella_result cella_system_ocall_parts(uint32_t number, const void *in, size_t in_size,
                                      const struct cella_gather *bytes, void *out, size_t out_size,
                                      const struct cella_gather *into)
{
    const size_t whole_in = bytes ? bytes->size : 0;
    const size_t capacity = out_size - 8 + (into ? into->size : 0);
    uint8_t *request = malloc(whole_in + 1), *answer = calloc(1, capacity + 16);
    size_t size = 0;
    cella_result result = CELLA_OK;
    if ((number != CELLA_OCALL_FILE && number != CELLA_OCALL_SOCKET) || !request || !answer) {
        abort();
    }
    if (bytes && gather(bytes, request) != whole_in) {
        abort();
    }
    const int64_t value =
        world_host_serve(number, in, in_size, request, whole_in, answer + 8, capacity, &size);
    const size_t head = 8 + size < out_size ? 8 + size : out_size;
    memcpy(out, &value, 8);
    memcpy((uint8_t *)out + 8, answer + 8, head - 8);
    if (value >= 0 && head != out_size) {
        result = CELLA_RESULT(HOST_VALUE);
    } else if (value >= 0 && into && into->size > 0) {
        const size_t rest = 8 + size - head;
        if ((uint64_t)value != rest || rest > into->size) {
            result = CELLA_RESULT(HOST_VALUE);
        } else {
            scatter(into, answer + head, rest);
        }
    }
    free(request);
    free(answer);
    return result;
}

/* ------------------------------------------------------------------- the processor */

cella_result cella_report_self(struct sgx_report *ret_report)
{
    memset(ret_report, 0, sizeof(*ret_report));
    memset(ret_report->body.mr_enclave, 0xAB, sizeof(ret_report->body.mr_enclave));
    ret_report->body.isv_svn = 3;
    return CELLA_OK;
}

void cella_report_target(const struct sgx_report *report, struct sgx_targetinfo *ret_target)
{
    memset(ret_target, 0, sizeof(*ret_target));
    memcpy(ret_target->measurement, report->body.mr_enclave, sizeof(ret_target->measurement));
}

cella_result cella_report_create(const struct sgx_targetinfo *target, const uint8_t *data,
                                 struct sgx_report *ret_report)
{
    cella_ignore(cella_report_self(ret_report));
    memcpy(ret_report->body.report_data, data, 64);
    memcpy(ret_report->mac, target->measurement, sizeof(ret_report->mac));
    return CELLA_OK;
}

cella_result cella_key_get(const struct sgx_keyrequest *request, uint8_t ret_key[16])
{
    memset(ret_key, (int)(request->key_policy + request->isv_svn), 16);
    ret_key[1] = (uint8_t)(ret_key[1] ^ request->key_id[31] ^ world_identity);
    return CELLA_OK;
}

cella_result cella_quote_create(const uint8_t *data, void *out, size_t out_capacity,
                                size_t *ret_size)
{
    CELLA_ENSURE(data[0] != 0xEE && out_capacity >= 1000, HOST_REFUSED);
    memset(out, 'q', 1000);
    memcpy(out, data, 64);
    *ret_size = 1000;
    return CELLA_OK;
}

void cella_futex_wait_uninterrupted(uint64_t address, uint32_t value,
                                    const struct libc_timespec *timeout)
{
    (void)timeout;
    if (atomic_load((_Atomic uint32_t *)address) == value) {
        sched_yield();
    }
}

void linux_mutex_take(struct linux_mutex *mutex)
{
    while (atomic_exchange(&mutex->word, 1) != 0) {
        sched_yield();
    }
}

void linux_mutex_give(struct linux_mutex *mutex)
{
    atomic_store(&mutex->word, 0);
}

/* ------------------------------------------------------------------- what the tree shows */

void fs_system_now(int64_t ret_time[2])
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    ret_time[0] = now.tv_sec;
    ret_time[1] = now.tv_nsec;
}

void fs_system_uptime(int64_t ret_time[2])
{
    ret_time[0] = 12;
    ret_time[1] = 340000000;
}

void fs_system_cpu_time(uint64_t *ret_nanoseconds)
{
    *ret_nanoseconds = 1000000000;
}

void fs_system_memory(struct fs_memory_use *ret_use)
{
    *ret_use = (struct fs_memory_use){.total = 1u << 30, .used = 1u << 20, .mapped = 1u << 24};
}

bool fs_system_area(uint32_t index, struct fs_area *ret_area)
{
    *ret_area =
        (struct fs_area){.start = 0x400000, .end = 0x401000, .rights = 5, .label = "/bin/x"};
    return index == 0;
}

bool fs_system_thread(uint32_t index, struct fs_thread *ret_thread)
{
    *ret_thread = (struct fs_thread){.tid = index + 1, .name = "main", .is_running = true};
    return index < 2;
}

bool fs_system_name_set(uint32_t tid, const char *name)
{
    (void)name;
    return tid < 3;
}

uint32_t fs_system_cpus(void)
{
    return 4;
}

void fs_system_ids(struct fs_ids *ret_ids)
{
    *ret_ids = (struct fs_ids){.process = 1,
                               .user = world_user,
                               .group = world_user,
                               .user_effective = world_user,
                               .group_effective = world_user};
}

struct cella_bytes fs_system_arguments(void)
{
    return cella_bytes_of("prog\0-x", 8);
}

struct cella_bytes fs_system_environment(void)
{
    return cella_bytes_of("A=1", 4);
}

struct cella_bytes fs_system_auxv(void)
{
    static const uint64_t end[2];
    return cella_bytes_of(end, sizeof(end));
}

const char *fs_system_host_name(void)
{
    return "inside";
}

void fs_system_signals(uint64_t ret_masks[4])
{
    memset(ret_masks, 0, 32);
}

uint64_t fs_system_descriptor_max(void)
{
    return 65536;
}

uint64_t fs_system_stack_limit(void)
{
    return 8u << 20;
}

void fs_system_quiet_pipe(void)
{
}

unsigned world_unix_count(void)
{
    unsigned count = 0;
    for (const struct unix_socket *at = unix_all(); at; at = at->next) {
        count++;
    }
    return count;
}

uint64_t linux_clock_now(bool realtime)
{
    struct timespec now;
    clock_gettime(realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ------------------------------------------------------------------- start, calls */

struct writer {
    uint8_t bytes[1 << 20];
    uint32_t size;
};

static struct cella_program_text text_put(struct writer *writer, const char *text)
{
    const struct cella_program_text put = {.offset = writer->size,
                                           .size = text ? (uint32_t)strlen(text) : 0};
    if (text) {
        memcpy(writer->bytes + writer->size, text, put.size);
    }
    writer->size += put.size;
    return put;
}

static uint32_t bytes_put(struct writer *writer, const void *bytes, size_t size)
{
    writer->size = (writer->size + 7) & ~7u;
    const uint32_t offset = writer->size;
    memcpy(writer->bytes + offset, bytes, size);
    writer->size += (uint32_t)size;
    return offset;
}

static void files_put(struct writer *writer, struct cella_program *head, const struct world *world)
{
    struct cella_program_file files[64];
    struct cella_program_mount mounts[16];
    memset(files, 0, sizeof(files));
    memset(mounts, 0, sizeof(mounts));
    for (size_t i = 0; i < world->file_count; i++) {
        const struct world_file *from = &world->files[i];
        files[i] = (struct cella_program_file){.path = text_put(writer, from->path),
                                               .source = text_put(writer, from->source),
                                               .link = text_put(writer, from->link),
                                               .size = from->size,
                                               .mode = from->mode};
        if (!from->link) {
            SHA256(from->content, from->size, files[i].hash);
            files[i].hash[0] ^= from->wrong_hash;
        }
        if (!from->source && !from->link) {
            files[i].content = bytes_put(writer, from->content, from->size);
        }
    }
    for (size_t i = 0; i < world->mount_count; i++) {
        const struct world_mount *from = &world->mounts[i];
        mounts[i] = (struct cella_program_mount){.target = text_put(writer, from->target),
                                                 .source = text_put(writer, from->source),
                                                 .kind = from->kind,
                                                 .flags = from->flags};
    }
    head->files = (struct cella_program_list){
        .offset = bytes_put(writer, files, world->file_count * sizeof(files[0])),
        .count = (uint32_t)world->file_count};
    head->mounts = (struct cella_program_list){
        .offset = bytes_put(writer, mounts, world->mount_count * sizeof(mounts[0])),
        .count = (uint32_t)world->mount_count};
}

uint32_t world_start(const struct world *world, const char *root)
{
    static struct writer writer;
    struct cella_program_description description;
    const struct cella_program_load load = {.address = 0x400000, .size = 4096, .rights = 5};
    struct cella_program head = {.magic = CELLA_PROGRAM_MAGIC,
                                 .version = CELLA_PROGRAM_VERSION,
                                 .entry = 0x400000,
                                 .loads_end = 0x401000,
                                 .break_start = 0x401000,
                                 .flags = world->flags,
                                 .user = world->user};
    const char *part = "";
    world_user = world->user;
    world_host_start(root);
    writer.size = sizeof(head);
    head.executable = text_put(&writer, "/bin/prog");
    head.directory = text_put(&writer, world->directory ? world->directory : "/");
    head.host_name = text_put(&writer, "inside");
    head.loads =
        (struct cella_program_list){.offset = bytes_put(&writer, &load, sizeof(load)), .count = 1};
    const struct cella_program_text argument = text_put(&writer, "prog");
    head.arguments = (struct cella_program_list){
        .offset = bytes_put(&writer, &argument, sizeof(argument)), .count = 1};
    files_put(&writer, &head, world);
    head.size = writer.size;
    memcpy(writer.bytes, &head, sizeof(head));
    cella_result result = cella_program_description_take(cella_bytes_of(writer.bytes, writer.size),
                                                         &description, &part);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "description: %s: %u\n", part, result.code);
        abort();
    }
    const char *directory = world->host_directory ? world->host_directory : "/";
    result = fs_start(&description, cella_bytes_of(directory, strlen(directory)));
    return result.code;
}

long world_call(long number, ...)
{
    uint64_t words[6];
    long result = -ENOSYS;
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        words[i] = va_arg(list, uint64_t);
    }
    va_end(list);
    struct cella_regs regs = {.rax = (uint64_t)number,
                              .rdi = words[0],
                              .rsi = words[1],
                              .rdx = words[2],
                              .r10 = words[3],
                              .r8 = words[4],
                              .r9 = words[5]};
    return linux_unix_syscall(&regs, &result) || linux_netlink_syscall(&regs, &result) ||
                   fs_syscall(&regs, &result)
               ? result
               : cella_kernel_syscall(&regs);
}
