/*
 * The memory boundary: checks and copies. The only file whose casts may name CELLA_HOST.
 * Side: enclave. Called by the kernel and by modules. Reads every host word once, writes no host byte twice.
 * Never forms address + size, never copies before the whole span is checked.
 */
#include "enclave/boundary.h"

#include "enclave/kernel.h"

#define USER_LIMIT 0x800000000000ull

/* The one place where a host address becomes something that can be dereferenced. */
static const volatile void *host_raw(const void CELLA_HOST *pointer)
{
    return (const volatile void *)(uint64_t)pointer;
}

static volatile void *host_raw_out(void CELLA_HOST *pointer)
{
    return (volatile void *)(uint64_t)pointer;
}

const void CELLA_HOST *cella_host_pointer(uint64_t address)
{
    return (const void CELLA_HOST *)address;
}

void CELLA_HOST *cella_host_pointer_out(uint64_t address)
{
    return (void CELLA_HOST *)address;
}

cella_result cella_span_check(uint64_t address, uint64_t size)
{
    if (size == 0) {
        return CELLA_OK;
    }
    const uint64_t base = cella_kernel.base;
    const uint64_t end = base + cella_kernel.size;
    CELLA_ENSURE(address < USER_LIMIT && size <= USER_LIMIT - address, HOST_POINTER);
    CELLA_ENSURE(address >= end || (address < base && size <= base - address), HOST_POINTER);
    return CELLA_OK;
}

/* A mispredicted check must not let a copy start inside the enclave: the address is gone on that path. */
static uint64_t span_clamp(uint64_t address)
{
    const uint64_t inside = address - cella_kernel.base;
    uint64_t mask;
    __asm__("cmp %2, %1\n\tsbb %0, %0" : "=r"(mask) : "r"(inside), "r"(cella_kernel.size) : "cc");
    return address & ~mask;
}

/*
 * entry.S: copy `count` aligned words, or bytes; one side is host memory. Not 0: the host has no memory there, and some
 * of it may be copied. How the processor says so to this code is in exception.c.
 */
int cella_host_copy_words(void *to, const void *from, size_t count) CELLA_KERNEL;
int cella_host_copy_bytes(void *to, const void *from, size_t count) CELLA_KERNEL;

static CELLA_MUST_USE cella_result words_in(void *to, uint64_t from, size_t count)
{
    const void *source = (const void *)host_raw(cella_host_pointer(from));
    CELLA_ENSURE(cella_host_copy_words(to, source, count) == 0, HOST_POINTER);
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result words_out(uint64_t to, const void *from, size_t count)
{
    void *target = (void *)host_raw_out(cella_host_pointer_out(to));
    CELLA_ENSURE(cella_host_copy_words(target, from, count) == 0, HOST_POINTER);
    return CELLA_OK;
}

/* `size` bytes of the aligned word that holds `at`; its other bytes are the host's as well, and stay unused. */
static CELLA_MUST_USE cella_result part_in(uint8_t *to, uint64_t at, size_t size)
{
    uint64_t word;
    CELLA_TRY(words_in(&word, at & ~7ull, 1));
    word >>= 8 * (at & 7);
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(word >> (8 * i));
    }
    return CELLA_OK;
}

cella_result cella_copy_in(void *to, const void CELLA_HOST *from, size_t size)
{
    uint64_t at = (uint64_t)from;
    CELLA_TRY(cella_span_check(at, size));
    at = span_clamp(at);
    uint8_t *out = to;
    const size_t head = (8 - (at & 7)) & 7;
    if (head > 0 && size > 0) {
        const size_t part = head < size ? head : size;
        CELLA_TRY(part_in(out, at, part));
        at += part;
        out += part;
        size -= part;
    }
    const size_t words = size / 8;
    if (words > 0) {
        CELLA_TRY(words_in(out, at, words));
    }
    return size % 8 != 0 ? part_in(out + words * 8, at + words * 8, size % 8) : CELLA_OK;
}

