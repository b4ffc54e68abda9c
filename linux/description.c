/*
 * Reading the measured description of a program (abi/program.h).
 * Side: enclave; freestanding, also built natively for tests. Called once by linux/start.c, then by whoever needs a part.
 * Never looks at a byte outside the description, whatever its offsets say.
 */
#include "linux/description.h"

#define PAGE_SIZE 4096u
#define RIGHTS_MASK 7u
#define MODE_MASK 07777u
#define HOST_NAME_MAX_SIZE 64u
#define FLAGS_MASK                                                                                 \
    (CELLA_PROGRAM_ARGS_FROM_HOST | CELLA_PROGRAM_EGO | CELLA_PROGRAM_DEBUG |                      \
     CELLA_PROGRAM_TRAPS | CELLA_PROGRAM_EXEC_MEMORY | CELLA_PROGRAM_ASYNC)

/* What is being checked, and the part that is wrong when it fails. */
struct taking {
    const struct cella_program_description *description;
    const char *part;
};

static cella_result range_check(const struct cella_program_description *description,
                                uint64_t offset, uint64_t size)
{
    struct cella_bytes ignored;
    return cella_bytes_slice(description->bytes, offset, size, &ignored);
}

struct cella_bytes cella_program_text(const struct cella_program_description *description,
                                      struct cella_program_text text)
{
    struct cella_bytes bytes = {0};
    cella_ignore(cella_bytes_slice(description->bytes, text.offset, text.size, &bytes));
    return bytes;
}

/* Record `index` of a list, copied out: lists need not be aligned. */
static void record_get(const struct cella_program_description *description,
                       struct cella_program_list list, uint32_t index, void *to, size_t size)
{
    struct cella_bytes bytes;
    __builtin_memset(to, 0, size);
    if (index < list.count &&
        cella_is_ok(cella_bytes_slice(description->bytes, list.offset + (uint64_t)index * size,
                                      size, &bytes))) {
        __builtin_memcpy(to, bytes.data, size);
    }
}

#define AT(what, type, list)                                                                       \
    struct type cella_program_##what##_at(const struct cella_program_description *description,     \
                                          uint32_t index)                                          \
    {                                                                                              \
        struct type record;                                                                        \
        record_get(description, description->head.list, index, &record, sizeof(record));           \
        return record;                                                                             \
    }
AT(load, cella_program_load, loads)
AT(argument, cella_program_text, arguments)
AT(variable, cella_program_variable, environment)
AT(mount, cella_program_mount, mounts)
AT(file, cella_program_file, files)
AT(patches, cella_program_patches, patches)
AT(host, cella_program_text, hosts)
#undef AT

struct cella_program_site cella_program_site_at(const struct cella_program_description *description,
                                                const struct cella_program_patches *patches,
                                                uint32_t index)
{
    struct cella_program_site site;
    record_get(description, patches->sites, index, &site, sizeof(site));
    return site;
}

struct cella_bytes cella_program_trampolines(const struct cella_program_description *description,
                                             const struct cella_program_patches *patches)
{
    return cella_program_text(description,
                              (struct cella_program_text){.offset = patches->trampolines_offset,
                                                          .size = patches->trampolines_size});
}

struct cella_bytes cella_program_content(const struct cella_program_description *description,
                                         const struct cella_program_file *file)
{
    struct cella_bytes bytes = {0};
    if (file->source.size == 0 && file->link.size == 0) {
        cella_ignore(cella_bytes_slice(description->bytes, file->content, file->size, &bytes));
    }
    return bytes;
}

static cella_result text_check(const struct taking *taking, struct cella_program_text text,
                               uint32_t max)
{
    const struct cella_program_description *description = taking->description;
    CELLA_ENSURE(text.size <= max, LIMIT_EXCEEDED);
    if (text.size == 0) {
        return CELLA_OK;
    }
    CELLA_TRY(range_check(description, text.offset, text.size));
    const struct cella_bytes bytes = cella_program_text(description, text);
    for (size_t i = 0; i < bytes.size; i++) {
        CELLA_ENSURE(bytes.data[i] != 0, BAD_FIELD);
    }
    return CELLA_OK;
}

