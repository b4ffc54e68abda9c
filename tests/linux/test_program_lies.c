/*
 * A host that lies to a whole program's kernel: every ocall, every way of lying, again and again by other seeds.
 * Side: tests (host). Linked with --wrap for cella_host_service and cella_host_exception. Arguments: an image of
 * programs/lies.c, the address of cella_linux_entry; then what to run, "OCALL LIE SEED", to see one again. CELLA_TEST_SECONDS: goes on with other seeds for so long.
 * Never asks for right answers: each run, a process of its own, ends by itself, and what was computed inside is right.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "abi/blocks.h"
#include "abi/program.h"
#include "abi/service.h"
#include "host/host.h"

#define RUN_SECONDS 20
#define SLOTS_ADDED                                                                                \
    8u         /* thread slots that an image has from the start: others come when they are needed */
#define LOST 3 /* the run's status: the enclave ended with a reason that no program gives itself */
#define REFUSED 92
#define RESUMED 93
#define BAD_END 90 /* … with one that must not be */

enum lie {
    LIE_RESULT,  /* it is done, and a failure is told; or a number that is no result */
    LIE_REFUSED, /* it is not done, and said so */
    LIE_SKIPPED, /* it is not done, and said to be */
    LIE_TWICE,   /* it is done twice */
    LIE_SIZE,    /* more or fewer bytes than there are */
    LIE_WORD,    /* the answer's first word is something else */
    LIE_BYTES,   /* any byte of it is */
    LIE_OLD,     /* the answer of another call */
    LIE_LATE,    /* others run first */
    LIE_HIDDEN,  /* it is done; then the page tables have nothing where it was done */
    LIE_ENTRY,   /* meanwhile the TCS is entered in ways that make no sense */
    LIE_COUNT,
};

static const char *const g_lies[LIE_COUNT] = {"result", "refused", "skipped", "twice",
                                              "size",   "word",    "bytes",   "old",
                                              "late",   "hidden",  "entry"};

static const struct ocall {
    const char *name;
    uint32_t number;
    bool
        must_serve; /* who never wakes or starts a thread does not serve it: that is not told from waiting */
} g_ocalls[] = {
    {"alloc", CELLA_OCALL_ALLOC, false},
    {"free", CELLA_OCALL_FREE, false},
    {"wait", CELLA_OCALL_WAIT, false},
    {"wake", CELLA_OCALL_WAKE, true},
    {"thread", CELLA_OCALL_THREAD, true},
    {"yield", CELLA_OCALL_YIELD, false},
    {"write", CELLA_OCALL_WRITE, false},
    {"clock", CELLA_OCALL_CLOCK, false},
    {"file", CELLA_OCALL_FILE, false},
    {"restrict", CELLA_OCALL_RESTRICT, false},
    {"trim", CELLA_OCALL_TRIM, false},
    {"remove", CELLA_OCALL_REMOVE, false},
    {"protect", CELLA_OCALL_PROTECT, false},
    {"socket", CELLA_OCALL_SOCKET, false},
    {"poll", CELLA_OCALL_POLL, false},
    {"epoll", CELLA_OCALL_EPOLL, false},
    {"poll-wake", CELLA_OCALL_POLL_WAKE, true},
    {"blocks", CELLA_OCALL_BLOCKS, false},
    {"ids", CELLA_OCALL_IDS, false},
    {"kick", CELLA_OCALL_KICK, false},
    {"tcs", CELLA_OCALL_TCS, false},
    {"workers", CELLA_OCALL_WORKERS, false},
    {"ring-wake", CELLA_OCALL_RING_WAKE, true}, /* images with async_calls have these two */
    {"all", 0, true},
    {"signals", 1,
     true}, /* no ocall: threads are kicked, and signals come from outside, all the time */
    {"entries", 2, true}, /* no ocall: TCSs that nobody is in are entered all the time */
};
#define OCALLS (sizeof(g_ocalls) / sizeof(g_ocalls[0]))
#define OCALL_ALL 0u
#define OCALL_SIGNALS 1u
#define OCALL_ENTRIES 2u

