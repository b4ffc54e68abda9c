/*
 * EENTER, ERESUME, EDECCSSA and AEX: the checks in the manual's order and what each stores.
 * Side: soft. Called by enter.S (slow path) and trap.c. The first EENTER of a TCS by a thread is checked here;
 * later ones run on the cached result while no EPCM entry of the enclave has changed.
 * Never touches signals; the window in enter.S commits what is prepared here.
 */
#include "soft/transition.h"

#include <string.h>

#include "soft/check.h"
#include "soft/driver.h"
#include "soft/xstate.h"

_Static_assert(offsetof(struct soft_entry, tcs) == SOFT_E_TCS, "enter.S");
_Static_assert(offsetof(struct soft_entry, thread) == SOFT_E_THREAD, "enter.S");
_Static_assert(offsetof(struct soft_entry, generation_at) == SOFT_E_GENERATION_AT, "enter.S");
_Static_assert(offsetof(struct soft_entry, generation) == SOFT_E_GENERATION, "enter.S");
_Static_assert(offsetof(struct soft_entry, cssa) == SOFT_E_CSSA, "enter.S");
_Static_assert(offsetof(struct soft_entry, tcs_alias) == SOFT_E_TCS_ALIAS, "enter.S");
_Static_assert(offsetof(struct soft_entry, ssa_gpr) == SOFT_E_SSA_GPR, "enter.S");
_Static_assert(offsetof(struct soft_entry, fs_base) == SOFT_E_FS_BASE, "enter.S");
_Static_assert(offsetof(struct soft_entry, gs_base) == SOFT_E_GS_BASE, "enter.S");
_Static_assert(offsetof(struct soft_entry, rip) == SOFT_E_RIP, "enter.S");
_Static_assert(offsetof(struct soft_entry, host_fs) == SOFT_E_HOST_FS, "enter.S");
_Static_assert(offsetof(struct soft_entry, host_gs) == SOFT_E_HOST_GS, "enter.S");
_Static_assert(offsetof(struct soft_entry, aep) == SOFT_E_AEP, "enter.S");
_Static_assert(offsetof(struct soft_thread, serial) == SOFT_T_SERIAL, "enter.S");
_Static_assert(offsetof(struct soft_resume, xsave) == SOFT_R_XSAVE, "enter.S");
_Static_assert(offsetof(struct soft_resume, xfrm) == SOFT_R_XFRM, "enter.S");
_Static_assert(offsetof(struct soft_resume, fs_base) == SOFT_R_FS, "enter.S");
_Static_assert(offsetof(struct soft_resume, gs_base) == SOFT_R_GS, "enter.S");
_Static_assert(offsetof(struct soft_resume, tcs) == SOFT_R_TCS, "enter.S");
_Static_assert(offsetof(struct soft_resume, cssa) == SOFT_R_CSSA, "enter.S");
_Static_assert(offsetof(struct soft_resume, serial) == SOFT_R_SERIAL, "enter.S");
_Static_assert(offsetof(struct soft_resume, entry) == SOFT_R_ENTRY, "enter.S");
_Static_assert(offsetof(struct soft_resume, host_rsp) == SOFT_R_HOST_RSP, "enter.S");
_Static_assert(offsetof(struct soft_resume, host_rbp) == SOFT_R_HOST_RBP, "enter.S");
_Static_assert(offsetof(struct soft_resume, gprs) == SOFT_R_GPRS, "enter.S");
_Static_assert(offsetof(struct soft_resume, rip) == SOFT_R_GPRS + 15 * 8, "IRETQ's frame");
_Static_assert(offsetof(struct sgx_linux_run, tcs) == SOFT_RUN_TCS, "enter.S");
_Static_assert(offsetof(struct sgx_linux_run, function) == SOFT_RUN_FUNCTION, "enter.S");
_Static_assert(offsetof(struct sgx_linux_run, exception_vector) == SOFT_RUN_VECTOR, "enter.S");
_Static_assert(offsetof(struct sgx_linux_run, exception_error_code) == SOFT_RUN_ERROR, "enter.S");
_Static_assert(offsetof(struct sgx_linux_run, exception_addr) == SOFT_RUN_ADDRESS, "enter.S");
_Static_assert(offsetof(struct sgx_linux_run, user_handler) == SOFT_RUN_HANDLER, "enter.S");
_Static_assert(offsetof(struct sgx_linux_run, reserved) == SOFT_RUN_RESERVED, "enter.S");
_Static_assert(offsetof(struct sgx_tcs, cssa) == SOFT_TCS_CSSA, "enter.S");
_Static_assert(offsetof(struct sgx_gprsgx, ursp) == SOFT_GPR_URSP, "enter.S");
_Static_assert(offsetof(struct sgx_gprsgx, urbp) == SOFT_GPR_URBP, "enter.S");

