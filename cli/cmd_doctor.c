/*
 * cella doctor: what this machine offers, what is missing, and the mend for each.
 * Side: tools. Called by cli/main.c.
 * Never changes the machine; every probe is undone before the next.
 */
#include "cli/cli.h"
#include "host/aesm_client.h"
#include "host/quote.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "abi/sgx_linux.h"
#include "common/cleanup.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define ARCH_SET_CPUID_CODE 0x1012
#define HWCAP2_FSGSBASE_BIT 0x2ul

enum verdict {
    VERDICT_OK,
    VERDICT_MISSING, /* what the group is for does not work without it */
    VERDICT_LIMITED, /* works, with a gap that CAVEATS.md names */
    VERDICT_ABSENT,  /* not here, and nothing needs it */
};

struct finding {
    enum verdict verdict;
    char detail[160];
    const char *mend; /* NULL when there is nothing to do */
};

struct probe {
    const char *group;
    const char *name;
    void (*look)(struct finding *finding);
};

#define DETAIL(finding, ...) snprintf((finding)->detail, sizeof((finding)->detail), __VA_ARGS__)

static void probe_cpu(struct finding *f)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & 1u << 2)) {
        f->verdict = VERDICT_ABSENT;
        DETAIL(f, "this CPU, or the virtual machine's view of it, has no SGX");
        return;
    }
    __get_cpuid_count(0x12, 0, &a, &b, &c, &d);
    DETAIL(f, "SGX1 %s, SGX2 %s, launch control %s", a & 1 ? "yes" : "no", a & 2 ? "yes" : "no",
           c & 1u << 30 ? "yes" : "no");
}

static void probe_node(struct finding *f)
{
    struct stat status;
    if (stat(SGX_LINUX_ENCLAVE_NODE, &status) < 0) {
        f->verdict = VERDICT_ABSENT;
        DETAIL(f, "%s is not there", SGX_LINUX_ENCLAVE_NODE);
        f->mend = "on an SGX machine: enable SGX in the firmware, and use Linux 5.11 or newer";
        return;
    }
    int fd = open(SGX_LINUX_ENCLAVE_NODE, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        f->verdict = VERDICT_MISSING;
        DETAIL(f, "%s: %s", SGX_LINUX_ENCLAVE_NODE, strerror(errno));
        f->mend = "add this user to the group that owns the node (often sgx)";
        return;
    }
    close(fd);
    DETAIL(f, "%s can be opened", SGX_LINUX_ENCLAVE_NODE);
}

static void probe_provision(struct finding *f)
{
    if (access(SGX_LINUX_PROVISION_NODE, R_OK) == 0) {
        DETAIL(f, "%s can be opened", SGX_LINUX_PROVISION_NODE);
        return;
    }
    f->verdict = VERDICT_ABSENT;
    DETAIL(f, "%s: %s", SGX_LINUX_PROVISION_NODE, strerror(errno));
    f->mend = "only enclaves that ask for the provisioning key need it (group sgx_prv)";
}

static void probe_epc(struct finding *f)
{
    FILE *file = fopen("/sys/devices/system/node/node0/x86/sgx_total_bytes", "re");
    unsigned long long bytes = 0;
    if (!file) {
        f->verdict = VERDICT_ABSENT;
        DETAIL(f, "the kernel reports no enclave page cache");
        return;
    }
    if (fscanf(file, "%llu", &bytes) != 1) {
        bytes = 0;
    }
    fclose(file);
    DETAIL(f, "%llu MiB on node 0", bytes >> 20);
}

/* Asks it: a socket that nobody listens at is what a killed daemon leaves. */
static void probe_aesm(struct finding *f)
{
    uint32_t count = 0;
    uint64_t code = 0;
    const char *path = cella_aesm_path();
    const cella_result result = cella_aesm_key_count(&count, &code, NULL);
    if (cella_is_ok(result)) {
        DETAIL(f, "a quote daemon answers at %s", path);
        return;
    }
    const bool none = result.code == CELLA_CODE_NOT_FOUND;
    f->verdict = none ? VERDICT_ABSENT : VERDICT_MISSING;
    DETAIL(f, none ? "no quote daemon at %s" : "%s: no answer to a request for keys", path);
    f->mend = "start cella-quoted or Intel's aesmd; in a container mount the folder of its socket "
              "(SGX_AESM_ADDR, CELLA_AESM_SOCKET)";
}