static uint32_t g_number;
static enum lie g_lie;
static bool g_must_serve;
static _Atomic uint64_t g_random;
static _Atomic uint64_t g_told;

cella_result __real_cella_host_service(cella_enclave *enclave, struct cella_host_slot *slot,
                                       uint32_t number, const void *in, size_t in_size, void *out,
                                       size_t out_capacity, size_t *ret_size);
cella_result __wrap_cella_host_service(cella_enclave *enclave, struct cella_host_slot *slot,
                                       uint32_t number, const void *in, size_t in_size, void *out,
                                       size_t out_capacity, size_t *ret_size);

static uint64_t random_next(void)
{
    uint64_t value = atomic_fetch_add(&g_random, 0x9E3779B97F4A7C15ull);
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ value >> 27) * 0x94D049BB133111EBull;
    return value ^ value >> 31;
}

/* ------------------------------------------------------------------ what is told */

static int64_t word_next(void)
{
    static const int64_t words[] = {-1,
                                    -EINTR,
                                    -EAGAIN,
                                    -EBADF,
                                    -ENOSYS,
                                    -4095,
                                    -4096,
                                    INT64_MIN,
                                    INT64_MAX,
                                    0,
                                    1,
                                    2,
                                    3,
                                    4,
                                    5,
                                    7,
                                    11,
                                    64,
                                    100,
                                    4095,
                                    4096,
                                    1ll << 20,
                                    -512,
                                    1ll << 31,
                                    1ll << 32,
                                    -9,
                                    0x10000000,
                                    255,
                                    (1ll << 32) - 1,
                                    1ll << 62};
    const uint64_t at = random_next() % (sizeof(words) / sizeof(words[0]) + 4);
    return at < sizeof(words) / sizeof(words[0]) ? words[at] : (int64_t)random_next();
}

static bool is_of_pages(uint32_t number)
{
    return number == CELLA_OCALL_RESTRICT || number == CELLA_OCALL_TRIM ||
           number == CELLA_OCALL_REMOVE || number == CELLA_OCALL_PROTECT ||
           number == CELLA_OCALL_TCS;
}

static cella_result code_next(void)
{
    static const uint32_t codes[] = {
        CELLA_CODE_BUSY,      CELLA_CODE_OUT_OF_MEMORY, 12345,
        UINT32_MAX,           CELLA_CODE_INTERRUPTED,   CELLA_CODE_ENCLAVE_ABORTED,
        CELLA_CODE_NOT_FOUND, CELLA_CODE_HOST_REFUSED,  CELLA_CODE_OK};
    return (cella_result){.code = codes[random_next() % (sizeof(codes) / sizeof(codes[0]))]};
}

/* Names, addresses, records: some bytes become others, often those that mean something. */
static void spoil(uint8_t *out, size_t size)
{
    static const uint8_t bytes[] = {0, 1, 2, 8, 10, 16, 17, 24, 47, 46, 127, 128, 255};
    for (uint64_t i = 1 + random_next() % 6; size > 0 && i > 0; i--) {
        /* Heads of records count more than what is behind them. */
        const size_t at = random_next() % (random_next() % 2 && size > 48 ? 48 : size);
        out[at] = random_next() % 4 ? bytes[random_next() % sizeof(bytes)] : (uint8_t)random_next();
    }
}

static void old_answer(void *out, size_t size)
{
    static uint8_t kept[4096];
    static size_t kept_size;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    uint8_t now[sizeof(kept)];
    const size_t count = size < sizeof(kept) ? size : sizeof(kept);
    pthread_mutex_lock(&lock);
    memcpy(now, out, count);
    memcpy(out, kept, count < kept_size ? count : kept_size);
    memcpy(kept, now, count);
    kept_size = count;
    pthread_mutex_unlock(&lock);
}

