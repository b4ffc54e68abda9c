/*
 * /proc: what a Linux kernel would say of the machine, from what the enclave knows of its own.
 * Side: enclave. Called by fs_start.c and through the nodes' operations.
 * Never asks the host: there is no number in here that it could choose.
 */
#include "linux/fs_proc.h"

static void say_kilobytes(struct fs_text *text, const char *name, uint64_t bytes)
{
    const uint64_t start = text->size;
    fs_say(text, name);
    fs_say(text, ":");
    while (text->size - start < 16 && !text->failed) {
        fs_say(text, " ");
    }
    fs_say_padded(text, bytes / 1024, 8, ' ');
    fs_say(text, " kB\n");
}

static void say_memory(struct fs_text *text, const struct fs_node *node)
{
    struct fs_memory_use use;
    (void)node;
    fs_system_memory(&use);
    const uint64_t left = use.total > use.used ? use.total - use.used : 0;
    const uint64_t files = fs_pages_in_use() * SGX_PAGE_SIZE;
    say_kilobytes(text, "MemTotal", use.total);
    say_kilobytes(text, "MemFree", left);
    say_kilobytes(text, "MemAvailable", left);
    say_kilobytes(text, "Buffers", 0);
    say_kilobytes(text, "Cached", files);
    say_kilobytes(text, "SwapCached", 0);
    say_kilobytes(text, "Active", use.used);
    say_kilobytes(text, "Inactive", 0);
    say_kilobytes(text, "SwapTotal", 0);
    say_kilobytes(text, "SwapFree", 0);
    say_kilobytes(text, "Dirty", 0);
    say_kilobytes(text, "Writeback", 0);
    say_kilobytes(text, "AnonPages", use.used);
    say_kilobytes(text, "Mapped", 0);
    say_kilobytes(text, "Shmem", files);
    say_kilobytes(text, "CommitLimit", use.total);
    say_kilobytes(text, "Committed_AS", use.used);
    fs_say(text, "HugePages_Total:       0\nHugePages_Free:        0\n"
                 "Hugepagesize:       2048 kB\n");
}

static void say_stat(struct fs_text *text, const struct fs_node *node)
{
    int64_t now[2], up[2];
    (void)node;
    fs_system_now(now);
    fs_system_uptime(up);
    fs_say(text, "cpu  0 0 0 0 0 0 0 0 0 0\n");
    for (uint32_t i = 0; i < fs_system_cpus(); i++) {
        fs_say(text, "cpu");
        fs_say_number(text, i);
        fs_say(text, " 0 0 0 0 0 0 0 0 0 0\n");
    }
    fs_say(text, "intr 0\nctxt 0\nbtime ");
    fs_say_number(text, (uint64_t)(now[0] > up[0] ? now[0] - up[0] : 0));
    fs_say(text, "\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n");
}

static void say_uptime(struct fs_text *text, const struct fs_node *node)
{
    int64_t up[2];
    (void)node;
    fs_system_uptime(up);
    for (uint32_t i = 0; i < 2; i++) {
        fs_say_number(text, i == 0 ? (uint64_t)up[0] : 0);
        fs_say(text, ".");
        fs_say_padded(text, i == 0 ? (uint64_t)up[1] / 10000000 : 0, 2, '0');
        fs_say(text, i == 0 ? " " : "\n");
    }
}

static void say_host_name(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    fs_say(text, fs_system_host_name());
    fs_say(text, "\n");
}

/* RFC 4122, version 4. */
static void say_identifier(struct fs_text *text, const uint8_t random[16])
{
    for (uint32_t i = 0; i < 16; i++) {
        uint8_t byte = random[i];
        byte = i == 6   ? (uint8_t)((byte & 0x0F) | 0x40)
               : i == 8 ? (uint8_t)((byte & 0x3F) | 0x80)
                        : byte;
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            fs_say(text, "-");
        }
        fs_say_hex(text, byte, 2);
    }
    fs_say(text, "\n");
}

static void say_random_identifier(struct fs_text *text, const struct fs_node *node)
{
    uint8_t random[16];
    (void)node;
    if (cella_is_ok(cella_random(random, sizeof(random)))) {
        say_identifier(text, random);
    } else {
        text->failed = true;
    }
}

/* One for each start of the program. */
static void say_start_identifier(struct fs_text *text, const struct fs_node *node)
{
    static uint8_t random[16];
    static bool is_known;
    (void)node;
    if (!is_known) {
        is_known = cella_is_ok(cella_random(random, sizeof(random)));
    }
    say_identifier(text, random);
}

static const char *kind_name(const struct fs_tree *tree)
{
    switch (tree->kind) {
    case FS_PROC:
        return "proc";
    case FS_SYS:
        return "sysfs";
    case FS_HOST:
        return "fuse.cella";
    case FS_ENCRYPTED:
        return "fuse.cella-encrypted";
    case FS_DEVICES:
        return "devtmpfs";
    default:
        return "tmpfs";
    }
}

/* Spaces and backslashes of a path, as mount tables write them. */
static void say_escaped(struct fs_text *text, const char *path)
{
    for (; *path != 0; path++) {
        switch (*path) {
        case ' ':
            fs_say(text, "\\040");
            break;
        case '\t':
            fs_say(text, "\\011");
            break;
        case '\n':
            fs_say(text, "\\012");
            break;
        case '\\':
            fs_say(text, "\\134");
            break;
        default:
            fs_say_bytes(text, path, 1);
            break;
        }
    }
}

