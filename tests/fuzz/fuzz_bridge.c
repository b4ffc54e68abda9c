/*
 * Fuzz target: what generated bridges do with messages and results of a lying host.
 * Side: tests. Called by libFuzzer or replay.c. enclave/bridge*.c are compiled for the host here, over a kernel of this
 * file's own: host memory is the input's tail at an address where nothing is mapped, and it changes once it is read.
 * Never has a function that trusts its arguments: the bodies go by the descriptions, and check what they say.
 */
#include <stdlib.h>
#include <string.h>

#include "cella/bridge.h"
#include "enclave/boundary.h"
#include "enclave/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOST_BASE 0x100000000000ull /* below all that is mapped here, with ASan and without */
#define LENT_BASE 0x110000000000ull /* what the host's allocator gives */
#define LENT_MAX (1u << 20)
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The input: function, twist, size of the message (2 bytes), the message, host memory. */
enum twist {
    TWIST_EMPTY_NULL = 1,
    TWIST_TERMINATE = 2,
    TWIST_FOLLOW = 4,
    TWIST_PRIVATE = 8,
    TWIST_INSIDE_OCALL = 16,
    TWIST_LENGTHS = 32,  /* the function makes lengths bigger */
    TWIST_POINTERS = 64, /* it changes pointers, to memory of the enclave */
    TWIST_OUTSIDE = 128, /* and these to memory that is not */
};

static struct {
    uint8_t twist;
    const uint8_t *input;
    size_t input_size;
    uint8_t *host_now;
    uint64_t host_size;
    uint8_t *buffer; /* of the running ecall */
    uint64_t buffer_size;
    const struct cella_bridge_span *spans;
    uint64_t span_count;
    uint64_t lent; /* bytes that the enclave has from the host's allocator */
    uint32_t allocated;
} g;

static uint32_t g_inside[16] = {7, 8, 9};

/* ---- The interface ---- */

struct head {
    uint64_t n;
    int32_t m;
    uint16_t w;
    uint8_t size;
    int8_t count;
    float f;
    uint32_t reserved;
};

struct item {
    uint32_t *values;
    uint64_t count;
    uint64_t tag;
};

struct box {
    struct item *items;
    char *text;
    void *raw;
    uint32_t item_count;
    int32_t raw_size;
};

/* Lengths and text of what an enclave passes: right, for the enclave is not the liar. */
static struct {
    struct head head;
    uint8_t bytes[6][32];
    char text[8];
    uint32_t wide[4];
    uint32_t values[4];
    struct item items[2];
    struct box boxes[2];
    struct item made[2];
} c;

/* ---- The kernel ---- */

const void *cella_host_pointer(uint64_t address)
{
    return (const void *)address;
}

void *cella_host_pointer_out(uint64_t address)
{
    return (void *)address;
}

static bool is_within(uint64_t address, uint64_t size, uint64_t base, uint64_t limit)
{
    return address >= base && size <= limit && address - base <= limit - size;
}

cella_result cella_span_check(uint64_t address, uint64_t size)
{
    CELLA_ENSURE(size == 0 || is_within(address, size, HOST_BASE, g.host_size) ||
                     is_within(address, size, LENT_BASE, g.lent),
                 HOST_POINTER);
    return CELLA_OK;
}

/* Read once: whoever reads again gets something else. */
cella_result cella_copy_in(void *to, const void *from, size_t size)
{
    const uint64_t address = (uint64_t)from;
    CELLA_TRY(cella_span_check(address, size));
    for (size_t i = 0; i < size; i++) {
        uint8_t *at = is_within(address, size, HOST_BASE, g.host_size)
                          ? &g.host_now[address - HOST_BASE + i]
                          : NULL;
        ((uint8_t *)to)[i] = at ? *at : 0;
        if (at) {
            *at ^= 0xA5;
        }
    }
    return CELLA_OK;
}

