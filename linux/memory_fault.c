/*
 * Page faults of the program, and of the kernel on the program's memory: pages come when they are touched.
 * Side: enclave. Called by syscall.c, for traps. Source: the areas that memory.c has made; SDM Vol. 3D, EAUG and EACCEPT.
 * Never believes that the host has mapped what it should: a page that it keeps away ends the enclave, not in a loop.
 */
#include "enclave/descriptors.h"
#include "linux/memory.h"

#define FAULTS_ASK 16u /* in a row on a page that should not fault: the host is asked to map it … */
#define FAULTS_MAX (1u << 16) /* … and does not */

static uint32_t toucher; /* the thread that touches the program's memory with the lock; 0: none */

void linux_memory_touches(bool now)
{
    __atomic_store_n(&toucher, now ? cella_td_self()->tid : 0, __ATOMIC_RELAXED);
}

/*
 * Under the lock: a fault on a page that is there, with its rights. Another thread may have made it meanwhile; or the host
 * keeps it away, and the thread would fault for ever.
 */
static int page_is_kept_away(uint64_t page, uint32_t rights)
{
    struct linux_thread *thread = linux_thread_self();
    if (!thread) { /* one of the kernel's own: it has no patience */
        cella_trace("the host keeps a page away from the kernel:", page);
        cella_kernel_abort(CELLA_ABORT_HOST);
    }
    if (thread->fault_page != page) {
        thread->fault_page = page;
        thread->fault_count = 0;
    }
    const uint32_t count = ++thread->fault_count;
    if (count >= FAULTS_MAX) {
        cella_trace("the host keeps a page away:", page);
        cella_kernel_abort(CELLA_ABORT_HOST);
    }
    if (count % FAULTS_ASK == 0) {
        linux_page_ask(page, rights);
    }
    return 0;
}

/* How many bytes a thread that has just used all of its last window gets now: twice as many. */
static uint64_t window_next(uint64_t page)
{
    struct linux_thread *thread = linux_thread_self();
    if (!thread) { /* one of the kernel's own */
        return LINUX_FAULT_WINDOW;
    }
    const uint64_t start = page & ~(uint64_t)(LINUX_FAULT_WINDOW - 1);
    const bool goes_on = start == thread->window_end && thread->window_size != 0;
    const uint64_t twice = (uint64_t)thread->window_size * 2;
    thread->window_size = (uint32_t)(!goes_on                         ? LINUX_FAULT_WINDOW
                                     : twice > LINUX_FAULT_WINDOW_MAX ? LINUX_FAULT_WINDOW_MAX
                                                                      : twice);
    thread->window_end = start + thread->window_size;
    return thread->window_size;
}

/* The page itself comes last: the software processor then maps it together with those before it (ADR 0165). */
static bool window_commit(uint64_t start, uint64_t page, uint64_t end, uint32_t rights)
{
    return linux_pages_commit(page + SGX_PAGE_SIZE, end, rights) &&
           linux_pages_commit(start, page + SGX_PAGE_SIZE, rights);
}

/* Under the lock: the page at `address` of an area without a file, and those around it. */
static int zeros_fault(const struct linux_area *area, uint64_t address)
{
    const uint64_t page = LINUX_PAGE_DOWN(address);
    const uint32_t rights = linux_page_rights(area->rights);
    if (linux_page_is(page, rights)) {
        return page_is_kept_away(page, rights);
    }
    if (!linux_page_exists(page)) {
        uint64_t start = address & ~(uint64_t)(LINUX_FAULT_WINDOW - 1);
        uint64_t end = start + window_next(page);
        start = start > area->start ? start : area->start;
        end = end < area->end ? end : area->end;
        if (window_commit(start, page, end, rights)) {
            return 0;
        }
    }
    return linux_pages_commit(page, page + SGX_PAGE_SIZE, rights) &&
                   linux_pages_rights(page, page + SGX_PAGE_SIZE, rights)
               ? 0
               : -ENOMEM;
}

int linux_memory_fault(uint64_t address, uint32_t error)
{
    const uint32_t wanted = (error & SGX_PF_WRITE) != 0   ? LINUX_PROT_WRITE
                            : (error & SGX_PF_FETCH) != 0 ? LINUX_PROT_EXEC
                                                          : LINUX_PROT_READ;
    struct linux_area filled = {.file = NULL};
    int code = 0;
    if (__atomic_load_n(&toucher, __ATOMIC_RELAXED) == cella_td_self()->tid) {
        cella_trace("the host keeps a page of a mapping away:", address);
        cella_kernel_abort(CELLA_ABORT_HOST);
    }
    linux_memory_take();
    const struct linux_area *area = linux_space_find(address);
    if (!area || area->start > address) {
        code = LINUX_SEGV_MAPERR;
    } else if ((linux_page_rights(area->rights) & wanted) == 0) {
        code = LINUX_SEGV_ACCERR;
    } else if (area->file && !linux_page_exists(LINUX_PAGE_DOWN(address))) {
        filled = *area;
        atomic_fetch_add(&area->file->references, 1);
    } else {
        code = zeros_fault(area, address);
    }
    linux_memory_give();
    if (filled.file) {
        code = linux_file_fault(&filled, address);
        cella_open_put(filled.file);
    }
    return code;
}
