/*
 * liboedebugmalloc: malloc and its kin with a record of every object, for enclaves under test.
 * Side: enclave. Called by everything that allocates (--wrap), over the allocator.
 * Never in an enclave that was not linked with this library.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openenclave/advanced/allocator.h>
#include <openenclave/debugmalloc.h>

#include "compat/openenclave/enclave/allocator.h"
#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

#define MAGIC 0x6c6c654361636b21ull
#define TAIL 0x21ull /* behind the object: a write there is found when it is freed */
#define LINE_SIZE 96u

/* In front of each object; `start` is what the allocator gave. */
struct object {
    struct object *next, *previous;
    void *start;
    uint64_t size;
    uint64_t caller; /* enclave offset */
    uint64_t is_tracked;
    uint64_t reserved;
    uint64_t magic;
};

static struct cella_lock object_lock;
static struct object *objects; /* the tracked ones */
static uint64_t object_count;
static bool is_tracking;

static struct object *object_of(void *at)
{
    struct object *object = (struct object *)at - 1;
    if (object->magic != MAGIC || ((uint8_t *)at)[object->size] != TAIL) {
        oe_log(OE_LOG_LEVEL_FATAL, "debugmalloc: %p is no object, or was written behind its end",
               at);
        cella_abort();
    }
    return object;
}

static void object_link(struct object *object)
{
    cella_lock_take(&object_lock);
    object->is_tracked = is_tracking;
    if (is_tracking) {
        object->previous = NULL;
        object->next = objects;
        if (objects) {
            objects->previous = object;
        }
        objects = object;
        object_count++;
    }
    cella_lock_give(&object_lock);
}

static void object_unlink(struct object *object)
{
    cella_lock_take(&object_lock);
    if (object->is_tracked) {
        *(object->previous ? &object->previous->next : &objects) = object->next;
        if (object->next) {
            object->next->previous = object->previous;
        }
        object_count--;
    }
    cella_lock_give(&object_lock);
}

static void *object_new(size_t alignment, size_t size, const void *caller)
{
    size_t whole;
    const size_t front = alignment > sizeof(struct object) ? alignment : sizeof(struct object);
    oe_allocator_start();
    if (__builtin_add_overflow(size, front + 1, &whole)) {
        errno = ENOMEM;
        return NULL;
    }
    uint8_t *start =
        alignment > 16 ? oe_allocator_aligned_alloc(alignment, whole) : oe_allocator_malloc(whole);
    if (!start) {
        return NULL;
    }
    struct object *object = (struct object *)(start + front) - 1;
    *object = (struct object){.start = start,
                              .size = size,
                              .caller = (uint64_t)caller - cella_kernel.base,
                              .magic = MAGIC};
    start[front + size] = TAIL;
    object_link(object);
    return start + front;
}

void *__wrap_malloc(size_t size)
{
    void *at = object_new(16, size, __builtin_return_address(0));
    if (at) {
        memset(at, 0xAA, size);
    }
    return at;
}

void __wrap_free(void *at)
{
    if (at) {
        struct object *object = object_of(at);
        object_unlink(object);
        memset(at, 0xDD, object->size);
        object->magic = 0;
        oe_allocator_free(object->start);
    }
}

void *__wrap_calloc(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    void *at = object_new(16, total, __builtin_return_address(0));
    if (at) {
        memset(at, 0, total);
    }
    return at;
}

void *__wrap_realloc(void *at, size_t size)
{
    const size_t before = at ? object_of(at)->size : 0;
    void *moved = object_new(16, size, __builtin_return_address(0));
    if (moved && at) {
        memcpy(moved, at, before < size ? before : size);
        __wrap_free(at);
    }
    return moved;
}

void *__wrap_memalign(size_t alignment, size_t size)
{
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
        errno = EINVAL;
        return NULL;
    }
    return object_new(alignment, size, __builtin_return_address(0));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return __wrap_memalign(alignment, size);
}

int __wrap_posix_memalign(void **ret_at, size_t alignment, size_t size)
{
    if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) {
        return EINVAL;
    }
    void *at = object_new(alignment, size, __builtin_return_address(0));
    if (!at) {
        return ENOMEM;
    }
    *ret_at = at;
    return 0;
}

size_t __wrap_malloc_usable_size(void *at)
{
    return at ? object_of(at)->size : 0;
}

oe_result_t oe_debug_malloc_tracking_start(void)
{
    cella_lock_take(&object_lock);
    const bool was = is_tracking;
    is_tracking = true;
    cella_lock_give(&object_lock);
    return was ? OE_FAILURE : OE_OK;
}

/* What is recorded is forgotten: tracking starts anew next time. */
oe_result_t oe_debug_malloc_tracking_stop(void)
{
    cella_lock_take(&object_lock);
    const bool was = is_tracking;
    is_tracking = false;
    for (struct object *object = objects; object; object = object->next) {
        object->is_tracked = 0;
    }
    objects = NULL;
    object_count = 0;
    cella_lock_give(&object_lock);
    return was ? OE_OK : OE_FAILURE;
}

/* With the lock held: lines into `text`, as many as fit. */
static void report_write(char *text, size_t capacity)
{
    size_t used = 0;
    text[0] = 0;
    for (const struct object *object = objects; object && used + LINE_SIZE <= capacity;
         object = object->next) {
        const int size = snprintf(text + used, LINE_SIZE, "%llu bytes at %p, from offset 0x%llx\n",
                                  (unsigned long long)object->size, (const void *)(object + 1),
                                  (unsigned long long)object->caller);
        used += size > 0 ? (size_t)size : 0;
    }
}

oe_result_t oe_debug_malloc_tracking_report(uint64_t *out_object_count, char **report)
{
    OE_ENSURE(out_object_count != NULL && report != NULL, OE_INVALID_PARAMETER);
    cella_lock_take(&object_lock);
    const uint64_t wanted = object_count;
    cella_lock_give(&object_lock);
    const size_t capacity = (wanted + 1) * LINE_SIZE;
    struct object *own; /* the report is no object of the application's: it must not list itself */
    char *text = __wrap_malloc(capacity);
    OE_ENSURE(text != NULL, OE_OUT_OF_MEMORY);
    own = object_of(text);
    object_unlink(own);
    own->is_tracked = 0;
    cella_lock_take(&object_lock);
    *out_object_count = object_count;
    report_write(text, capacity);
    cella_lock_give(&object_lock);
    *report = text;
    return OE_OK;
}
