/*
 * A host that has nothing of Cella's runtime: it opens /dev/sgx_enclave, makes the ioctls and calls the vDSO, as on
 * an SGX machine. The signed file is read by image/, nothing else of the repository is linked.
 * Side: host (test). Run under `cella soft --`; on SGX hardware it runs as it is.
 */
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/call.h"
#include "abi/sgx_linux.h"
#include "image/image.h"

#define ARENA_SIZE 65536u

/* probe_host.S */
struct probe_call {
    uint64_t in[6]; /* rdi rsi rdx r8 r9 r14 */
    uint64_t out[6];
    uint64_t function;
    uint64_t stack;
};
long probe_call(sgx_linux_enter_fn enter, struct probe_call *call, struct sgx_linux_run *run);

static void must(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "raw_host: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

/* The vDSO's symbol, by its dynamic section, as the kernel's own selftest looks it up. */
static sgx_linux_enter_fn find_enter(void)
{
    const uint8_t *base = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
    must(base != NULL, "AT_SYSINFO_EHDR");
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)base;
    const Elf64_Phdr *segments = (const Elf64_Phdr *)(base + header->e_phoff);
    const Elf64_Dyn *dynamic = NULL;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_DYNAMIC) {
            dynamic = (const Elf64_Dyn *)(base + segments[i].p_offset);
        }
    }
    const Elf64_Sym *symbols = NULL;
    const char *strings = NULL;
    const uint32_t *hash = NULL;
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_SYMTAB) {
            symbols = (const Elf64_Sym *)(base + dynamic->d_un.d_ptr);
        } else if (dynamic->d_tag == DT_STRTAB) {
            strings = (const char *)base + dynamic->d_un.d_ptr;
        } else if (dynamic->d_tag == DT_HASH) {
            hash = (const uint32_t *)(base + dynamic->d_un.d_ptr);
        }
    }
    must(symbols && strings && hash, "vDSO without DT_SYMTAB, DT_STRTAB or DT_HASH");
    for (uint32_t i = 0; i < hash[1]; i++) {
        if (strcmp(strings + symbols[i].st_name, SGX_LINUX_VDSO_SYMBOL) == 0) {
            return (sgx_linux_enter_fn)(base + symbols[i].st_value);
        }
    }
    must(0, "vDSO without " SGX_LINUX_VDSO_SYMBOL);
    return NULL;
}

static struct cella_bytes read_image(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &status) == 0, path);
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    must(data != MAP_FAILED, path);
    close(fd);
    return cella_bytes_of(data, (size_t)status.st_size);
}

