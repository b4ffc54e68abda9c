/*
 * /sys: the few files that runtimes look at before they choose sizes and threads.
 * Side: enclave. Called by fs_start.c and through the nodes' operations.
 * Never the host's: processors are those the program may use, memory is the enclave's.
 */
#include "linux/fs_proc.h"

static void say_list(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    fs_say_cpu_list(text);
}

static void say_memory_use(struct fs_text *text, const struct fs_node *node)
{
    struct fs_memory_use use;
    (void)node;
    fs_system_memory(&use);
    fs_say_number(text, use.used);
    fs_say(text, "\n");
}

static void say_memory_total(struct fs_text *text, const struct fs_node *node)
{
    struct fs_memory_use use;
    (void)node;
    fs_system_memory(&use);
    fs_say_number(text, use.total);
    fs_say(text, "\n");
}

static void say_index(struct fs_text *text, const struct fs_node *node)
{
    fs_say_number(text, node->argument);
    fs_say(text, "\n");
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
    CONSTANT("kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n"),
    CONSTANT("kernel/mm/transparent_hugepage/defrag",
             "always defer defer+madvise madvise [never]\n"),
    CONSTANT("kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n"),
    FILE("devices/system/cpu/online", say_list),
    FILE("devices/system/cpu/possible", say_list),
    FILE("devices/system/cpu/present", say_list),
    CONSTANT("devices/system/cpu/offline", "\n"),
    CONSTANT("devices/system/node/online", "0\n"),
    CONSTANT("devices/system/node/possible", "0\n"),
    FILE("devices/system/node/node0/cpulist", say_list),
    CONSTANT("fs/cgroup/cgroup.controllers", "cpu memory\n"),
    CONSTANT("fs/cgroup/cpu.max", "max 100000\n"),
    FILE("fs/cgroup/memory.max", say_memory_total),
    FILE("fs/cgroup/memory.current", say_memory_use),
    CONSTANT("fs/cgroup/memory.swap.max", "0\n"),
};

static const struct fs_synthetic cpu_files[] = {
    FILE("core_id", say_index),
    CONSTANT("physical_package_id", "0\n"),
    FILE("thread_siblings_list", say_index),
    FILE("core_cpus_list", say_index),
    FILE("core_siblings_list", say_list),
    FILE("package_cpus_list", say_list),
};

/* devices/system/cpu/cpuN/topology */
static long cpu_add(struct fs_tree *tree, uint32_t index)
{
    char path[] = "devices/system/cpu/cpu\0\0\0\0\0/topology";
    char digits[8];
    uint32_t at = sizeof(digits), used = sizeof("devices/system/cpu/cpu") - 1;
    uint32_t value = index;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    __builtin_memcpy(path + used, digits + at, sizeof(digits) - at);
    used += (uint32_t)sizeof(digits) - at;
    __builtin_memcpy(path + used, "/topology", sizeof("/topology"));
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *directory = NULL;
    long result = fs_directories_make(tree->root, path, 0555, &directory);
    for (uint32_t i = 0; i < CELLA_COUNT(cpu_files) && result == 0; i++) {
        const struct fs_name name = {.text = cpu_files[i].path,
                                     .size = (uint32_t)cella_strlen(cpu_files[i].path)};
        struct fs_entry *entry = fs_synthetic_new(directory, name, &cpu_files[i], index);
        if (!entry) {
            return -ENOMEM;
        }
        fs_entry_hash(entry, true);
        fs_entry_put(entry);
    }
    return result;
}

struct fs_tree *fs_sys_tree(void)
{
    struct fs_tree *tree = fs_tree_new(FS_SYS, 0555, &fs_text_ops);
    long result = tree ? fs_synthetic_add(tree, files, CELLA_COUNT(files)) : -ENOMEM;
    for (uint32_t i = 0; i < fs_system_cpus() && result == 0; i++) {
        result = cpu_add(tree, i);
    }
    return result == 0 ? tree : NULL;
}
