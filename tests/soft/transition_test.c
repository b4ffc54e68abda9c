/*
 * EENTER, ERESUME, EEXIT, EDECCSSA and AEX by the manual: each check in its order, what faults report, what the
 * SSA frame holds.
 * Side: tests (host). Run by meson.
 */
#include "tests/soft/probe_bench.h"

#include <string.h>

#define EPCM_READ (SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_SGX)
#define EPCM_WRITE (EPCM_READ | SGX_PF_WRITE)

/* ------------------------------------------------------------------ the checks of EENTER */

static struct soft_epcm *epcm_of(const struct probe *p, uint64_t address)
{
    return &p->enclave->epcm[(address - p->enclave->base) >> SGX_PAGE_SHIFT];
}

static void spoil_flags(struct probe *p, uint64_t address, uint32_t clear, uint32_t set)
{
    struct soft_epcm *entry = epcm_of(p, address);
    atomic_store(&entry->flags, (atomic_load(&entry->flags) & ~clear) | set);
    probe_touch(p);
}

static void spoil_blocked(struct probe *p)
{
    spoil_flags(p, p->tcs, 0, SOFT_EPCM_BLOCKED);
}

static void spoil_type(struct probe *p)
{
    spoil_flags(p, p->tcs, SGX_SECINFO_TYPE_MASK, SGX_SECINFO_REG);
}

static void spoil_pending(struct probe *p)
{
    spoil_flags(p, p->tcs, 0, SGX_SECINFO_PENDING);
}

static void spoil_modified(struct probe *p)
{
    spoil_flags(p, p->tcs, 0, SGX_SECINFO_MODIFIED);
}

static void spoil_ossa(struct probe *p)
{
    probe_tcs(p)->ossa |= 0x800;
}

static void spoil_fs_base(struct probe *p)
{
    probe_tcs(p)->ofs_base |= 1;
}

static void spoil_gs_base(struct probe *p)
{
    probe_tcs(p)->ogs_base |= 1;
}

static void spoil_tcs_flags(struct probe *p)
{
    probe_tcs(p)->flags |= 1ull << 5;
}

static void spoil_aex_notify(struct probe *p)
{
    probe_tcs(p)->flags |= SGX_TCS_AEXNOTIFY; /* without the attribute it is reserved */
}

static void spoil_init(struct probe *p)
{
    p->enclave->shared->secs.attributes.flags &= ~SGX_FLAGS_INIT;
}

static void spoil_mode(struct probe *p)
{
    p->enclave->shared->secs.attributes.flags &= ~SGX_FLAGS_MODE64BIT;
}

static void spoil_xfrm(struct probe *p)
{
    p->enclave->shared->secs.attributes.xfrm |= 1ull << 62;
}

static void spoil_nssa(struct probe *p)
{
    probe_tcs(p)->nssa = 0;
}

static void spoil_ssa_place(struct probe *p)
{
    probe_tcs(p)->ossa = PROBE_PAGES * SGX_PAGE_SIZE;
}

static void spoil_ssa_permissions(struct probe *p)
{
    spoil_flags(p, p->tcs + SGX_PAGE_SIZE, SGX_SECINFO_W, 0);
}

static void spoil_ssa_pending(struct probe *p)
{
    spoil_flags(p, p->tcs + SGX_PAGE_SIZE, 0, SGX_SECINFO_PENDING);
}

static void spoil_entry(struct probe *p)
{
    probe_tcs(p)->oentry = 0x800000000000ull;
}

static void spoil_fs_canonical(struct probe *p)
{
    probe_tcs(p)->ofs_base = 0x800000000000ull;
}

static void spoil_state(struct probe *p)
{
    probe_tcs(p)->state = 1;
}

enum where { NOWHERE, TCS, SSA, BEHIND };

