/*
 * cella soft: puts the software SGX processor under any dynamically linked program.
 * Side: tools. Called by cli/main.c.
 * Never changes the program's file: the processor is a preloaded library.
 */
#include "cli/cli.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/cpuid_sites.h"
#include "cli/sdk.h"

#define ARCH_SET_CPUID_CODE 0x1012

static const char g_help[] =
    "usage: cella soft [--epc SIZE] [--strict-epc] [--platform DIR] [--] PROGRAM [ARGUMENT...]\n"
    "\n"
    "Runs PROGRAM with the software SGX processor under it: /dev/sgx_enclave, the SGX ioctls,\n"
    "__vdso_sgx_enter_enclave and (where the CPU can trap CPUID) the SGX CPUID leaves are there.\n"
    "The program is not modified. It must be dynamically linked.\n"
    "\n"
    "  --epc SIZE       size of the enclave page cache, e.g. 256M (default 128M)\n"
    "  --strict-epc     running out of it is ENOMEM instead of being paged transparently\n"
    "  --platform DIR   the platform whose keys are used (default ~/.local/state/cella/platform)\n"
    "\n"
    "It protects nothing from the machine's owner: see CAVEATS.\n";

/* The first of the places beside the program's own folder that has the library. */
bool cella_soft_library_find(char *ret_path, size_t size)
{
    static const char *const places[] = {
        "../lib/" CELLA_SOFT_LIBRARY,
        "../lib/x86_64-linux-gnu/" CELLA_SOFT_LIBRARY,
        "../soft/" CELLA_SOFT_LIBRARY,
        "../" CELLA_LIBDIR "/" CELLA_SOFT_LIBRARY,
    };
    char self[SDK_PATH_MAX];
    if (!cella_is_ok(sdk_program_folder(self, sizeof(self), NULL))) {
        return false;
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char *found;
        if (asprintf(&found, "%s/%s", self, places[i]) < 0) {
            return false;
        }
        char *real = realpath(found, NULL);
        free(found);
        if (real) {
            int written = snprintf(ret_path, size, "%s", real);
            free(real);
            return written > 0 && (size_t)written < size;
        }
    }
    return false;
}

/* Finds `program` as execvp would. */
static bool find_program(const char *program, char *ret_path, size_t size)
{
    if (strchr(program, '/')) {
        return snprintf(ret_path, size, "%s", program) < (int)size;
    }
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
        size_t length = strcspn(at, ":");
        snprintf(ret_path, size, "%.*s/%s", (int)length, length ? at : ".", program);
        if (access(ret_path, X_OK) == 0) {
            return true;
        }
        at += length + (at[length] == ':');
    }
    return false;
}

/* NULL, or why preloading cannot work on this file. Scripts and what cannot be read are left to exec. */
static const char *why_not(const char *path)
{
    Elf64_Ehdr header;
    const char *reason = NULL;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &status) == 0 && (status.st_mode & (S_ISUID | S_ISGID)) && geteuid() != 0) {
        reason = "it is setuid or setgid, and the loader ignores LD_PRELOAD for such programs";
    } else if (pread(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
               memcmp(header.e_ident, ELFMAG, SELFMAG) == 0) {
        bool interpreter = false;
        for (unsigned i = 0; i < header.e_phnum && !interpreter; i++) {
            Elf64_Phdr segment;
            off_t at = (off_t)(header.e_phoff + (uint64_t)i * sizeof(segment));
            interpreter = pread(fd, &segment, sizeof(segment), at) == (ssize_t)sizeof(segment) &&
                          segment.p_type == PT_INTERP;
        }
        if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64) {
            reason = "it is not a program for x86-64";
        } else if (!interpreter) {
            reason =
                "it is statically linked, so no library can be put under it; link it dynamically";
        }
    }
    close(fd);
    return reason;
}

/* Where CPUID cannot be made to fault, the program's own are found for the processor. */
static void offer_cpuid_sites(const char *path)
{
    static char sites[2048];
    const char *told = getenv("CELLA_SOFT_CPUID");
    bool traps = syscall(SYS_arch_prctl, ARCH_SET_CPUID_CODE, 0) == 0;
    if (traps) {
        syscall(SYS_arch_prctl, ARCH_SET_CPUID_CODE, 1);
    }
    if (traps && !(told && strcmp(told, "sites") == 0)) {
        return;
    }
    cpuid_sites_find(path, sites, sizeof(sites));
    if (sites[0]) {
        setenv("CELLA_SOFT_CPUID_SITES", sites, 1);
    }
}

/* Puts `first` before what the variable already holds. */
static bool prepend(const char *variable, const char *first)
{
    const char *before = getenv(variable);
    char *value;
    if (asprintf(&value, "%s%s%s", first, before && *before ? ":" : "", before ? before : "") < 0) {
        return false;
    }
    bool set = setenv(variable, value, 1) == 0;
    free(value);
    return set;
}

/* The loader ends names in LD_PRELOAD at blanks, but not those of folders in LD_LIBRARY_PATH. */
static bool preload(const char *library)
{
    if (strpbrk(library, ":;")) {
        fprintf(stderr, "cella soft: %s: the loader takes no library whose path has a ':' or ';'\n",
                library);
        return false;
    }
    if (!strpbrk(library, " \t\n")) {
        return prepend("LD_PRELOAD", library);
    }
    char folder[4096];
    snprintf(folder, sizeof(folder), "%s", library);
    *strrchr(folder, '/') = '\0';
    return prepend("LD_LIBRARY_PATH", folder) && prepend("LD_PRELOAD", CELLA_SOFT_LIBRARY);
}

static int run(char **program, const char *library)
{
    char path[4096];
    if (!find_program(program[0], path, sizeof(path))) {
        fprintf(stderr, "cella soft: %s: not found in PATH\n", program[0]);
        return 127;
    }
    const char *reason = why_not(path);
    if (reason) {
        fprintf(stderr, "cella soft: %s: %s\n", path, reason);
        return 126;
    }
    if (!preload(library)) {
        return 126;
    }
    offer_cpuid_sites(path);
    execv(path, program);
    int saved = errno;
    fprintf(stderr, "cella soft: %s: %s\n", path, strerror(saved));
    return saved == ENOENT ? 127 : 126;
}

int cella_cmd_soft(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "--help") == 0) {
            fputs(g_help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--strict-epc") == 0) {
            setenv("CELLA_SOFT_EPC_OVERCOMMIT", "0", 1);
        } else if (strcmp(argv[i], "--epc") == 0 && i + 1 < argc) {
            setenv("CELLA_SOFT_EPC", argv[++i], 1);
        } else if (strcmp(argv[i], "--platform") == 0 && i + 1 < argc) {
            setenv("CELLA_PLATFORM_DIR", argv[++i], 1);
        } else {
            fprintf(stderr,
                    "cella soft: %s: unknown option or missing value; see cella soft --help\n",
                    argv[i]);
            return 2;
        }
    }
    if (i >= argc) {
        fputs(g_help, stderr);
        return 2;
    }
    char library[4096];
    if (!cella_soft_library_find(library, sizeof(library))) {
        fprintf(stderr,
                "cella soft: %s not found beside this program; is the installation whole?\n",
                CELLA_SOFT_LIBRARY);
        return 126;
    }
    return run(argv + i, library);
}
