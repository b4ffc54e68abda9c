/*
 * The name of the host's file system, for mount(): mount("/", "/", OE_HOST_FILE_SYSTEM, 0, NULL).
 * Skin header for enclave code; C11 and C++.
 * Never used before oe_load_module_host_file_system().
 */
#ifndef _OE_BITS_FS_H
#define _OE_BITS_FS_H

#include <openenclave/bits/defs.h>
#include <openenclave/bits/result.h>
#include <openenclave/bits/types.h>

#define OE_HOST_FILE_SYSTEM "oe_host_file_system"

#endif
