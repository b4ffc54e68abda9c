/*
 * How close the software processor's enclave build comes to what SHA-256 allows.
 * Side: host. Run by `make bench`; prints `name value goal ok|short`, the value being a ratio of
 * this run. The peer is OpenSSL's SHA-256 over 16 KiB blocks, as `openssl speed` measures it, on
 * the same machine.
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "soft/driver.h"
#include "soft/encls.h"

#define PAGES 16384ull
#define ROUNDS 5
#define GOAL 0.80
#define SPACE_GOAL 5.0

/* The transitions are not linked here. */
void soft_patch_exit_sites(struct soft_enclave *enclave)
{
    (void)enclave;
}

void soft_forget_enclave(struct soft_enclave *enclave)
{
    (void)enclave;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Bytes per second. */
static double hash_rate(void)
{
    static uint8_t block[16384];
    uint8_t digest[32];
    double start = now();
    double elapsed;
    uint64_t bytes = 0;
    do {
        for (int i = 0; i < 200; i++) {
            EVP_Digest(block, sizeof(block), digest, NULL, EVP_sha256(), NULL);
            bytes += sizeof(block);
        }
        elapsed = now() - start;
    } while (elapsed < 0.15);
    return (double)bytes / elapsed;
}

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "soft_create: %s failed\n", what);
        exit(1);
    }
}

/* Seconds that ADD_PAGES takes for all pages, `step` pages a call. */
static double build(const uint8_t *source, uint64_t step)
{
    struct sgx_secinfo secinfo = {.flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_X};
    struct sgx_secs secs = {.size = PAGES * 4096 * 2,
                            .base = 0x700000000000ull,
                            .ssa_frame_size = 1,
                            .attributes = {.flags = SGX_FLAGS_MODE64BIT, .xfrm = SGX_XFRM_LEGACY}};
    struct sgx_linux_create create = {.src = (uint64_t)(uintptr_t)&secs};
    int fd = soft_open_node(SGX_LINUX_ENCLAVE_NODE, O_RDWR);
    must(fd >= 0 && !soft_ioctl(fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &create), "CREATE");
    double start = now();
    for (uint64_t at = 0; at < PAGES; at += step) {
        struct sgx_linux_add_pages add = {.src = (uint64_t)(uintptr_t)source + at * 4096,
                                          .offset = at * 4096,
                                          .length = step * 4096,
                                          .secinfo = (uint64_t)(uintptr_t)&secinfo,
                                          .flags = SGX_LINUX_PAGE_MEASURE};
        must(!soft_ioctl(fd, SGX_LINUX_IOC_ENCLAVE_ADD_PAGES, &add), "ADD_PAGES");
    }
    double elapsed = now() - start;
    soft_close_fd(fd);
    close(fd);
    return elapsed;
}

static void report(const char *name, const uint8_t *source, uint64_t step)
{
    double best = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double rate = hash_rate();
        double limit = (double)(PAGES * SOFT_PAGE_BLOCK_SIZE) / rate;
        double ratio = limit / build(source, step);
        best = ratio > best ? ratio : best;
    }
    printf("%s %.3f %.2f %s\n", name, best, GOAL, best >= GOAL ? "ok" : "short");
}

/*
 * Milliseconds that an enclave at address 0 costs beyond a small one, when 64 GiB of it are mapped and nothing is there
 * yet: made, mapped, unmapped and closed.
 */
static double space_once(uint64_t size, uint64_t base, uint64_t low, uint64_t length)
{
    struct sgx_secs secs = {.size = size,
                            .base = base,
                            .ssa_frame_size = 1,
                            .attributes = {.flags = SGX_FLAGS_MODE64BIT, .xfrm = SGX_XFRM_LEGACY}};
    struct sgx_linux_create create = {.src = (uint64_t)(uintptr_t)&secs};
    const int prot = PROT_READ | PROT_WRITE;
    int result = -1;
    double start = now();
    int fd = soft_open_node(SGX_LINUX_ENCLAVE_NODE, O_RDWR);
    must(fd >= 0 && !soft_ioctl(fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &create), "CREATE");
    must(soft_mmap((void *)low, length, prot, MAP_SHARED | MAP_FIXED, fd, 0) == (long)low, "mmap");
    must(soft_munmap((void *)low, length, &result) && result == 0, "munmap");
    soft_close_fd(fd);
    close(fd);
    return (now() - start) * 1e3;
}

static void report_space(void)
{
    double large = 1e9, small = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double l = space_once(1ull << 37, 0, 0x10000, (1ull << 36) - 0x10000);
        double s = space_once(1ull << 21, 0x700000000000ull, 0x700000000000ull, 1ull << 20);
        large = l < large ? l : large;
        small = s < small ? s : small;
    }
    printf("soft_create_space_ms %.3f %.2f %s\n", large - small, SPACE_GOAL,
           large - small <= SPACE_GOAL ? "ok" : "short");
}

int main(void)
{
    report_space();
    uint8_t *source = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    must(source != MAP_FAILED, "mmap");
    for (uint64_t i = 0; i < PAGES * 4096; i++) {
        source[i] = (uint8_t)(i * 167 + (i >> 12));
    }
    report("soft_create_64MiB", source, PAGES);
    report("soft_create_256KiB_segments", source, 64);
    return 0;
}
