/*
 * /proc/self: what the program can see of itself, its threads and its descriptors.
 * Side: enclave. Called by fs_proc.c and through the nodes' operations.
 * Never shows kernel memory's places, nor anything of the host's process.
 */
#include "linux/fs_proc.h"

#define NANOSECONDS_OF_TICK 10000000ull

void fs_say_line(struct fs_text *text, const char *name, uint64_t value)
{
    fs_say(text, name);
    fs_say_number(text, value);
    fs_say(text, "\n");
}

static void say_kilobytes(struct fs_text *text, const char *name, uint64_t bytes)
{
    fs_say(text, name);
    fs_say(text, ":\t");
    fs_say_padded(text, bytes / 1024, 8, ' ');
    fs_say(text, " kB\n");
}

static uint32_t threads_count(void)
{
    struct fs_thread thread;
    uint32_t count = 0;
    while (fs_system_thread(count, &thread)) {
        count++;
    }
    return count;
}

/* The thread that a node is about; argument 0 is the process: its first thread. */
static struct fs_thread thread_of(const struct fs_node *node)
{
    struct fs_thread thread = {.tid = (uint32_t)node->argument};
    for (uint32_t i = 0; fs_system_thread(i, &thread); i++) {
        if (node->argument == 0 || thread.tid == node->argument) {
            return thread;
        }
    }
    return (struct fs_thread){.tid = (uint32_t)node->argument};
}

static void say_bytes(struct fs_text *text, struct cella_bytes bytes)
{
    fs_say_bytes(text, bytes.data, bytes.size);
}

static void say_command_line(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    say_bytes(text, fs_system_arguments());
}

static void say_environment(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    say_bytes(text, fs_system_environment());
}

static void say_auxv(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    say_bytes(text, fs_system_auxv());
}

static void say_name(struct fs_text *text, const struct fs_node *node)
{
    const struct fs_thread thread = thread_of(node);
    fs_say(text, thread.name);
    fs_say(text, "\n");
}

static long write_name(const struct fs_node *node, const char *from, uint64_t size)
{
    char name[16] = "";
    uint64_t used = size < sizeof(name) - 1 ? size : sizeof(name) - 1;
    __builtin_memcpy(name, from, used);
    if (used > 0 && name[used - 1] == '\n') {
        name[used - 1] = 0;
    }
    return fs_system_name_set(thread_of(node).tid, name) ? 0 : -ESRCH;
}

static void say_mask(struct fs_text *text, const char *name, uint64_t mask)
{
    fs_say(text, name);
    fs_say_hex(text, mask, 16);
    fs_say(text, "\n");
}

static void say_cpus(struct fs_text *text)
{
    const uint32_t cpus = fs_system_cpus();
    fs_say(text, "Cpus_allowed:\t");
    for (uint32_t word = (cpus + 31) / 32; word > 0; word--) {
        const uint32_t bits = word * 32 <= cpus ? 32 : cpus % 32;
        fs_say_hex(text, bits == 32 ? UINT32_MAX : (1ull << bits) - 1, word * 32 <= cpus ? 8 : 1);
        fs_say(text, word > 1 ? "," : "\n");
    }
    fs_say(text, "Cpus_allowed_list:\t");
    fs_say_cpu_list(text);
    fs_say(text, "Mems_allowed:\t1\nMems_allowed_list:\t0\n");
}