int cella_enclave_inside(const void *at, size_t size)
{
    return is_within((uint64_t)at, size, (uint64_t)g_inside, sizeof(g_inside)) ||
           (g.buffer && is_within((uint64_t)at, size, (uint64_t)g.buffer, g.buffer_size)) ||
           is_within((uint64_t)at, size, (uint64_t)&c, sizeof(c)) ||
           (g.allocated > 0 && (uint64_t)at > LENT_BASE + LENT_MAX);
}

/* An address that was in the input is no secret: fuzzers that trace comparisons put some there. */
static bool is_leak(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return ((g.buffer && is_within(word, 1, (uint64_t)g.buffer, g.buffer_size)) ||
            is_within(word, 1, (uint64_t)g_inside, sizeof(g_inside)) ||
            is_within(word, 1, (uint64_t)&c, sizeof(c))) &&
           !memmem(g.input, g.input_size, at, sizeof(word));
}

/* What goes out goes where the message said, and no word of it is an address of the enclave. */
cella_result cella_copy_out(void *to, const void *from, size_t size)
{
    const uint64_t address = (uint64_t)to;
    bool is_named = is_within(address, size, LENT_BASE, g.lent);
    CELLA_TRY(cella_span_check(address, size));
    for (uint64_t i = 0; i < g.span_count; i++) {
        is_named |= is_within(address, size, g.spans[i].address, g.spans[i].size);
    }
    REQUIRE(is_named || size == 0);
    for (size_t i = 0; i + 8 <= size; i++) {
        REQUIRE(!is_leak((const uint8_t *)from + i));
    }
    return CELLA_OK;
}

/* Exactly as big as asked, so that ASan sees the first byte too far. */
void *cella_call_buffer_take(uint64_t size, uint64_t *ret_capacity)
{
    if (size > (1u << 24)) {
        return NULL;
    }
    uint8_t *at = malloc(size);
    REQUIRE(at != NULL && g.buffer == NULL);
    memset(at, 0xDD, size);
    *ret_capacity = size;
    g.buffer = at;
    g.buffer_size = size;
    return at;
}

void cella_call_buffer_give(void *at, uint64_t capacity)
{
    REQUIRE(at == g.buffer && capacity == g.buffer_size);
    free(at);
    g.buffer = NULL;
}

uint32_t cella_outstanding_ocall(void)
{
    return (g.twist & TWIST_INSIDE_OCALL) != 0 ? 3 : 0;
}

cella_result cella_host_memory_take(uint64_t size, uint64_t *ret_address)
{
    CELLA_ENSURE(g.lent == 0 && size <= LENT_MAX, OUT_OF_MEMORY);
    g.lent = size;
    *ret_address = LENT_BASE;
    return CELLA_OK;
}

void cella_host_memory_give(uint64_t address, uint64_t size)
{
    if (address == LENT_BASE) {
        REQUIRE(size == g.lent);
        g.lent = 0;
    }
}

/* Where an ocall's message goes; its output is the host memory of the input. */
cella_result cella_slice_take(struct cella_slice *slice, uint64_t in_size, uint64_t out_capacity)
{
    REQUIRE(in_size % 16 == 0 && out_capacity % 16 == 0);
    *slice =
        (struct cella_slice){.at = HOST_BASE, .in_size = in_size, .out_capacity = out_capacity};
    return CELLA_OK;
}

void cella_slice_give(struct cella_slice *slice)
{
    slice->at = 0;
}

cella_result cella_slice_put(const struct cella_slice *slice, uint64_t offset, const void *from,
                             uint64_t size)
{
    const uint64_t total = slice->in_size + slice->out_capacity;
    CELLA_ENSURE(offset <= total && size <= total - offset, OUT_OF_RANGE);
    for (uint64_t i = 0; i + 8 <= size; i += 8) {
        REQUIRE(!is_leak((const uint8_t *)from + i));
    }
    return CELLA_OK;
}

