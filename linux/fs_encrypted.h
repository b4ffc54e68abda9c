/*
 * Between the file tree and protected files: one call across, made in the kernel's own libc.
 * Side: enclave. Included by fs_encrypted.c (kernel) and fs_encrypted_libc.c (ordinary code); so it knows neither's types.
 * Never carries a pointer into the program's memory: buffers are the kernel's.
 */
#ifndef CELLA_LINUX_FS_ENCRYPTED_H
#define CELLA_LINUX_FS_ENCRYPTED_H

#include <stdbool.h>
#include <stdint.h>

/* Of a node: the protected file behind it, while somebody has it open. Changed in the libc only, where calls take turns. */
struct fs_encrypted_file {
    struct fs_encrypted_file *next; /* of those that are open */
    void *file;
    uint32_t opens;
    bool is_writable;
    bool is_written; /* since the last flush: its times are the node's. Under no lock: a hint */
};

enum fs_encrypted_operation {
    FS_ENCRYPTED_OPEN,   /* path; an errno: as open(2) */
    FS_ENCRYPTED_CREATE, /* path: it must not be there */
    FS_ENCRYPTED_CLOSE,
    FS_ENCRYPTED_READ, /* buffer, size, offset: a count */
    FS_ENCRYPTED_WRITE,
    FS_ENCRYPTED_SIZE,   /* the size */
    FS_ENCRYPTED_RESIZE, /* size */
    FS_ENCRYPTED_SYNC,
    FS_ENCRYPTED_NAME,    /* name: what the file is bound to from now on */
    FS_ENCRYPTED_FLUSH,   /* what is written goes to the host */
    FS_ENCRYPTED_END,     /* the same for all that are open; no file */
    FS_ENCRYPTED_VERSION, /* buffer: struct fs_encrypted_version of what was flushed last */
};

struct fs_encrypted_version {
    uint64_t generation;
    uint8_t digest[32];
};

struct fs_encrypted_call {
    enum fs_encrypted_operation operation;
    struct fs_encrypted_file *file;
    const char *path;
    const char *name;
    void *buffer;
    uint64_t size, offset;
    bool is_writing;   /* OPEN: for writing, too */
    bool is_read_only; /* the mount */
    bool by_signer;    /* the key of the signer's product, not of this enclave */
};

/* What cella_linux_libc is to run; argument: struct fs_encrypted_call. */
long fs_encrypted_run(void *argument) __attribute__((visibility("hidden")));

#endif