/* Whatever the host may try where no entry is wanted. */
static void entry_try(cella_enclave *enclave, struct cella_host_slot *slot)
{
    static const uint64_t codes[] = {CELLA_ENTER_ECALL,
                                     CELLA_ENTER_RETURN,
                                     CELLA_ENTER_THREAD,
                                     CELLA_ENTER_WORKER,
                                     CELLA_ENTER_EXCEPTION,
                                     CELLA_ENTER_INIT,
                                     0,
                                     255};
    const uint64_t code = codes[random_next() % 8] | (random_next() % 4) << 32;
    const uint64_t high = random_next() % 3 ? 0 : random_next();
    struct cella_host_frame frame = {.rdi = code == CELLA_ENTER_THREAD ? CELLA_ENTER_RETURN : code,
                                     .rsi = high,
                                     .rdx = random_next() % 4096};
    /* RETURN to the frame that waits is the real end of the call. */
    if ((frame.rdi & 0xFF) == CELLA_ENTER_RETURN) {
        frame.rdi = CELLA_ENTER_RETURN | 63ull << 32;
    }
    cella_ignore(cella_host_run(enclave, slot, &frame));
}

/* Before the real service. true: there will be none, and `*result` is the answer. */
static bool lie_before(cella_enclave *enclave, struct cella_host_slot *slot, void *out,
                       size_t out_capacity, size_t *ret_size, cella_result *result)
{
    switch (g_lie) {
    case LIE_REFUSED:
        *result = code_next();
        return !cella_is_ok(*result);
    case LIE_SKIPPED:
        if (g_must_serve) {
            return false;
        }
        memset(out, 0, out_capacity < 64 ? out_capacity : 64);
        *ret_size = random_next() % 2 ? out_capacity : out_capacity < 8 ? out_capacity : 8;
        *result = CELLA_OK;
        return true;
    case LIE_LATE:
        for (uint64_t i = random_next() % 4; i > 0; i--) {
            usleep((useconds_t)(random_next() % 300));
        }
        return false;
    case LIE_ENTRY:
        if (cella_host_active()) { /* else the call came over a ring: this thread has no slot */
            entry_try(enclave, slot);
        }
        return false;
    default:
        return false;
    }
}

static void lie_after(void *out, size_t out_capacity, size_t *ret_size, cella_result *result)
{
    const int64_t word = word_next();
    switch (g_lie) {
    case LIE_RESULT:
        *result = code_next();
        break;
    case LIE_SIZE:
        *ret_size = random_next() % 3 == 0 ? random_next() : random_next() % (out_capacity + 9);
        break;
    case LIE_WORD:
        if (out_capacity >= sizeof(word)) {
            memcpy(out, &word, sizeof(word));
            *ret_size = *ret_size < sizeof(word) ? sizeof(word) : *ret_size;
        }
        break;
    case LIE_BYTES:
        spoil(out, *ret_size <= out_capacity ? *ret_size : 0);
        break;
    case LIE_OLD:
        old_answer(out, *ret_size <= out_capacity ? *ret_size : 0);
        break;
    default:
        break;
    }
}

static void hide(const cella_enclave *enclave, uint32_t number, const void *in, size_t in_size)
{
    uint64_t words[2];
    if (in_size < sizeof(words) || !is_of_pages(number)) {
        return;
    }
    memcpy(words, in, sizeof(words));
    if (words[0] <= enclave->size && words[1] <= enclave->size - words[0]) {
        (void)enclave->processor->mprotect((void *)(enclave->base + words[0]), words[1], PROT_NONE);
    }
}

static bool is_chosen(uint32_t number)
{
    if (g_number == OCALL_ALL) {
        /* Of these, none may be left out for ever. */
        return number != CELLA_OCALL_WAKE && number != CELLA_OCALL_POLL_WAKE &&
               random_next() % 8 == 0;
    }
    return number == g_number && random_next() % 3 != 0;
}

/*
 * The true service. Of a thread that it was said not to have started, it does not know that the kernel counts on no second
 * one: where the slot is in use already, nothing is waited for.
 */