cella_result cella_slice_get(const struct cella_slice *slice, uint64_t offset, void *to,
                             uint64_t size)
{
    CELLA_ENSURE(offset <= slice->out_capacity && size <= slice->out_capacity - offset,
                 OUT_OF_RANGE);
    memset(to, 0, size);
    if (offset >= g.host_size) {
        return CELLA_OK;
    }
    const uint64_t there = g.host_size - offset;
    return cella_copy_in(to, (const void *)(HOST_BASE + offset), size < there ? size : there);
}

cella_result cella_slice_call(const struct cella_slice *slice, uint32_t number)
{
    (void)slice;
    CELLA_ENSURE(number != 99, BUSY);
    return CELLA_OK;
}

cella_result cella_slice_call_switchless(const struct cella_slice *slice, uint32_t number)
{
    return cella_slice_call(slice, number);
}

/* ---- Descriptions ---- */

#define IN CELLA_BRIDGE_IN
#define OUT CELLA_BRIDGE_OUT
#define FIXED(bytes) CELLA_BRIDGE_CONSTANT(bytes), CELLA_BRIDGE_CONSTANT(1)
#define TEXT CELLA_BRIDGE_CONSTANT(0), CELLA_BRIDGE_CONSTANT(0)
#define BY(bytes, member, type)                                                                    \
    CELLA_BRIDGE_CONSTANT(bytes), CELLA_BRIDGE_NUMBER(struct head, member, type)

static const struct cella_bridge_pointer item_pointers[] = {
    {offsetof(struct item, values), 0, 0, CELLA_BRIDGE_CONSTANT(4),
     CELLA_BRIDGE_NUMBER(struct item, count, uint64_t), NULL},
};
static const struct cella_bridge_number item_lengths[] = {
    CELLA_BRIDGE_NUMBER(struct item, count, uint64_t)};
static const struct cella_bridge_struct item_struct = {sizeof(struct item), item_pointers, 1, 1,
                                                       item_lengths};
static const struct cella_bridge_pointer box_pointers[] = {
    {offsetof(struct box, items), 0, 0, CELLA_BRIDGE_CONSTANT(sizeof(struct item)),
     CELLA_BRIDGE_NUMBER(struct box, item_count, uint32_t), &item_struct},
    {offsetof(struct box, text), CELLA_BRIDGE_STRING, 0, TEXT, NULL},
    {offsetof(struct box, raw), 0, 0, CELLA_BRIDGE_NUMBER(struct box, raw_size, int32_t),
     CELLA_BRIDGE_CONSTANT(1), NULL},
};
static const struct cella_bridge_number box_lengths[] = {
    CELLA_BRIDGE_NUMBER(struct box, item_count, uint32_t),
    CELLA_BRIDGE_NUMBER(struct box, raw_size, int32_t)};
static const struct cella_bridge_struct box_struct = {sizeof(struct box), box_pointers, 3, 2,
                                                      box_lengths};

static void *allocate(size_t size)
{
    if (g.allocated == 20) {
        return NULL;
    }
    g.allocated++;
    return calloc(1, size);
}

static void release(void *at)
{
    REQUIRE(at != NULL && g.allocated > 0);
    g.allocated--;
    free(at);
}

static const struct cella_bridge_memory memory = {allocate, release};

