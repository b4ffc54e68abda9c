/*
 * From the ecall that runs a program to its first instruction: description, memory, arguments, environment, stack.
 * Side: enclave. The program kernel's one ecall. Source of the stack's layout: System V ABI for x86-64, 3.4.1.
 * Never lets a word of the host's into the program but where the description says so.
 */
#include "linux/linux.h"
#include "linux/start.h"

#include <elf.h>

#define AT_MINSIGSTKSZ_TYPE 51
#define AT_HWCAP2_FSGSBASE 2u
#define CPU_COUNT_MAX 1024u
#define CLOCK_TICKS 100u

const struct cella_program *cella_linux_program;
uint32_t cella_linux_flags;
uint64_t cella_linux_auxv[64];
uint32_t cella_linux_auxv_count;
uint64_t cella_linux_start_time;

static struct cella_program_description description;
static uint32_t cpu_count = 1;
static const char *environment_text, *argument_text;
static uint64_t environment_size, argument_size;
static char directory_text[4096];
static uint64_t directory_size;

const char *cella_linux_text(struct cella_program_text text, uint32_t *ret_size)
{
    *ret_size = text.size;
    return (const char *)cella_linux_program + text.offset;
}

uint32_t cella_linux_cpu_count(void)
{
    return cpu_count;
}

const char *cella_linux_environment(uint64_t *ret_size)
{
    *ret_size = environment_size;
    return environment_text;
}

const char *cella_linux_arguments(uint64_t *ret_size)
{
    *ret_size = argument_size;
    return argument_text;
}

const char *cella_linux_directory(uint64_t *ret_size)
{
    *ret_size = directory_size;
    return directory_text;
}

const struct cella_program_description *cella_linux_description(void)
{
    return &description;
}

/* The stack, filled from its top: texts first, the vector of words below them. */
struct stack {
    uint64_t at;    /* lowest byte that is taken */
    uint64_t floor; /* never below */
};

static uint64_t stack_bytes(struct stack *stack, const void *bytes, uint64_t size)
{
    if (stack->at - stack->floor < size) {
        return 0;
    }
    stack->at -= size;
    __builtin_memcpy((void *)stack->at, bytes, size);
    return stack->at;
}

/* `text` without a zero, which is added; `before` and '=' in front of it when there is a name. */
static uint64_t stack_text(struct stack *stack, struct cella_bytes name, const void *text,
                           uint64_t size)
{
    const char end = 0, equals = '=';
    bool done = stack_bytes(stack, &end, 1) != 0 && stack_bytes(stack, text, size) != 0;
    if (name.size > 0) {
        done = done && stack_bytes(stack, &equals, 1) != 0 &&
               stack_bytes(stack, name.data, name.size) != 0;
    }
    return done ? stack->at : 0;
}

/* What the host has given: zero-terminated texts, arguments first. */
struct given {
    const char *texts;
    uint64_t size;
    uint32_t argument_count, environment_count;
};

/* The text at `*at`, which moves behind it; false: there is none. */
static bool given_next(const struct given *given, uint64_t *at, const char **ret_text,
                       uint64_t *ret_size)
{
    uint64_t size = 0;
    while (*at + size < given->size && given->texts[*at + size] != 0) {
        size++;
    }
    if (*at + size >= given->size) {
        return false;
    }
    *ret_text = given->texts + *at;
    *ret_size = size;
    *at += size + 1;
    return true;
}

