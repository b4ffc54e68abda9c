/*
 * The inside of the files module.
 * Side: enclave. Included by enclave/files*.c and dirs.c.
 * Never takes a path of the host: names are the enclave's, below the root that the host chose.
 */
#ifndef CELLA_ENCLAVE_FILES_H
#define CELLA_ENCLAVE_FILES_H

#include "enclave/descriptors.h"

#define CELLA_PATH_SIZE 4096u /* with the zero */

/* A path as the host gets it, absolute; a page. size 0: none. */
struct cella_path {
    char *text;
    uint64_t size; /* with the zero */
};
static inline void cella_path_done(struct cella_path *path)
{
    cella_pages_free(path->text, CELLA_PATH_SIZE);
}

/* files_paths.c: joins `path` to the directory (AT_FDCWD: the current one). 0, or an errno. */
long cella_path_take(struct cella_path *ret_path, uint64_t directory, uint64_t path);
/* A skin's mounts, where one is linked in: the host's path in the place of the enclave's. 0, or an errno. */
long cella_path_translate(struct cella_path *path, bool is_absolute) __attribute__((weak));
/* A request with one path, or two behind each other. */
long cella_path_ask(const struct cella_call_request *request, const struct cella_path *first,
                    const struct cella_path *second, int64_t max);
long cella_path_stat(const struct cella_path *path, bool of_link, struct cella_call_stat *ret_stat);
bool cella_files_paths(struct cella_regs *regs, long *ret_result);
/* files_names.c: what changes names, modes and times. */
bool cella_files_names(struct cella_regs *regs, long *ret_result);
/* files_map.c: mmap of files, as copies. */
bool cella_files_map(struct cella_regs *regs, long *ret_result);

/* files.c */
extern const struct cella_open_class cella_file_class CELLA_KERNEL;
/* The path under which a directory was opened; NULL: not one. */
static inline const char *cella_open_directory(const struct cella_open *open)
{
    return open->class == &cella_file_class ? open->data : NULL;
}
extern CELLA_KERNEL _Atomic uint32_t cella_umask;
extern const char cella_module_files CELLA_KERNEL;

#endif