#define PAGE_MASK ((uint64_t)SGX_PAGE_SIZE - 1)

#define RFLAGS_TF 0x100ull
#define RFLAGS_ARITHMETIC 0x8D5ull /* CF PF AF ZF SF OF */
#define RFLAGS_RF 0x10000ull
/* What ERESUME takes from the SSA: arithmetic, DF, NT, RF, AC, ID. The rest is the host's. */
#define RFLAGS_RESUMED                                                                             \
    (RFLAGS_ARITHMETIC | 0x400ull | 0x4000ull | RFLAGS_RF | 0x40000ull | 0x200000ull)
#define RFLAGS_FIXED 0x202ull /* bit 1 and IF */

/* How enter.S takes a fault: 16 bytes, vector and error code in front. */
struct soft_entry_fault {
    uint16_t vector;
    uint16_t error;
    uint32_t reserved;
    uint64_t address;
};

int soft_enclu_slow(uint32_t leaf, uint64_t tcs, struct soft_entry_fault *ret_fault,
                    uint64_t *leaf_slot) __attribute__((visibility("hidden")));

/* The driver fills a hole before the processor sees the access, as the kernel's fault handler does. */
static void fill_hole(struct soft_enclave *enclave, uint64_t address)
{
    uint32_t error;
    if (!(soft_epcm_flags(enclave, address) & SOFT_EPCM_VALID)) {
        (void)soft_fault_resolve(enclave, address, 0, &error);
    }
}