static const struct {
    const char *check;
    void (*spoil)(struct probe *p);
    uint8_t vector;
    uint32_t error;
    enum where where;
    bool alone; /* spoils the same field as another row */
} g_rows[] = {
    {SDM_COVERS("EENTER_04"), spoil_blocked, SGX_VECTOR_PF, EPCM_READ, TCS, false},
    {SDM_COVERS("EENTER_05"), spoil_type, SGX_VECTOR_PF, EPCM_READ, TCS, false},
    {SDM_COVERS("EENTER_06"), spoil_pending, SGX_VECTOR_PF, EPCM_READ, TCS, false},
    {SDM_COVERS("EENTER_06"), spoil_modified, SGX_VECTOR_PF, EPCM_READ, TCS, true},
    {SDM_COVERS("EENTER_08"), spoil_ossa, SGX_VECTOR_GP, 0, NOWHERE, false},
    {SDM_COVERS("EENTER_09"), spoil_fs_base, SGX_VECTOR_GP, 0, NOWHERE, false},
    {SDM_COVERS("EENTER_09"), spoil_gs_base, SGX_VECTOR_GP, 0, NOWHERE, true},
    {SDM_COVERS("EENTER_10"), spoil_tcs_flags, SGX_VECTOR_GP, 0, NOWHERE, false},
    {SDM_COVERS("EENTER_10"), spoil_aex_notify, SGX_VECTOR_GP, 0, NOWHERE, true},
    {SDM_COVERS("EENTER_11"), spoil_init, SGX_VECTOR_GP, 0, NOWHERE, false},
    {SDM_COVERS("EENTER_12"), spoil_mode, SGX_VECTOR_GP, 0, NOWHERE, false},
    {SDM_COVERS("EENTER_13"), spoil_xfrm, SGX_VECTOR_GP, 0, NOWHERE, false},
    {SDM_COVERS("EENTER_14"), spoil_nssa, SGX_VECTOR_GP, 0, NOWHERE, false},
    {SDM_COVERS("EENTER_15"), spoil_ssa_place, SGX_VECTOR_PF,
     SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_WRITE, BEHIND, true},
    {SDM_COVERS("EENTER_16"), spoil_ssa_permissions, SGX_VECTOR_PF, EPCM_WRITE, SSA, false},
    {SDM_COVERS("EENTER_16"), spoil_ssa_pending, SGX_VECTOR_PF, EPCM_WRITE, SSA, true},
    {SDM_COVERS("EENTER_17"), spoil_entry, SGX_VECTOR_GP, 0, NOWHERE, false},
    {SDM_COVERS("EENTER_18"), spoil_fs_canonical, SGX_VECTOR_GP, 0, NOWHERE, true},
    {SDM_COVERS("EENTER_19"), spoil_state, SGX_VECTOR_GP, 0, NOWHERE, false},
};
#define ROWS (sizeof(g_rows) / sizeof(g_rows[0]))

static void expect_refused(struct probe *p, size_t row)
{
    struct probe_call call = {0};
    uint64_t address = g_rows[row].where == TCS      ? p->tcs
                       : g_rows[row].where == SSA    ? p->tcs + SGX_PAGE_SIZE
                       : g_rows[row].where == BEHIND ? p->base + PROBE_PAGES * SGX_PAGE_SIZE
                                                     : 0;
    probe_touch(p);
    assert_int_equal(probe_run(p, p->tcs, SGX_EENTER, PROBE_NONE, &call), 0);
    assert_string_equal(soft_last_check, g_rows[row].check);
    assert_int_equal(p->run.function, SGX_EENTER);
    assert_int_equal(p->run.exception_vector, g_rows[row].vector);
    assert_int_equal(p->run.exception_error_code, g_rows[row].error);
    assert_int_equal(p->run.exception_addr, address);
}

static void expect_entered(struct probe *p, uint64_t tcs)
{
    struct probe_call call = {0};
    assert_int_equal(probe_run(p, tcs, SGX_EENTER, PROBE_NONE, &call), 0);
    assert_int_equal(p->run.function, SGX_EEXIT);
}

static void test_eenter_checks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct probe p;
        probe_open(&p, &(struct probe_options){0});
        expect_entered(&p, p.tcs); /* so that a cached entry is there to be distrusted */
        g_rows[i].spoil(&p);
        expect_refused(&p, i);
        bool whole_enclave = g_rows[i].spoil == spoil_init || g_rows[i].spoil == spoil_mode ||
                             g_rows[i].spoil == spoil_xfrm;
        if (!whole_enclave) {
            expect_entered(&p, p.tcs2);
        }
        probe_close(&p);
    }
}

/* Of two violations the one that the manual checks first is reported. */
static void test_eenter_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = i + 1; j < ROWS; j++) {
            if (g_rows[i].alone || g_rows[j].alone ||
                strcmp(g_rows[i].check, g_rows[j].check) == 0) {
                continue;
            }
            struct probe p;
            probe_open(&p, &(struct probe_options){0});
            g_rows[j].spoil(&p);
            g_rows[i].spoil(&p);
            expect_refused(&p, i);
            probe_close(&p);
        }
    }
}

static void test_eenter_address(void **state)
{
    (void)state;
    struct probe p;
    struct probe_call call = {0};
    probe_open(&p, &(struct probe_options){0});
    assert_int_equal(probe_run(&p, p.tcs + 8, SGX_EENTER, PROBE_NONE, &call), 0);
    assert_string_equal(soft_last_check, SDM_COVERS("EENTER_01"));
    assert_int_equal(p.run.exception_vector, SGX_VECTOR_GP);
    static _Alignas(4096) uint8_t plain[4096];
    assert_int_equal(probe_run(&p, (uint64_t)(uintptr_t)plain, SGX_EENTER, PROBE_NONE, &call), 0);
    assert_string_equal(soft_last_check, SDM_COVERS("EENTER_02"));
    assert_int_equal(p.run.exception_vector, SGX_VECTOR_PF);
    assert_int_equal(p.run.exception_addr, (uint64_t)(uintptr_t)plain);
    /* A hole is filled by the driver, and is no TCS then. */
    uint64_t hole = p.base + PROBE_PAGE_HOLE * SGX_PAGE_SIZE;
    assert_int_equal(probe_run(&p, hole, SGX_EENTER, PROBE_NONE, &call), 0);
    assert_string_equal(soft_last_check, SDM_COVERS("EENTER_05"));
    assert_int_equal(p.run.exception_addr, hole);
    probe_close(&p);
    /* Before EINIT nothing fills the hole. */
    probe_build(&p, &(struct probe_options){0});
    assert_int_equal(probe_run(&p, hole - hole + p.base + PROBE_PAGE_HOLE * SGX_PAGE_SIZE,
                               SGX_EENTER, PROBE_NONE, &call),
                     0);
    assert_string_equal(soft_last_check, SDM_COVERS("EENTER_03"));
    assert_int_equal(p.run.exception_vector, SGX_VECTOR_PF);
    assert_int_equal(probe_run(&p, p.tcs, SGX_EENTER, PROBE_NONE, &call), 0);
    assert_string_equal(soft_last_check, SDM_COVERS("EENTER_11"));
    probe_close(&p);
}

