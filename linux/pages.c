/*
 * The pages of the program's memory: which exist, and what the EPCM lets the program do with them.
 * Side: enclave. Called by memory.c with its lock held. SGX2 only: pages come by EAUG and EACCEPT, go by TRIM.
 * Never believes the host: EACCEPT fails unless the processor did what was asked for.
 *
 * A byte a page, in leaves of 512 for 2 MiB each: present, and the rights in the EPCM.
 */
#include "linux/linux.h"

#define PRESENT 0x8u
#define RIGHTS 0x7u /* as PROT_* and as SECINFO has them */
#define LEAF_PAGES 512u
#define LEAF_COUNT (CELLA_PROGRAM_KERNEL / SGX_PAGE_SIZE / LEAF_PAGES)

static uint8_t **leaves;
static uint8_t *spare; /* a page to cut leaves from */
static uint32_t spare_left;
static uint64_t used_count, peak_count;

cella_result linux_pages_init(void)
{
    leaves = (uint8_t **)cella_pages_map(LEAF_COUNT * sizeof(*leaves) / SGX_PAGE_SIZE, true);
    CELLA_ENSURE(leaves != NULL, OUT_OF_MEMORY);
    return CELLA_OK;
}

static uint8_t *leaf_of(uint64_t address, bool make)
{
    uint8_t **at = &leaves[address / SGX_PAGE_SIZE / LEAF_PAGES];
    if (!*at && make) {
        if (spare_left == 0) {
            spare = (uint8_t *)cella_pages_map(1, true);
            if (!spare) {
                return NULL;
            }
            spare_left = SGX_PAGE_SIZE / LEAF_PAGES;
        }
        *at = spare + --spare_left * LEAF_PAGES;
    }
    return *at;
}

static uint8_t state_get(uint64_t address)
{
    const uint8_t *leaf = leaf_of(address, false);
    return leaf ? leaf[address / SGX_PAGE_SIZE % LEAF_PAGES] : 0;
}

/* The leaf is there: the page has had a state. */
static void state_set(uint64_t address, uint8_t state)
{
    leaf_of(address, false)[address / SGX_PAGE_SIZE % LEAF_PAGES] = state;
}

static uint32_t page_enclu(uint32_t leaf, uint64_t flags, uint64_t address)
{
    _Alignas(SGX_ALIGN_SECINFO) const struct sgx_secinfo secinfo = {.flags = flags};
    return (uint32_t)cella_enclu(leaf, (uint64_t)&secinfo, address, 0);
}

static bool ask(uint32_t number, uint64_t start, uint64_t end, uint64_t rights)
{
    const uint64_t words[3] = {start - cella_kernel.base, end - start, rights};
    return cella_is_ok(cella_system_ocall(number, words, sizeof(words), NULL, 0, NULL));
}

void linux_pages_are_loaded(uint64_t start, uint64_t end, uint32_t rights)
{
    for (uint64_t at = start; at < end; at += SGX_PAGE_SIZE) {
        if (leaf_of(at, true)) {
            state_set(at, (uint8_t)(PRESENT | rights));
            used_count++;
        }
    }
    peak_count = used_count > peak_count ? used_count : peak_count;
}

/* How far from `start` pages have this state. */
static uint64_t alike_end(uint64_t start, uint64_t end)
{
    const uint8_t state = state_get(start);
    uint64_t at = start + SGX_PAGE_SIZE;
    while (at < end) {
        if (!leaf_of(at, false)) { /* nothing in these 2 MiB */
            if (state != 0) {
                return at;
            }
            at = (at / (LEAF_PAGES * SGX_PAGE_SIZE) + 1) * LEAF_PAGES * SGX_PAGE_SIZE;
            continue;
        }
        if (state_get(at) != state) {
            return at;
        }
        at += SGX_PAGE_SIZE;
    }
    return end;
}

static bool memory_is_left(uint64_t pages)
{
    const uint64_t max = cella_linux_program->memory_max;
    return max == 0 || used_count + pages <= max / SGX_PAGE_SIZE;
}

/* Absent pages [start, end): EACCEPT of a hole makes the kernel add the page, zeroed. */
static bool run_add(uint64_t start, uint64_t end)
{
    if (!memory_is_left((end - start) / SGX_PAGE_SIZE)) {
        return false;
    }
    for (uint64_t at = start; at < end; at += SGX_PAGE_SIZE) {
        if (!leaf_of(at, true) ||
            page_enclu(SGX_EACCEPT,
                       SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_REG | SGX_SECINFO_PENDING,
                       at) != SGX_SUCCESS) {
            return false;
        }
        state_set(at, PRESENT | LINUX_PROT_READ | LINUX_PROT_WRITE);
        used_count++;
        peak_count = used_count > peak_count ? used_count : peak_count;
    }
    return true;
}