static cella_result serve(cella_enclave *enclave, struct cella_host_slot *slot, uint32_t number,
                          const void *in, size_t in_size, void *out, size_t out_capacity,
                          size_t *ret_size)
{
    uint32_t index = 0;
    if (number == CELLA_OCALL_THREAD && in_size == sizeof(index)) {
        memcpy(&index, in, sizeof(index));
        for (int i = 0; i < 50 && index < enclave->thread_count; i++) {
            if (atomic_load(&enclave->slots[index].busy) == 0) {
                break;
            }
            usleep(1000);
        }
        if (index < enclave->thread_count && atomic_load(&enclave->slots[index].busy) != 0) {
            return CELLA_RESULT(BUSY);
        }
    }
    return __real_cella_host_service(enclave, slot, number, in, in_size, out, out_capacity,
                                     ret_size);
}

cella_result __wrap_cella_host_service(cella_enclave *enclave, struct cella_host_slot *slot,
                                       uint32_t number, const void *in, size_t in_size, void *out,
                                       size_t out_capacity, size_t *ret_size)
{
    cella_result result = CELLA_OK;
    if (!is_chosen(number)) {
        return serve(enclave, slot, number, in, in_size, out, out_capacity, ret_size);
    }
    g_told++;
    /* Nobody waits for ever because of who does not wake: the wake-up comes, whatever is said of it. */
    const bool wakes = number == CELLA_OCALL_WAKE || number == CELLA_OCALL_POLL_WAKE ||
                       number == CELLA_OCALL_RING_WAKE;
    if (!(wakes && (g_lie == LIE_REFUSED || g_lie == LIE_SKIPPED)) &&
        lie_before(enclave, slot, out, out_capacity, ret_size, &result)) {
        return result;
    }
    const bool waits = number == CELLA_OCALL_WAIT && g_lie == LIE_TWICE;
    result = serve(enclave, slot, number, in, in_size, out, out_capacity, ret_size);
    if (g_lie == LIE_TWICE && !waits && number != CELLA_OCALL_FREE) {
        result = serve(enclave, slot, number, in, in_size, out, out_capacity, ret_size);
    }
    if (g_lie == LIE_HIDDEN) {
        hide(enclave, number, in, in_size);
    }
    lie_after(out, out_capacity, ret_size, &result);
    return result;
}

/* ------------------------------------------------------------------ beside the ocalls */

static void *signals_send(void *argument)
{
    cella_enclave *enclave = argument;
    /* HUP, INT, QUIT, USR1, TERM are for the program's handlers; the others are the kernel's to leave alone. */
    const uint64_t asked = ~(1ull << 11 | 1ull << 27);
    for (;;) {
        __atomic_fetch_or(&enclave->slots[0].arena->signals, random_next() & asked,
                          __ATOMIC_SEQ_CST);
        cella_kick(enclave, (uint32_t)(random_next() % enclave->thread_count));
        g_told++;
        usleep((useconds_t)(random_next() % 200));
    }
    return NULL;
}

/* TCSs that nobody is in: also those of threads that have ended, or will be. */
static void *entries_make(void *argument)
{
    cella_enclave *enclave = argument;
    for (;;) {
        struct cella_host_slot *slot = &enclave->slots[1 + random_next() % (SLOTS_ADDED - 1)];
        uint32_t idle = 0;
        if (atomic_compare_exchange_strong(&slot->busy, &idle, 1)) {
            struct cella_host_frame frame = {.rdi = random_next() % 7,
                                             .rsi = random_next() % 2 ? 0 : random_next(),
                                             .rdx = random_next() % 64};
            if (frame.rdi != CELLA_ENTER_DESTROY) {
                cella_ignore(cella_host_run(enclave, slot, &frame));
            }
            g_told++;
            cella_host_slot_give(enclave, slot);
        }
        usleep((useconds_t)(random_next() % 200));
    }
    return NULL;
}

/*
 * A fault on the kernel's first instruction, where RSP is still the program's: a trap laid there would write below it, on
 * a stack that may have no room (Go's). The page is taken away while the program computes, and is back when stage one runs.
 */
static uint64_t g_entry; /* cella_linux_entry, as an enclave address; 0: it is left alone */
static _Atomic bool g_entry_hidden;

static void *entry_hide(void *argument)
{
    const cella_enclave *enclave = argument;
    usleep((useconds_t)(random_next() % 60000));
    g_entry_hidden = true;
    (void)enclave->processor->mprotect((void *)(g_entry & ~4095ull), 4096, PROT_NONE);
    return NULL;
}