/* ------------------------------------------------------------------ the vDSO's own checks */

static int g_handled;
static int handler(long rdi, long rsi, long rdx, long ursp, long r8, long r9,
                   struct sgx_linux_run *run)
{
    (void)rdx;
    (void)r8;
    (void)r9;
    assert_int_equal(ursp & 7, 0);
    assert_int_equal(rdi, PROBE_NONE);
    assert_int_equal(rsi, 77);
    assert_int_equal(run->function, SGX_EEXIT);
    return ++g_handled == 1 ? -5 : g_handled == 2 ? 0 : 7; /* 7: no function to go on with */
}

static void test_vdso_call(void **state)
{
    (void)state;
    struct probe p;
    probe_open(&p, &(struct probe_options){0});
    for (size_t i = 0; i < sizeof(p.run.reserved); i++) {
        struct probe_call call = {.function = SGX_EENTER};
        memset(&p.run, 0, sizeof(p.run));
        p.run.tcs = p.tcs;
        p.run.reserved[i] = 1;
        assert_int_equal(probe_call(p.processor->enter(), &call, &p.run), -22);
    }
    static const uint32_t functions[] = {0, 1, 4, 5, 0xFFFFFFFF, 0x80000002};
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        struct probe_call call = {0};
        assert_int_equal(probe_run(&p, p.tcs, functions[i], PROBE_NONE, &call), -22);
    }
    static const long results[] = {-5, 0, -22};
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        struct probe_call call = {.in = {PROBE_NONE, 77}, .function = SGX_EENTER};
        memset(&p.run, 0, sizeof(p.run));
        p.run.tcs = p.tcs;
        p.run.user_handler = (uint64_t)(uintptr_t)handler;
        assert_int_equal(probe_call(p.processor->enter(), &call, &p.run), results[i]);
        assert_int_equal(g_handled, i + 1);
    }
    probe_close(&p);
}

/* ------------------------------------------------------------------ faults and what they leave */

struct fault {
    const char *name;
    uint64_t operation;
    uint64_t rsi, rdx; /* page of the enclave when `page` */
    bool page;
    uint8_t vector;
    uint32_t error;
    uint32_t exit_info, exit_info_exinfo; /* without and with MISCSELECT.EXINFO */
    uint64_t rip;
};

#define VALID SGX_EXITINFO_VALID
#define HARDWARE SGX_EXITINFO_TYPE_HARDWARE

static size_t all_faults(struct fault *faults)
{
    const struct fault list[] = {
        {"divide", PROBE_DIVIDE, 0, 0, false, 0, 0, VALID | HARDWARE | 0, VALID | HARDWARE | 0,
         PROBE_AT(divide)},
        {"undefined", PROBE_UNDEFINED, 0, 0, false, 6, 0, VALID | HARDWARE | 6,
         VALID | HARDWARE | 6, PROBE_AT(undefined)},
        {"breakpoint, no debug", PROBE_BREAKPOINT, 0, 0, false, 6, 0, VALID | HARDWARE | 6,
         VALID | HARDWARE | 6, PROBE_AT(breakpoint)},
        {"syscall", PROBE_SYSCALL, 0, 0, false, 6, 0, VALID | HARDWARE | 6, VALID | HARDWARE | 6,
         PROBE_AT(syscall)},
        {"int 80h", PROBE_INT80, 0, 0, false, 6, 0, VALID | HARDWARE | 6, VALID | HARDWARE | 6,
         PROBE_AT(int80)},
        {"in", PROBE_IN, 0, 0, false, 6, 0, VALID | HARDWARE | 6, VALID | HARDWARE | 6,
         PROBE_AT(in)},
        {"x87", PROBE_X87, 0, 0, false, 16, 0, VALID | HARDWARE | 16, VALID | HARDWARE | 16,
         PROBE_AT(x87)},
        {"simd", PROBE_SIMD, 0, 0, false, 19, 0, VALID | HARDWARE | 19, VALID | HARDWARE | 19,
         PROBE_AT(simd)},
        {"alignment", PROBE_ALIGN, PROBE_PAGE_DATA, 0, true, 17, 0, VALID | HARDWARE | 17,
         VALID | HARDWARE | 17, PROBE_AT(align)},
        {"general protection", PROBE_GENERAL, 0, 0, false, 13, 0, 0, VALID | HARDWARE | 13,
         PROBE_AT(general)},
        {"write to R", PROBE_WRITE, PROBE_PAGE_READ_ONLY, 1, true, 14, 7, 0, VALID | HARDWARE | 14,
         PROBE_AT(write)},
        {"read of a TCS", PROBE_READ, PROBE_PAGE_TCS, 0, true, 14, EPCM_READ, 0,
         VALID | HARDWARE | 14, PROBE_AT(read)},
        {"write to PENDING", PROBE_WRITE, PROBE_PAGE_HOLE, 1, true, 14, EPCM_WRITE, 0,
         VALID | HARDWARE | 14, PROBE_AT(write)},
    };
    memcpy(faults, list, sizeof(list));
    return sizeof(list) / sizeof(list[0]);
}