/* ADD_PAGES and the mapping of one run. The page buffer makes up for data that is no executable mapping. */
static void add_run(int fd, uint64_t base, const struct cella_image_run *run)
{
    static _Alignas(4096) uint8_t page[SGX_PAGE_SIZE];
    _Alignas(64) struct sgx_secinfo secinfo = {.flags = run->secinfo_flags};
    for (uint64_t i = 0; i < run->page_count; i++) {
        memset(page, 0, sizeof(page));
        if (run->data) {
            memcpy(page, run->data + i * SGX_PAGE_SIZE, SGX_PAGE_SIZE);
        }
        struct sgx_linux_add_pages add = {
            .src = (uint64_t)(uintptr_t)page,
            .offset = run->offset + i * SGX_PAGE_SIZE,
            .length = SGX_PAGE_SIZE,
            .secinfo = (uint64_t)(uintptr_t)&secinfo,
            .flags = run->measured ? SGX_LINUX_PAGE_MEASURE : 0,
        };
        must(ioctl(fd, SGX_LINUX_IOC_ENCLAVE_ADD_PAGES, &add) == 0 && add.count == SGX_PAGE_SIZE,
             "ADD_PAGES");
    }
    bool tcs = (run->secinfo_flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_TCS;
    int prot = tcs ? PROT_READ | PROT_WRITE : (int)(run->secinfo_flags & SGX_SECINFO_RWX);
    must(mmap((void *)(base + run->offset), run->page_count * SGX_PAGE_SIZE, prot,
              MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED,
         "mmap of the enclave");
}

/* Gives the linear address of the first TCS. */
static uint64_t build(int fd, const struct cella_image *image, struct sgx_secs *secs)
{
    static struct cella_image_iterator iterator;
    struct cella_image_run run;
    uint64_t tcs = 0;
    uint8_t *area = mmap(NULL, 2 * secs->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(area != MAP_FAILED, "reserving the range");
    secs->base = ((uint64_t)(uintptr_t)area + secs->size - 1) & ~(secs->size - 1);
    struct sgx_linux_create create = {.src = (uint64_t)(uintptr_t)secs};
    must(ioctl(fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &create) == 0, "CREATE");
    cella_image_iterator_init(&iterator, image);
    while (cella_image_next(&iterator, &run)) {
        add_run(fd, secs->base, &run);
        if (run.kind == CELLA_IMAGE_RUN_TCS && tcs == 0) {
            tcs = secs->base + run.offset;
        }
    }
    struct sgx_linux_init init = {.sigstruct = (uint64_t)(uintptr_t)&image->sigstruct};
    must(ioctl(fd, SGX_LINUX_IOC_ENCLAVE_INIT, &init) == 0, "INIT");
    return tcs;
}

static void enter(sgx_linux_enter_fn function, uint64_t tcs, struct probe_call *call)
{
    struct sgx_linux_run run = {.tcs = tcs};
    call->function = SGX_EENTER;
    must(probe_call(function, call, &run) == 0 && run.function == SGX_EEXIT, "entering");
    must((call->out[0] & 0xFF) == CELLA_EXIT_DONE && call->out[1] == CELLA_CODE_OK,
         "the enclave's answer");
}

int main(int argc, char **argv)
{
    struct cella_image image;
    struct cella_error error = {0};
    static _Alignas(4096) struct sgx_secs secs;
    if (argc != 2) {
        fprintf(stderr, "usage: raw_host IMAGE\n");
        return 2;
    }
    if (!cella_is_ok(cella_image_parse(read_image(argv[1]), &image, &error))) {
        fprintf(stderr, "raw_host: %s: %s\n", argv[1], error.text);
        return 1;
    }
    const struct cella_image_processor processor = {.xfrm = SGX_XFRM_LEGACY};
    if (!cella_is_ok(cella_image_secs(&image, &processor, &secs, &error))) {
        fprintf(stderr, "raw_host: %s: %s\n", argv[1], error.text);
        return 1;
    }
    int fd = open(SGX_LINUX_ENCLAVE_NODE, O_RDWR | O_CLOEXEC);
    must(fd >= 0, SGX_LINUX_ENCLAVE_NODE);
    uint64_t tcs = build(fd, &image, &secs);
    sgx_linux_enter_fn function = find_enter();
    void *arena =
        mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(arena != MAP_FAILED, "arena");
    static _Alignas(64) struct cella_call_init init;
    init.arenas = (uint64_t)(uintptr_t)arena;
    init.arena_stride = ARENA_SIZE;
    static struct cella_call_cpuid rows[] = {{.leaf = 0}, {.leaf = 1}, {.leaf = 7}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        __cpuid_count(rows[i].leaf, 0, rows[i].eax, rows[i].ebx, rows[i].ecx, rows[i].edx);
    }
    init.cpuid = (uint64_t)(uintptr_t)rows;
    init.cpuid_count = sizeof(rows) / sizeof(rows[0]);
    struct probe_call start = {.in = {CELLA_ENTER_INIT, (uint64_t)(uintptr_t)&init, sizeof(init)}};
    enter(function, tcs, &start);
    static _Alignas(16) char text[64];
    struct probe_call hello = {
        .in = {CELLA_ENTER_ECALL, 0, 0, (uint64_t)(uintptr_t)text, sizeof(text)}};
    enter(function, tcs, &hello);
    printf("%.*s\n", (int)sizeof(text), text);
    return strcmp(text, "Hello, world") == 0 ? 0 : 1;
}
