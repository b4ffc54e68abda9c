/*
 * Offsets of struct cella_host_frame for enter.S; asserted in host.h.
 * Side: host. Included by enter.S and host.h only.
 * Never changed in one place alone.
 */
#ifndef CELLA_HOST_FRAME_H
#define CELLA_HOST_FRAME_H

#define FRAME_RDI 0
#define FRAME_RSI 8
#define FRAME_RDX 16
#define FRAME_R8 24
#define FRAME_R9 32
#define FRAME_RUN 40
#define FRAME_ENTER 48
#define FRAME_FUNCTION 64
#define FRAME_STATUS 68
#define FRAME_LOST 2 /* CELLA_HOST_LOST */

#endif