static const struct cella_bridge_pointer buffers[] = {
    {0, IN, 0, BY(1, n, uint64_t), NULL},
    {0, OUT, 4, BY(4, m, int32_t), NULL},
    {0, IN | OUT, 0, BY(1, w, uint16_t), NULL},
    {0, IN, 0, CELLA_BRIDGE_NUMBER(struct head, size, uint8_t),
     CELLA_BRIDGE_NUMBER(struct head, count, int8_t), NULL},
    {0, OUT, 0, BY(1, f, float), NULL},
    {0, IN | OUT, 0, FIXED(12), NULL},
};
static const struct cella_bridge_pointer texts[] = {
    {0, IN | CELLA_BRIDGE_STRING, 0, TEXT, NULL},
    {0, IN | OUT | CELLA_BRIDGE_STRING, 0, TEXT, NULL},
    {0, IN | CELLA_BRIDGE_WSTRING, 0, TEXT, NULL},
    {0, IN | OUT | CELLA_BRIDGE_WSTRING, 0, TEXT, NULL},
};
static const struct cella_bridge_pointer deep_in[] = {
    {0, IN, 0, BY(sizeof(struct item), n, uint64_t), &item_struct},
    {0, IN, 0, BY(sizeof(struct box), size, uint8_t), &box_struct},
};
static const struct cella_bridge_pointer deep_in_out[] = {
    {0, IN | OUT, 0, BY(sizeof(struct box), n, uint64_t), &box_struct},
    {0, IN | OUT | CELLA_BRIDGE_STRING, 0, TEXT, NULL},
};
static const struct cella_bridge_pointer deep_out[] = {
    {0, IN, 0, BY(sizeof(struct item), size, uint8_t), &item_struct},
    {0, OUT, 0, BY(sizeof(struct item), w, uint16_t), &item_struct},
};

#define FUNCTION(flags, pointers, reply)                                                           \
    {                                                                                              \
        "f", flags, sizeof(pointers) / sizeof((pointers)[0]), pointers, sizeof(struct head),       \
            reply, ((flags)&CELLA_BRIDGE_DEEP_OUT) ? &memory : NULL, NULL, 0, 0                    \
    }
#define DEEP_REPLY (sizeof(struct cella_bridge_deep) + 8)
static const struct cella_bridge_function functions[] = {
    {"f", 0, 0, NULL, sizeof(struct head), 8, NULL, NULL, 0, 0},
    FUNCTION(0, buffers, 4),
    FUNCTION(CELLA_BRIDGE_STAGED, texts, 0),
    FUNCTION(CELLA_BRIDGE_DEEP, deep_in, 8),
    FUNCTION(CELLA_BRIDGE_DEEP | CELLA_BRIDGE_STAGED, deep_in_out, 8),
    FUNCTION(CELLA_BRIDGE_DEEP | CELLA_BRIDGE_STAGED | CELLA_BRIDGE_DEEP_OUT, deep_out, DEEP_REPLY),
    FUNCTION(CELLA_BRIDGE_SWITCHLESS, buffers, 4),
};
#define FUNCTION_COUNT (sizeof(functions) / sizeof(functions[0]))

/* ---- Ecalls ---- */

static uint64_t text_bytes(const struct cella_bridge_pointer *pointer, const uint8_t *at)
{
    const uint64_t unit = (pointer->flags & CELLA_BRIDGE_WSTRING) != 0 ? 4 : 1;
    uint64_t size = 0;
    for (uint32_t last = 1; last != 0; size += unit) {
        last = 0;
        memcpy(&last, at + size, unit);
    }
    return size;
}

static bool is_text(const struct cella_bridge_pointer *pointer)
{
    return (pointer->flags & (CELLA_BRIDGE_STRING | CELLA_BRIDGE_WSTRING)) != 0;
}

/* A function's use of what a pointer points to: all its bytes are the enclave's, and what its sizes say is there. */
static void part_use(const struct cella_bridge_pointer *pointer, const void *record, uint8_t *at,
                     uint32_t direction)
{
    if (!at) {
        return;
    }
    const uint64_t size =
        is_text(pointer) ? text_bytes(pointer, at) : cella_bridge_bytes(pointer, record);
    REQUIRE(size != CELLA_BRIDGE_BAD &&
            is_within((uint64_t)at, size, (uint64_t)g.buffer, g.buffer_size));
    for (uint64_t i = 0; i < size && (direction & IN) == 0; i++) {
        REQUIRE(at[i] == 0);
    }
    for (uint64_t i = 0; i < size && (direction & OUT) != 0 && !pointer->deep; i++) {
        at[i] = 0x11;
    }
    if (!pointer->deep || (direction & IN) == 0) {
        return;
    }
    for (uint64_t i = 0; i < size / pointer->deep->size; i++) {
        uint8_t *inner = at + i * pointer->deep->size;
        for (uint32_t k = 0; k < pointer->deep->pointer_count; k++) {
            const struct cella_bridge_pointer *member = &pointer->deep->pointers[k];
            uint8_t *target;
            memcpy(&target, inner + member->offset, sizeof(target));
            part_use(member, inner, target, direction); /* as deep as the descriptions: two */
            if ((direction & OUT) != 0 && !member->deep && (g.twist & TWIST_POINTERS) != 0) {
                target =
                    (g.twist & TWIST_OUTSIDE) != 0 ? (uint8_t *)HOST_BASE : (uint8_t *)g_inside;
                memcpy(inner + member->offset, &target, sizeof(target));
            }
        }
        for (uint32_t k = 0; k < pointer->deep->length_count && (g.twist & TWIST_LENGTHS) != 0 &&
                             (direction & OUT) != 0;
             k++) {
            inner[pointer->deep->lengths[k].value]++;
        }
    }
}

