/*
 * A program that is a Marble of MarbleRun's: before its first instruction the coordinator's parameters become its files,
 * variables and arguments, as EGo's runtime has it. The call itself is the libc's (marble_call.c).
 * Side: enclave. Called by start.c; in the full program kernel only. Source: MarbleRun's premain, EGo's `ego marblerun`.
 * Never starts a program that was to be a Marble and is none; never believes more of the host than the UUID.
 */
#include "linux/marble.h"

#include "linux/fs.h"
#include "linux/libc_context.h"
#include "linux/linux.h"
#include "linux/start.h"

#define FLAG "EDG_EGO_PREMAIN"
#define TTLS "MARBLE_TTLS_CONFIG"
#define NANOSECONDS 1000000000ull
#define LINE_MAX 640u
#define CHUNK (64u << 10)
#define AT_CWD ((uint64_t)-100)
#define OPEN_FLAGS (1u | 0100u | 01000u) /* O_WRONLY | O_CREAT | O_TRUNC */
#define STANDARD_ERROR 2u

/* ------------------------------------------------------------------ what it says */

struct line {
    uint64_t fd;
    char text[LINE_MAX];
    uint32_t size;
};

static void line_add(struct line *line, const char *text, uint64_t size)
{
    for (uint64_t i = 0; i < size && line->size < LINE_MAX - 1; i++) {
        const char c = text[i];
        line->text[line->size++] = c >= ' ' && c != 127 ? c : '?';
    }
}

static void say(const char *what, const void *detail, uint64_t size)
{
    static const char prefix[] = "[PreMain] ";
    struct line line = {.fd = STANDARD_ERROR};
    line_add(&line, prefix, sizeof(prefix) - 1);
    line_add(&line, what, cella_strlen(what));
    line_add(&line, detail, size);
    line.text[line.size++] = '\n';
    int64_t written = 0;
    cella_ignore(cella_system_ocall(CELLA_OCALL_WRITE, &line, 8 + line.size, &written,
                                    sizeof(written), NULL));
}

/* ------------------------------------------------------------------ what is asked for */

static const struct linux_item *item_of(const struct linux_items *items, const char *name)
{
    const size_t size = cella_strlen(name);
    for (uint64_t i = 0; i < items->count; i++) {
        const struct linux_item *item = &items->list[i];
        if (item->name.size == size && cella_equal(item->name.data, name, size)) {
            return item;
        }
    }
    return NULL;
}

/* A copy with its zero, of the kernel's pages; they stay. NULL: no memory. */
static const char *text_of(const struct linux_items *environment, const char *name,
                           const char *otherwise)
{
    const struct linux_item *item = item_of(environment, name);
    const void *from = item && item->size > 0 ? item->text : otherwise;
    const uint64_t size = item && item->size > 0 ? item->size : cella_strlen(otherwise);
    char *text = cella_pages_new(size + 1);
    if (text) {
        __builtin_memcpy(text, from, size);
        text[size] = 0;
    }
    return text;
}

/* The file is the host's: whoever takes another UUID gets other secrets, and no more. */
static bool uuid_ask(const char *path, char *ret_uuid)
{
    struct {
        uint32_t operation;
        char path[CELLA_PROGRAM_PATH_MAX];
    } request = {.operation = CELLA_MARBLE_UUID};
    const size_t size = cella_strlen(path);
    size_t got = 0;
    if (size > sizeof(request.path)) {
        return false;
    }
    __builtin_memcpy(request.path, path, size);
    if (!cella_is_ok(cella_system_ocall(CELLA_OCALL_PROGRAM_MARBLE, &request,
                                        sizeof(request.operation) + size, ret_uuid,
                                        CELLA_MARBLE_UUID_SIZE, &got)) ||
        got != CELLA_MARBLE_UUID_SIZE) {
        return false;
    }
    for (uint32_t i = 0; i < CELLA_MARBLE_UUID_SIZE; i++) {
        const char c = ret_uuid[i];
        const bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (i == 8 || i == 13 || i == 18 || i == 23 ? c != '-' : !is_digit) {
            return false;
        }
    }
    ret_uuid[CELLA_MARBLE_UUID_SIZE] = 0;
    return true;
}

