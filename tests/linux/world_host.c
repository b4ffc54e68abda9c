/*
 * The host of the file tree's tests: the host runtime's own file service, over a folder; and lies about what it says.
 * Side: tests.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/blocks.h"
#include "host/services.h"
#include "tests/linux/world.h"

void (*world_lie)(const struct world_answer *answer);
unsigned long world_host_calls;
static cella_enclave enclave;

/* What the services ask about the calling thread: it is in no enclave. */
const struct cella_host_active *cella_host_active(void)
{
    return NULL;
}

void world_host_start(const char *root)
{
    enclave.services = calloc(1, sizeof(*enclave.services));
    enclave.file_root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (!enclave.services || enclave.file_root < 0) {
        abort();
    }
    enclave.services->stop = -1;
    enclave.flags = CELLA_ENCLAVE_NETWORK;
}

int64_t world_host_serve(uint32_t service, const void *in, size_t in_size, const void *bytes,
                         size_t size, uint8_t *out, size_t capacity, size_t *ret_size)
{
    const size_t rest = in_size - sizeof(struct cella_call_request);
    uint8_t *whole = malloc(rest + size + 1);
    if (!whole) {
        abort();
    }
    memcpy(whole, (const uint8_t *)in + sizeof(struct cella_call_request), rest);
    memcpy(whole + rest, bytes, size);
    struct cella_service_call call = {.enclave = &enclave,
                                      .head = *(const struct cella_call_request *)in,
                                      .bytes = whole,
                                      .size = rest + size,
                                      .out = out,
                                      .capacity = capacity};
    world_host_calls++;
    int64_t value =
        service == CELLA_OCALL_SOCKET ? cella_sockets_serve(&call) : cella_files_serve(&call);
    *ret_size = call.extra;
    if (world_lie) {
        const struct world_answer answer = {.operation = call.head.operation,
                                            .value = &value,
                                            .bytes = out,
                                            .size = ret_size,
                                            .capacity = capacity};
        world_lie(&answer);
    }
    free(whole);
    return value;
}

uint32_t world_host_blocks(const void *in, size_t in_size, void *out, size_t out_capacity,
                           size_t *ret_size)
{
    return cella_host_blocks(&enclave, in, in_size, out, out_capacity, ret_size).code;
}

size_t world_host_open_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < CELLA_HANDLES_MAX / 64; i++) {
        count += (size_t)__builtin_popcountll(enclave.services->open[i]);
    }
    return count;
}

uint64_t world_random(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15ull;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

/* Memory where there is some: the kernel's own tmpfs is what the tree is compared with. */
void world_folder_make(char path[64])
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, 64, "%s/cella-linux-XXXXXX", base);
    if (!mkdtemp(path)) {
        abort();
    }
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)at;
    if (type == FTW_DNR) {
        chmod(path, 0700);
    }
    return remove(path);
}

void world_folder_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
