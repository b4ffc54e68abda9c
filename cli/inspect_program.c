/*
 * The whole-program part of what `cella inspect` shows: what an image runs and what it may see.
 * Side: tools. Called by cli/inspect.c and cli/inspect_print.c. Believes no description that the kernel would refuse.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/inspect.h"
#include "common/cleanup.h"
#include "image/elf64.h"

static const struct {
    uint32_t bit;
    const char *name;
} g_flags[] = {
    {CELLA_PROGRAM_ARGS_FROM_HOST, "arguments-from-host"},
    {CELLA_PROGRAM_EGO, "ego"},
    {CELLA_PROGRAM_DEBUG, "debug"},
    {CELLA_PROGRAM_TRAPS, "traps"},
    {CELLA_PROGRAM_EXEC_MEMORY, "executable-memory"},
    {CELLA_PROGRAM_ASYNC, "async-calls"},
};

static const char *const g_load_names[] = {"program", "trampolines", "interpreter", "zeros"};
static const char *const g_mount_names[] = {"", "memory", "insecure-host", "encrypted"};

cella_result inspect_program_read(struct inspect *inspect, const struct cella_image *image,
                                  struct cella_error *error)
{
    struct cella_bytes bytes;
    const char *part = "";
    uint64_t at;

    if (image->info.program_offset == 0) {
        return CELLA_OK;
    }
    CELLA_TRY(cella_elf_at(image->segments, image->segment_count, image->info.program_offset,
                           image->info.program_size, &at));
    CELLA_TRY(cella_bytes_slice(image->file, at, image->info.program_size, &bytes));
    cella_result result = cella_program_description_take(bytes, &inspect->program, &part);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "the program's description: %s: %s", part,
                               cella_result_text(result));
    }
    inspect->has_program = true;
    return CELLA_OK;
}

/* ------------------------------------------------------------------- text */

static void print_text(const struct inspect *inspect, struct cella_program_text text)
{
    struct cella_bytes bytes = cella_program_text(&inspect->program, text);
    for (size_t i = 0; i < bytes.size; i++) {
        putchar(bytes.data[i] < 0x20 || bytes.data[i] == 0x7F ? '?' : bytes.data[i]);
    }
}

static void print_named(const struct inspect *inspect, const char *name,
                        struct cella_program_text text)
{
    printf("%-12s ", name);
    print_text(inspect, text);
    putchar('\n');
}

static void print_environment(const struct inspect *inspect)
{
    for (uint32_t i = 0; i < inspect->program.head.environment.count; i++) {
        const struct cella_program_variable variable =
            cella_program_variable_at(&inspect->program, i);
        printf("  %-10s ", i == 0 ? "variables" : "");
        print_text(inspect, variable.name);
        if (variable.value.size || !variable.from_host) {
            putchar('=');
            print_text(inspect, variable.value);
        }
        printf("%s\n", variable.from_host ? "  (the host's, if it has one)" : "");
    }
}

static void print_mounts(const struct inspect *inspect)
{
    for (uint32_t i = 0; i < inspect->program.head.mounts.count; i++) {
        const struct cella_program_mount mount = cella_program_mount_at(&inspect->program, i);
        printf("  %-10s ", i == 0 ? "mounts" : "");
        print_text(inspect, mount.target);
        printf("  %s %s", g_mount_names[mount.kind],
               mount.flags & CELLA_PROGRAM_MOUNT_READ_ONLY ? "read-only " : "");
        print_text(inspect, mount.source);
        putchar('\n');
    }
}

static void print_files(const struct inspect *inspect)
{
    for (uint32_t i = 0; i < inspect->program.head.files.count; i++) {
        const struct cella_program_file file = cella_program_file_at(&inspect->program, i);
        printf("  %-10s ", i == 0 ? "files" : "");
        print_text(inspect, file.path);
        if (file.link.size) {
            printf(" -> ");
            print_text(inspect, file.link);
            putchar('\n');
            continue;
        }
        printf("  %" PRIu64 " bytes, sha256 ", file.size);
        for (size_t k = 0; k < sizeof(file.hash); k++) {
            printf("%02x", file.hash[k]);
        }
        if (file.source.size) {
            printf(", read from ");
            print_text(inspect, file.source);
        }
        putchar('\n');
    }
}

static void print_loads(const struct inspect *inspect)
{
    for (uint32_t i = 0; i < inspect->program.head.loads.count; i++) {
        const struct cella_program_load load = cella_program_load_at(&inspect->program, i);
        printf("  %-10s 0x%010" PRIx64 " %10" PRIu64 "  %s%s%s  %s\n", i == 0 ? "loads" : "",
               load.address, load.size, load.rights & 1 ? "r" : "-", load.rights & 2 ? "w" : "-",
               load.rights & 4 ? "x" : "-", g_load_names[load.kind]);
    }
}

