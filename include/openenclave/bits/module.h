/*
 * Modules that let the enclave use the host's files, sockets, names and epoll.
 * Skin header for enclave code; C11 and C++. The EDL must import the matching system file (fcntl.edl, socket.edl,
 * epoll.edl …): what is not imported is not linked, and loading it gives OE_NOT_FOUND.
 * Never makes what the host says trustworthy.
 */
#ifndef _OE_BITS_MODULE_H
#define _OE_BITS_MODULE_H

#include <openenclave/bits/defs.h>
#include <openenclave/bits/result.h>
#include <openenclave/bits/types.h>

OE_EXTERNC_BEGIN

oe_result_t oe_load_module_host_file_system(void);
oe_result_t oe_load_module_host_socket_interface(void);
oe_result_t oe_load_module_host_resolver(void);
oe_result_t oe_load_module_host_epoll(void);

OE_EXTERNC_END

#endif
