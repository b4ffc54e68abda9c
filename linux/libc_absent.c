/*
 * What libcrypto and libssl name and the kernel's libc never does: load objects, ask for names. Without these the linker would take the
 * C library's, which open files.
 * Side: enclave, ordinary code of the kernel's libc. In the full program kernel only.
 */
#include <netdb.h>
#include <stddef.h>

/* Of DSO_METHOD: its functions are looked at before they are called, and there are none. */
#define METHOD_WORDS 32

const void *DSO_METHOD_openssl(void);

const void *DSO_METHOD_openssl(void)
{
    static void *const none[METHOD_WORDS];
    return none;
}

struct hostent *gethostbyname(const char *name)
{
    (void)name;
    h_errno = HOST_NOT_FOUND;
    return NULL;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_addresses)
{
    (void)name;
    (void)service;
    (void)hints;
    *ret_addresses = NULL;
    return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *addresses)
{
    (void)addresses;
}

const char *gai_strerror(int code)
{
    (void)code;
    return "names are not asked for in enclaves";
}

int getnameinfo(const struct sockaddr *address, socklen_t size, char *host, socklen_t host_size,
                char *service, socklen_t service_size, int flags)
{
    (void)address, (void)size, (void)host, (void)host_size, (void)service, (void)service_size;
    (void)flags;
    return EAI_FAIL;
}