static cella_result marble_ask(const struct linux_items *environment, struct marble *marble)
{
    const char *uuid_file = text_of(environment, "EDG_MARBLE_UUID_FILE", "uuid");
    marble->coordinator = text_of(environment, "EDG_MARBLE_COORDINATOR_ADDR", "localhost:2001");
    marble->type = text_of(environment, "EDG_MARBLE_TYPE", "");
    marble->names = text_of(environment, "EDG_MARBLE_DNS_NAMES", "localhost");
    marble->time = (int64_t)(linux_clock_now(true) / NANOSECONDS);
    CELLA_ENSURE(uuid_file && marble->coordinator && marble->type && marble->names, OUT_OF_MEMORY);
    if (marble->type[0] == 0) {
        say("EDG_MARBLE_TYPE is not set", "", 0);
        return CELLA_RESULT(NOT_FOUND);
    }
    if (!uuid_ask(uuid_file, marble->uuid)) {
        say("no UUID from the host; file: ", uuid_file, cella_strlen(uuid_file));
        return CELLA_RESULT(HOST_VALUE);
    }
    say("activating marble of type ", marble->type, cella_strlen(marble->type));
    const long result = cella_linux_libc(cella_linux_marble_call, marble);
    if (!marble->has_quote && (result == 0 || marble->reason[0] != 0)) {
        say("no quote: only a coordinator in simulation mode takes that", "", 0);
    }
    if (result != 0) {
        say("failed: ", marble->reason, cella_strlen(marble->reason));
        return CELLA_RESULT(HOST_REFUSED);
    }
    return CELLA_OK;
}

/* ------------------------------------------------------------------ files */

/* As the program would: whatever is mounted there takes it. */
static long call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct cella_regs regs = {.rax = number, .rdi = a, .rsi = b, .rdx = c, .r10 = d};
    cella_linux_syscall(&regs);
    return (long)regs.rax;
}

/* Memory of the program: calls take no other. */
struct room {
    char path[SGX_PAGE_SIZE];
    uint8_t bytes[CHUNK];
};

static void directories_make(struct room *room)
{
    for (uint32_t i = 1; room->path[i] != 0; i++) {
        if (room->path[i] == '/') {
            room->path[i] = 0;
            (void)call(__NR_mkdirat, AT_CWD, (uint64_t)room->path, 0700, 0); /* open says it */
            room->path[i] = '/';
        }
    }
}

static long file_write(struct room *room, const struct marble_pair *file)
{
    const size_t size = cella_strlen(file->name);
    if (size == 0 || size >= sizeof(room->path)) {
        return -ENAMETOOLONG;
    }
    __builtin_memcpy(room->path, file->name, size + 1);
    directories_make(room);
    const long fd = call(__NR_openat, AT_CWD, (uint64_t)room->path, OPEN_FLAGS, 0600);
    if (fd < 0) {
        return fd;
    }
    long result = 0;
    for (uint64_t done = 0; done < file->size && result >= 0;) {
        const uint64_t part = file->size - done < CHUNK ? file->size - done : CHUNK;
        __builtin_memcpy(room->bytes, file->value + done, part);
        result = call(__NR_pwrite64, (uint64_t)fd, (uint64_t)room->bytes, part, done);
        result = result == 0 ? -EIO : result;
        done += result > 0 ? (uint64_t)result : 0;
    }
    const long closed = call(__NR_close, (uint64_t)fd, 0, 0, 0);
    cella_zero(room->bytes, sizeof(room->bytes));
    return result < 0 ? result : closed;
}

static cella_result files_write(const struct marble *marble)
{
    struct room *room = (struct room *)cella_linux_user_pages(sizeof(*room));
    long result = room ? 0 : -ENOMEM;
    for (size_t i = 0; i < marble->file_count && result == 0; i++) {
        result = file_write(room, &marble->files[i]);
        if (result != 0) {
            say("cannot write ", marble->files[i].name, cella_strlen(marble->files[i].name));
        }
    }
    if (room) {
        cella_linux_user_pages_free((uint64_t)room, sizeof(*room));
    }
    return result == 0 ? CELLA_OK : CELLA_RESULT(IO);
}