/* Pages of one state, which are present: from the rights they have to `rights`. */
static bool run_rights(uint64_t start, uint64_t end, uint32_t rights)
{
    const uint32_t from = state_get(start) & RIGHTS;
    if (from == rights) {
        return true;
    }
    if ((from & LINUX_PROT_READ) == 0 &&
        !ask(CELLA_OCALL_PROTECT, start, end, from | rights | LINUX_PROT_READ)) {
        return false; /* the leaves below must be able to reach the page */
    }
    if ((rights & ~from) != 0) {
        for (uint64_t at = start; at < end; at += SGX_PAGE_SIZE) {
            if (page_enclu(SGX_EMODPE, (from | rights) | SGX_SECINFO_REG, at) ==
                CELLA_ENCLU_FAULTED) {
                return false;
            }
        }
    }
    if ((from & ~rights) != 0) {
        if (!ask(CELLA_OCALL_RESTRICT, start, end, rights)) {
            return false;
        }
        for (uint64_t at = start; at < end; at += SGX_PAGE_SIZE) {
            if (page_enclu(SGX_EACCEPT, rights | SGX_SECINFO_REG | SGX_SECINFO_PR, at) !=
                SGX_SUCCESS) {
                return false;
            }
        }
    }
    if (!ask(CELLA_OCALL_PROTECT, start, end, rights)) {
        return false;
    }
    for (uint64_t at = start; at < end; at += SGX_PAGE_SIZE) {
        state_set(at, (uint8_t)(PRESENT | rights));
    }
    return true;
}

bool linux_pages_commit(uint64_t start, uint64_t end, uint32_t rights)
{
    for (uint64_t at = start; at < end;) {
        const uint64_t run = alike_end(at, end);
        if ((state_get(at) & PRESENT) == 0) {
            if (!run_add(at, run) || !run_rights(at, run, rights)) {
                return false;
            }
        }
        at = run;
    }
    return true;
}

bool linux_pages_rights(uint64_t start, uint64_t end, uint32_t rights)
{
    for (uint64_t at = start; at < end;) {
        const uint64_t run = alike_end(at, end);
        if ((state_get(at) & PRESENT) != 0 && !run_rights(at, run, rights)) {
            return false;
        }
        at = run;
    }
    return true;
}

static bool run_drop(uint64_t start, uint64_t end)
{
    const uint32_t rights = state_get(start) & RIGHTS;
    if ((rights & LINUX_PROT_READ) == 0 &&
        !ask(CELLA_OCALL_PROTECT, start, end, LINUX_PROT_READ | LINUX_PROT_WRITE)) {
        return false;
    }
    if (!ask(CELLA_OCALL_TRIM, start, end, 0)) {
        return false;
    }
    for (uint64_t at = start; at < end; at += SGX_PAGE_SIZE) {
        if (page_enclu(SGX_EACCEPT, SGX_SECINFO_TRIM | SGX_SECINFO_MODIFIED, at) != SGX_SUCCESS) {
            return false;
        }
        state_set(at, 0);
        used_count--;
    }
    /* As a page that has never been: readable and writable, as far as the host's mapping goes. */
    return ask(CELLA_OCALL_REMOVE, start, end, 0) &&
           (rights == (LINUX_PROT_READ | LINUX_PROT_WRITE) ||
            ask(CELLA_OCALL_PROTECT, start, end, LINUX_PROT_READ | LINUX_PROT_WRITE));
}

/* A host that does not play its part leaves pages that exist and cannot be used: the enclave ends. */
void linux_pages_drop(uint64_t start, uint64_t end)
{
    for (uint64_t at = start; at < end;) {
        const uint64_t run = alike_end(at, end);
        if ((state_get(at) & PRESENT) != 0 && !run_drop(at, run)) {
            cella_trace("the host does not take back the page", at);
            cella_kernel_abort(CELLA_ABORT_HOST);
        }
        at = run;
    }
}

bool linux_page_copy(uint64_t address, const void *source, uint32_t rights)
{
    _Alignas(SGX_ALIGN_SECINFO)
        const struct sgx_secinfo secinfo = {.flags = rights | SGX_SECINFO_REG};
    if (!memory_is_left(1) || !leaf_of(address, true) ||
        (uint32_t)cella_enclu(SGX_EACCEPTCOPY, (uint64_t)&secinfo, address, (uint64_t)source) !=
            SGX_SUCCESS) {
        return false;
    }
    state_set(address, (uint8_t)(PRESENT | rights));
    used_count++;
    peak_count = used_count > peak_count ? used_count : peak_count;
    return true;
}

/* Lets the host's mapping grant all three rights, for pages that come by linux_page_copy; the EPCM has the last word. */
bool linux_pages_open(uint64_t start, uint64_t end)
{
    return ask(CELLA_OCALL_PROTECT, start, end,
               LINUX_PROT_READ | LINUX_PROT_WRITE | LINUX_PROT_EXEC);
}

bool linux_page_exists(uint64_t address)
{
    return (state_get(address) & PRESENT) != 0;
}

bool linux_page_is(uint64_t address, uint32_t rights)
{
    return state_get(address) == (PRESENT | rights);
}

void linux_page_ask(uint64_t address, uint32_t rights)
{
    (void)ask(CELLA_OCALL_PROTECT, address, address + SGX_PAGE_SIZE, rights);
}

uint64_t linux_pages_used(void)
{
    return used_count;
}

uint64_t linux_pages_peak(void)
{
    return peak_count;
}