void fs_say_mounts(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    for (const struct fs_tree *tree = fs_trees; tree; tree = tree->next) {
        fs_say(text, tree->kind == FS_MEMORY ? "tmpfs " : kind_name(tree));
        fs_say(text, tree->kind == FS_MEMORY ? "" : " ");
        say_escaped(text, tree->target);
        fs_say(text, " ");
        fs_say(text, kind_name(tree));
        fs_say(text, tree->is_read_only ? " ro,relatime 0 0\n" : " rw,relatime 0 0\n");
    }
}

void fs_say_mount_info(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    for (const struct fs_tree *tree = fs_trees; tree; tree = tree->next) {
        fs_say_number(text, tree->device);
        fs_say(text, " ");
        fs_say_number(text, tree == fs_root_tree ? 1 : fs_root_tree->device);
        fs_say(text, " 0:");
        fs_say_number(text, tree->device);
        fs_say(text, " / ");
        say_escaped(text, tree->target);
        fs_say(text, tree->is_read_only ? " ro,relatime - " : " rw,relatime - ");
        fs_say(text, kind_name(tree));
        fs_say(text, " ");
        fs_say(text, kind_name(tree));
        fs_say(text, tree->is_read_only ? " ro\n" : " rw\n");
    }
}

#define CONSTANT(name, words)                                                                      \
    {                                                                                              \
        .path = (name), .mode = MODE_REGULAR | 0444, .constant = (words)                           \
    }
#define FILE(name, what)                                                                           \
    {                                                                                              \
        .path = (name), .mode = MODE_REGULAR | 0444, .say = (what)                                 \
    }
static const struct fs_synthetic files[] = {
    FILE("cpuinfo", fs_say_cpus),
    FILE("meminfo", say_memory),
    FILE("stat", say_stat),
    FILE("uptime", say_uptime),
    CONSTANT("loadavg", "0.00 0.00 0.00 1/1 1\n"),
    CONSTANT("version", "Linux version " FS_RELEASE " (cella) #1 SMP Cella\n"),
    CONSTANT("cmdline", "\n"),
    CONSTANT("filesystems", "nodev\tproc\nnodev\tsysfs\nnodev\ttmpfs\nnodev\tdevtmpfs\n"),
    CONSTANT("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    CONSTANT("devices", "Character devices:\n  1 mem\n  5 /dev/tty\n\nBlock devices:\n"),
    CONSTANT("modules", ""),
    {.path = "mounts", .mode = MODE_LINK | 0777, .constant = "self/mounts"},
    CONSTANT("sys/kernel/ostype", "Linux\n"),
    CONSTANT("sys/kernel/osrelease", FS_RELEASE "\n"),
    CONSTANT("sys/kernel/version", "#1 SMP Cella\n"),
    FILE("sys/kernel/hostname", say_host_name),
    CONSTANT("sys/kernel/domainname", "(none)\n"),
    CONSTANT("sys/kernel/pid_max", "4194304\n"),
    CONSTANT("sys/kernel/threads-max", "65536\n"),
    CONSTANT("sys/kernel/cap_last_cap", "40\n"),
    CONSTANT("sys/kernel/ngroups_max", "65536\n"),
    CONSTANT("sys/kernel/randomize_va_space", "0\n"),
    FILE("sys/kernel/random/uuid", say_random_identifier),
    FILE("sys/kernel/random/boot_id", say_start_identifier),
    CONSTANT("sys/kernel/random/entropy_avail", "256\n"),
    CONSTANT("sys/kernel/random/poolsize", "256\n"),
    /* Pages come when they are touched, and there is no count of promises. */
    CONSTANT("sys/vm/overcommit_memory", "1\n"),
    CONSTANT("sys/vm/overcommit_ratio", "50\n"),
    CONSTANT("sys/vm/max_map_count", "65536\n"),
    CONSTANT("sys/vm/mmap_min_addr", "65536\n"),
    CONSTANT("sys/vm/swappiness", "0\n"),
    CONSTANT("sys/net/core/somaxconn", "4096\n"),
    CONSTANT("sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
    CONSTANT("sys/net/ipv4/tcp_fastopen", "0\n"),
    CONSTANT("sys/net/ipv6/conf/all/disable_ipv6", "0\n"),
    FILE("net/dev", fs_say_net_devices),
    FILE("net/if_inet6", fs_say_net_addresses6),
    /* Of the loopback: the groups that every system is in. */
    CONSTANT("net/igmp", "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
                         "1\tlo        :     1      V3\n"
                         "\t\t\t\t010000E0     1 0:00000000\t\t0\n"),
    CONSTANT("net/igmp6",
             "1    lo              ff020000000000000000000000000001     1 0000000C 0\n"
             "1    lo              ff010000000000000000000000000001     1 00000008 0\n"),
    CONSTANT("net/route", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\t"
                          "MTU\tWindow\tIRTT\n"),
    CONSTANT("sys/fs/file-max", "9223372036854775807\n"),
    CONSTANT("sys/fs/nr_open", "1048576\n"),
    CONSTANT("sys/fs/pipe-max-size", "65536\n"),
    CONSTANT("sys/fs/inotify/max_user_watches", "0\n"),
};

struct fs_tree *fs_proc_tree(void)
{
    struct fs_tree *tree = fs_tree_new(FS_PROC, 0555, &fs_text_ops);
    if (!tree || fs_synthetic_add(tree, files, CELLA_COUNT(files)) != 0 ||
        fs_proc_self_add(tree) != 0) {
        return NULL;
    }
    return tree;
}
