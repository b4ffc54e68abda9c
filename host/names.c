/*
 * Who and where: names and addresses, ids of the process, names of the machine.
 * Side: host. Called by services.c for the enclave's resolver, ids and uname modules.
 * Never sends a signal.
 */
#include "host/services.h"

#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define FLAGS                                                                                      \
    (AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG |           \
     AI_NUMERICSERV)

/* The two texts of a request. */
static bool texts_take(const struct cella_service_call *call, const char *ret_texts[2])
{
    size_t at = 0;
    for (int i = 0; i < 2; i++) {
        const uint8_t *end = memchr(call->bytes + at, 0, call->size - at);
        if (!end) {
            return false;
        }
        ret_texts[i] = (const char *)call->bytes + at;
        at = (size_t)(end - call->bytes) + 1;
    }
    return true;
}

static int64_t list_pack(const struct addrinfo *list, struct cella_service_call *call)
{
    const size_t records = CELLA_CALL_RESOLVED_MAX * sizeof(struct cella_call_resolved);
    uint32_t count = 0;
    if (call->capacity < records + CELLA_CALL_NAME_MAX) {
        return EAI_OVERFLOW;
    }
    memset(call->out, 0, call->capacity);
    if (list && list->ai_canonname) {
        strncpy((char *)call->out + records, list->ai_canonname, CELLA_CALL_NAME_MAX - 1);
    }
    for (; list && count < CELLA_CALL_RESOLVED_MAX; list = list->ai_next) {
        struct cella_call_resolved record = {.type = (uint32_t)list->ai_socktype,
                                             .protocol = (uint32_t)list->ai_protocol,
                                             .size = list->ai_addrlen};
        if (list->ai_addrlen > sizeof(record.address)) {
            continue;
        }
        memcpy(record.address, list->ai_addr, list->ai_addrlen);
        memcpy(call->out + count * sizeof(record), &record, sizeof(record));
        count++;
    }
    call->extra = call->capacity;
    return count > 0 ? count : EAI_NONAME;
}

static int64_t addresses(struct cella_service_call *call)
{
    const char *texts[2];
    struct addrinfo *list = NULL;
    const uint64_t kind = (uint64_t)call->head.b;
    const struct addrinfo hints = {.ai_flags = (int)call->head.a & FLAGS,
                                   .ai_family = (int)(kind & 0xFFFF),
                                   .ai_socktype = (int)(kind >> 16 & 0xFFFF),
                                   .ai_protocol = (int)(kind >> 32 & 0xFFFF)};
    if (!texts_take(call, texts)) {
        return EAI_FAIL;
    }
    const int found = getaddrinfo((call->head.handle & 1) ? texts[0] : NULL,
                                  (call->head.handle & 2) ? texts[1] : NULL, &hints, &list);
    if (found != 0) {
        return found == EAI_SYSTEM ? EAI_FAIL : found;
    }
    const int64_t result = list_pack(list, call);
    freeaddrinfo(list);
    return result;
}

static int64_t names(struct cella_service_call *call)
{
    union {
        struct sockaddr any;
        struct sockaddr_in6 biggest;
    } address = {0};
    const size_t whole = CELLA_CALL_NAME_MAX + CELLA_CALL_SERVICE_MAX;
    const size_t size = (size_t)call->head.b;
    if (size > call->size || size > sizeof(address) || call->capacity < whole) {
        return EAI_FAIL;
    }
    memcpy(&address, call->bytes, size);
    memset(call->out, 0, whole);
    const int result = getnameinfo(&address.any, (socklen_t)size, (char *)call->out,
                                   CELLA_CALL_NAME_MAX, (char *)call->out + CELLA_CALL_NAME_MAX,
                                   CELLA_CALL_SERVICE_MAX, (int)call->head.a);
    call->extra = result == 0 ? whole : 0;
    return result == EAI_SYSTEM ? EAI_FAIL : result;
}

int64_t cella_resolve_serve(struct cella_service_call *call)
{
    if ((call->enclave->flags & CELLA_ENCLAVE_NETWORK) == 0) {
        return EAI_FAIL;
    }
    switch (call->head.operation) {
    case CELLA_RESOLVE_ADDRESSES:
        return addresses(call);
    case CELLA_RESOLVE_NAMES:
        return names(call);
    default:
        return EAI_FAIL;
    }
}

static int64_t groups(struct cella_service_call *call)
{
    gid_t list[CELLA_CALL_GROUPS_MAX];
    const int64_t count = cella_errno_or(getgroups(CELLA_CALL_GROUPS_MAX, list));
    if (count > 0 && call->capacity >= (size_t)count * sizeof(list[0])) {
        call->extra = (size_t)count * sizeof(list[0]);
        memcpy(call->out, list, call->extra);
    }
    return count;
}

int64_t cella_ids_serve(struct cella_service_call *call)
{
    const pid_t process = (pid_t)call->head.a;
    switch (call->head.operation) {
    case CELLA_ID_PROCESS:
        return getpid();
    case CELLA_ID_PARENT:
        return getppid();
    case CELLA_ID_USER:
        return getuid();
    case CELLA_ID_USER_EFFECTIVE:
        return geteuid();
    case CELLA_ID_GROUP:
        return getgid();
    case CELLA_ID_GROUP_EFFECTIVE:
        return getegid();
    case CELLA_ID_PROCESS_GROUP:
        return cella_errno_or(getpgid(process));
    case CELLA_ID_SESSION:
        return cella_errno_or(getsid(process));
    case CELLA_ID_GROUPS:
        return groups(call);
    case CELLA_ID_EXISTS:
        return process > 0 ? cella_errno_or(kill(process, 0)) : -EPERM;
    default:
        return -ENOSYS;
    }
}

int64_t cella_uname_serve(struct cella_service_call *call)
{
    struct utsname names;
    const size_t whole = 6 * 65 + 2;
    _Static_assert(sizeof(names) == 6 * 65, "struct new_utsname");
    if (call->capacity < whole) {
        return -EINVAL;
    }
    memset(call->out, 0, whole);
    const int64_t result = cella_errno_or(uname(&names));
    memcpy(call->out, &names, sizeof(names));
    call->extra = whole;
    return result;
}
