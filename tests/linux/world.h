/*
 * The file tree of a program compiled natively: a kernel that is played, and a host that is the real one, below a folder.
 * Side: tests. world.c plays the enclave's side, world_host.c the host's.
 * Never more than one tree in a process.
 */
#ifndef CELLA_TESTS_LINUX_WORLD_H
#define CELLA_TESTS_LINUX_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file or a mount of the description. */
struct world_file {
    const char *path, *source, *link;
    const void *content;
    size_t size;
    uint32_t mode;
    bool wrong_hash;
};
struct world_mount {
    const char *target, *source;
    uint32_t kind, flags;
};
struct world {
    const struct world_file *files;
    size_t file_count;
    const struct world_mount *mounts;
    size_t mount_count;
    const char *directory; /* where the program starts; NULL: "/" */
    uint32_t flags, user;
    const char *host_directory; /* of the "host": sources are relative to it */
};
/* Result code of fs_start. Below `root` lies all that the host can see. */
uint32_t world_start(const struct world *world, const char *root);
long world_call(long number, ...); /* six words */
#define W(x) ((uint64_t)(x))
#define CALL(number, ...) world_call((number), __VA_ARGS__, 0ul, 0ul, 0ul, 0ul, 0ul, 0ul)

/* world_host.c. `lie`, when it is set, may change what the host answers: value, bytes and how many there are. */
struct world_answer {
    uint32_t operation;
    int64_t *value;
    uint8_t *bytes;
    size_t *size, capacity;
};
extern void (*world_lie)(const struct world_answer *answer);
extern unsigned long world_host_calls;
void world_host_start(const char *root);
/*
 * A request of a service: head (and what else `in` has), bytes, room behind the 8 bytes of the value. The value;
 * *ret_size: how many bytes of `out` are written.
 */
int64_t world_host_serve(uint32_t service, const void *in, size_t in_size, const void *bytes,
                         size_t size, uint8_t *out, size_t capacity, size_t *ret_size);
uint32_t world_host_blocks(const void *in, size_t in_size, void *out, size_t out_capacity,
                           size_t *ret_size);
size_t world_host_open_count(void);
unsigned world_unix_count(void); /* sockets of AF_UNIX that there are */
extern uint8_t world_identity;

uint64_t world_random(uint64_t *state);
void world_folder_make(char path[64]);
void world_folder_remove(const char *path);

#endif