static cella_result path_check(const struct taking *taking, struct cella_program_text text)
{
    CELLA_TRY(text_check(taking, text, CELLA_PROGRAM_PATH_MAX));
    CELLA_ENSURE(text.size > 0 && cella_program_text(taking->description, text).data[0] == '/',
                 BAD_FIELD);
    return CELLA_OK;
}

static cella_result list_check(struct taking *taking, const char *part,
                               struct cella_program_list list, size_t size, uint32_t max)
{
    taking->part = part;
    CELLA_ENSURE(list.count <= max, LIMIT_EXCEEDED);
    return list.count == 0
               ? CELLA_OK
               : range_check(taking->description, list.offset, (uint64_t)list.count * size);
}

static cella_result head_check(struct taking *taking)
{
    const struct cella_program *head = &taking->description->head;
    taking->part = "head";
    CELLA_ENSURE((head->flags & ~FLAGS_MASK) == 0 && head->break_start % PAGE_SIZE == 0 &&
                     head->stack_size <= CELLA_PROGRAM_KERNEL,
                 BAD_FIELD);
    for (size_t i = 0; i < sizeof(head->reserved); i++) {
        CELLA_ENSURE(head->reserved[i] == 0, BAD_FIELD);
    }
    taking->part = "executable";
    CELLA_TRY(path_check(taking, head->executable));
    taking->part = "directory";
    CELLA_TRY(path_check(taking, head->directory));
    taking->part = "host name";
    return text_check(taking, head->host_name, HOST_NAME_MAX_SIZE);
}

/* Ascending, page-aligned, in the program's space; the program starts in one that may be executed. */
static cella_result loads_check(struct taking *taking)
{
    const struct cella_program *head = &taking->description->head;
    uint64_t end = CELLA_PROGRAM_LOW;
    bool has_entry = false;
    CELLA_TRY(list_check(taking, "loads", head->loads, sizeof(struct cella_program_load),
                         CELLA_PROGRAM_COUNT_MAX));
    for (uint32_t i = 0; i < head->loads.count; i++) {
        const struct cella_program_load load = cella_program_load_at(taking->description, i);
        CELLA_ENSURE(load.address % PAGE_SIZE == 0 && load.size % PAGE_SIZE == 0 && load.size > 0 &&
                         (load.rights & ~RIGHTS_MASK) == 0 && load.kind <= CELLA_PROGRAM_LOAD_ZERO,
                     BAD_FIELD);
        CELLA_ENSURE(load.address >= end, OVERLAP);
        CELLA_ENSURE(load.address < CELLA_PROGRAM_KERNEL &&
                         load.size <= CELLA_PROGRAM_KERNEL - load.address,
                     OUT_OF_RANGE);
        end = load.address + load.size;
        has_entry = has_entry ||
                    ((load.rights & 4) != 0 && head->entry >= load.address && head->entry < end);
    }
    taking->part = "entry";
    CELLA_ENSURE(has_entry, BAD_FIELD);
    taking->part = "break";
    CELLA_ENSURE(head->loads_end <= CELLA_PROGRAM_KERNEL &&
                     head->break_start <= CELLA_PROGRAM_KERNEL,
                 OUT_OF_RANGE);
    return CELLA_OK;
}

/* Ascending in both addresses: they are searched by either. */
static cella_result jumps_check(struct taking *taking)
{
    const struct cella_program_list jumps = taking->description->head.jumps;
    struct cella_program_jump last = {0};
    CELLA_TRY(list_check(taking, "jumps", jumps, sizeof(last), CELLA_PROGRAM_SITES_MAX));
    for (uint32_t i = 0; i < jumps.count; i++) {
        struct cella_program_jump jump;
        record_get(taking->description, jumps, i, &jump, sizeof(jump));
        CELLA_ENSURE(jump.address < CELLA_PROGRAM_KERNEL && jump.entry < CELLA_PROGRAM_KERNEL,
                     OUT_OF_RANGE);
        CELLA_ENSURE(i == 0 || (jump.address > last.address && jump.entry > last.entry), BAD_FIELD);
        last = jump;
    }
    return CELLA_OK;
}