static void check_fault(struct probe *p, const struct fault *f)
{
    struct probe_call call = {.in = {0, f->rsi, f->rdx, 0x8888, 0x9999, 0x1414}};
    if (f->page) {
        call.in[1] = p->base + f->rsi * SGX_PAGE_SIZE;
    }
    probe_expect_fault(p, p->tcs, f->operation, &call, f->vector);
    assert_int_equal(p->run.exception_error_code, f->error);
    bool page = f->vector == SGX_VECTOR_PF;
    assert_int_equal(p->run.exception_addr, page ? call.in[1] : 0);
    const struct sgx_gprsgx *gpr = probe_gpr(p, p->tcs, 0);
    bool exinfo = p->misc_select & SGX_MISC_EXINFO;
    assert_int_equal(gpr->exit_info, exinfo ? f->exit_info_exinfo : f->exit_info);
    assert_int_equal(gpr->rip, p->base + f->rip);
    assert_int_equal(gpr->r8, 0x8888);
    assert_int_equal(gpr->r9, 0x9999);
    assert_int_equal(gpr->r14, 0x1414);
    assert_int_equal(gpr->fs_base, p->base + PROBE_PAGE_DATA * SGX_PAGE_SIZE);
    assert_int_equal(gpr->gs_base, p->base + PROBE_PAGE_CODE * SGX_PAGE_SIZE);
    const struct sgx_exinfo *info = (const void *)((const uint8_t *)gpr - sizeof(*info));
    if (exinfo && (f->exit_info_exinfo & 0xFF) == SGX_VECTOR_PF) {
        assert_int_equal(info->maddr, call.in[1]);
        assert_int_equal(info->errcd, f->error);
    } else if (exinfo && (f->exit_info_exinfo & 0xFF) == SGX_VECTOR_GP) {
        assert_int_equal(info->maddr, 0);
        assert_int_equal(info->errcd, 0);
    }
    assert_int_equal(probe_tcs(p)->cssa, 1);
    assert_int_equal(probe_tcs(p)->state, 0);
}

static void test_faults(void **state)
{
    (void)state;
    struct fault faults[32];
    size_t count = all_faults(faults);
    for (uint32_t misc = 0; misc <= SGX_MISC_EXINFO; misc++) {
        for (size_t i = 0; i < count; i++) {
            struct probe p;
            print_message("fault: %s, MISCSELECT %u\n", faults[i].name, misc);
            probe_open(&p, &(struct probe_options){.misc_select = misc});
            check_fault(&p, &faults[i]);
            probe_close(&p);
        }
    }
}

/* Opted in, INT3 is #BP of the software type: a signal at the AEP, not a return of the call. */
static void test_breakpoint_without_opt_in_reports_ud(void **state)
{
    (void)state;
    struct probe p;
    struct probe_call call = {0};
    probe_open(&p, &(struct probe_options){.flags = SGX_FLAGS_DEBUG});
    probe_expect_fault(&p, p.tcs, PROBE_BREAKPOINT, &call, SGX_VECTOR_UD);
    probe_close(&p);
}

static void test_pattern(void **state)
{
    (void)state;
    struct probe p;
    uint8_t vectors[64];
    for (size_t i = 0; i < sizeof(vectors); i++) {
        vectors[i] = (uint8_t)(i + 1);
    }
    probe_open(&p, &(struct probe_options){0});
    struct probe_call call = {.in = {0, (uint64_t)(uintptr_t)vectors}};
    probe_expect_fault(&p, p.tcs, PROBE_PATTERN, &call, SGX_VECTOR_UD);
    const struct sgx_gprsgx *gpr = probe_gpr(&p, p.tcs, 0);
    assert_int_equal(gpr->rax, 0x0101010101010101);
    assert_int_equal(gpr->rbx, 0x0202020202020202);
    assert_int_equal(gpr->rcx, 0x0303030303030303);
    assert_int_equal(gpr->rdx, 0x0404040404040404);
    assert_int_equal(gpr->rbp, 0x0505050505050505);
    assert_int_equal(gpr->rsp, 0x0606060606060606);
    assert_int_equal(gpr->rsi, (uint64_t)(uintptr_t)vectors);
    assert_int_equal(gpr->rdi, 0x0707070707070707);
    assert_int_equal(gpr->r8, 0x0808080808080808);
    assert_int_equal(gpr->r15 != 0, 1);
    assert_int_equal(gpr->r14, 0x0E0E0E0E0E0E0E0E);
    assert_int_equal(gpr->rflags & 0x401, 0x401); /* DF, CF */
    assert_int_equal(gpr->rflags & 0x100, 0);     /* TF */
    const uint8_t *ssa = probe_ssa(&p, p.tcs, 0);
    assert_memory_equal(ssa + 160, vectors, 16);                /* XMM0 */
    assert_memory_equal(ssa + 160 + 15 * 16, vectors + 32, 16); /* XMM15 */
    assert_memory_equal(ssa + 576, vectors + 16, 16); /* high half of YMM0, XSAVE standard format */
    uint64_t header[8];
    memcpy(header, ssa + 512, sizeof(header));
    assert_int_equal(header[0] & ~7ull, 0);
    assert_int_equal(header[0] & 6, 6);
    assert_int_equal(header[1], 0); /* XCOMP_BV */
    /* Synthetic state: what the enclave had is gone from the host's registers. */
    assert_int_equal(call.out[3], 0); /* r8 */
    assert_int_equal(call.out[4], 0); /* r9 */
    assert_int_equal(call.out[5], 0); /* r14 */
    uint8_t left[32];
    __asm__ volatile("vmovdqu %%ymm15, %0" : "=m"(left));
    assert_memory_not_equal(left, vectors + 32, 16);
    probe_close(&p);
}

