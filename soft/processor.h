/*
 * Activation of the software processor in a process.
 * Side: soft. Included by processor.c, interpose.c, preload.c.
 * Never undone: once handlers are taken over they stay.
 */
#ifndef CELLA_SOFT_PROCESSOR_H
#define CELLA_SOFT_PROCESSOR_H

#include <stdbool.h>
#include <stdint.h>

/* Takes over signals and CPUID. Idempotent, thread-safe. */
void soft_activate(void);
/* Before an enclave is opened: activates, and takes over handlers that have come since. Thread-safe. */
void soft_before_open(void);
/* From now on open() of the SGX nodes is the software processor's. (preload) */
void soft_intercept_nodes(void);
bool soft_cpuid_faults(void);
/* The main program's CPUID sites, where CPUID cannot be made to fault: see cli/cpuid_sites.h. */
void soft_cpuid_patch(const char *sites);
/* vdso.c: the synthetic vDSO's address, `real` being the kernel's; the same at every call. */
uint64_t soft_vdso_image(uint64_t real);
/* vdso.c: builds the image and puts it into the auxiliary vector found behind `environment`. */
bool soft_vdso_publish(char **environment);

#endif
