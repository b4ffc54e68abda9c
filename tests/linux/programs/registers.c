/*
 * Registers over system calls that leave the enclave: XMM, mask, YMM, ZMM and x87 registers come back as they were, whichever
 * of them are in use.
 * Side: a program of the tests, built static for each libc. Prints the same natively and in an enclave.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 50

#define EACH_8(m) m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7)
#define EACH_16(m) EACH_8(m) m(8) m(9) m(10) m(11) m(12) m(13) m(14) m(15)
#define EACH_32(m)                                                                                 \
    EACH_16(m)                                                                                     \
    m(16) m(17) m(18) m(19) m(20) m(21) m(22) m(23) m(24) m(25) m(26) m(27) m(28) m(29) m(30) m(31)

#define XMM_LOAD(n) "movups 16*" #n "(%[in]), %%xmm" #n "\n\t"
#define XMM_STORE(n) "movups %%xmm" #n ", 16*" #n "(%[out])\n\t"
#define YMM_LOAD(n) "vmovups 32*" #n "(%[in]), %%ymm" #n "\n\t"
#define YMM_STORE(n) "vmovups %%ymm" #n ", 32*" #n "(%[out])\n\t"
#define ZMM_LOAD(n) "vmovups 64*" #n "(%[in]), %%zmm" #n "\n\t"
#define ZMM_STORE(n) "vmovups %%zmm" #n ", 64*" #n "(%[out])\n\t"
#define MASK_LOAD(n) "kmovq 2048+8*" #n "(%[in]), %%k" #n "\n\t"
#define MASK_STORE(n) "kmovq %%k" #n ", 2048+8*" #n "(%[out])\n\t"

static uint8_t in[4096] __attribute__((aligned(64)));
static uint8_t out[4096] __attribute__((aligned(64)));
static const struct timespec moment = {0, 1};

/* nanosleep (35), in a function of its own: the signer's disassembler need not know the instructions around it to rewrite it. */
__asm__(
    ".type leave, @function\nleave:\n\tmov $35, %eax\n\tsyscall\n\tret\n\t.size leave, . - leave");
#define LEAVE "sub $128, %%rsp\n\tcall leave\n\tadd $128, %%rsp\n\t"

/* nanosleep leaves the enclave. XMM registers are set by SSE, so that what lies above them stays out of use. */
#define OVER(load, store)                                                                          \
    __asm__ volatile(load LEAVE store                                                              \
                     : "=a"(result)                                                                \
                     : "a"(SYS_nanosleep), "D"(&moment), "S"(0), [in] "r"(in), [out] "r"(out)      \
                     : "rcx", "r11", "memory", "cc")

/* All above XMM goes out of use, the higher registers that a libc's string functions like, too. */
static void vectors_unused(void)
{
    static const uint8_t initial[4096] __attribute__((aligned(64)));
    __asm__ volatile("xrstor64 %0" : : "m"(initial), "a"(0xE4), "d"(0) : "memory");
}

static void xmm_only(void)
{
    long result;
    vectors_unused();
    OVER(EACH_16(XMM_LOAD), EACH_16(XMM_STORE));
}

static void xmm_and_masks(void)
{
    long result;
    vectors_unused();
    OVER(EACH_16(XMM_LOAD) EACH_8(MASK_LOAD), EACH_16(XMM_STORE) EACH_8(MASK_STORE));
}

static void ymm(void)
{
    long result;
    OVER(EACH_16(YMM_LOAD), EACH_16(YMM_STORE) "vzeroupper\n\t");
}

static void zmm(void)
{
    long result;
    OVER(EACH_32(ZMM_LOAD), EACH_32(ZMM_STORE) "vzeroupper\n\t");
}

static void zmm_and_masks(void)
{
    long result;
    OVER(EACH_32(ZMM_LOAD) EACH_8(MASK_LOAD),
         EACH_32(ZMM_STORE) EACH_8(MASK_STORE) "vzeroupper\n\t");
}

static void compare(const char *name, void (*over)(void), size_t vectors, size_t masks)
{
    long bad = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < sizeof(in); i++) {
            in[i] = (uint8_t)(i * 7 + (size_t)round * 13 + i / 256 + 1);
        }
        memset(out, 0, sizeof(out));
        over();
        bad += memcmp(in, out, vectors) != 0 || memcmp(in + 2048, out + 2048, masks) != 0;
    }
    printf("%s: %ld bad\n", name, bad);
}

/* Two values on the register stack, a control word of its own, and a rounding mode in MXCSR. */
static void x87(void)
{
    long bad = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const double values[2] = {1.5 + round, -3.25 * round};
        double back[2];
        const uint16_t wanted = 0x0F7F;
        const uint32_t rounding = 0x7F80;
        uint16_t control = 0, usual;
        uint32_t status = 0, before;
        long result;
        __asm__ volatile(
            "fnstcw %[usual]\n\tstmxcsr %[before]\n\tfldcw %[wanted]\n\tldmxcsr %[rounding]\n\t"
            "fldl %[first]\n\tfldl %[second]\n\t" LEAVE "fstpl %[back_second]\n\tfstpl "
            "%[back_first]\n\t"
            "fnstcw %[control]\n\tstmxcsr %[status]\n\tfldcw %[usual]\n\tldmxcsr %[before]"
            : "=a"(result), [back_first] "=m"(back[0]), [back_second] "=m"(back[1]),
              [control] "=m"(control), [status] "=m"(status), [usual] "=m"(usual),
              [before] "=m"(before)
            : "a"(SYS_nanosleep), "D"(&moment), "S"(0), [first] "m"(values[0]),
              [second] "m"(values[1]), [wanted] "m"(wanted), [rounding] "m"(rounding)
            : "rcx", "r11", "memory", "cc");
        bad += memcmp(values, back, sizeof(values)) != 0 || control != wanted ||
               (status & 0xFFC0) != rounding;
    }
    printf("x87: %ld bad\n", bad);
}

int main(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512bw")) {
        compare("xmm and masks", xmm_and_masks, 256, 64);
        compare("zmm", zmm, 2048, 0);
        compare("xmm and masks, after zmm", xmm_and_masks, 256, 64);
        compare("zmm and masks", zmm_and_masks, 2048, 64);
    }
    if (__builtin_cpu_supports("avx")) {
        compare("xmm", xmm_only, 256, 0);
        compare("ymm", ymm, 512, 0);
        compare("xmm, after ymm", xmm_only, 256, 0);
        x87();
        compare("xmm, after x87", xmm_only, 256, 0);
    }
    x87();
    return 0;
}
