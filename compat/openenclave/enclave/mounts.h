/*
 * Mounts of the host's file system.
 * Side: enclave. Included by the enclave half.
 * Never mounts anything by itself.
 */
#ifndef CELLA_COMPAT_OE_MOUNTS_H
#define CELLA_COMPAT_OE_MOUNTS_H

/* From now on mount() knows the host's file system. */
void oe_mounts_allow(void);

#endif