/* The host's value of a variable. */
static bool given_value(const struct given *given, struct cella_bytes name, const char **ret_value,
                        uint64_t *ret_size)
{
    uint64_t at = 0, size;
    const char *text;
    for (uint32_t i = 0; i < given->argument_count; i++) {
        if (!given_next(given, &at, &text, &size)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < given->environment_count && given_next(given, &at, &text, &size);
         i++) {
        if (size > name.size && text[name.size] == '=' && cella_equal(text, name.data, name.size)) {
            *ret_value = text + name.size + 1;
            *ret_size = size - name.size - 1;
            return true;
        }
    }
    return false;
}

static void item_add(struct linux_items *items, struct cella_bytes name, const void *text,
                     uint64_t size)
{
    items->list[items->count++] = (struct linux_item){.name = name, .text = text, .size = size};
}

static void arguments_collect(const struct given *given, struct linux_items *items)
{
    const struct cella_bytes none = {0};
    for (uint32_t i = 0; i < description.head.arguments.count; i++) {
        const struct cella_bytes text =
            cella_program_text(&description, cella_program_argument_at(&description, i));
        item_add(items, none, text.data, text.size);
    }
    uint64_t at = 0, size;
    const char *text;
    const bool wanted = (description.head.flags & CELLA_PROGRAM_ARGS_FROM_HOST) != 0;
    for (uint32_t i = 0;
         wanted && i < given->argument_count && given_next(given, &at, &text, &size); i++) {
        item_add(items, none, text, size);
    }
}

static void environment_collect(const struct given *given, struct linux_items *items)
{
    for (uint32_t i = 0; i < description.head.environment.count; i++) {
        const struct cella_program_variable variable = cella_program_variable_at(&description, i);
        const struct cella_bytes name = cella_program_text(&description, variable.name);
        const struct cella_bytes own = cella_program_text(&description, variable.value);
        const char *value = (const char *)own.data;
        uint64_t size = own.size;
        const bool from_host = variable.from_host != 0 && given_value(given, name, &value, &size);
        if (from_host || variable.from_host == 0 || variable.value.offset != 0) {
            item_add(items, name, value, size);
        }
    }
}

static bool environment_has(struct cella_bytes name)
{
    for (uint32_t i = 0; i < description.head.environment.count; i++) {
        const struct cella_bytes own =
            cella_program_text(&description, cella_program_variable_at(&description, i).name);
        if (own.size == name.size && cella_equal(own.data, name.data, name.size)) {
            return true;
        }
    }
    return false;
}

/* Programs of EGo's users see the host's variables that start with EDG_, but for those that the manifest names. */
static void environment_collect_ego(const struct given *given, struct linux_items *items)
{
    static const char prefix[] = "EDG_";
    uint64_t at = 0, size;
    const char *text;
    for (uint32_t i = 0; given_next(given, &at, &text, &size); i++) {
        uint64_t name_size = 0;
        while (name_size < size && text[name_size] != '=') {
            name_size++;
        }
        const struct cella_bytes name = {.data = (const uint8_t *)text, .size = name_size};
        if (i >= given->argument_count && i - given->argument_count < given->environment_count &&
            name_size < size && name_size >= sizeof(prefix) &&
            cella_equal(text, prefix, sizeof(prefix) - 1) && !environment_has(name)) {
            item_add(items, name, text + name_size + 1, size - name_size - 1);
        }
    }
}

/* Last ones first, so that they lie in order: programs that change their title count on it. */
static bool items_lay(struct stack *stack, struct linux_items *items)
{
    for (uint64_t i = items->count; i-- > 0;) {
        struct linux_item *item = &items->list[i];
        item->at = stack_text(stack, item->name, item->text, item->size);
        if (item->at == 0) {
            return false;
        }
    }
    return true;
}

static void auxiliary(uint64_t type, uint64_t value)
{
    cella_linux_auxv[cella_linux_auxv_count++] = type;
    cella_linux_auxv[cella_linux_auxv_count++] = value;
}

static bool auxiliary_make(struct stack *stack)
{
    static const char platform[] = "x86_64";
    const struct cella_bytes none = {0};
    const struct cella_program *head = &description.head;
    uint8_t random[16];
    uint32_t cpuid[4];
    cella_cpuid(1, 0, cpuid);
    if (!cella_is_ok(cella_random(random, sizeof(random)))) {
        return false;
    }
    const struct cella_bytes path = cella_program_text(&description, head->executable);
    const uint64_t path_at = stack_text(stack, none, path.data, path.size);
    const uint64_t platform_at = stack_bytes(stack, platform, sizeof(platform));
    const uint64_t random_at = stack_bytes(stack, random, sizeof(random));
    if (path_at == 0 || platform_at == 0 || random_at == 0) {
        return false;
    }
    const uint64_t vdso = linux_vdso_map();
    if (vdso != 0) {
        auxiliary(AT_SYSINFO_EHDR, vdso);
    }
    auxiliary(AT_HWCAP, cpuid[3]);
    auxiliary(AT_PAGESZ, SGX_PAGE_SIZE);
    auxiliary(AT_CLKTCK, CLOCK_TICKS);
    if (head->phdr_address != 0) {
        auxiliary(AT_PHDR, head->phdr_address);
        auxiliary(AT_PHENT, sizeof(Elf64_Phdr));
        auxiliary(AT_PHNUM, head->phdr_count);
    }
    auxiliary(AT_BASE, head->interpreter_base);
    auxiliary(AT_FLAGS, 0);
    auxiliary(AT_ENTRY, head->program_entry);
    auxiliary(AT_UID, head->user);
    auxiliary(AT_EUID, head->user);
    auxiliary(AT_GID, head->group);
    auxiliary(AT_EGID, head->group);
    auxiliary(AT_SECURE, 0);
    auxiliary(AT_RANDOM, random_at);
    auxiliary(AT_HWCAP2, AT_HWCAP2_FSGSBASE);
    auxiliary(AT_EXECFN, path_at);
    auxiliary(AT_PLATFORM, platform_at);
    auxiliary(AT_MINSIGSTKSZ_TYPE, 1024 + cella_xsave_size);
    auxiliary(AT_NULL, 0);
    return true;
}

/* argc, argv, envp, auxv below the texts. 0: they do not fit. */
static uint64_t vector_lay(struct stack *stack, const struct linux_items *arguments,
                           const struct linux_items *environment)
{
    const uint64_t words =
        1 + arguments->count + 1 + environment->count + 1 + cella_linux_auxv_count;
    if (stack->at - stack->floor < words * 8 + 16) {
        return 0;
    }
    uint64_t *at = (uint64_t *)((stack->at - words * 8) & ~15ull);
    const uint64_t start = (uint64_t)at;
    *at++ = arguments->count;
    for (uint64_t i = 0; i < arguments->count; i++) {
        *at++ = arguments->list[i].at;
    }
    *at++ = 0;
    for (uint64_t i = 0; i < environment->count; i++) {
        *at++ = environment->list[i].at;
    }
    *at++ = 0;
    for (uint32_t i = 0; i < cella_linux_auxv_count; i++) {
        *at++ = cella_linux_auxv[i];
    }
    return start;
}

/* Both lists of what the program gets, and with it where the coordinator's parameters come in. */
static cella_result collect(const struct given *given, struct linux_items *arguments,
                            struct linux_items *environment)
{
    arguments_collect(given, arguments);
    environment_collect(given, environment);
    if (description.head.flags & CELLA_PROGRAM_EGO) {
        environment_collect_ego(given, environment);
        CELLA_TRY(linux_marble(arguments, environment));
    }
    return CELLA_OK;
}

static uint64_t items_stack(uint64_t top, struct linux_items *arguments,
                            struct linux_items *environment)
{
    struct stack stack = {.at = top - 8, .floor = top - description.head.stack_size / 2};
    bool done = auxiliary_make(&stack);
    const uint64_t environment_end = stack.at;
    done = done && items_lay(&stack, environment);
    environment_text = (const char *)stack.at;
    environment_size = environment_end - stack.at;
    done = done && items_lay(&stack, arguments);
    argument_text = (const char *)stack.at;
    argument_size = (uint64_t)environment_text - stack.at;
    return done ? vector_lay(&stack, arguments, environment) : 0;
}

static cella_result stack_lay(uint64_t top, const struct given *given, uint64_t *ret_start)
{
    const uint64_t argument_max =
        (uint64_t)description.head.arguments.count + given->argument_count;
    const uint64_t environment_max =
        (uint64_t)description.head.environment.count + given->environment_count;
    const uint64_t size = (argument_max + environment_max) * sizeof(struct linux_item);
    struct linux_item *list = cella_pages_new(size + 1);
    CELLA_ENSURE(list, OUT_OF_MEMORY);
    struct linux_items arguments = {.list = list};
    struct linux_items environment = {.list = list + argument_max};
    const cella_result result = collect(given, &arguments, &environment);
    *ret_start = cella_is_ok(result) ? items_stack(top, &arguments, &environment) : 0;
    cella_pages_free(list, size + 1);
    CELLA_TRY(result);
    CELLA_ENSURE(*ret_start != 0, OUT_OF_MEMORY);
    return CELLA_OK;
}

static cella_result given_take(const void *in, size_t in_size, struct given *ret_given)
{
    struct cella_call_program call;
    CELLA_ENSURE(in_size >= sizeof(call), TRUNCATED);
    __builtin_memcpy(&call, in, sizeof(call));
    CELLA_ENSURE(call.argument_count <= in_size && call.environment_count <= in_size, HOST_VALUE);
    if (call.directory_size > 0) { /* behind the texts; sources of mounts are relative to it */
        CELLA_ENSURE((uint64_t)call.directory_size <= in_size - sizeof(call) &&
                         (uint64_t)call.directory_size < sizeof(directory_text),
                     HOST_VALUE);
        directory_size = (uint64_t)call.directory_size;
        in_size -= directory_size;
        __builtin_memcpy(directory_text, (const uint8_t *)in + in_size, directory_size);
    }
    *ret_given = (struct given){.texts = (const char *)in + sizeof(call),
                                .size = in_size - sizeof(call),
                                .argument_count = call.argument_count,
                                .environment_count = call.environment_count};
    const uint32_t max = description.head.cpu_max;
    const uint32_t offered = call.cpu_count < 1               ? 1
                             : call.cpu_count > CPU_COUNT_MAX ? CPU_COUNT_MAX
                                                              : call.cpu_count;
    cpu_count = max != 0 && max < offered ? max : offered;
    if (cella_is_debug()) {
        cella_linux_flags = call.flags & CELLA_CALL_PROGRAM_TRACE;
    }
    return CELLA_OK;
}

/* Calls that leave go over the ring where the image asks for that and the host has threads to spare. */
static void async_start(void)
{
    const uint32_t count = cpu_count > 2 ? 2 : 1;
    if ((description.head.flags & CELLA_PROGRAM_ASYNC) != 0 &&
        cella_kernel.ocall_ring.address != 0 &&
        cella_is_ok(
            cella_system_ocall(CELLA_OCALL_WORKERS, &count, sizeof(count), NULL, 0, NULL))) {
        cella_kernel.ring_call = cella_ring_system_call;
    }
}

static cella_result program_run(const void *in, size_t in_size, void *out, size_t out_capacity,
                                size_t *ret_size)
{
    static _Atomic bool is_started;
    struct given given;
    uint64_t stack_top = 0, stack = 0;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    CELLA_ENSURE(!atomic_exchange(&is_started, true), WRONG_STATE);
    CELLA_ENSURE(cella_image_info.program_offset != 0, UNSUPPORTED);
    CELLA_ENSURE((cella_kernel.features & CELLA_INIT_SGX2) != 0 &&
                     (cella_kernel.misc_select & SGX_MISC_EXINFO) != 0,
                 UNSUPPORTED);
    const struct cella_bytes bytes = {
        .data = (const uint8_t *)(cella_kernel.base + cella_image_info.program_offset),
        .size = cella_image_info.program_size};
    const char *part = "";
    cella_result taken = cella_program_description_take(bytes, &description, &part);
    if (!cella_is_ok(taken)) {
        cella_trace(part, taken.code);
        return taken;
    }
    cella_linux_program = (const struct cella_program *)bytes.data;
    CELLA_TRY(given_take(in, in_size, &given));
    CELLA_TRY(cella_linux_libc_init());
    CELLA_TRY(linux_memory_init(&stack_top));
    CELLA_TRY(linux_threads_init());
    linux_limits_init();
    cella_linux_start_time = linux_clock_now(false);
    const struct cella_td *td = cella_td_self();
    linux_signal_thread_new(td->program_thread);
    ((struct cella_td *)td)->kernel_stack =
        1; /* faults of the kernel on the program's stack are ours from now on */
    CELLA_TRY(cella_linux_fs_init());
    CELLA_TRY(stack_lay(stack_top, &given, &stack));
    async_start();
    const struct cella_regs regs = {.rip = description.head.entry, .rsp = stack, .rflags = 0x202};
    ((struct cella_td *)td)->fs_base = 0;
    linux_thread_enter((struct cella_td *)td, &regs);
}

CELLA_ECALLS({program_run, CELLA_CALL_PROGRAM_MAX, 0});

static bool console_syscall(struct cella_regs *regs, long *ret_result)
{
    return cella_libc_console(regs, ret_result);
}

static const struct cella_module console_module = {
    .name = "program console", .last = true, .syscall = console_syscall};
CELLA_MODULE(console_module);