/* Single bytes to the host: the buffers of the processor are cleared around them (SA-00615). */
static CELLA_MUST_USE cella_result bytes_out(uint64_t at, const uint8_t *from, size_t size)
{
    uint16_t selector;
    __asm__ volatile("mov %%ds, %0" : "=m"(selector));
    __asm__ volatile("verw %0" : : "m"(selector) : "cc", "memory");
    const int failed =
        cella_host_copy_bytes((void *)host_raw_out(cella_host_pointer_out(at)), from, size);
    __asm__ volatile("mfence\n\tlfence" : : : "memory");
    CELLA_ENSURE(failed == 0, HOST_POINTER);
    return CELLA_OK;
}

cella_result cella_copy_out(void CELLA_HOST *to, const void *from, size_t size)
{
    uint64_t at = (uint64_t)to;
    CELLA_TRY(cella_span_check(at, size));
    at = span_clamp(at);
    const uint8_t *source = from;
    const size_t head = (8 - (at & 7)) & 7;
    if (head > 0 && size > 0) {
        const size_t part = head < size ? head : size;
        CELLA_TRY(bytes_out(at, source, part));
        at += part;
        source += part;
        size -= part;
    }
    const size_t words = size / 8;
    if (words > 0) {
        CELLA_TRY(words_out(at, source, words));
    }
    return size % 8 != 0 ? bytes_out(at + words * 8, source + words * 8, size % 8) : CELLA_OK;
}

cella_result cella_fetch_u32(uint32_t *ret_value, const void CELLA_HOST *from)
{
    uint64_t at = (uint64_t)from;
    CELLA_ENSURE(at % 4 == 0, HOST_POINTER);
    CELLA_TRY(cella_span_check(at, 4));
    uint64_t word;
    at = span_clamp(at);
    CELLA_TRY(words_in(&word, at & ~7ull, 1));
    *ret_value = (uint32_t)(word >> (8 * (at & 7)));
    return CELLA_OK;
}

cella_result cella_fetch_u64(uint64_t *ret_value, const void CELLA_HOST *from)
{
    const uint64_t at = (uint64_t)from;
    CELLA_ENSURE(at % 8 == 0, HOST_POINTER);
    CELLA_TRY(cella_span_check(at, 8));
    return words_in(ret_value, span_clamp(at), 1);
}

cella_result cella_store_u32(void CELLA_HOST *to, uint32_t value)
{
    const uint64_t at = (uint64_t)to;
    CELLA_ENSURE(at % 4 == 0, HOST_POINTER);
    CELLA_TRY(cella_span_check(at, 4));
    __atomic_store_n((uint32_t *)host_raw_out(cella_host_pointer_out(span_clamp(at))), value,
                     __ATOMIC_SEQ_CST);
    return CELLA_OK;
}

cella_result cella_exchange_u64(uint64_t *ret_value, void CELLA_HOST *at, uint64_t value)
{
    const uint64_t address = (uint64_t)at;
    CELLA_ENSURE(address % 8 == 0, HOST_POINTER);
    CELLA_TRY(cella_span_check(address, 8));
    *ret_value =
        __atomic_exchange_n((uint64_t *)host_raw_out(cella_host_pointer_out(span_clamp(address))),
                            value, __ATOMIC_SEQ_CST);
    return CELLA_OK;
}

cella_result cella_ring_attach(struct cella_ring *ring, uint64_t address)
{
    CELLA_ENSURE(address % 64 == 0 && address != 0, HOST_POINTER);
    CELLA_TRY(cella_span_check(address, sizeof(struct cella_call_ring)));
    ring->address = address;
    return CELLA_OK;
}

static volatile struct cella_call_slot *ring_slot(const struct cella_ring *ring, uint32_t ticket)
{
    const uint64_t at = span_clamp(ring->address) + offsetof(struct cella_call_ring, slots) +
                        (ticket % CELLA_RING_SLOTS) * sizeof(struct cella_call_slot);
    return (volatile struct cella_call_slot *)host_raw_out(cella_host_pointer_out(at));
}

uint32_t cella_ring_turn(const struct cella_ring *ring, uint32_t ticket)
{
    return __atomic_load_n(&ring_slot(ring, ticket)->turn, __ATOMIC_ACQUIRE);
}