/* Out-only structs: the function gives them memory of its own. */
static void items_make(struct item *items, uint64_t count)
{
    for (uint64_t i = 0; i < count && i < 4; i++) {
        items[i].count = (g.twist & TWIST_LENGTHS) != 0 ? ~0ull : i;
        items[i].values = allocate(i * 4 + 1);
        items[i].tag = i;
    }
}

static void ecall_body(struct cella_bridge_call *call)
{
    const struct cella_bridge_function *function = call->function;
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        const uint32_t direction = pointer->flags & (IN | OUT);
        part_use(pointer, call->head, call->at[i].at, direction);
        if (pointer->deep && direction == OUT && call->at[i].at) {
            items_make(call->at[i].at,
                       cella_bridge_bytes(pointer, call->head) / sizeof(struct item));
        }
    }
}

static void ecall(const struct cella_bridge_function *function, const uint8_t *message, size_t size)
{
    const bool is_deep = (function->flags & CELLA_BRIDGE_DEEP) != 0;
    struct cella_bridge_call call;
    struct cella_bridge_at at[8];
    uint8_t reply[64] = {0};
    size_t answered = 0;
    const size_t spans_at = CELLA_BRIDGE_SPANS_AT(sizeof(struct head));
    g.spans = (const struct cella_bridge_span *)(message + spans_at);
    g.span_count = size > spans_at ? (size - spans_at) / sizeof(struct cella_bridge_span) : 0;
    cella_result result =
        is_deep ? cella_bridge_enter_deep(&call, function, message, size, reply, sizeof(reply), at)
                : cella_bridge_enter(&call, function, message, size, reply, sizeof(reply), at);
    if (cella_is_ok(result)) {
        REQUIRE((g.twist & (TWIST_PRIVATE | TWIST_INSIDE_OCALL)) != TWIST_PRIVATE);
        ecall_body(&call);
        result = is_deep ? cella_bridge_leave_deep(&call, &answered)
                         : cella_bridge_leave(&call, &answered);
        REQUIRE(!cella_is_ok(result) || answered == function->reply_size);
    }
    REQUIRE(g.buffer == NULL && g.allocated == 0 && (g.lent == 0 || cella_is_ok(result)));
}

/* ---- Ocalls ---- */

static void caller_prepare(void)
{
    memset(&c, 0, sizeof(c));
    c.head = (struct head){.n = 2, .m = 3, .w = 2, .size = 1, .count = 4, .f = 6};
    memset(c.bytes, 0x33, sizeof(c.bytes));
    memcpy(c.text, "text", 5);
    c.wide[0] = 'w';
    c.items[0] = (struct item){c.values, 4, 1};
    c.items[1] = (struct item){NULL, 5, 2};
    c.boxes[0] = (struct box){c.items, c.text, c.bytes[0], 2, 7};
    c.boxes[1] = (struct box){NULL, NULL, NULL, 1, -1};
}