static void test_avx512(void **state)
{
    (void)state;
    if ((soft_cpu_xcr0() & SGX_XFRM_AVX512) != SGX_XFRM_AVX512) {
        skip();
    }
    struct probe p;
    uint8_t in[72], out[72] = {0};
    for (size_t i = 0; i < sizeof(in); i++) {
        in[i] = (uint8_t)(0x80 + i);
    }
    probe_open(&p,
               &(struct probe_options){.xfrm = SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512});
    struct probe_call call = {.in = {0, (uint64_t)(uintptr_t)in, (uint64_t)(uintptr_t)out}};
    probe_expect_fault(&p, p.tcs, PROBE_AVX512, &call, SGX_VECTOR_UD);
    assert_int_equal(probe_gpr(&p, p.tcs, 0)->rip, p.base + PROBE_AT(avx512));
    probe_resume_behind(&p, p.tcs, 0, 2);
    assert_int_equal(p.run.function, SGX_EEXIT);
    assert_memory_equal(in, out, sizeof(in));
    probe_close(&p);
}

/* NSSA 3: two exceptions stack up, a third entry is refused, and each frame resumes. */
static void test_nested_exceptions(void **state)
{
    (void)state;
    struct probe p;
    struct probe_call call = {0};
    probe_open(&p, &(struct probe_options){0});
    probe_expect_fault(&p, p.tcs, PROBE_UNDEFINED, &call, SGX_VECTOR_UD);
    probe_expect_fault(&p, p.tcs, PROBE_DIVIDE, &call, SGX_VECTOR_DE);
    assert_int_equal(probe_tcs(&p)->cssa, 2);
    probe_expect_fault(&p, p.tcs, PROBE_GENERAL, &call, SGX_VECTOR_GP);
    assert_int_equal(probe_tcs(&p)->cssa, 3);
    assert_int_equal(probe_run(&p, p.tcs, SGX_EENTER, PROBE_NONE, &call), 0);
    assert_int_equal(p.run.function, SGX_EENTER);
    assert_int_equal(p.run.exception_vector, SGX_VECTOR_GP);
    assert_string_equal(soft_last_check, SDM_COVERS("EENTER_14"));
    probe_gpr(&p, p.tcs, 2)->rip =
        p.base; /* OENTRY with RDI as it was: an operation out of range */
    probe_gpr(&p, p.tcs, 2)->rdi = PROBE_COUNT;
    probe_gpr(&p, p.tcs, 2)->rcx = probe_gpr(&p, p.tcs, 2)->r15;
    assert_int_equal(probe_run(&p, p.tcs, SGX_ERESUME, 0, &call), 0);
    assert_int_equal(p.run.function, SGX_EEXIT);
    assert_int_equal(probe_tcs(&p)->cssa, 2);
    probe_resume_behind(&p, p.tcs, 1, 2); /* div %ecx */
    assert_int_equal(p.run.function, SGX_EEXIT);
    probe_resume_behind(&p, p.tcs, 0, 2); /* ud2 */
    assert_int_equal(p.run.function, SGX_EEXIT);
    assert_int_equal(probe_tcs(&p)->cssa, 0);
    probe_close(&p);
}

/* ------------------------------------------------------------------ the checks of ERESUME */

static void expect_resume_refused(struct probe *p, const char *check)
{
    struct probe_call call = {0};
    uint32_t cssa = probe_tcs(p)->cssa;
    assert_int_equal(probe_run(p, p->tcs, SGX_ERESUME, 0, &call), 0);
    assert_string_equal(soft_last_check, check);
    assert_int_equal(p->run.function, SGX_ERESUME);
    assert_int_equal(p->run.exception_vector, SGX_VECTOR_GP);
    assert_int_equal(probe_tcs(p)->cssa, cssa);
}

