/*
 * Types that the system EDL files name.
 * Skin header for both sides; C11 and C++; included by generated code.
 * Never declares a function.
 */
#ifndef _OE_EDL_SYSCALL_TYPES_H
#define _OE_EDL_SYSCALL_TYPES_H

#include <openenclave/bits/defs.h>
#include <openenclave/bits/types.h>

typedef int64_t oe_host_fd_t;
typedef uint64_t oe_nfds_t;

typedef union _oe_epoll_data_t {
    void *ptr;
    int fd;
    uint32_t u32;
    uint64_t u64;
} oe_epoll_data_t;

OE_PACK_BEGIN
struct oe_epoll_event {
    uint32_t events;
    oe_epoll_data_t data;
};
OE_PACK_END

#endif
