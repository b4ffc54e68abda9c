/*
 * The tables that oe_create_enclave takes from generated code.
 * Skin header for the host; C11 and C++. Included by openenclave/host.h; what they are: cella/bridge_host.h.
 * Never more than names.
 */
#ifndef _OE_EDGER8R_HOST_TYPES_H
#define _OE_EDGER8R_HOST_TYPES_H

typedef struct cella_bridge_ocall oe_ocall_func_t;
typedef struct cella_bridge_name oe_ecall_info_t;

#endif