void inspect_program_print_text(const struct inspect *inspect)
{
    const struct cella_program *head = &inspect->program.head;

    if (!inspect->has_program) {
        return;
    }
    putchar('\n');
    print_named(inspect, "program", head->executable);
    printf("  %-10s 0x%" PRIx64 ", its own 0x%" PRIx64 "\n", "entry", head->entry,
           head->program_entry);
    printf("  %-10s", "flags");
    for (size_t i = 0; i < CELLA_COUNT(g_flags); i++) {
        if (head->flags & g_flags[i].bit) {
            printf(" %s", g_flags[i].name);
        }
    }
    printf("\n  %-10s", "arguments");
    for (uint32_t i = 0; i < head->arguments.count; i++) {
        putchar(' ');
        print_text(inspect, cella_program_argument_at(&inspect->program, i));
    }
    printf("\n  %-10s ", "starts in");
    print_text(inspect, head->directory);
    printf("\n  %-10s stack %" PRIu64 " KiB, ", "memory", head->stack_size >> 10);
    if (head->memory_max) {
        printf("at most %" PRIu64 " KiB\n", head->memory_max >> 10);
    } else {
        printf("as much as there is\n");
    }
    printf("  %-10s %u of program and interpreter replaced\n", "syscalls", head->jumps.count);
    for (uint32_t i = 0; i < head->hosts.count; i++) {
        printf("  %-10s ", i == 0 ? "names" : "");
        print_text(inspect, cella_program_host_at(&inspect->program, i));
        putchar('\n');
    }
    print_environment(inspect);
    print_mounts(inspect);
    print_files(inspect);
    print_loads(inspect);
}

/* ------------------------------------------------------------------- JSON */

/* Texts are bytes to Linux: what is no UTF-8 is shown by a replacement. */
static json_t *json_text(const struct inspect *inspect, struct cella_program_text text)
{
    struct cella_bytes bytes = cella_program_text(&inspect->program, text);
    json_t *value = json_stringn((const char *)bytes.data, bytes.size);
    return value ? value : json_string("\xEF\xBF\xBD");
}

static json_t *json_flags(uint32_t flags)
{
    json_t *list = json_array();
    for (size_t i = 0; i < CELLA_COUNT(g_flags); i++) {
        if (flags & g_flags[i].bit) {
            json_array_append_new(list, json_string(g_flags[i].name));
        }
    }
    return list;
}

static json_t *json_variables(const struct inspect *inspect)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < inspect->program.head.environment.count; i++) {
        const struct cella_program_variable from = cella_program_variable_at(&inspect->program, i);
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:b}", "name", json_text(inspect, from.name), "value",
                            json_text(inspect, from.value), "from_host", (int)from.from_host));
    }
    return list;
}

static json_t *json_mounts(const struct inspect *inspect)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < inspect->program.head.mounts.count; i++) {
        const struct cella_program_mount from = cella_program_mount_at(&inspect->program, i);
        json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:b}", "target",
                                              json_text(inspect, from.target), "kind",
                                              g_mount_names[from.kind], "source",
                                              json_text(inspect, from.source), "read_only",
                                              (int)(from.flags & CELLA_PROGRAM_MOUNT_READ_ONLY)));
    }
    return list;
}

static json_t *json_files(const struct inspect *inspect)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < inspect->program.head.files.count; i++) {
        const struct cella_program_file from = cella_program_file_at(&inspect->program, i);
        char hash[2 * sizeof(from.hash) + 1] = "";
        for (size_t k = 0; k < sizeof(from.hash); k++) {
            snprintf(hash + 2 * k, 3, "%02x", from.hash[k]);
        }
        json_array_append_new(list, json_pack("{s:o, s:I, s:s, s:o, s:o}", "path",
                                              json_text(inspect, from.path), "size",
                                              (json_int_t)from.size, "sha256", hash, "link",
                                              json_text(inspect, from.link), "source",
                                              json_text(inspect, from.source)));
    }
    return list;
}

static json_t *json_load_list(const struct inspect *inspect)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < inspect->program.head.loads.count; i++) {
        const struct cella_program_load load = cella_program_load_at(&inspect->program, i);
        char rights[4] = {load.rights & 1 ? 'r' : '-', load.rights & 2 ? 'w' : '-',
                          load.rights & 4 ? 'x' : '-', 0};
        json_array_append_new(list,
                              json_pack("{s:I, s:I, s:s, s:s}", "address", (json_int_t)load.address,
                                        "size", (json_int_t)load.size, "rights", rights, "kind",
                                        g_load_names[load.kind]));
    }
    return list;
}

json_t *inspect_program_json(const struct inspect *inspect)
{
    const struct cella_program *head = &inspect->program.head;
    json_t *arguments = json_array();
    json_t *names = json_array();

    for (uint32_t i = 0; i < head->arguments.count; i++) {
        json_array_append_new(arguments,
                              json_text(inspect, cella_program_argument_at(&inspect->program, i)));
    }
    for (uint32_t i = 0; i < head->hosts.count; i++) {
        json_array_append_new(names,
                              json_text(inspect, cella_program_host_at(&inspect->program, i)));
    }
    return json_pack("{s:o, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:i, s:o, s:o, s:o, s:o, s:o}",
                     "executable", json_text(inspect, head->executable), "entry",
                     (json_int_t)head->entry, "program_entry", (json_int_t)head->program_entry,
                     "flags", json_flags(head->flags), "arguments", arguments, "directory",
                     json_text(inspect, head->directory), "stack_size",
                     (json_int_t)head->stack_size, "memory_max", (json_int_t)head->memory_max,
                     "syscalls_replaced", (int)head->jumps.count, "names", names, "variables",
                     json_variables(inspect), "mounts", json_mounts(inspect), "files",
                     json_files(inspect), "loads", json_load_list(inspect));
}