static cella_result words_check(struct taking *taking)
{
    const struct cella_program *head = &taking->description->head;
    CELLA_TRY(list_check(taking, "arguments", head->arguments, sizeof(struct cella_program_text),
                         CELLA_PROGRAM_COUNT_MAX));
    CELLA_ENSURE(head->arguments.count > 0, BAD_FIELD);
    for (uint32_t i = 0; i < head->arguments.count; i++) {
        CELLA_TRY(text_check(taking, cella_program_argument_at(taking->description, i),
                             CELLA_PROGRAM_TEXT_MAX));
    }
    CELLA_TRY(list_check(taking, "environment", head->environment,
                         sizeof(struct cella_program_variable), CELLA_PROGRAM_COUNT_MAX));
    for (uint32_t i = 0; i < head->environment.count; i++) {
        const struct cella_program_variable variable =
            cella_program_variable_at(taking->description, i);
        CELLA_TRY(text_check(taking, variable.name, CELLA_PROGRAM_TEXT_MAX));
        CELLA_TRY(text_check(taking, variable.value, CELLA_PROGRAM_TEXT_MAX));
        CELLA_ENSURE(variable.name.size > 0 && variable.from_host <= 1 && variable.reserved == 0,
                     BAD_FIELD);
    }
    CELLA_TRY(list_check(taking, "hosts", head->hosts, sizeof(struct cella_program_text),
                         CELLA_PROGRAM_COUNT_MAX));
    for (uint32_t i = 0; i < head->hosts.count; i++) {
        CELLA_TRY(text_check(taking, cella_program_host_at(taking->description, i),
                             CELLA_PROGRAM_TEXT_MAX));
    }
    return CELLA_OK;
}

static cella_result mounts_check(struct taking *taking)
{
    const struct cella_program *head = &taking->description->head;
    CELLA_TRY(list_check(taking, "mounts", head->mounts, sizeof(struct cella_program_mount),
                         CELLA_PROGRAM_COUNT_MAX));
    for (uint32_t i = 0; i < head->mounts.count; i++) {
        const struct cella_program_mount mount = cella_program_mount_at(taking->description, i);
        CELLA_TRY(path_check(taking, mount.target));
        CELLA_TRY(text_check(taking, mount.source, CELLA_PROGRAM_PATH_MAX));
        CELLA_ENSURE(mount.kind >= CELLA_PROGRAM_MOUNT_MEMORY &&
                         mount.kind <= CELLA_PROGRAM_MOUNT_ENCRYPTED &&
                         (mount.flags &
                          ~(CELLA_PROGRAM_MOUNT_READ_ONLY | CELLA_PROGRAM_MOUNT_SEAL_SIGNER)) == 0,
                     BAD_FIELD);
        CELLA_ENSURE(mount.kind == CELLA_PROGRAM_MOUNT_MEMORY || mount.source.size > 0, BAD_FIELD);
    }
    return CELLA_OK;
}

static cella_result files_check(struct taking *taking)
{
    const struct cella_program *head = &taking->description->head;
    CELLA_TRY(list_check(taking, "files", head->files, sizeof(struct cella_program_file),
                         CELLA_PROGRAM_FILES_MAX));
    for (uint32_t i = 0; i < head->files.count; i++) {
        const struct cella_program_file file = cella_program_file_at(taking->description, i);
        CELLA_TRY(path_check(taking, file.path));
        CELLA_TRY(text_check(taking, file.source, CELLA_PROGRAM_PATH_MAX));
        CELLA_TRY(text_check(taking, file.link, CELLA_PROGRAM_PATH_MAX));
        CELLA_ENSURE((file.mode & ~MODE_MASK) == 0 && file.patches <= head->patches.count &&
                         file.size <= INT64_MAX && (file.source.size == 0 || file.link.size == 0),
                     BAD_FIELD);
        if (file.source.size == 0 && file.link.size == 0) {
            CELLA_TRY(range_check(taking->description, file.content, file.size));
        }
    }
    return CELLA_OK;
}

