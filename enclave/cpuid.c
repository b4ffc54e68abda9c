/*
 * CPUID inside the enclave: answers from a table that the host read, cut down to what the enclave may use.
 * Side: enclave. Called by INIT and by the exception handler. CPUID itself is not possible inside.
 * Never lets the host switch on a feature that XFRM forbids; what else it says about the processor is only a hint.
 */
#include "enclave/kernel.h"

static struct cella_call_cpuid cpuid_table[CELLA_CALL_CPUID_MAX];
static uint32_t cpuid_count;

#define ECX1_XSAVE (1u << 26)
#define ECX1_OSXSAVE (1u << 27)
#define ECX1_AVX_GROUP (1u << 12 | 1u << 28 | 1u << 29) /* FMA, AVX, F16C */
#define ECX1_RDRAND (1u << 30)
/*
 * What every processor with SGX has: SSE3, PCLMULQDQ, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT, AES. A host that denied them
 * would send libraries to ciphers in tables, whose cache lines it can watch.
 */
#define ECX1_BASE                                                                                  \
    (1u << 0 | 1u << 1 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23 | 1u << 25)
#define EDX1_BASE                                                                                  \
    (1u << 0 | 1u << 8 | 1u << 15 | 1u << 24 | 1u << 25 | 1u << 26) /* x86-64 baseline */
#define EBX7_AVX2 (1u << 5)
#define EBX7_AVX512                                                                                \
    (1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31)
#define EBX7_TSX (1u << 4 | 1u << 11)
#define EBX7_MPX (1u << 14)
#define ECX7_AVX512 (1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14)
#define ECX7_AVX (1u << 9 | 1u << 10) /* VAES, VPCLMULQDQ */
#define ECX7_PKU (1u << 3 | 1u << 4)
#define ECX7_CET (1u << 7)
#define EDX7_AVX512 (1u << 2 | 1u << 3 | 1u << 8 | 1u << 23)
#define EDX7_AMX (1u << 22 | 1u << 24 | 1u << 25)
#define EDX7_CET (1u << 20)

static void leaf1_check(struct cella_call_cpuid *row, uint64_t xfrm)
{
    row->edx |= EDX1_BASE;
    row->ecx |= ECX1_BASE | ECX1_XSAVE | ECX1_OSXSAVE | ECX1_RDRAND;
    if ((xfrm & SGX_XFRM_AVX) == 0) {
        row->ecx &= ~ECX1_AVX_GROUP;
    }
    row->ebx &= 0x00FFFFFFu; /* the APIC number says where the host has put us */
}

static void leaf7_check(struct cella_call_cpuid *row, uint64_t xfrm)
{
    if (row->subleaf != 0) {
        if ((xfrm & SGX_XFRM_AVX512) != SGX_XFRM_AVX512) {
            row->eax = row->ebx = row->ecx = row->edx = 0;
        }
        return;
    }
    row->ebx &= ~(EBX7_TSX | EBX7_MPX);
    row->ecx &= ~(ECX7_CET | ECX7_PKU);
    row->edx &= ~(EDX7_CET | EDX7_AMX);
    if ((xfrm & SGX_XFRM_AVX) == 0) {
        row->ebx &= ~EBX7_AVX2;
        row->ecx &= ~ECX7_AVX;
    }
    if ((xfrm & SGX_XFRM_AVX512) != SGX_XFRM_AVX512) {
        row->ebx &= ~EBX7_AVX512;
        row->ecx &= ~ECX7_AVX512;
        row->edx &= ~EDX7_AVX512;
    }
}

/* XSAVE's own leaf must agree with XFRM, and with the size of an SSA frame. */
static cella_result leafd_check(struct cella_call_cpuid *row, uint64_t xfrm)
{
    if (row->subleaf == 0) {
        row->eax = (uint32_t)xfrm;
        row->edx = (uint32_t)(xfrm >> 32);
        CELLA_ENSURE(row->ebx >= 576 && row->ebx <= 12288, HOST_VALUE);
        if (row->ecx < row->ebx || row->ecx > 12288) {
            row->ecx = row->ebx;
        }
    } else if (row->subleaf == 1) {
        row->ebx = 0;
        row->ecx = 0;
        row->edx = 0;
    } else if (row->subleaf < 64 && (xfrm >> row->subleaf & 1) == 0) {
        row->eax = row->ebx = row->ecx = row->edx = 0;
    }
    return CELLA_OK;
}

/* The standard-format XSAVE area of `xfrm`: sizes of the components that SDM Vol. 1, 13.4 fixes in practice. */
static uint64_t xsave_size_of(uint64_t xfrm)
{
    uint64_t size = 576;
    for (uint32_t i = 0; i < cpuid_count; i++) {
        const struct cella_call_cpuid *row = &cpuid_table[i];
        if (row->leaf == 0xD && row->subleaf >= 2 && row->subleaf < 63 &&
            (xfrm >> row->subleaf & 1) != 0 && row->eax <= 12288 && row->ebx <= 12288 &&
            (uint64_t)row->eax + row->ebx > size) {
            size = (uint64_t)row->eax + row->ebx;
        }
    }
    return size;
}

cella_result cella_cpuid_init(uint64_t table, uint32_t count)
{
    const uint64_t xfrm = cella_kernel.attributes.xfrm;
    const uint64_t frame = (uint64_t)cella_image_info.ssa_frame_pages * SGX_PAGE_SIZE;
    CELLA_TRY(
        cella_copy_in(cpuid_table, cella_host_pointer(table), count * sizeof(cpuid_table[0])));
    cpuid_count = count;
    bool has_leaf1 = false;
    for (uint32_t i = 0; i < count; i++) {
        if (cpuid_table[i].leaf == 1) {
            has_leaf1 = true;
            leaf1_check(&cpuid_table[i], xfrm);
        } else if (cpuid_table[i].leaf == 7) {
            leaf7_check(&cpuid_table[i], xfrm);
        } else if (cpuid_table[i].leaf == 0xD) {
            CELLA_TRY(leafd_check(&cpuid_table[i], xfrm));
        }
    }
    /* The host's word for the size is not enough: the frame, which ECREATE has checked, bounds it from above. */
    cella_xsave_size = (frame + 63) & ~63ull;
    CELLA_ENSURE(xsave_size_of(xfrm) <= frame, HOST_VALUE);
    CELLA_ENSURE(has_leaf1, HOST_VALUE);
    return CELLA_OK;
}

void cella_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t ret_regs[4])
{
    ret_regs[0] = ret_regs[1] = ret_regs[2] = ret_regs[3] = 0;
    for (uint32_t i = 0; i < cpuid_count; i++) {
        const struct cella_call_cpuid *row = &cpuid_table[i];
        if (row->leaf == leaf && (row->subleaf == subleaf || row->subleaf == 0xFFFFFFFFu)) {
            ret_regs[0] = row->eax;
            ret_regs[1] = row->ebx;
            ret_regs[2] = row->ecx;
            ret_regs[3] = row->edx;
            return;
        }
    }
}