void cella_ring_turn_set(const struct cella_ring *ring, uint32_t ticket, uint32_t turn)
{
    __atomic_store_n(&ring_slot(ring, ticket)->turn, turn, __ATOMIC_RELEASE);
}

bool cella_ring_turn_swap(const struct cella_ring *ring, uint32_t ticket, uint32_t from,
                          uint32_t to)
{
    return __atomic_compare_exchange_n(&ring_slot(ring, ticket)->turn, &from, to, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void cella_ring_prefetch(const struct cella_ring *ring, uint32_t ticket)
{
    __builtin_prefetch((const void *)ring_slot(ring, ticket), 1, 3);
}

void cella_ring_slot_get(const struct cella_ring *ring, uint32_t ticket,
                         struct cella_call_slot *ret_slot)
{
    const volatile struct cella_call_slot *slot = ring_slot(ring, ticket);
    ret_slot->number = slot->number;
    ret_slot->batch = slot->batch;
    ret_slot->result = slot->result;
    ret_slot->in = slot->in;
    ret_slot->in_size = slot->in_size;
    ret_slot->out = slot->out;
    ret_slot->out_capacity = slot->out_capacity;
    ret_slot->out_size = slot->out_size;
}

void cella_ring_request_set(const struct cella_ring *ring, uint32_t ticket,
                            const struct cella_call_slot *from)
{
    volatile struct cella_call_slot *slot = ring_slot(ring, ticket);
    slot->number = from->number;
    slot->in = from->in;
    slot->in_size = from->in_size;
    slot->out = from->out;
    slot->out_capacity = from->out_capacity;
}

void cella_ring_answer_set(const struct cella_ring *ring, uint32_t ticket, uint32_t result,
                           uint64_t out_size)
{
    volatile struct cella_call_slot *slot = ring_slot(ring, ticket);
    slot->result = result;
    slot->out_size = out_size;
}

cella_result cella_batch_attach(struct cella_batch *batch, uint64_t address, uint32_t count)
{
    CELLA_ENSURE(address % 8 == 0, HOST_POINTER);
    CELLA_ENSURE(count <= CELLA_CALL_BATCH_MAX, HOST_VALUE);
    CELLA_TRY(cella_span_check(address, count * sizeof(struct cella_call_record)));
    *batch = (struct cella_batch){.address = address, .count = count};
    return CELLA_OK;
}

static volatile struct cella_call_record *batch_record(const struct cella_batch *batch,
                                                       uint32_t index)
{
    const uint64_t at = span_clamp(batch->address) + index * sizeof(struct cella_call_record);
    return (volatile struct cella_call_record *)host_raw_out(cella_host_pointer_out(at));
}

void cella_batch_get(const struct cella_batch *batch, uint32_t index,
                     struct cella_call_record *ret_record)
{
    const volatile struct cella_call_record *record = batch_record(batch, index);
    ret_record->number = record->number;
    ret_record->in = record->in;
    ret_record->in_size = record->in_size;
    ret_record->out = record->out;
    ret_record->out_capacity = record->out_capacity;
}

void cella_batch_answer(const struct cella_batch *batch, uint32_t index, uint32_t result,
                        uint64_t out_size)
{
    volatile struct cella_call_record *record = batch_record(batch, index);
    record->result = result;
    record->out_size = out_size;
}

static uint32_t ring_word(const struct cella_ring *ring, size_t offset)
{
    const uint64_t at = span_clamp(ring->address) + offset;
    return *(const volatile uint32_t *)host_raw(cella_host_pointer(at));
}

uint32_t cella_ring_workers(const struct cella_ring *ring)
{
    return ring_word(ring, offsetof(struct cella_call_ring, workers));
}

uint32_t cella_ring_sleepers(const struct cella_ring *ring)
{
    return ring_word(ring, offsetof(struct cella_call_ring, sleepers));
}

uint32_t cella_ring_spins(const struct cella_ring *ring)
{
    return ring_word(ring, offsetof(struct cella_call_ring, spins));
}
