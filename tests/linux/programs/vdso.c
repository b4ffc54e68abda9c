/*
 * The vDSO as a program without a libc's help finds it: its ELF tables, its functions against the system calls, its clock in
 * several threads, and that signals find it interrupted.
 * Side: a program of the tests, built static for each libc. Prints the same natively and in an enclave.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS 200000
#define SECOND 1000000000ll

static const char *base;
static const Elf64_Sym *symbols;
static const char *strings;
static const uint32_t *hash;
static const uint16_t *versions;
static const Elf64_Verdef *definitions;

static int (*clock_get)(clockid_t, struct timespec *);

/* ------------------------------------------------------------------ ELF */

static int tables_find(void)
{
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)(base = (const char *)getauxval(AT_SYSINFO_EHDR));
    const char *load = NULL;
    const Elf64_Dyn *dynamic = NULL;
    if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_type != ET_DYN) {
        return 0;
    }
    const Elf64_Phdr *at = (const Elf64_Phdr *)(base + head->e_phoff);
    for (int i = 0; i < head->e_phnum; i++) {
        if (at[i].p_type == PT_LOAD) {
            load = base + at[i].p_offset - at[i].p_vaddr;
        } else if (at[i].p_type == PT_DYNAMIC) {
            dynamic = (const Elf64_Dyn *)(base + at[i].p_offset);
        }
    }
    for (; load && dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        const char *table = load + dynamic->d_un.d_ptr;
        switch (dynamic->d_tag) {
        case DT_SYMTAB:
            symbols = (const Elf64_Sym *)table;
            break;
        case DT_STRTAB:
            strings = table;
            break;
        case DT_HASH:
            hash = (const uint32_t *)table;
            break;
        case DT_VERSYM:
            versions = (const uint16_t *)table;
            break;
        case DT_VERDEF:
            definitions = (const Elf64_Verdef *)table;
            break;
        }
    }
    base = load;
    return load && symbols && strings && versions && definitions;
}

static int version_is(uint16_t number, const char *name)
{
    for (const Elf64_Verdef *at = definitions;;
         at = (const void *)((const char *)at + at->vd_next)) {
        const Elf64_Verdaux *text = (const void *)((const char *)at + at->vd_aux);
        if ((at->vd_flags & VER_FLG_BASE) == 0 && at->vd_ndx == (number & 0x7FFF)) {
            return strcmp(strings + text->vda_name, name) == 0;
        }
        if (at->vd_next == 0) {
            return 0;
        }
    }
}

static void *function_find(const char *name)
{
    /* As many symbols as lie before the strings: newer kernels have no DT_HASH to tell. */
    const uint32_t count =
        hash ? hash[1] : (uint32_t)((strings - (const char *)symbols) / sizeof(*symbols));
    for (uint32_t i = 0; i < count; i++) {
        if (ELF64_ST_TYPE(symbols[i].st_info) == STT_FUNC && symbols[i].st_shndx != SHN_UNDEF &&
            strcmp(strings + symbols[i].st_name, name) == 0 &&
            version_is(versions[i], "LINUX_2.6")) {
            return (void *)(base + symbols[i].st_value);
        }
    }
    return NULL;
}

static int is_mapped(void)
{
    char line[512];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof(line), maps)) {
        unsigned long start, end;
        char rights[8];
        if (strstr(line, "[vdso]") && sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3) {
            found += start == getauxval(AT_SYSINFO_EHDR) && strcmp(rights, "r-xp") == 0;
        }
    }
    if (maps) {
        fclose(maps);
    }
    return found == 1;
}

/* ------------------------------------------------------------------ time */

static int64_t of(const struct timespec *time)
{
    return time->tv_sec * SECOND + time->tv_nsec;
}