static void say_status(struct fs_text *text, const struct fs_node *node)
{
    const struct fs_thread thread = thread_of(node);
    struct fs_memory_use use;
    struct fs_ids ids;
    uint64_t masks[4];
    fs_system_memory(&use);
    fs_system_ids(&ids);
    fs_system_signals(masks);
    fs_say(text, "Name:\t");
    fs_say(text, thread.name);
    fs_say(text, "\nUmask:\t0");
    fs_say_padded(text, (fs_umask >> 6 & 7) * 100 + (fs_umask >> 3 & 7) * 10 + (fs_umask & 7), 3,
                  '0');
    fs_say(text, thread.is_running ? "\nState:\tR (running)\n" : "\nState:\tS (sleeping)\n");
    fs_say_line(text, "Tgid:\t", ids.process);
    fs_say_line(text, "Ngid:\t", 0);
    fs_say_line(text, "Pid:\t", node->argument == 0 ? ids.process : thread.tid);
    fs_say_line(text, "PPid:\t", ids.parent);
    fs_say_line(text, "TracerPid:\t", 0);
    const uint32_t users[] = {ids.user, ids.user_effective, ids.user_effective, ids.user_effective};
    const uint32_t groups[] = {ids.group, ids.group_effective, ids.group_effective,
                               ids.group_effective};
    fs_say(text, "Uid:");
    for (uint32_t i = 0; i < 4; i++) {
        fs_say(text, "\t");
        fs_say_number(text, users[i]);
    }
    fs_say(text, "\nGid:");
    for (uint32_t i = 0; i < 4; i++) {
        fs_say(text, "\t");
        fs_say_number(text, groups[i]);
    }
    fs_say(text, "\nFDSize:\t256\nGroups:\t \n");
    say_kilobytes(text, "VmPeak", use.mapped);
    say_kilobytes(text, "VmSize", use.mapped);
    say_kilobytes(text, "VmLck", 0);
    say_kilobytes(text, "VmPin", 0);
    say_kilobytes(text, "VmHWM", use.peak);
    say_kilobytes(text, "VmRSS", use.resident);
    say_kilobytes(text, "RssAnon", use.resident);
    say_kilobytes(text, "RssFile", 0);
    say_kilobytes(text, "RssShmem", 0);
    say_kilobytes(text, "VmData", use.data);
    say_kilobytes(text, "VmStk", use.stack);
    say_kilobytes(text, "VmSwap", 0);
    fs_say_line(text, "Threads:\t", threads_count());
    fs_say(text, "SigQ:\t0/65536\n");
    say_mask(text, "SigPnd:\t", masks[0]);
    say_mask(text, "ShdPnd:\t", 0);
    say_mask(text, "SigBlk:\t", masks[1]);
    say_mask(text, "SigIgn:\t", masks[2]);
    say_mask(text, "SigCgt:\t", masks[3]);
    static const char *const sets[] = {"CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapBnd:\t",
                                       "CapAmb:\t"};
    for (uint32_t i = 0; i < CELLA_COUNT(sets); i++) {
        say_mask(text, sets[i], 0);
    }
    fs_say(text, "NoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n");
    say_cpus(text);
    fs_say(text, "voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n");
}

/* proc(5): 52 fields, the first three of them no numbers. */
#define STAT_FIRST 4u
#define STAT_FIELDS 49u
static void say_stat(struct fs_text *text, const struct fs_node *node)
{
    const struct fs_thread thread = thread_of(node);
    struct fs_memory_use use;
    struct fs_ids ids;
    uint64_t cpu;
    fs_system_memory(&use);
    fs_system_ids(&ids);
    fs_system_cpu_time(&cpu);
    fs_say_number(text, node->argument == 0 ? ids.process : thread.tid);
    fs_say(text, " (");
    fs_say(text, thread.name);
    fs_say(text, thread.is_running ? ") R " : ") S ");
    uint64_t fields[STAT_FIELDS] = {
        [4 - STAT_FIRST] = ids.parent,  [5 - STAT_FIRST] = ids.process,
        [6 - STAT_FIRST] = ids.process, [8 - STAT_FIRST] = UINT64_MAX, /* no terminal */
        [9 - STAT_FIRST] = 4194304,     [14 - STAT_FIRST] = cpu / NANOSECONDS_OF_TICK,
        [18 - STAT_FIRST] = 20,         [20 - STAT_FIRST] = threads_count(),
        [22 - STAT_FIRST] = 1, /* the machine starts with the program */
        [23 - STAT_FIRST] = use.mapped, [24 - STAT_FIRST] = use.resident / SGX_PAGE_SIZE,
        [25 - STAT_FIRST] = UINT64_MAX, [26 - STAT_FIRST] = 1,
        [27 - STAT_FIRST] = 1,          [38 - STAT_FIRST] = 17,
    };
    for (uint32_t i = 0; i < CELLA_COUNT(fields); i++) {
        if (i == 8 - STAT_FIRST) {
            fs_say(text, "-1");
        } else {
            fs_say_number(text, fields[i]);
        }
        fs_say(text, i + 1 < CELLA_COUNT(fields) ? " " : "\n");
    }
}

static void say_memory(struct fs_text *text, const struct fs_node *node)
{
    struct fs_memory_use use;
    (void)node;
    fs_system_memory(&use);
    const uint64_t words[] = {use.mapped, use.resident, 0, 0, 0, use.data + use.stack, 0};
    for (uint32_t i = 0; i < CELLA_COUNT(words); i++) {
        fs_say_number(text, words[i] / SGX_PAGE_SIZE);
        fs_say(text, i + 1 < CELLA_COUNT(words) ? " " : "\n");
    }
}