static void test_eresume_checks(void **state)
{
    (void)state;
    struct probe p;
    struct probe_call call = {0};
    probe_open(&p, &(struct probe_options){0});
    expect_resume_refused(&p, SDM_COVERS("ERESUME_01"));
    probe_expect_fault(&p, p.tcs, PROBE_UNDEFINED, &call, SGX_VECTOR_UD);
    struct sgx_gprsgx *gpr = probe_gpr(&p, p.tcs, 0), kept = *gpr;
    uint8_t *ssa = probe_ssa(&p, p.tcs, 0);
    gpr->rip = 1ull << 47;
    expect_resume_refused(&p, SDM_COVERS("ERESUME_02"));
    *gpr = kept;
    gpr->fs_base = 1ull << 63;
    expect_resume_refused(&p, SDM_COVERS("ERESUME_03"));
    *gpr = kept;
    ssa[512 + 7] = 0x80; /* XSTATE_BV beyond XFRM */
    expect_resume_refused(&p, SDM_COVERS("ERESUME_04"));
    ssa[512 + 7] = 0;
    ssa[520] = 1; /* XCOMP_BV */
    expect_resume_refused(&p, SDM_COVERS("ERESUME_05"));
    ssa[520] = 0;
    ssa[528] = 1; /* reserved */
    expect_resume_refused(&p, SDM_COVERS("ERESUME_05"));
    ssa[528] = 0;
    ssa[27] = 0x80; /* MXCSR */
    expect_resume_refused(&p, SDM_COVERS("ERESUME_06"));
    ssa[27] = 0;
    probe_tcs(&p)->state = 1;
    expect_resume_refused(&p, SDM_COVERS("ERESUME_07"));
    probe_tcs(&p)->state = 0;
    probe_resume_behind(&p, p.tcs, 0, 2);
    assert_int_equal(p.run.function, SGX_EEXIT);
    probe_close(&p);
}

/* RFLAGS come back but for IOPL, VM, IF and (not opted in) TF. */
static void test_eresume_flags(void **state)
{
    (void)state;
    struct probe p;
    struct probe_call call = {0};
    probe_open(&p, &(struct probe_options){0});
    probe_expect_fault(&p, p.tcs, PROBE_UNDEFINED, &call, SGX_VECTOR_UD);
    probe_gpr(&p, p.tcs, 0)->rflags |= 0x100 | 0x3000 | 0x8D5;
    probe_gpr(&p, p.tcs, 0)->rip += 0; /* faults again: the flags are stored again */
    assert_int_equal(probe_run(&p, p.tcs, SGX_ERESUME, 0, &call), 0);
    assert_int_equal(p.run.function, SGX_ERESUME);
    uint64_t flags = probe_gpr(&p, p.tcs, 0)->rflags;
    assert_int_equal(flags & 0x8D5, 0x8D5);
    assert_int_equal(flags & 0x3100, 0);
    assert_int_equal(flags & 0x202, 0x202);
    probe_close(&p);
}

/* ------------------------------------------------------------------ ENCLU inside */

static void test_enclu_inside(void **state)
{
    (void)state;
    static const uint64_t refused[] = {SGX_EENTER, SGX_ERESUME, 10, 0x77};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct probe p;
        struct probe_call call = {.in = {0, 0, 0, refused[i]}};
        probe_open(&p, &(struct probe_options){0});
        probe_expect_fault(&p, p.tcs, PROBE_ENCLU, &call, SGX_VECTOR_GP);
        assert_int_equal(probe_gpr(&p, p.tcs, 0)->rip, p.base + PROBE_AT(enclu));
        probe_close(&p);
    }
    struct probe p;
    struct probe_call call = {.in = {0, 1ull << 47, 0, SGX_EEXIT}}; /* not canonical */
    probe_open(&p, &(struct probe_options){0});
    probe_expect_fault(&p, p.tcs, PROBE_ENCLU, &call, SGX_VECTOR_GP);
    assert_int_equal(probe_gpr(&p, p.tcs, 0)->rip, p.base + PROBE_AT(enclu));
    probe_close(&p);
}

static void test_eaccept_inside(void **state)
{
    (void)state;
    struct probe p;
    probe_open(&p, &(struct probe_options){0});
    uint64_t data = p.base + PROBE_PAGE_DATA * SGX_PAGE_SIZE;
    uint64_t hole = p.base + PROBE_PAGE_HOLE * SGX_PAGE_SIZE;
    struct sgx_secinfo *secinfo = soft_alias(p.enclave, data);
    *secinfo = (struct sgx_secinfo){.flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W |
                                             SGX_SECINFO_PENDING};
    struct probe_call call = {.in = {0, data, hole, SGX_EACCEPT}};
    assert_int_equal(probe_run(&p, p.tcs, SGX_EENTER, PROBE_ENCLU, &call), 0);
    assert_int_equal(p.run.function, SGX_EEXIT);
    assert_int_equal(call.out[1], 0);
    assert_int_equal(call.out[2] & 0xD5, 0); /* ZF and the rest are clear */
    /* A second one: REG without PENDING does not match any more. RAX has the code, ZF is set. */
    assert_int_equal(probe_run(&p, p.tcs, SGX_EENTER, PROBE_ENCLU, &call), 0);
    assert_int_equal(call.out[1], SGX_PAGE_ATTRIBUTES_MISMATCH);
    assert_int_equal(call.out[2] & 0xD5, 0x40);
    struct probe_call write = {.in = {0, hole, 0x1234}};
    assert_int_equal(probe_run(&p, p.tcs, SGX_EENTER, PROBE_WRITE, &write), 0);
    assert_int_equal(p.run.function, SGX_EEXIT);
    assert_int_equal(*(uint64_t *)soft_alias(p.enclave, hole), 0x1234);
    probe_close(&p);
}