/* Between two system calls the function says nothing before the first and nothing after the second. */
static void test_clocks(void)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
                                       CLOCK_THREAD_CPUTIME_ID};
    for (int i = 0; i < 4; i++) {
        int bad = 0;
        for (int round = 0; round < 1000; round++) {
            struct timespec before, now, after;
            syscall(SYS_clock_gettime, clocks[i], &before);
            bad += clock_get(clocks[i], &now) != 0 || now.tv_nsec < 0 || now.tv_nsec >= SECOND;
            syscall(SYS_clock_gettime, clocks[i], &after);
            bad += of(&now) < of(&before) || of(&now) > of(&after);
        }
        printf("clock %d: %d bad\n", clocks[i], bad);
    }
    struct timespec time;
    printf("clock 99: %d\n", clock_get(99, &time));
}

static void test_others(void)
{
    int (*day)(struct timeval *, void *) =
        (int (*)(struct timeval *, void *))function_find("__vdso_gettimeofday");
    long (*seconds)(long *) = (long (*)(long *))function_find("__vdso_time");
    int (*resolution)(clockid_t, struct timespec *) =
        (int (*)(clockid_t, struct timespec *))function_find("__vdso_clock_getres");
    struct timespec before, after, grain;
    struct timeval now = {0};
    int zone[2] = {7, 7};
    long stored = 0;
    printf("there: %d %d %d\n", day != NULL, seconds != NULL, resolution != NULL);
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &before);
    const int said = day(&now, zone);
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &after);
    const int64_t at = now.tv_sec * SECOND + now.tv_usec * 1000;
    printf("gettimeofday: %d, %d, zone %d\n", said,
           at >= of(&before) / 1000 * 1000 && at <= of(&after), zone[0] == 0 && zone[1] == 0);
    printf("gettimeofday of nothing: %d\n", day(NULL, NULL));
    const long counted = seconds(&stored);
    printf("time: %d, %d\n", counted == stored,
           counted - now.tv_sec >= 0 && counted - now.tv_sec < 2);
    printf("time into nothing: %d\n", seconds(NULL) >= counted);
    const int asked = resolution(CLOCK_MONOTONIC, &grain);
    printf("resolution: %d, %ld\n", asked, grain.tv_nsec);
}

/* What one thread was told, no other is told to be later. */
static _Atomic int64_t latest;

static void *tells(void *argument)
{
    long bad = 0;
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        struct timespec now;
        const int64_t before = atomic_load(&latest);
        clock_get(CLOCK_MONOTONIC, &now);
        bad += of(&now) < before;
        int64_t known = before;
        while (known < of(&now) && !atomic_compare_exchange_weak(&latest, &known, of(&now))) {
        }
    }
    return (void *)bad;
}

static void test_threads(void)
{
    pthread_t threads[THREADS];
    long bad = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, tells, NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        bad += (long)result;
    }
    printf("one clock for all: %ld bad\n", bad);
}

/* ------------------------------------------------------------------ signals */

static volatile int ticks;

static void tick(int number)
{
    struct timespec now;
    (void)number;
    clock_get(CLOCK_MONOTONIC, &now);
    ticks++;
}

/* A thread that does nothing but ask the time is interrupted all the same. */
static void test_signals(void)
{
    struct timespec start, now;
    long back = 0;
    int64_t before = 0;
    signal(SIGALRM, tick);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 2000}, {0, 2000}}, NULL);
    clock_get(CLOCK_MONOTONIC, &start);
    do {
        clock_get(CLOCK_MONOTONIC, &now);
        back += of(&now) < before;
        before = of(&now);
    } while (ticks < 20 && before - of(&start) < 20 * SECOND);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    printf("signals: %d, %ld back\n", ticks >= 20, back);
}

int main(void)
{
    printf("tables: %d\n", tables_find());
    printf("mapped: %d\n", is_mapped());
    clock_get = (int (*)(clockid_t, struct timespec *))function_find("__vdso_clock_gettime");
    if (!clock_get) {
        puts("no clock");
        return 1;
    }
    test_clocks();
    test_others();
    test_threads();
    test_signals();
    return 0;
}
