/*
 * The file tree of a program, as the rest of the personality sees it.
 * Side: enclave. Included by linux/. linux.h declares what syscall.c and memory.c call weakly.
 * Never gives out a name, a number or a byte of the host's but below mounts of kind HOST.
 */
#ifndef CELLA_LINUX_FS_H
#define CELLA_LINUX_FS_H

#include "enclave/descriptors.h"
#include "linux/description.h"

/*
 * Builds the tree: root, measured files, mounts, /proc, /sys, /dev. `directory`: where the host was started, absolute
 * (empty: "/"); relative sources are joined to it. Once, before the program's first instruction.
 */
cella_result fs_start(const struct cella_program_description *description,
                      struct cella_bytes directory);

/* fs_ego.c: a Marble sees all of the host's files, writable, in /edg/hostfs, as EGo mounts them. 0, or an errno. */
long fs_ego_host(void);

/* Answers the path and file calls; false: not one of them. Also open objects of other modules where a path leads there. */
bool fs_syscall(struct cella_regs *regs, long *ret_result);

/* fs_pieces.c: copies between the kernel and the program's memory; false: EFAULT. */
bool linux_user_read(void *to, uint64_t from, uint64_t size);
bool linux_user_write(uint64_t to, const void *from, uint64_t size);

/*
 * mmap. fs_map_check says whether an open file can be mapped so (0, or an errno). A shared mapping of it is made between
 * fs_map_begin (0, or an errno) and fs_map_end, and made known with fs_map_add before its first page is filled. Its pages
 * are filled between fs_map_take and fs_map_give, with fs_map_fill; private ones with cella_linux_file_read (zeros behind the
 * end are the caller's). fs_map_write, before one can be stored in that could not; fs_map_stored, between take and give, when a
 * page comes into one with what was stored elsewhere; fs_map_has, there, whether an address still is in one that is kept
 * alike. fs_map_remove, when its range goes, writes back what was changed; fs_map_sync is msync.
 * docs/adr/0170 has the rules of coherence.
 */
long fs_map_check(struct cella_open *open, uint32_t rights, bool shared);
long fs_map_begin(struct cella_open *open);
void fs_map_end(struct cella_open *open);
long fs_map_add(struct cella_open *open, uint64_t address, uint64_t size, uint64_t offset,
                bool writable);
void fs_map_take(struct cella_open *open);
void fs_map_give(struct cella_open *open);
long fs_map_fill(struct cella_open *open, uint64_t offset, uint64_t size, void *to);
void fs_map_write(struct cella_open *open, uint64_t address, uint64_t size);
void fs_map_stored(struct cella_open *open, uint64_t address, uint64_t size);
bool fs_map_has(struct cella_open *open, uint64_t address);
void fs_map_remove(struct cella_open *open, uint64_t address, uint64_t size);
long fs_map_sync(struct cella_open *open, uint64_t address, uint64_t size);
/*
 * Made by the memory manager; weak in fs_map.c. Bytes within one page of the program, where that page is byte `offset` of a
 * shared mapping of `open` and has been filled, whatever its rights. Of anything else nothing is taken (false), and
 * nothing is changed. _drop: such pages go, to be filled again when they are touched.
 */
bool linux_memory_get(void *to, struct cella_open *open, uint64_t offset, uint64_t at,
                      uint64_t size);
void linux_memory_put(struct cella_open *open, uint64_t offset, uint64_t at, const void *from,
                      uint64_t size);
void linux_memory_drop(struct cella_open *open, uint64_t offset, uint64_t at, uint64_t size);
/* The path of an open file as /proc/self/maps shows it; its length, at most `capacity`. 0: no file. */
uint64_t fs_open_path(struct cella_open *open, char *to, uint64_t capacity);
/* The whole content of a file of the tree, for the kernel's own use: NULL when it is not there or is not in memory. */
struct cella_bytes fs_content(const char *path);

/*
 * What the tree shows of the process. Made in fs_system.c over the personality's state; tests bring their own.
 */
struct fs_memory_use {
    uint64_t total, used;            /* bytes the program may have, and has */
    uint64_t mapped, resident, peak; /* VmSize, VmRSS, VmHWM */
    uint64_t data, stack;
};
struct fs_area {
    uint64_t start, end, offset;
    uint32_t rights; /* PROT_* */
    bool shared;
    struct cella_open *file; /* a reference for the caller; NULL: none */
    const char *label;       /* "[heap]", "[stack]"; NULL: none */
};
struct fs_thread {
    uint32_t tid;
    char name[16];
    bool is_running; /* or sleeps */
};
void fs_system_now(
    int64_t ret_time[2]); /* real time, without leaving the enclave where that is possible */
void fs_system_uptime(int64_t ret_time[2]); /* since the program started */
void fs_system_cpu_time(uint64_t *ret_nanoseconds);
void fs_system_memory(struct fs_memory_use *ret_use);
/* The area at `index`; false: no more. */
bool fs_system_area(uint32_t index, struct fs_area *ret_area);
bool fs_system_thread(uint32_t index, struct fs_thread *ret_thread); /* the first is the main one */
bool fs_system_name_set(uint32_t tid, const char *name);
uint32_t fs_system_cpus(void);
struct fs_ids {
    uint32_t process, parent, user, group;
    uint32_t user_effective, group_effective;
};
void fs_system_ids(struct fs_ids *ret_ids);
/* Strings behind each other, each with its zero. */
struct cella_bytes fs_system_arguments(void);
struct cella_bytes fs_system_environment(void);
struct cella_bytes fs_system_auxv(void);
const char *fs_system_host_name(void);
/* The program's signal state: pending, blocked, ignored, caught. */
void fs_system_signals(uint64_t ret_masks[4]);
uint64_t fs_system_stack_limit(void);
uint64_t fs_system_descriptor_max(void); /* the hard limit */
/* EPIPE of this call is no SIGPIPE: datagrams. */
void fs_system_quiet_pipe(void);

#endif