static void leaf(struct probe *p, uint64_t number, uint64_t secinfo, uint64_t address, uint64_t tcs,
                 uint64_t expected)
{
    struct probe_call call = {.in = {0, secinfo, address, number, 0, tcs}};
    assert_int_equal(probe_run(p, p->tcs, SGX_EENTER, PROBE_LEAF, &call), 0);
    assert_int_equal(p->run.function, SGX_EEXIT);
    assert_int_equal(call.out[1], expected);
    assert_int_equal(call.out[2], address);
    assert_int_equal(probe_tcs(p)->cssa, 0);
}

/* The same leaves by the marked site, which does not trap; and what it cannot do, or must not, by the trap after all. */
static void test_marked_leaf(void **state)
{
    (void)state;
    struct probe p;
    probe_open(&p, &(struct probe_options){.misc_select = SGX_MISC_EXINFO});
    const uint64_t data = p.base + PROBE_PAGE_DATA * SGX_PAGE_SIZE;
    const uint64_t hole = p.base + PROBE_PAGE_HOLE * SGX_PAGE_SIZE;
    struct sgx_secinfo *secinfo = soft_alias(p.enclave, data);
    *secinfo = (struct sgx_secinfo){.flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W |
                                             SGX_SECINFO_PENDING};
    static const uint8_t jump[] = {0x49, 0xBB}; /* patched: no trap */
    const uint8_t *code = soft_alias(p.enclave, p.base);
    assert_non_null(memmem(code, SGX_PAGE_SIZE, jump, sizeof(jump)));
    leaf(&p, SGX_EACCEPT, data, hole, p.tcs, SGX_SUCCESS);
    leaf(&p, SGX_EACCEPT, data, hole, p.tcs, SGX_PAGE_ATTRIBUTES_MISMATCH);
    struct probe_call write = {.in = {0, hole, 0x1234}};
    assert_int_equal(probe_run(&p, p.tcs, SGX_EENTER, PROBE_WRITE, &write), 0);
    assert_int_equal(p.run.function, SGX_EEXIT);
    probe_close(&p);
}

/* An enclave that lies about its TCS there has the leaf done by a trap. */
static void test_marked_leaf_lies(void **state)
{
    (void)state;
    static const uint64_t lies[] = {0, 8, 0x1000, 1ull << 60, ~0ull};
    struct probe p;
    probe_open(&p, &(struct probe_options){0});
    const uint64_t data = p.base + PROBE_PAGE_DATA * SGX_PAGE_SIZE;
    struct sgx_secinfo *secinfo = soft_alias(p.enclave, data);
    secinfo->flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_PENDING;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        leaf(&p, SGX_EACCEPT, data, p.base + (PROBE_PAGE_HOLE + i) * SGX_PAGE_SIZE, lies[i],
             SGX_SUCCESS);
    }
    probe_close(&p);
}

/* Faults of a leaf are those of its instruction: RIP, vector and address; EEXIT and EDECCSSA work there as well. */
static void test_marked_leaf_faults(void **state)
{
    (void)state;
    struct probe p;
    probe_open(&p, &(struct probe_options){.misc_select = SGX_MISC_EXINFO});
    const uint64_t data = p.base + PROBE_PAGE_DATA * SGX_PAGE_SIZE;
    struct probe_call call = {.in = {0, data + 1, data, SGX_EACCEPT, 0, p.tcs}};
    probe_expect_fault(&p, p.tcs, PROBE_LEAF, &call, SGX_VECTOR_GP);
    const struct sgx_gprsgx *gpr = probe_gpr(&p, p.tcs, 0);
    assert_int_equal(gpr->rip, p.base + PROBE_AT(leaf));
    assert_int_equal(gpr->rax, SGX_EACCEPT);
    assert_int_equal(gpr->rbx, data + 1);
    assert_int_equal(gpr->rcx, data);
    assert_int_equal(gpr->exit_info & SGX_EXITINFO_VECTOR_MASK, SGX_VECTOR_GP);
    call = (struct probe_call){.in = {0, 0, 0, SGX_EDECCSSA, 0, p.tcs}};
    assert_int_equal(probe_run(&p, p.tcs, SGX_EENTER, PROBE_LEAF, &call), 0);
    assert_int_equal(p.run.function, SGX_EEXIT);
    assert_int_equal(probe_tcs(&p)->cssa, 0);
    expect_entered(&p, p.tcs);
    probe_close(&p);
}