/* Lines of /proc/self/maps: paths start at the same column. */
#define MAPS_COLUMN 73u
static void say_area(struct fs_text *text, const struct fs_area *area)
{
    char path[FS_PATH_SIZE / 8];
    const uint64_t start = text->size;
    struct cella_call_stat stat = {0};
    fs_say_hex(text, area->start, 8);
    fs_say(text, "-");
    fs_say_hex(text, area->end, 8);
    fs_say(text, (area->rights & LINUX_PROT_READ) != 0 ? " r" : " -");
    fs_say(text, (area->rights & LINUX_PROT_WRITE) != 0 ? "w" : "-");
    fs_say(text, (area->rights & LINUX_PROT_EXEC) != 0 ? "x" : "-");
    fs_say(text, area->shared ? "s " : "p ");
    fs_say_hex(text, area->offset, 8);
    if (area->file) {
        (void)cella_open_stat(area->file, &stat);
    }
    fs_say(text, " 00:");
    fs_say_hex(text, stat.device, 2);
    fs_say(text, " ");
    fs_say_number(text, stat.inode);
    const uint64_t size = area->file ? fs_open_path(area->file, path, sizeof(path)) : 0;
    if (size > 0 || area->label) {
        do {
            fs_say(text, " ");
        } while (text->size - start < MAPS_COLUMN && !text->failed);
        if (size > 0) {
            fs_say_bytes(text, path, size);
        } else {
            fs_say(text, area->label);
        }
    }
    fs_say(text, "\n");
}

static void say_maps(struct fs_text *text, const struct fs_node *node)
{
    struct fs_area area;
    (void)node;
    for (uint32_t i = 0; fs_system_area(i, &area) && !text->failed; i++) {
        say_area(text, &area);
        if (area.file) {
            cella_open_put(area.file);
        }
    }
}

static void say_smaps_rollup(struct fs_text *text, const struct fs_node *node)
{
    struct fs_memory_use use;
    (void)node;
    fs_system_memory(&use);
    fs_say(text, "00010000-1000000000 ---p 00000000 00:00 0 [rollup]\n");
    static const char *const names[] = {"Rss", "Pss", "Private_Dirty", "Referenced", "Anonymous"};
    for (uint32_t i = 0; i < CELLA_COUNT(names); i++) {
        say_kilobytes(text, names[i], use.resident);
    }
}

static void say_limits(struct fs_text *text, const struct fs_node *node)
{
    struct line {
        const char *name, *unit;
        uint64_t value, hard; /* hard 0: the same */
    };
    (void)node;
    const struct line lines[] = {
        {.name = "Max cpu time             ", .unit = "seconds", .value = UINT64_MAX},
        {.name = "Max file size            ", .unit = "bytes", .value = UINT64_MAX},
        {.name = "Max data size            ", .unit = "bytes", .value = UINT64_MAX},
        {.name = "Max stack size           ", .unit = "bytes", .value = fs_system_stack_limit()},
        {.name = "Max core file size       ", .unit = "bytes", .value = 0},
        {.name = "Max resident set         ", .unit = "bytes", .value = UINT64_MAX},
        {.name = "Max processes            ", .unit = "processes", .value = UINT64_MAX},
        {.name = "Max open files           ",
         .unit = "files",
         .value = atomic_load(&cella_descriptor_limit),
         .hard = fs_system_descriptor_max()},
        {.name = "Max locked memory        ", .unit = "bytes", .value = UINT64_MAX},
        {.name = "Max address space        ", .unit = "bytes", .value = UINT64_MAX},
        {.name = "Max file locks           ", .unit = "locks", .value = UINT64_MAX},
        {.name = "Max pending signals      ", .unit = "signals", .value = 65536},
        {.name = "Max msgqueue size        ", .unit = "bytes", .value = 819200},
        {.name = "Max nice priority        ", .unit = "", .value = 0},
        {.name = "Max realtime priority    ", .unit = "", .value = 0},
        {.name = "Max realtime timeout     ", .unit = "us", .value = UINT64_MAX},
    };
    fs_say(text,
           "Limit                     Soft Limit           Hard Limit           Units     \n");
    for (uint32_t i = 0; i < CELLA_COUNT(lines); i++) {
        fs_say(text, lines[i].name);
        for (uint32_t j = 0; j < 2; j++) {
            const uint64_t column = text->size + 21;
            const uint64_t value = j == 1 && lines[i].hard != 0 ? lines[i].hard : lines[i].value;
            fs_say(text, " ");
            if (value == UINT64_MAX) {
                fs_say(text, "unlimited");
            } else {
                fs_say_number(text, value);
            }
            while (text->size < column && !text->failed) {
                fs_say(text, " ");
            }
        }
        fs_say(text, " ");
        fs_say(text, lines[i].unit);
        fs_say(text, "\n");
    }
}