/* Sites do not touch each other, neither in memory nor in the file. */
static cella_result sites_check(struct taking *taking, const struct cella_program_patches *patches)
{
    uint64_t address_end = 0, offset_end = 0;
    CELLA_TRY(list_check(taking, "sites", patches->sites, sizeof(struct cella_program_site),
                         CELLA_PROGRAM_SITES_MAX));
    for (uint32_t i = 0; i < patches->sites.count; i++) {
        const struct cella_program_site site =
            cella_program_site_at(taking->description, patches, i);
        CELLA_ENSURE(site.size > 0 && site.size <= sizeof(site.bytes) &&
                         site.file_offset <= INT64_MAX - sizeof(site.bytes) &&
                         site.address < patches->span && site.size <= patches->span - site.address,
                     BAD_FIELD);
        CELLA_ENSURE(site.address >= address_end && site.file_offset >= offset_end, OVERLAP);
        address_end = site.address + site.size;
        offset_end = site.file_offset + site.size;
    }
    return CELLA_OK;
}

static cella_result patches_check(struct taking *taking)
{
    const struct cella_program *head = &taking->description->head;
    CELLA_TRY(list_check(taking, "patches", head->patches, sizeof(struct cella_program_patches),
                         CELLA_PROGRAM_COUNT_MAX));
    for (uint32_t i = 0; i < head->patches.count; i++) {
        const struct cella_program_patches patches =
            cella_program_patches_at(taking->description, i);
        taking->part = "patches";
        CELLA_ENSURE(patches.span % PAGE_SIZE == 0 && patches.span < CELLA_PROGRAM_KERNEL &&
                         patches.trampolines_at == patches.span,
                     BAD_FIELD);
        CELLA_TRY(
            range_check(taking->description, patches.trampolines_offset, patches.trampolines_size));
        CELLA_TRY(sites_check(taking, &patches));
    }
    return CELLA_OK;
}

static cella_result take(struct cella_bytes bytes, struct cella_program_description *description,
                         struct taking *taking)
{
    struct cella_cursor cursor = cella_cursor_of(bytes);
    CELLA_TRY(cella_cursor_copy(&cursor, &description->head, sizeof(description->head)));
    CELLA_ENSURE(description->head.magic == CELLA_PROGRAM_MAGIC, BAD_MAGIC);
    CELLA_ENSURE(description->head.version == CELLA_PROGRAM_VERSION, UNSUPPORTED_VERSION);
    CELLA_ENSURE(description->head.size >= sizeof(description->head), BAD_FIELD);
    CELLA_TRY(cella_bytes_slice(bytes, 0, description->head.size, &description->bytes));
    CELLA_TRY(head_check(taking));
    CELLA_TRY(loads_check(taking));
    CELLA_TRY(jumps_check(taking));
    CELLA_TRY(words_check(taking));
    CELLA_TRY(mounts_check(taking));
    CELLA_TRY(patches_check(taking));
    return files_check(taking);
}

cella_result cella_program_description_take(struct cella_bytes bytes,
                                            struct cella_program_description *ret_description,
                                            const char **ret_part)
{
    struct cella_program_description description = {.bytes = bytes};
    struct taking taking = {.description = &description, .part = "start"};
    const cella_result result = take(bytes, &description, &taking);
    if (cella_is_ok(result)) {
        *ret_description = description;
    } else {
        *ret_part = taking.part;
    }
    return result;
}