static void test_edeccssa(void **state)
{
    (void)state;
    struct probe p;
    struct probe_call call = {.in = {0, 0, 0, SGX_EDECCSSA}};
    probe_open(&p, &(struct probe_options){0});
    probe_expect_fault(&p, p.tcs, PROBE_ENCLU, &call, SGX_VECTOR_GP);
    assert_string_equal(soft_last_check, SDM_COVERS("EDECCSSA_01"));
    assert_int_equal(probe_tcs(&p)->cssa, 1);
    call = (struct probe_call){.in = {0, 0, 0, SGX_EDECCSSA}};
    assert_int_equal(probe_run(&p, p.tcs, SGX_EENTER, PROBE_ENCLU, &call), 0);
    assert_int_equal(p.run.function, SGX_EEXIT);
    assert_int_equal(probe_tcs(&p)->cssa, 0);
    expect_entered(&p, p.tcs);
    probe_close(&p);
}

/* With AEX-Notify asked for by thread and frame, ERESUME enters anew with RAX = CSSA. */
static void test_aex_notify(void **state)
{
    (void)state;
    struct probe p;
    struct probe_call call = {0};
    probe_open(
        &p, &(struct probe_options){.flags = SGX_FLAGS_AEXNOTIFY, .tcs_flags = SGX_TCS_AEXNOTIFY});
    probe_expect_fault(&p, p.tcs, PROBE_UNDEFINED, &call, SGX_VECTOR_UD);
    probe_gpr(&p, p.tcs, 0)->aex_notify = 1;
    call = (struct probe_call){.in = {0, 0xBEEF}};
    assert_int_equal(probe_run(&p, p.tcs, SGX_ERESUME, PROBE_NONE, &call), 0);
    assert_int_equal(p.run.function, SGX_EEXIT);
    assert_int_equal(call.out[1], 0xBEEF);
    assert_int_equal(probe_tcs(&p)->cssa, 1);
    probe_close(&p);
}

/* ------------------------------------------------------------------ EEXIT and bases */

static void test_marked_exit(void **state)
{
    (void)state;
    struct probe p;
    probe_open(&p, &(struct probe_options){0});
    assert_true(atomic_load(&p.enclave->shared->exit_slot) != 0);
    for (int i = 0; i < 1000; i++) {
        struct probe_call call = {.in = {0, 1, 2, 3, 4, p.tcs}};
        assert_int_equal(probe_run(&p, p.tcs, SGX_EENTER, PROBE_MARKED, &call), 0);
        assert_int_equal(p.run.function, SGX_EEXIT);
        assert_int_equal(call.out[0], PROBE_MARKED);
        assert_int_equal(call.out[1], 1);
        assert_int_equal(call.out[5], p.tcs);
    }
    /* An enclave that lies about its TCS hurts nobody. */
    static const uint64_t lies[] = {0, 8, 0x1000, 1ull << 60, ~0ull};
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct probe_call call = {.in = {0, 0, 0, 0, 0, lies[i]}};
        assert_int_equal(probe_run(&p, p.tcs, SGX_EENTER, PROBE_MARKED, &call), 0);
        assert_int_equal(p.run.function, SGX_EEXIT);
        assert_int_equal(probe_tcs(&p)->state, 0);
    }
    probe_close(&p);
}

static void test_bases(void **state)
{
    (void)state;
    struct probe p;
    struct probe_call call = {0};
    probe_open(&p, &(struct probe_options){0});
    assert_int_equal(probe_run(&p, p.tcs, SGX_EENTER, PROBE_BASES, &call), 0);
    assert_int_equal(call.out[1], p.base + PROBE_PAGE_DATA * SGX_PAGE_SIZE);
    assert_int_equal(call.out[2], p.base + PROBE_PAGE_CODE * SGX_PAGE_SIZE);
    call = (struct probe_call){.in = {0, 0x12345000, 0x54321000}};
    probe_expect_fault(&p, p.tcs, PROBE_SET_BASES, &call, SGX_VECTOR_UD);
    assert_int_equal(probe_gpr(&p, p.tcs, 0)->fs_base, 0x12345000);
    assert_int_equal(probe_gpr(&p, p.tcs, 0)->gs_base, 0x54321000);
    probe_close(&p);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eenter_checks),
        cmocka_unit_test(test_eenter_order),
        cmocka_unit_test(test_eenter_address),
        cmocka_unit_test(test_vdso_call),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_breakpoint_without_opt_in_reports_ud),
        cmocka_unit_test(test_pattern),
        cmocka_unit_test(test_avx512),
        cmocka_unit_test(test_nested_exceptions),
        cmocka_unit_test(test_eresume_checks),
        cmocka_unit_test(test_eresume_flags),
        cmocka_unit_test(test_enclu_inside),
        cmocka_unit_test(test_eaccept_inside),
        cmocka_unit_test(test_marked_leaf),
        cmocka_unit_test(test_marked_leaf_lies),
        cmocka_unit_test(test_marked_leaf_faults),
        cmocka_unit_test(test_edeccssa),
        cmocka_unit_test(test_aex_notify),
        cmocka_unit_test(test_marked_exit),
        cmocka_unit_test(test_bases),
    };
    return cmocka_run_group_tests_name("soft_transition", tests, NULL, NULL);
}
