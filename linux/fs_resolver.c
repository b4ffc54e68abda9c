/*
 * /etc/resolv.conf of a program whose manifest lets it ask for names: the host's, as it is when the program starts.
 * Side: enclave. Called once by fs_start.c. What the host puts in it decides whom the program asks, as the answers decide
 * whom it talks to: nothing of that is believed by a program that verifies its peers.
 */
#include "linux/fs_tree.h"

#define RESOLVER_PATH "/etc/resolv.conf"
#define RESOLVER_MAX 16384u

static char text[RESOLVER_MAX];

static long host_open(void)
{
    uint64_t answer[2] = {0};
    const struct cella_call_request request = {.operation = CELLA_FILE_OPEN, .handle = -1};
    const struct cella_gather bytes =
        CELLA_GATHER_ONE(RESOLVER_PATH, (uint64_t)sizeof(RESOLVER_PATH));
    return cella_ask_answer(CELLA_OCALL_FILE, &request, &bytes, answer, sizeof(answer), NULL,
                            INT32_MAX);
}

/* Up to the end, or to what there is room for. */
static uint64_t host_read(int32_t handle)
{
    uint64_t done = 0;
    while (done < sizeof(text)) {
        const uint64_t part = sizeof(text) - done;
        const struct cella_call_request request = {
            .operation = CELLA_FILE_READ, .handle = handle, .a = (int64_t)done, .b = (int64_t)part};
        const struct cella_gather bytes = CELLA_GATHER_ONE(text + done, part);
        int64_t value = 0;
        const long count = cella_ask_answer(CELLA_OCALL_FILE, &request, NULL, &value, sizeof(value),
                                            &bytes, (int64_t)part);
        if (count <= 0) {
            break;
        }
        done += (uint64_t)count;
    }
    return done;
}

/* The host's file; size 0 when the manifest names no hosts, or the host has none. */
const char *fs_resolver_text(uint64_t *ret_size)
{
    *ret_size = 0;
    if (fs_description.head.hosts.count != 0) {
        const long handle = host_open();
        if (handle >= 0) {
            *ret_size = host_read((int32_t)handle);
            (void)cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_CLOSE, (int32_t)handle, 0, 0, 0);
        }
    }
    return text;
}