static void probe_quoting(struct finding *f)
{
    char path[512];
    if (cella_is_ok(cella_quote_image_find("cella-qe.signed", path, sizeof(path), NULL)) &&
        access(path, R_OK) == 0) {
        DETAIL(f, "quotes are made in process: %.96s", path);
        return;
    }
    f->verdict = VERDICT_ABSENT;
    DETAIL(f, "no cella-qe.signed: quotes come from a daemon only");
    f->mend = "install it with Cella, or name its folder in CELLA_QUOTE_ENCLAVES";
}

static void probe_fsgsbase(struct finding *f)
{
    if (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT) {
        DETAIL(f, "WRFSBASE and WRGSBASE may be used");
        return;
    }
    f->verdict = VERDICT_MISSING;
    DETAIL(f, "the kernel does not let programs set FS and GS bases");
    f->mend = "use Linux 5.9 or newer without the nofsgsbase option, on a CPU with FSGSBASE";
}

static void probe_xsave(struct finding *f)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) && (c & 1u << 27)) {
        DETAIL(f, "XSAVE is enabled");
        return;
    }
    f->verdict = VERDICT_MISSING;
    DETAIL(f, "no XSAVE");
    f->mend = "give the virtual machine a CPU model with XSAVE";
}

static void probe_dispatch(struct finding *f)
{
    static char selector;
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector) == 0) {
        prctl(PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0);
        DETAIL(f, "SYSCALL in an enclave faults as on hardware");
        return;
    }
    f->verdict = VERDICT_LIMITED;
    DETAIL(f, "no Syscall User Dispatch (%s): SYSCALL in an enclave would reach the kernel",
           strerror(errno));
    f->mend = "use Linux 5.11 or newer, and a seccomp profile that allows prctl";
}

static void probe_cpuid(struct finding *f)
{
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID_CODE, 0) == 0) {
        syscall(SYS_arch_prctl, ARCH_SET_CPUID_CODE, 1);
        DETAIL(f, "CPUID in an enclave faults as on hardware");
        return;
    }
    f->verdict = VERDICT_LIMITED;
    DETAIL(f, "this CPU cannot trap CPUID: in an enclave it executes instead of faulting");
}