/* ------------------------------------------------------------------ variables and arguments */

static bool variable_is_good(const struct marble_pair *variable)
{
    if (variable->name[0] == 0) {
        return false;
    }
    for (const char *at = variable->name; *at != 0; at++) {
        if (*at == '=') {
            return false;
        }
    }
    for (size_t i = 0; i < variable->size; i++) {
        if (variable->value[i] == 0) {
            return false;
        }
    }
    return true;
}

static void variable_set(struct linux_items *items, const struct marble_pair *variable)
{
    const size_t size = cella_strlen(variable->name);
    struct linux_item *item = (struct linux_item *)item_of(items, variable->name);
    item = item ? item : &items->list[items->count++];
    *item = (struct linux_item){.name = cella_bytes_of(variable->name, size),
                                .text = variable->value,
                                .size = variable->size};
}

/* The activation is done: the program does not begin it again. */
static void flag_remove(struct linux_items *items)
{
    const struct linux_item *item = item_of(items, FLAG);
    if (item) {
        for (uint64_t i = (uint64_t)(item - items->list); i + 1 < items->count; i++) {
            items->list[i] = items->list[i + 1];
        }
        items->count--;
    }
}

static cella_result variables_take(const struct marble *marble, struct linux_items *environment)
{
    struct linux_items next = {
        .list = cella_pages_new((environment->count + marble->variable_count + 1) *
                                sizeof(struct linux_item)),
        .count = environment->count};
    CELLA_ENSURE(next.list, OUT_OF_MEMORY);
    __builtin_memcpy(next.list, environment->list, environment->count * sizeof(struct linux_item));
    for (size_t i = 0; i < marble->variable_count; i++) {
        const struct marble_pair *variable = &marble->variables[i];
        if (!variable_is_good(variable)) {
            say("no name or value of a variable: ", variable->name, cella_strlen(variable->name));
            return CELLA_RESULT(BAD_FIELD);
        }
        variable_set(&next, variable);
    }
    flag_remove(&next);
    *environment = next;
    return CELLA_OK;
}

static cella_result arguments_take(const struct marble *marble, struct linux_items *arguments)
{
    static const char *const fallback[] = {"./marble"};
    const uint64_t count = marble->argument_count > 0 ? marble->argument_count : 1;
    const char *const *texts = marble->argument_count > 0 ? marble->arguments : fallback;
    struct linux_items next = {.list = cella_pages_new(count * sizeof(struct linux_item)),
                               .count = count};
    CELLA_ENSURE(next.list, OUT_OF_MEMORY);
    for (uint64_t i = 0; i < count; i++) {
        next.list[i] = (struct linux_item){.text = texts[i], .size = cella_strlen(texts[i])};
    }
    *arguments = next;
    return CELLA_OK;
}

static bool has_ttls(const struct marble *marble)
{
    static const char name[] = TTLS;
    for (size_t i = 0; i < marble->variable_count; i++) {
        const char *text = marble->variables[i].name;
        if (cella_strlen(text) == sizeof(name) - 1 && cella_equal(text, name, sizeof(name))) {
            return true;
        }
    }
    return false;
}

/* What is borrowed from `marble` stays for the stack; all of it lives as long as the program. */
cella_result linux_marble(struct linux_items *arguments, struct linux_items *environment)
{
    static struct marble marble;
    const struct linux_item *flag = item_of(environment, FLAG);
    if (!flag || flag->size != 1 || *(const char *)flag->text != '1') {
        return CELLA_OK;
    }
    CELLA_ENSURE(fs_ego_host() == 0, IO);
    CELLA_TRY(marble_ask(environment, &marble));
    if (has_ttls(&marble)) {
        say("the manifest wants transparent TLS, which this runtime does not have", "", 0);
        return CELLA_RESULT(UNSUPPORTED);
    }
    CELLA_TRY(files_write(&marble));
    CELLA_TRY(variables_take(&marble, environment));
    CELLA_TRY(arguments_take(&marble, arguments));
    say("done", "", 0);
    return CELLA_OK;
}