static int64_t score_adjustment;

static void say_score_adjustment(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    fs_say(text, score_adjustment < 0 ? "-" : "");
    fs_say_number(text, (uint64_t)(score_adjustment < 0 ? -score_adjustment : score_adjustment));
    fs_say(text, "\n");
}

/* Remembered: there is nobody to compete with. */
static long write_score_adjustment(const struct fs_node *node, const char *from, uint64_t size)
{
    int64_t value = 0;
    uint64_t at = 0;
    (void)node;
    const bool is_negative = size > 0 && from[0] == '-';
    for (at = is_negative; at < size && from[at] >= '0' && from[at] <= '9' && value <= 1000; at++) {
        value = value * 10 + (from[at] - '0');
    }
    if (value > 1000 || at == (uint64_t)is_negative || (at < size && from[at] != '\n')) {
        return -EINVAL;
    }
    score_adjustment = is_negative ? -value : value;
    return 0;
}

static void say_groups(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    fs_say(text, "0::/\n");
}

static void say_io(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    fs_say(text, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"
                 "cancelled_write_bytes: 0\n");
}

/* ------------------------------------------------------------------- the process, its threads */

#define FILE(name, what)                                                                           \
    {                                                                                              \
        .path = (name), .mode = MODE_REGULAR | 0444, .say = (what)                                 \
    }
static const struct fs_synthetic files[] = {
    FILE("cmdline", say_command_line),
    FILE("environ", say_environment),
    FILE("auxv", say_auxv),
    {.path = "comm", .mode = MODE_REGULAR | 0644, .say = say_name, .write = write_name},
    FILE("status", say_status),
    FILE("stat", say_stat),
    FILE("statm", say_memory),
    FILE("maps", say_maps),
    FILE("smaps_rollup", say_smaps_rollup),
    FILE("limits", say_limits),
    FILE("cgroup", say_groups),
    FILE("mounts", fs_say_mounts),
    FILE("mountinfo", fs_say_mount_info),
    FILE("io", say_io),
    {.path = "oom_score", .mode = MODE_REGULAR | 0444, .constant = "0\n"},
    {.path = "oom_score_adj",
     .mode = MODE_REGULAR | 0644,
     .say = say_score_adjustment,
     .write = write_score_adjustment},
    {.path = "wchan", .mode = MODE_REGULAR | 0444, .constant = "0"},
    {.path = "personality", .mode = MODE_REGULAR | 0444, .constant = "00000000\n"},
    {.path = "loginuid", .mode = MODE_REGULAR | 0444, .constant = "4294967295"},
    {.path = "sessionid", .mode = MODE_REGULAR | 0444, .constant = "4294967295"},
    {.path = "setgroups", .mode = MODE_REGULAR | 0444, .constant = "allow\n"},
    {.path = "uid_map",
     .mode = MODE_REGULAR | 0444,
     .constant = "         0          0 4294967295\n"},
    {.path = "gid_map",
     .mode = MODE_REGULAR | 0444,
     .constant = "         0          0 4294967295\n"},
};

struct directory {
    const char *name;
    const struct fs_ops *ops;
    uint32_t mode;
    uint64_t argument;
    const void *context;
};

static const struct fs_ops threads_ops;
static const struct directory directories[] = {
    {"fd", &fs_descriptors_ops, MODE_DIRECTORY | 0500, 0, NULL},
    {"fdinfo", &fs_descriptors_ops, MODE_DIRECTORY | 0555, 0, &fs_descriptor_info},
    {"cwd", &fs_place_ops, MODE_LINK | 0777, 0, NULL},
    {"root", &fs_place_ops, MODE_LINK | 0777, 1, NULL},
    {"exe", &fs_executable_ops, MODE_LINK | 0777, 0, NULL},
    {"task", &threads_ops, MODE_DIRECTORY | 0555, 0, NULL},
};

static bool is_name(struct fs_name name, const char *text)
{
    return cella_strlen(text) == name.size && cella_equal(text, name.text, name.size);
}