/* Where the thread is, from its first SSA frame: the software processor does not hide an enclave from its host. */
static uint64_t interrupted_at(const struct cella_host_slot *slot)
{
    struct sgx_tcs tcs;
    struct sgx_gprsgx gpr;
    const int memory = open("/proc/self/mem", O_RDONLY);
    bool is_read =
        pread(memory, &tcs, sizeof(tcs), (off_t)slot->tcs) == (ssize_t)sizeof(tcs) && tcs.nssa != 0;
    if (is_read) {
        const uint64_t frame = (tcs.ofs_base - tcs.ossa) / tcs.nssa; /* the TD is behind them */
        is_read = pread(memory, &gpr, sizeof(gpr),
                        (off_t)(slot->enclave->base + tcs.ossa + frame - sizeof(gpr))) ==
                  (ssize_t)sizeof(gpr);
    }
    close(memory);
    return is_read ? gpr.rip : 0;
}

int __real_cella_host_exception(struct cella_host_frame *frame);
int __wrap_cella_host_exception(struct cella_host_frame *frame);

int __wrap_cella_host_exception(struct cella_host_frame *frame)
{
    const bool is_at_entry = g_entry_hidden && interrupted_at(frame->slot) == g_entry;
    if (g_entry_hidden) {
        (void)frame->slot->enclave->processor->mprotect((void *)(g_entry & ~4095ull), 4096,
                                                        PROT_READ | PROT_EXEC);
    }
    const int goes_on = __real_cella_host_exception(frame);
    if (is_at_entry) {
        _exit(goes_on ? RESUMED : REFUSED);
    }
    return goes_on;
}

/* ------------------------------------------------------------------ one run */

static int end_of(const cella_enclave *enclave)
{
    const uint64_t reason = enclave->abort_reason;
    switch (reason & 0xFF) {
    case CELLA_ABORT_EXIT: /* 127: libc's start, without the rights that it asks for */
        return reason >> 32 == 127 ? LOST : (int)(reason >> 32) & 0xFF;
    case CELLA_ABORT_HOST: /* pages, half of what was asked for */
        return LOST;
    case CELLA_ABORT_SIGNAL: /* no memory is left: SIGKILL */
        return (reason >> 8 & 0xFF) == 9 ? LOST : BAD_END;
    default:
        return BAD_END;
    }
}

static _Noreturn void run_inside(const char *image)
{
    const struct cella_call_program call = {.cpu_count = 2};
    /* To see more of a run: an image that was signed with debug, and CELLA_TRACE. */
    const uint32_t debug = getenv("CELLA_TRACE") ? CELLA_ENCLAVE_DEBUG : 0;
    const struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_SOFTWARE | debug,
                                                  .file_root = "/"};
    cella_enclave *enclave = NULL;
    struct cella_error error = {0};
    size_t size = 0;
    pthread_t thread;
    /* The start is the kernel's, too. */
    cella_result result = cella_enclave_create(image, &options, &enclave, &error);
    if (!cella_is_ok(result)) {
        _exit(g_told > 0 ? LOST : BAD_END);
    }
    if (g_entry != 0) {
        pthread_create(&thread, NULL, entry_hide, enclave);
    }
    if (g_number == OCALL_SIGNALS || g_number == OCALL_ENTRIES) {
        pthread_create(&thread, NULL, g_number == OCALL_SIGNALS ? signals_send : entries_make,
                       enclave);
    }
    result = cella_ecall(enclave, CELLA_ECALL_PROGRAM, &call, sizeof(call), NULL, 0, &size);
    if (result.code != CELLA_CODE_ENCLAVE_ABORTED) {
        fprintf(stderr, "%s\n", cella_result_name(result));
        _exit(g_told > 0 && !cella_is_ok(result) && result.code != CELLA_CODE_ENCLAVE_LOST
                  ? LOST
                  : BAD_END);
    }
    const int end = end_of(enclave);
    if (end == BAD_END) {
        fprintf(stderr, "%s\n", cella_enclave_abort_text(enclave));
    }
    _exit(end);
}

