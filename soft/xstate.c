/*
 * Extended processor state: XSAVE images in SSA frames and in signal frames (SDM Vol. 1, chapter 13).
 * Side: soft. Called by transition.c and trap.c.
 * Never executes CPUID after soft_xstate_learn, since CPUID may have been made to fault.
 */
#include "soft/xstate.h"

#include <cpuid.h>
#include <string.h>

#define COMPONENTS                                                                                 \
    10u /* x87, SSE, AVX, MPX (2), AVX-512 (3), PT, PKRU: all that an enclave may have */
#define LEGACY_SIZE 416u /* up to the bytes software may use */
#define FX_SW_BYTES 464u
#define FX_MAGIC1 0x46505853u
#define FX_XFEATURES (FX_SW_BYTES + 8u)
#define LEGACY_X87_ST 32u /* ST0 … ST7; before them FCW to FDP, then MXCSR */
#define LEGACY_X87_END 160u
#define X87_FCW_INIT 0x37Fu
#define MXCSR_INIT 0x1F80u

static struct {
    uint32_t offset[COMPONENTS];
    uint32_t size[COMPONENTS];
    uint32_t mxcsr_mask;
} g_layout;

void soft_xstate_learn(void)
{
    for (uint32_t i = 2; i < COMPONENTS; i++) {
        uint32_t a = 0, b = 0, c = 0, d = 0;
        __cpuid_count(0xD, i, a, b, c, d);
        g_layout.size[i] = a;
        g_layout.offset[i] = b;
    }
    _Alignas(16) uint8_t area[512] = {0};
    __asm__ volatile("fxsave64 %0" : "=m"(area));
    memcpy(&g_layout.mxcsr_mask, area + 28, sizeof(g_layout.mxcsr_mask));
    if (g_layout.mxcsr_mask == 0) {
        g_layout.mxcsr_mask = 0xFFBF; /* SDM Vol. 1, 11.6.6 */
    }
}

uint32_t soft_xstate_mxcsr_mask(void)
{
    return g_layout.mxcsr_mask;
}

/* The features whose state the frame holds: all of an XSAVE frame's, or x87 and SSE of an FXSAVE one's. */
static uint64_t frame_features(const uint8_t *frame)
{
    uint32_t magic;
    uint64_t features;
    memcpy(&magic, frame + FX_SW_BYTES, sizeof(magic));
    if (magic != FX_MAGIC1) {
        return 3;
    }
    memcpy(&features, frame + FX_XFEATURES, sizeof(features));
    return features;
}

size_t soft_xstate_frame_size(const ucontext_t *context)
{
    const uint8_t *frame = (const uint8_t *)context->uc_mcontext.fpregs;
    uint32_t words[2]; /* magic1, extended_size */
    if (!frame) {
        return 0;
    }
    memcpy(words, frame + FX_SW_BYTES, sizeof(words));
    return words[0] == FX_MAGIC1 ? words[1] : SOFT_XSTATE_HEADER;
}

/* Linux marks x87 as in use in every signal frame, also when it is as after FNINIT; a processor would not. */
static bool x87_is_initial(const uint8_t *image)
{
    static const uint8_t initial[LEGACY_X87_END] = {X87_FCW_INIT & 0xFF, X87_FCW_INIT >> 8};
    return memcmp(image, initial, SOFT_XSTATE_MXCSR) == 0 &&
           memcmp(image + LEGACY_X87_ST, initial + LEGACY_X87_ST, LEGACY_X87_END - LEGACY_X87_ST) ==
               0;
}

void soft_xstate_save(uint8_t *image, const ucontext_t *context, uint64_t xfrm)
{
    const uint8_t *frame = (const uint8_t *)context->uc_mcontext.fpregs;
    struct soft_xstate_header header = {0};
    uint64_t features = frame_features(frame);
    if (features == 3) {
        header.xstate_bv = 3;
    } else {
        memcpy(&header.xstate_bv, frame + SOFT_XSTATE_HEADER, sizeof(header.xstate_bv));
    }
    header.xstate_bv &= x87_is_initial(frame) ? xfrm & ~1ull : xfrm;
    memcpy(image, frame, LEGACY_SIZE);
    memcpy(image + SOFT_XSTATE_HEADER, &header, sizeof(header));
    for (uint32_t i = 2; i < COMPONENTS; i++) {
        if (header.xstate_bv & (1ull << i)) {
            memcpy(image + g_layout.offset[i], frame + g_layout.offset[i], g_layout.size[i]);
        }
    }
}

void soft_xstate_load(ucontext_t *context, const uint8_t *image, uint64_t xfrm)
{
    uint8_t *frame = (uint8_t *)context->uc_mcontext.fpregs;
    uint64_t in_use;
    memcpy(&in_use, image + SOFT_XSTATE_HEADER, sizeof(in_use));
    in_use &= xfrm & frame_features(frame);
    memcpy(frame, image, LEGACY_SIZE);
    if (frame_features(frame) == 3) {
        return;
    }
    memcpy(frame + SOFT_XSTATE_HEADER, &in_use, sizeof(in_use));
    for (uint32_t i = 2; i < COMPONENTS; i++) {
        if (in_use & (1ull << i)) {
            memcpy(frame + g_layout.offset[i], image + g_layout.offset[i], g_layout.size[i]);
        }
    }
}

void soft_xstate_init(ucontext_t *context, bool after_mf)
{
    uint8_t *frame = (uint8_t *)context->uc_mcontext.fpregs;
    const uint32_t mxcsr = MXCSR_INIT;
    const uint16_t fcw = after_mf ? 0x37E : 0x37F;
    memset(frame, 0, LEGACY_SIZE);
    memcpy(frame, &fcw, sizeof(fcw));
    memcpy(frame + SOFT_XSTATE_MXCSR, &mxcsr, sizeof(mxcsr));
    if (frame_features(frame) != 3) {
        uint64_t in_use = after_mf ? 1 : 0;
        memcpy(frame + SOFT_XSTATE_HEADER, &in_use, sizeof(in_use));
    }
}
