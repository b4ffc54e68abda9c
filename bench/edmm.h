/*
 * Call numbers of the enclave whose pages come and go.
 * Side: both (bench).
 */
#ifndef CELLA_BENCH_EDMM_H
#define CELLA_BENCH_EDMM_H

enum edmm_ecall {
    EDMM_NOTHING,
    EDMM_ACCEPT,  /* pages that do not exist yet are accepted, and the first of them is used */
    EDMM_DROP,    /* trimmed, accepted, removed */
    EDMM_PROTECT, /* from RW to R */
    EDMM_WIDEN,   /* and back */
    EDMM_FAULT,   /* a byte of every page of a range without pages, which a handler adds */
    EDMM_TOUCH,   /* a byte of every page that is there */
};

#define EDMM_PAGES 512

#endif