/* Status of the run; -1: it had to be killed, -2: the host crashed. */
static int run(const char *image, const struct ocall *ocall, enum lie lie, uint64_t seed)
{
    const struct timespec little = {.tv_nsec = 3000000};
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        g_number = ocall->number;
        g_must_serve = ocall->must_serve;
        g_lie = lie;
        g_random = seed * 1000003;
        run_inside(image);
    }
    for (int waited = 0; child > 0 && waited < RUN_SECONDS * 300; waited++) {
        if (waitpid(child, &status, WNOHANG) == child) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
        }
        nanosleep(&little, NULL);
    }
    if (getenv("CELLA_TEST_STAY")) {
        fprintf(stderr, "process %d hangs\n", (int)child);
        pause();
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return -1;
}

static const char *words_of(int status)
{
    return status == -1        ? "hangs"
           : status == -2      ? "the host crashed"
           : status == BAD_END ? "ended in a way that must not be"
                               : "something was computed wrong";
}

static int g_runs, g_failed, g_ended;

static void try(const char *image, const struct ocall *ocall, enum lie lie, uint64_t seed)
{
    const int status = run(image, ocall, lie, seed);
    g_runs++;
    g_ended += status == LOST;
    if (status != 0 && status != LOST) {
        g_failed++;
        fprintf(stderr, "%s %s %llu: %s (%d)\n", ocall->name, g_lies[lie], (unsigned long long)seed,
                words_of(status), status);
    }
}

static void try_all(const char *image, uint64_t seed)
{
    for (size_t i = 0; i < OCALLS; i++) {
        const bool is_beside =
            g_ocalls[i].number == OCALL_SIGNALS || g_ocalls[i].number == OCALL_ENTRIES;
        for (enum lie lie = 0; lie < (is_beside ? 1 : LIE_COUNT); lie++) {
            if (lie != LIE_HIDDEN || is_of_pages(g_ocalls[i].number)) {
                try(image, &g_ocalls[i], lie, seed);
            }
        }
    }
}

/* Until one run was met in the right place. */
static void try_entry(const char *image, uint64_t entry)
{
    static const struct ocall none = {"entry", UINT32_MAX, true};
    int status = 0;
    g_entry = entry;
    for (uint64_t seed = 1; seed <= 60 && status != REFUSED && status != RESUMED; seed++) {
        status = run(image, &none, LIE_COUNT, seed);
    }
    g_entry = 0;
    g_runs++;
    if (status != REFUSED) {
        g_failed++;
        fprintf(stderr, "a fault on the kernel's first instruction: %s\n",
                status == RESUMED ? "a trap lies on the program's stack" : "was never met");
    }
}

static int try_one(const char *image, char **arguments)
{
    for (size_t i = 0; i < OCALLS; i++) {
        for (enum lie lie = 0; lie < LIE_COUNT; lie++) {
            if (strcmp(arguments[0], g_ocalls[i].name) == 0 &&
                strcmp(arguments[1], g_lies[lie]) == 0) {
                try(image, &g_ocalls[i], lie, strtoull(arguments[2], NULL, 10));
            }
        }
    }
    return g_runs == 0 || g_failed != 0;
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("CELLA_TEST_SECONDS");
    const time_t end = time(NULL) + (seconds ? atoi(seconds) : 0);
    if (argc == 6 && strcmp(argv[3], "entry") != 0) {
        return try_one(argv[1], argv + 3);
    }
    if (argc != 3 && argc != 6) {
        fprintf(stderr, "usage: %s IMAGE ENTRY [OCALL LIE SEED]\n", argv[0]);
        return 2;
    }
    try_entry(argv[1], strtoull(argv[2], NULL, 16));
    if (argc == 6) {
        return g_failed != 0;
    }
    uint64_t seed = 1;
    do {
        try_all(argv[1], seed++);
    } while (time(NULL) < end);
    printf("%d runs, %d of them ended by the kernel, %d failed\n", g_runs, g_ended, g_failed);
    return g_failed != 0;
}