/* The checks that EENTER and ERESUME share up to the enclave's state (SDM 37.3, EENTER: "Operation"). */
static struct soft_outcome check_tcs(uint64_t tcs, uint64_t aep, struct soft_enclave *enclave)
{
    const uint32_t busy = SGX_SECINFO_PENDING | SGX_SECINFO_MODIFIED;
    uint32_t flags = soft_epcm_flags(enclave, tcs);
    SOFT_CHECK(EENTER_03, flags & SOFT_EPCM_VALID,
               soft_pf(tcs, SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_SGX));
    SOFT_CHECK(EENTER_04, !(flags & SOFT_EPCM_BLOCKED),
               soft_pf(tcs, SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_SGX));
    SOFT_CHECK(EENTER_05, (flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_TCS,
               soft_pf(tcs, SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_SGX));
    SOFT_CHECK(EENTER_06, !(flags & busy), soft_pf(tcs, SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_SGX));
    SOFT_CHECK(EENTER_07, soft_canonical(aep), soft_gp());
    const struct sgx_tcs *page = soft_alias(enclave, tcs);
    SOFT_CHECK(EENTER_08, (page->ossa & PAGE_MASK) == 0, soft_gp());
    SOFT_CHECK(EENTER_09, (page->ofs_base & PAGE_MASK) == 0 && (page->ogs_base & PAGE_MASK) == 0,
               soft_gp());
    uint64_t allowed = SGX_TCS_DBGOPTIN;
    if (enclave->shared->secs.attributes.flags & SGX_FLAGS_AEXNOTIFY) {
        allowed |= SGX_TCS_AEXNOTIFY;
    }
    SOFT_CHECK(EENTER_10, (page->flags & ~allowed) == 0, soft_gp());
    SOFT_CHECK(EENTER_11, enclave->shared->secs.attributes.flags & SGX_FLAGS_INIT, soft_gp());
    SOFT_CHECK(EENTER_12, enclave->shared->secs.attributes.flags & SGX_FLAGS_MODE64BIT, soft_gp());
    SOFT_CHECK(EENTER_13, (enclave->shared->secs.attributes.xfrm & ~soft_cpu_xcr0()) == 0,
               soft_gp());
    return soft_done();
}

/* Every page of SSA frame `index` must be a readable and writable REG page of this enclave. */
static struct soft_outcome check_ssa(struct soft_enclave *enclave, uint64_t frame)
{
    const uint32_t want = SOFT_EPCM_VALID | SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W;
    const uint32_t mask = want | SGX_SECINFO_TYPE_MASK | SGX_SECINFO_PENDING |
                          SGX_SECINFO_MODIFIED | SOFT_EPCM_BLOCKED;
    for (uint32_t i = 0; i < enclave->shared->secs.ssa_frame_size; i++) {
        uint64_t page = frame + (uint64_t)i * SGX_PAGE_SIZE;
        SOFT_CHECK(EENTER_15, soft_in_elrange(enclave, page, SGX_PAGE_SIZE),
                   soft_pf(page, SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_WRITE));
        fill_hole(enclave, page);
        SOFT_CHECK(EENTER_16, (soft_epcm_flags(enclave, page) & mask) == want,
                   soft_pf(page, SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_WRITE | SGX_PF_SGX));
    }
    return soft_done();
}

static uint64_t ssa_frame(const struct soft_enclave *enclave, const struct sgx_tcs *page,
                          uint32_t index)
{
    return enclave->base + page->ossa +
           (uint64_t)index * enclave->shared->secs.ssa_frame_size * SGX_PAGE_SIZE;
}

static struct sgx_gprsgx *ssa_gpr(const struct soft_enclave *enclave, uint64_t frame)
{
    uint64_t end = frame + (uint64_t)enclave->shared->secs.ssa_frame_size * SGX_PAGE_SIZE;
    return (struct sgx_gprsgx *)((uint8_t *)soft_alias(enclave, end - SGX_PAGE_SIZE) +
                                 SGX_PAGE_SIZE - sizeof(struct sgx_gprsgx));
}

static struct soft_outcome find_enclave(uint64_t tcs, struct soft_enclave **ret_enclave)
{
    SOFT_CHECK(EENTER_01, (tcs & PAGE_MASK) == 0, soft_gp());
    struct soft_enclave *enclave = soft_enclave_at(tcs);
    SOFT_CHECK(EENTER_02, enclave, soft_pf(tcs, SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_SGX));
    fill_hole(enclave, tcs);
    *ret_enclave = enclave;
    return soft_done();
}

#define TRY(expression)                                                                            \
    do {                                                                                           \
        struct soft_outcome try_ = (expression);                                                   \
        if (try_.kind != SOFT_DONE) {                                                              \
            return try_;                                                                           \
        }                                                                                          \
    } while (0)

static struct soft_entry *entry_slot(struct soft_thread *thread, uint64_t tcs)
{
    return &thread->entries[(tcs >> SGX_PAGE_SHIFT) & (SOFT_ENTRY_COUNT - 1)];
}

static struct soft_outcome eenter_prepare(uint64_t tcs, uint64_t aep, struct soft_thread *thread,
                                          struct soft_entry **ret_entry)
{
    struct soft_enclave *enclave = NULL;
    TRY(find_enclave(tcs, &enclave));
    if (soft_is_stale(enclave)) { /* another process changed the EPCM */
        soft_refresh(enclave);
    }
    uint32_t generation = atomic_load(&enclave->shared->generation);
    TRY(check_tcs(tcs, aep, enclave));
    struct sgx_tcs *page = soft_alias(enclave, tcs);
    uint32_t cssa = page->cssa;
    SOFT_CHECK(EENTER_14, cssa < page->nssa, soft_gp());
    uint64_t frame = ssa_frame(enclave, page, cssa);
    TRY(check_ssa(enclave, frame));
    SOFT_CHECK(EENTER_17, soft_canonical(enclave->base + page->oentry), soft_gp());
    SOFT_CHECK(EENTER_18,
               soft_canonical(enclave->base + page->ofs_base) &&
                   soft_canonical(enclave->base + page->ogs_base),
               soft_gp());
    SOFT_CHECK(EENTER_19, __atomic_load_n(&page->state, __ATOMIC_ACQUIRE) == 0, soft_gp());
    page->aep = aep;
    struct soft_entry *entry = entry_slot(thread, tcs);
    entry->tcs = 0;
    atomic_signal_fence(memory_order_seq_cst);
    entry->generation_at = &enclave->shared->generation;
    entry->generation = generation;
    entry->cssa = cssa;
    entry->tcs_alias = page;
    entry->ssa_gpr = ssa_gpr(enclave, frame);
    entry->fs_base = enclave->base + page->ofs_base;
    entry->gs_base = enclave->base + page->ogs_base;
    entry->rip = enclave->base + page->oentry;
    entry->aep = aep;
    entry->enclave = enclave;
    atomic_signal_fence(memory_order_seq_cst);
    entry->tcs = tcs;
    *ret_entry = entry;
    return soft_done();
}

/*
 * A signal handler that enters an enclave prepares on the same thread, perhaps in the same slot, in the middle of what
 * it interrupted. Then that is half its own: again.
 */
#define UNDISTURBED(thread, expression)                                                            \
    ({                                                                                             \
        struct soft_outcome outcome_;                                                              \
        uint64_t serial_;                                                                          \
        do {                                                                                       \
            serial_ = atomic_fetch_add(&(thread)->serial, 1) + 1;                                  \
            outcome_ = (expression);                                                               \
        } while (atomic_load(&(thread)->serial) != serial_);                                       \
        outcome_;                                                                                  \
    })

struct soft_outcome soft_eenter_check(uint64_t tcs, uint64_t aep, struct soft_thread *thread,
                                      struct soft_entry **ret_entry)
{
    return UNDISTURBED(thread, eenter_prepare(tcs, aep, thread, ret_entry));
}

/* XRSTOR's own checks on the image in the SSA (SDM Vol. 1, 13.8.1), so that it cannot fault in the window. */
static struct soft_outcome resume_xsave(struct soft_thread *thread, const uint8_t *image,
                                        uint64_t xfrm)
{
    struct soft_xstate_header header;
    memcpy(thread->xsave, image, soft_cpu_xsave_size(xfrm));
    memcpy(&header, thread->xsave + SOFT_XSTATE_HEADER, sizeof(header));
    SOFT_CHECK(ERESUME_04, (header.xstate_bv & ~xfrm) == 0, soft_gp());
    SOFT_CHECK(ERESUME_05, header.xcomp_bv == 0 && header.reserved[0] == 0, soft_gp());
    uint32_t mxcsr;
    memcpy(&mxcsr, thread->xsave + SOFT_XSTATE_MXCSR, sizeof(mxcsr));
    SOFT_CHECK(ERESUME_06, (mxcsr & ~soft_xstate_mxcsr_mask()) == 0, soft_gp());
    return soft_done();
}

static void resume_registers(struct soft_resume *resume, const struct sgx_gprsgx *gpr, bool debug)
{
    const uint64_t gprs[15] = {gpr->rax, gpr->rcx, gpr->rdx, gpr->rbx, gpr->rbp,
                               gpr->rsi, gpr->rdi, gpr->r8,  gpr->r9,  gpr->r10,
                               gpr->r11, gpr->r12, gpr->r13, gpr->r14, gpr->r15};
    memcpy(resume->gprs, gprs, sizeof(gprs));
    resume->rip = gpr->rip;
    resume->rsp = gpr->rsp;
    resume->rflags = (gpr->rflags & (RFLAGS_RESUMED | (debug ? RFLAGS_TF : 0))) | RFLAGS_FIXED;
    uint16_t cs, ss;
    __asm__("mov %%cs, %0" : "=r"(cs));
    __asm__("mov %%ss, %0" : "=r"(ss));
    resume->cs = cs;
    resume->ss = ss;
    resume->fs_base = gpr->fs_base;
    resume->gs_base = gpr->gs_base;
}

/* SDM 37.3, ERESUME. With AEX-Notify asked for by the frame it enters anew: *ret_notify. */
static struct soft_outcome eresume_prepare(uint64_t tcs, uint64_t aep, struct soft_thread *thread,
                                           bool *ret_notify)
{
    struct soft_enclave *enclave = NULL;
    struct soft_entry *entry = entry_slot(thread, tcs);
    *ret_notify = false;
    thread->resume.serial = (uint32_t)atomic_load(&thread->serial);
    entry->tcs = 0; /* first: a handler that enters does so by way of a check, which counts */
    atomic_signal_fence(memory_order_seq_cst);
    TRY(find_enclave(tcs, &enclave));
    TRY(check_tcs(tcs, aep, enclave));
    struct sgx_tcs *page = soft_alias(enclave, tcs);
    SOFT_CHECK(ERESUME_01, page->cssa > 0, soft_gp());
    uint64_t frame = ssa_frame(enclave, page, page->cssa - 1);
    TRY(check_ssa(enclave, frame));
    const struct sgx_gprsgx *gpr = ssa_gpr(enclave, frame);
    if ((page->flags & SGX_TCS_AEXNOTIFY) && (gpr->aex_notify & 1)) {
        *ret_notify = true;
        return soft_done();
    }
    SOFT_CHECK(ERESUME_02, soft_canonical(gpr->rip), soft_gp());
    SOFT_CHECK(ERESUME_03, soft_canonical(gpr->fs_base) && soft_canonical(gpr->gs_base), soft_gp());
    uint64_t xfrm = enclave->shared->secs.attributes.xfrm;
    TRY(resume_xsave(thread, soft_alias(enclave, frame), xfrm));
    SOFT_CHECK(ERESUME_07, __atomic_load_n(&page->state, __ATOMIC_ACQUIRE) == 0, soft_gp());
    entry->tcs_alias = page;
    entry->enclave = enclave;
    entry->aep = aep;
    entry->ssa_gpr = (struct sgx_gprsgx *)gpr;
    entry->generation =
        atomic_load(&enclave->shared->generation) - 1; /* the next EENTER checks anew */
    entry->generation_at = &enclave->shared->generation;
    entry->tcs = tcs;
    page->aep = aep;
    thread->resume.tcs = tcs;
    thread->resume.cssa = page->cssa;
    thread->resume.entry = entry;
    thread->resume.xsave = thread->xsave;
    thread->resume.xfrm = xfrm;
    resume_registers(&thread->resume, gpr, page->flags & SGX_TCS_DBGOPTIN);
    return soft_done();
}

struct soft_outcome soft_eresume(uint64_t tcs, uint64_t aep, struct soft_thread *thread,
                                 bool *ret_notify)
{
    return UNDISTURBED(thread, eresume_prepare(tcs, aep, thread, ret_notify));
}

int soft_enclu_slow(uint32_t leaf, uint64_t tcs, struct soft_entry_fault *ret_fault,
                    uint64_t *leaf_slot)
{
    struct soft_entry *entry;
    bool notify = false;
    struct soft_outcome outcome = soft_gp();
    struct soft_thread *thread = soft_thread_arm();
    uint64_t aep = (uint64_t)(uintptr_t)soft_aep;
    soft_signals_open();
    if (thread && leaf == SGX_EENTER) {
        outcome = soft_eenter_check(tcs, aep, thread, &entry);
    } else if (thread && leaf == SGX_ERESUME) {
        outcome = soft_eresume(tcs, aep, thread, &notify);
        if (notify) {
            *leaf_slot = SGX_EENTER;
            outcome = soft_eenter_check(tcs, aep, thread, &entry);
        }
    }
    if (outcome.kind == SOFT_FAULT) {
        *ret_fault = (struct soft_entry_fault){
            .vector = outcome.vector,
            .error = (uint16_t)outcome.error,
            .address = outcome.address,
        };
        return 1;
    }
    return leaf == SGX_ERESUME && !notify ? 2 : 0;
}

/* SDM 37.3, EDECCSSA: the frame below becomes the current one, without leaving. */
struct soft_outcome soft_edeccssa(struct soft_thread *thread)
{
    struct soft_entry *entry = thread->entry;
    struct soft_enclave *enclave = entry->enclave;
    struct sgx_tcs *page = entry->tcs_alias;
    SOFT_CHECK(EDECCSSA_01, page->cssa > 0, soft_gp());
    uint64_t frame = ssa_frame(enclave, page, page->cssa - 1);
    TRY(check_ssa(enclave, frame));
    struct sgx_gprsgx *below = ssa_gpr(enclave, frame);
    below->ursp = entry->ssa_gpr->ursp;
    below->urbp = entry->ssa_gpr->urbp;
    page->cssa -= 1;
    entry->ssa_gpr = below;
    entry->generation -= 1;
    return soft_done();
}

void soft_leave(struct soft_thread *thread)
{
    thread->selector = SOFT_SELECTOR_ALLOW;
    __atomic_store_n(&thread->entry->tcs_alias->state, 0, __ATOMIC_RELEASE);
    thread->inside = 0;
}

static void store_gprs(struct sgx_gprsgx *gpr, const greg_t *from)
{
    gpr->rax = (uint64_t)from[REG_RAX];
    gpr->rcx = (uint64_t)from[REG_RCX];
    gpr->rdx = (uint64_t)from[REG_RDX];
    gpr->rbx = (uint64_t)from[REG_RBX];
    gpr->rsp = (uint64_t)from[REG_RSP];
    gpr->rbp = (uint64_t)from[REG_RBP];
    gpr->rsi = (uint64_t)from[REG_RSI];
    gpr->rdi = (uint64_t)from[REG_RDI];
    gpr->r8 = (uint64_t)from[REG_R8];
    gpr->r9 = (uint64_t)from[REG_R9];
    gpr->r10 = (uint64_t)from[REG_R10];
    gpr->r11 = (uint64_t)from[REG_R11];
    gpr->r12 = (uint64_t)from[REG_R12];
    gpr->r13 = (uint64_t)from[REG_R13];
    gpr->r14 = (uint64_t)from[REG_R14];
    gpr->r15 = (uint64_t)from[REG_R15];
    gpr->rflags = (uint64_t)from[REG_EFL] & ~RFLAGS_TF;
    gpr->rip = (uint64_t)from[REG_RIP];
}

/* The synthetic state (SDM 35.9.3, table 38-1 of "Asynchronous Enclave Exits"). */
static void synthesize(greg_t *registers, const struct soft_entry *entry)
{
    static const int cleared[] = {REG_RDX, REG_RSI, REG_RDI, REG_R8,  REG_R9, REG_R10,
                                  REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    for (size_t i = 0; i < sizeof(cleared) / sizeof(cleared[0]); i++) {
        registers[cleared[i]] = 0;
    }
    registers[REG_RAX] = SGX_ERESUME;
    registers[REG_RBX] = (greg_t)entry->tcs;
    registers[REG_RCX] = (greg_t)entry->aep;
    registers[REG_RIP] = (greg_t)entry->aep;
    registers[REG_RSP] = (greg_t)entry->ssa_gpr->ursp;
    registers[REG_RBP] = (greg_t)entry->ssa_gpr->urbp;
    registers[REG_EFL] &= ~(greg_t)(RFLAGS_ARITHMETIC | RFLAGS_RF | RFLAGS_TF);
}

/* `fs`, `gs`: the bases at the fault. EXINFO is written when the enclave selected it and the vector has it. */
void soft_aex(struct soft_thread *thread, ucontext_t *context, uint64_t fs, uint64_t gs,
              uint32_t exit_info, uint64_t maddr, uint32_t errcd)
{
    struct soft_entry *entry = thread->entry;
    struct soft_enclave *enclave = entry->enclave;
    struct sgx_tcs *page = entry->tcs_alias;
    const struct sgx_secs *secs = &enclave->shared->secs;
    uint64_t frame = ssa_frame(enclave, page, page->cssa);
    struct sgx_gprsgx *gpr = ssa_gpr(enclave, frame);
    uint32_t vector = exit_info & SGX_EXITINFO_VECTOR_MASK;
    store_gprs(gpr, context->uc_mcontext.gregs);
    gpr->exit_info = exit_info;
    memset(gpr->reserved, 0, sizeof(gpr->reserved));
    gpr->fs_base = fs;
    gpr->gs_base = gs;
    bool detailed = vector == SGX_VECTOR_PF || vector == SGX_VECTOR_GP;
    if ((secs->misc_select & SGX_MISC_EXINFO) && (exit_info & SGX_EXITINFO_VALID) && detailed) {
        struct sgx_exinfo info = {.maddr = maddr, .errcd = errcd};
        memcpy((uint8_t *)gpr - sizeof(info), &info, sizeof(info));
    }
    soft_xstate_save(soft_alias(enclave, frame), context, secs->attributes.xfrm);
    soft_xstate_init(context, (exit_info & SGX_EXITINFO_VALID) && vector == SGX_VECTOR_MF);
    synthesize(context->uc_mcontext.gregs, entry);
    page->cssa += 1;
    soft_leave(thread);
}
