/*
 * Operations and layout of the test enclave in probe_enclave.S.
 * Side: both (test).
 */
#ifndef CELLA_TESTS_PROBE_H
#define CELLA_TESTS_PROBE_H

#define PROBE_NONE 0
#define PROBE_MARKED 1
#define PROBE_DIVIDE 2
#define PROBE_UNDEFINED 3
#define PROBE_BREAKPOINT 4
#define PROBE_READ 5
#define PROBE_WRITE 6
#define PROBE_EXECUTE 7
#define PROBE_SYSCALL 8
#define PROBE_CPUID 9
#define PROBE_INT80 10
#define PROBE_IN 11
#define PROBE_RDTSC 12
#define PROBE_PATTERN 13
#define PROBE_AVX512 14
#define PROBE_SPIN 15
#define PROBE_ENCLU 16
#define PROBE_BASES 17
#define PROBE_SET_BASES 18
#define PROBE_ADVANCE 19
#define PROBE_COPY 20
#define PROBE_X87 21
#define PROBE_SIMD 22
#define PROBE_ALIGN 23
#define PROBE_GENERAL 24
#define PROBE_LEAF 25
#define PROBE_COUNT 26

/* Pages of the enclave; PROBE_PAGES in all, the rest is left to EAUG. */
#define PROBE_PAGES 32
#define PROBE_PAGE_CODE 0
#define PROBE_PAGE_DATA 1
#define PROBE_PAGE_TCS 2 /* then three SSA pages */
#define PROBE_PAGE_TCS2 6
#define PROBE_PAGE_READ_ONLY 10
#define PROBE_PAGE_HOLE 12

#endif