static void caller_pointers(const struct cella_bridge_function *function, void *at[8])
{
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        at[i] = (pointer->flags & CELLA_BRIDGE_STRING) != 0    ? (void *)c.text
                : (pointer->flags & CELLA_BRIDGE_WSTRING) != 0 ? (void *)c.wide
                : pointer->deep == &box_struct                 ? (void *)c.boxes
                : pointer->deep && (pointer->flags & OUT) != 0 ? (void *)c.made
                : pointer->deep                                ? (void *)c.items
                                                               : (void *)c.bytes[i];
    }
}

/* After success the caller's structs still are its own; after a failure nothing staged has changed. */
static void caller_check(const struct cella_bridge_function *function, bool is_ok)
{
    REQUIRE(c.items[0].values == c.values && c.items[1].values == NULL);
    REQUIRE(c.boxes[0].items == c.items && c.boxes[0].text == c.text && c.boxes[1].raw == NULL);
    REQUIRE(c.items[0].count <= 4 && c.boxes[0].item_count <= 2 && c.boxes[0].raw_size <= 7);
    REQUIRE(memchr(c.text, 0, 5) != NULL && (c.wide[0] == 0 || c.wide[1] == 0));
    if (!is_ok && (function->flags & CELLA_BRIDGE_STAGED) != 0) {
        REQUIRE(strcmp(c.text, "text") == 0 && c.wide[0] == 'w' && c.items[0].tag == 1);
        REQUIRE(c.bytes[0][0] == 0x33 && g.allocated == 0);
    }
    for (int i = 0; i < 2; i++) {
        if (is_ok && c.made[i].values) {
            for (uint64_t k = 0; k < c.made[i].count; k++) {
                c.made[i].values[k] ^= 1;
            }
            release(c.made[i].values);
        }
    }
    REQUIRE(g.allocated == 0 && g.buffer == NULL);
}

static void ocall(const struct cella_bridge_function *function)
{
    const uint32_t full = CELLA_BRIDGE_DEEP | CELLA_BRIDGE_STAGED | CELLA_BRIDGE_SWITCHLESS;
    const uint32_t number = (g.twist & TWIST_INSIDE_OCALL) != 0 ? 99 : 5;
    void *at[8];
    uint8_t reply[64];
    caller_prepare();
    caller_pointers(function, at);
    cella_result result = (function->flags & full) != 0
                              ? cella_bridge_ocall_full(function, number, &c.head, at, reply)
                              : cella_bridge_ocall(function, number, &c.head, at, reply);
    caller_check(function, cella_is_ok(result));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) {
        return 0;
    }
    const size_t message_size = (size_t)data[2] | (size_t)data[3] << 8;
    if (message_size > size - 4) {
        return 0;
    }
    struct cella_bridge_function function = functions[data[0] / 2 % FUNCTION_COUNT];
    memset(&g, 0, sizeof(g));
    g.twist = data[1];
    g.input = data;
    g.input_size = size;
    g.host_size = size - 4 - message_size;
    function.flags |= (g.twist & TWIST_EMPTY_NULL) != 0 ? CELLA_BRIDGE_EMPTY_NULL : 0;
    function.flags |= (g.twist & TWIST_TERMINATE) != 0 ? CELLA_BRIDGE_TERMINATE : 0;
    function.flags |= (g.twist & TWIST_FOLLOW) != 0 ? CELLA_BRIDGE_FOLLOW : 0;
    if ((g.twist & TWIST_PRIVATE) != 0) {
        static const uint32_t callers[] = {2};
        function.flags |= CELLA_BRIDGE_GUARDED;
        function.is_private = 1;
        function.callers = callers;
        function.caller_count = 1;
    }
    g.host_now = malloc(g.host_size > 0 ? g.host_size : 1);
    uint8_t *message = malloc(message_size > 0 ? message_size : 1);
    REQUIRE(g.host_now && message);
    memcpy(message, data + 4, message_size);
    memcpy(g.host_now, data + 4 + message_size, g.host_size);
    if ((data[0] & 1) == 0) {
        ecall(&function, message, message_size);
    } else {
        ocall(&function);
    }
    free(message);
    free(g.host_now);
    return 0;
}
