/*
 * What a program's loader reads of an ELF file: interpreter, needed libraries, search paths; and the loader's cache.
 * Side: tools (hosted). Called inside oci/. Allocates nothing; strings point into the file.
 * Sources: System V ABI, chapters 4 and 5; glibc's sysdeps/generic/dl-cache.h for the cache's layout.
 */
#ifndef CELLA_OCI_LOADER_H
#define CELLA_OCI_LOADER_H

#include <stdbool.h>

#include "common/bytes.h"

#define OCI_NEEDED_MAX 256u
#define OCI_ELF_LOAD_MAX 64u

struct oci_elf {
    struct cella_bytes file;
    uint16_t type;           /* ET_EXEC or ET_DYN */
    const char *interpreter; /* NULL: none */
    const char *soname;
    const char *rpath, *runpath;
    struct cella_bytes strings; /* names of symbols, too */
    const char *needed[OCI_NEEDED_MAX];
    unsigned needed_count;
    uint64_t loaded_end; /* behind the last byte of the file that a segment or a header takes */
};

/* BAD_MAGIC: not an ELF file for x86-64. */
CELLA_MUST_USE cella_result oci_elf_parse(struct cella_bytes file, struct oci_elf *ret_elf);

/* Whether the file names that symbol: its own or another's. */
bool oci_elf_mentions(const struct oci_elf *elf, const char *symbol);

/*
 * The path of library `name` for x86-64 in the loader's cache (/etc/ld.so.cache), as every x86-64 processor can use it:
 * variants for newer processors are passed over. NOT_FOUND; MALFORMED codes for what is no such cache.
 */
CELLA_MUST_USE cella_result oci_cache_find(struct cella_bytes cache, const char *name,
                                           const char **ret_path);

#endif