static void probe_memfd(struct finding *f)
{
    int fd = memfd_create("cella-doctor", MFD_CLOEXEC);
    void *page = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, SGX_PAGE_SIZE) == 0) {
        page = mmap(NULL, SGX_PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    }
    if (page != MAP_FAILED) {
        munmap(page, SGX_PAGE_SIZE);
        DETAIL(f, "memory files can be made and mapped executable");
    } else {
        f->verdict = VERDICT_MISSING;
        DETAIL(f, "a memory file cannot be made or mapped executable: %s", strerror(errno));
        f->mend =
            "allow memfd_create and executable mappings of it (vm.memfd_noexec, SELinux execmem)";
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void probe_kernel(struct finding *f)
{
    struct utsname name;
    unsigned major = 0, minor = 0;
    if (uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
        (major > 5 || (major == 5 && minor >= 11))) {
        DETAIL(f, "Linux %s", name.release);
        return;
    }
    f->verdict = VERDICT_MISSING;
    DETAIL(f, "Linux %s is older than 5.11", name.release);
    f->mend = "use a newer kernel";
}

static void probe_program(struct finding *f, const char *name, const char *mend)
{
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
        char file[4096];
        size_t length = strcspn(at, ":");
        snprintf(file, sizeof(file), "%.*s/%s", (int)length, at, name);
        if (access(file, X_OK) == 0) {
            DETAIL(f, "%.150s", file);
            return;
        }
        at += length + (at[length] == ':');
    }
    f->verdict = VERDICT_MISSING;
    DETAIL(f, "%s is not in PATH", name);
    f->mend = mend;
}

static void probe_gcc(struct finding *f)
{
    probe_program(f, "gcc", "apt-get install gcc");
}

static void probe_gxx(struct finding *f)
{
    probe_program(f, "g++", "apt-get install g++ (only C++ enclaves need it)");
}

static void probe_musl(struct finding *f)
{
    probe_program(f, "musl-gcc", "apt-get install musl-tools (only musl enclaves need it)");
}

static void probe_gdb(struct finding *f)
{
    probe_program(f, "gdb", "apt-get install gdb (only debugging needs it)");
}

static const struct probe g_probes[] = {
    {"hardware", "cpu", probe_cpu},
    {"hardware", "enclave-node", probe_node},
    {"hardware", "provision-node", probe_provision},
    {"hardware", "epc", probe_epc},
    {"hardware", "quote-daemon", probe_aesm},
    {"software", "kernel", probe_kernel},
    {"software", "fsgsbase", probe_fsgsbase},
    {"software", "xsave", probe_xsave},
    {"software", "memfd", probe_memfd},
    {"software", "syscall-dispatch", probe_dispatch},
    {"software", "cpuid-trap", probe_cpuid},
    {"software", "quoting-enclave", probe_quoting},
    {"building", "gcc", probe_gcc},
    {"building", "g++", probe_gxx},
    {"building", "musl-gcc", probe_musl},
    {"building", "gdb", probe_gdb},
};

static const char *const g_verdict_names[] = {"ok", "missing", "limited", "absent"};

static void print_text(const struct probe *probe, const struct finding *f, const char **group)
{
    static const char *const colours[] = {"\033[32m", "\033[31m", "\033[33m", "\033[2m"};
    bool coloured = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    if (*group != probe->group) {
        printf("%s%s\n", *group ? "\n" : "", probe->group);
        *group = probe->group;
    }
    printf("  %s%-8s%s %-17s %s\n", coloured ? colours[f->verdict] : "",
           g_verdict_names[f->verdict], coloured ? "\033[0m" : "", probe->name, f->detail);
    if (f->mend) {
        printf("  %8s %-17s -> %s\n", "", "", f->mend);
    }
}

static json_t *to_json(const struct probe *probe, const struct finding *f)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s?}", "group", probe->group, "name", probe->name,
                     "verdict", g_verdict_names[f->verdict], "detail", f->detail, "mend", f->mend);
}

static const char *conclusion(bool hardware, bool software)
{
    if (hardware) {
        return "enclaves run on this machine's SGX hardware";
    }
    return software ? "enclaves run on the software SGX processor"
                    : "enclaves cannot run here: see what is missing above";
}

int cella_cmd_doctor(int argc, char **argv)
{
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
            continue;
        }
        fputs("usage: cella doctor [--json]\n\n"
              "Says what this machine offers for running and building enclaves, what is missing,\n"
              "and what to do about it. Exit status: 0 enclaves can run here, 1 they cannot.\n",
              strcmp(argv[i], "--help") == 0 ? stdout : stderr);
        return strcmp(argv[i], "--help") == 0 ? 0 : 2;
    }
    json_t *list = json_array();
    const char *group = NULL;
    bool hardware = false, software = true;
    for (size_t i = 0; i < CELLA_COUNT(g_probes); i++) {
        struct finding finding = {0};
        g_probes[i].look(&finding);
        if (strcmp(g_probes[i].name, "enclave-node") == 0) {
            hardware = finding.verdict == VERDICT_OK;
        }
        if (strcmp(g_probes[i].group, "software") == 0 && finding.verdict == VERDICT_MISSING) {
            software = false;
        }
        if (json) {
            json_array_append_new(list, to_json(&g_probes[i], &finding));
        } else {
            print_text(&g_probes[i], &finding, &group);
        }
    }
    if (json) {
        json_t *whole = json_pack("{s:b, s:b, s:O}", "hardware", hardware, "software", software,
                                  "findings", list);
        json_dumpf(whole, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(whole);
    } else {
        printf("\n%s\n", conclusion(hardware, software));
    }
    json_decref(list);
    return hardware || software ? 0 : 1;
}
