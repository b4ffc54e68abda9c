/*
 * The inside of the sockets module.
 * Side: enclave. Included by enclave/sockets*.c.
 * Never holds an address of the host that was not checked.
 */
#ifndef CELLA_ENCLAVE_SOCKETS_H
#define CELLA_ENCLAVE_SOCKETS_H

#include "enclave/descriptors.h"

#define LINUX_MSG_PEEK 0x2u
#define LINUX_MSG_TRUNC 0x20u
#define LINUX_MSG_DONTWAIT 0x40u
#define LINUX_MSG_WAITALL 0x100u
#define LINUX_MSG_NOSIGNAL 0x4000u
#define LINUX_MSG_WAITFORONE 0x10000u
#define LINUX_MSG_CMSG_CLOEXEC 0x40000000u
#define LINUX_AF_UNIX 1u
#define LINUX_AF_INET 2u
#define LINUX_AF_INET6 10u

/* words of a socket's struct cella_open */
#define SOCKET_DOMAIN 0
#define SOCKET_TYPE 1
#define SOCKET_PROTOCOL 2

extern const struct cella_open_class cella_socket_class CELLA_KERNEL;

/* What the libc has in struct msghdr. */
struct linux_message {
    uint64_t name;
    uint32_t name_size;
    uint32_t pad1;
    uint64_t vector, vector_count;
    uint64_t control, control_size;
    uint32_t flags;
    uint32_t pad2;
};
_Static_assert(sizeof(struct linux_message) == 56, "struct msghdr");

/* A socket with a reference more; else NULL and *ret_error. Give back with cella_open_put. */
struct cella_open *cella_socket_get(uint64_t fd, long *ret_error);
#define CELLA_SOCKET_GET(name, fd, error)                                                          \
    CELLA_CLEANUP(cella_open_put_at) struct cella_open *name = cella_socket_get(fd, &(error))

/* An address that the host says: of the socket's family, of the size that this family has, or none. */
bool cella_address_is_sane(const struct cella_open *open, const struct cella_call_address *address);
/* Hands an address to the libc: as much as fits, and its whole size. `to` 0: nobody wants it. */
long cella_address_write(const struct cella_call_address *address, uint64_t to, uint64_t size_at);
/* An address of the libc, padded with zeros; *ret_size is its own size. */
long cella_address_read(uint64_t from, uint64_t size, uint8_t ret_address[CELLA_CALL_ADDRESS_MAX]);

/* sockets_messages.c */
long cella_socket_send(struct cella_open *open, const struct cella_gather *bytes, uint64_t address,
                       uint64_t address_size, uint32_t flags);
long cella_socket_receive(struct cella_open *open, const struct cella_gather *bytes, uint32_t flags,
                          struct cella_call_address *ret_answer);
bool cella_socket_messages(struct cella_regs *regs, long *ret_result);
/* sockets_options.c */
bool cella_socket_options(struct cella_regs *regs, long *ret_result);

#endif