/* argument: the thread, or 0 for the process. A thread's directory has no "task". */
static long self_lookup(struct fs_entry *directory, struct fs_name name,
                        struct fs_entry **ret_entry)
{
    const uint64_t thread = directory->node->argument;
    for (uint32_t i = 0; i < CELLA_COUNT(files); i++) {
        if (is_name(name, files[i].path)) {
            *ret_entry = fs_synthetic_new(directory, name, &files[i], thread);
            return *ret_entry ? 0 : -ENOMEM;
        }
    }
    for (uint32_t i = 0; i < CELLA_COUNT(directories) - (thread != 0); i++) {
        const struct directory *at = &directories[i];
        if (is_name(name, at->name)) {
            const long result =
                fs_dynamic_new(directory, name, at->ops, at->mode, at->argument, ret_entry);
            if (result == 0) {
                (*ret_entry)->node->context = at->context;
            }
            return result;
        }
    }
    return -ENOENT;
}

static long self_list(struct fs_file *file, struct fs_listing *listing)
{
    const uint32_t others = CELLA_COUNT(directories) - (file->entry->node->argument != 0);
    for (uint64_t i = file->position - 2; i < CELLA_COUNT(files) + others; i++) {
        const bool is_file = i < CELLA_COUNT(files);
        const char *text = is_file ? files[i].path : directories[i - CELLA_COUNT(files)].name;
        const uint32_t mode = is_file ? files[i].mode : directories[i - CELLA_COUNT(files)].mode;
        if (!fs_listing_put(listing,
                            (struct fs_name){.text = text, .size = (uint32_t)cella_strlen(text)},
                            100 + i, mode, i + 3)) {
            break;
        }
    }
    return 0;
}

static const struct fs_ops self_ops = {.lookup = self_lookup, .list = self_list};

static long threads_lookup(struct fs_entry *directory, struct fs_name name,
                           struct fs_entry **ret_entry)
{
    struct fs_thread thread;
    uint32_t tid;
    if (!fs_number_of(name, &tid)) {
        return -ENOENT;
    }
    for (uint32_t i = 0; fs_system_thread(i, &thread); i++) {
        if (thread.tid == tid) {
            return fs_dynamic_new(directory, name, &self_ops, MODE_DIRECTORY | 0555, tid,
                                  ret_entry);
        }
    }
    return -ENOENT;
}

static long threads_list(struct fs_file *file, struct fs_listing *listing)
{
    char text[FS_NUMBER_SIZE];
    struct fs_thread thread;
    for (uint64_t i = file->position - 2; fs_system_thread((uint32_t)i, &thread); i++) {
        if (!fs_listing_put(listing, fs_number_name(thread.tid, text), 1000 + thread.tid,
                            MODE_DIRECTORY, i + 3)) {
            break;
        }
    }
    return 0;
}

static const struct fs_ops threads_ops = {.lookup = threads_lookup, .list = threads_list};

/* /proc/<pid>, and the links "self" and "thread-self" to it. */
static long self_text(struct fs_entry *entry, char *to, uint32_t capacity)
{
    char text[FS_NUMBER_SIZE];
    struct fs_ids ids;
    fs_system_ids(&ids);
    const struct fs_name process = fs_number_name(ids.process, text);
    uint32_t size = process.size;
    if (capacity < 64) {
        return -ENAMETOOLONG;
    }
    __builtin_memcpy(to, process.text, size);
    if (entry->node->argument != 0) { /* thread-self */
        const struct fs_name thread = fs_number_name(cella_td_self()->tid, text);
        __builtin_memcpy(to + size, "/task/", 6);
        __builtin_memcpy(to + size + 6, thread.text, thread.size);
        size += 6 + thread.size;
    }
    return (long)size;
}

static const struct fs_ops self_link_ops = {.text = self_text};

long fs_proc_self_add(struct fs_tree *tree)
{
    static const struct fs_name links[] = {{.text = "self", .size = 4},
                                           {.text = "thread-self", .size = 11}};
    char text[FS_NUMBER_SIZE];
    struct fs_ids ids;
    fs_system_ids(&ids);
    long result = fs_attach(tree->root, fs_number_name(ids.process, text),
                            fs_node_new(tree, &self_ops, MODE_DIRECTORY | 0555));
    for (uint32_t i = 0; i < CELLA_COUNT(links) && result == 0; i++) {
        struct fs_node *node = fs_node_new(tree, &self_link_ops, MODE_LINK | 0777);
        if (node) {
            node->argument = i;
        }
        result = fs_attach(tree->root, links[i], node);
    }
    return result;
}
