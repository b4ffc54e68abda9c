/*
 * Extended processor state: XSAVE images in SSA frames and in signal frames (SDM Vol. 1, chapter 13).
 * Side: soft. Called by transition.c and trap.c.
 * Never executes CPUID after soft_xstate_learn, since CPUID may have been made to fault.
 */
#ifndef CELLA_SOFT_XSTATE_H
#define CELLA_SOFT_XSTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#define SOFT_XSTATE_MXCSR 24u
#define SOFT_XSTATE_HEADER 512u

struct soft_xstate_header {
    uint64_t xstate_bv;
    uint64_t xcomp_bv;
    uint64_t reserved[6];
};

/* Reads the places of the components. Once, before CPUID faulting is armed. */
void soft_xstate_learn(void);
/* The MXCSR bits that this CPU has. */
uint32_t soft_xstate_mxcsr_mask(void);
/* Bytes of the extended state in a signal frame; 0: none. */
size_t soft_xstate_frame_size(const ucontext_t *context);
/* Stores what of `xfrm` is in use in the signal frame at `image`, as XSAVE does; the header is whole. */
void soft_xstate_save(uint8_t *image, const ucontext_t *context, uint64_t xfrm);
/* The reverse: the signal frame will restore `xfrm` out of an image that passed XRSTOR's checks. */
void soft_xstate_load(ucontext_t *context, const uint8_t *image, uint64_t xfrm);
/* Puts the signal frame's extended state to INIT; after #MF, FCW keeps the exception unmasked bit (037EH). */
void soft_xstate_init(ucontext_t *context, bool after_mf);

#endif
