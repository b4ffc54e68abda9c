/*
 * Cella images: page order and MRENCLAVE against the oracle, SECS, and damaged files.
 * Side: tests. Run by meson. Needs no other file than the test key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "image/image.h"
#include "tests/image/oracle.h"
#include "tests/image/samples.h"

#define PAGE 4096u

static struct cella_image parse(const struct cella_buffer *file)
{
    struct cella_image image;
    struct cella_error error = {0};
    cella_result result = cella_image_parse(cella_buffer_bytes(file), &image, &error);
    if (!cella_is_ok(result)) {
        print_error("%s\n", error.text);
    }
    assert_true(cella_is_ok(result));
    return image;
}

static void log_slot(struct cella_buffer *log, uint64_t slot)
{
    static uint64_t tcs[PAGE / 8];
    memset(tcs, 0, sizeof(tcs));
    tcs[2] = slot + 5 * PAGE;
    tcs[3] = 3ull << 32;
    tcs[4] = SAMPLE_ENTRY;
    tcs[6] = tcs[7] = slot + 8 * PAGE;
    tcs[8] = UINT64_MAX;
    oracle_page(log, slot + 1 * PAGE, 0x203, NULL, 1);
    oracle_page(log, slot + 2 * PAGE, 0x203, NULL, 1);
    oracle_page(log, slot + 4 * PAGE, 0x100, tcs, 1);
    for (unsigned i = 5; i < 10; i++) {
        oracle_page(log, slot + i * PAGE, 0x203, NULL, 1);
    }
}

/* The layout written out by hand from docs/formats/image.md. */
static void measurement_is_the_documents(void **state)
{
    struct cella_buffer file;
    struct cella_buffer log = {0};
    static uint8_t memory[5 * PAGE];
    uint8_t expected[32];
    uint8_t computed[32];

    (void)state;
    sample_cella(&file, true);
    struct cella_image image = parse(&file);
    const Elf64_Phdr *phdr = (const Elf64_Phdr *)(file.data + 64);
    for (unsigned i = 0; i < 3; i++) {
        memcpy(memory + phdr[i].p_vaddr, file.data + phdr[i].p_offset, phdr[i].p_filesz);
    }
    /* image 5 pages, guard, heap 16, three slots of 10 pages, guard: 53, so 64 */
    oracle_create(&log, 1, 64 * PAGE);
    oracle_page(&log, 0, 0x201, memory, 1);
    oracle_page(&log, 1 * PAGE, 0x205, memory + PAGE, 1);
    for (unsigned i = 2; i < 5; i++) {
        oracle_page(&log, i * PAGE, 0x203, memory + i * PAGE, 1);
    }
    for (unsigned i = 6; i < 10; i++) {
        oracle_page(&log, i * PAGE, 0x203, NULL, 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        log_slot(&log, (22 + 10 * i) * PAGE);
    }
    oracle_hash(&log, expected);
    assert_true(cella_is_ok(cella_image_measure(&image, computed)));
    assert_memory_equal(computed, expected, 32);
    assert_memory_equal(image.sigstruct.enclave_hash, expected, 32);
    cella_buffer_done(&file);
}

static void information_is_filled(void **state)
{
    struct cella_buffer file;

    (void)state;
    sample_cella(&file, true);
    struct cella_image image = parse(&file);
    const struct cella_image_info *info = &image.info;
    assert_true(image.is_signed);
    assert_string_equal(image.name, "sample");
    assert_int_equal(info->enclave_size, 64 * PAGE);
    assert_int_equal(info->image_size, 5 * PAGE);
    assert_int_equal(info->heap_offset, 6 * PAGE);
    assert_int_equal(info->threads_offset, 22 * PAGE);
    assert_int_equal(info->thread_stride, 10 * PAGE);
    assert_int_equal(info->thread_count, 3);
    assert_int_equal(info->enclave_thread_count, 1);
    assert_int_equal(info->entry, SAMPLE_ENTRY);
    assert_int_equal(info->libc_entry, SAMPLE_START);
    assert_int_equal(info->phdr_offset, 64);
    assert_int_equal(info->phdr_count, 6);
    assert_int_equal(info->rela_offset, SAMPLE_RELA);
    assert_int_equal(info->rela_count, 1);
    assert_int_equal(info->tls_offset, SAMPLE_DATA);
    assert_int_equal(info->tls_file_size, 8);
    assert_int_equal(info->tls_size, 24);
    assert_int_equal(info->relro_size, 0x10);
    assert_int_equal(info->product_id, 7);
    assert_int_equal(info->svn, 3);
    assert_int_equal(info->flags, 0);
    cella_buffer_done(&file);
}

/* Runs are in ascending order, do not overlap, and what lies in the file is used in place. */
static void runs_ascend(void **state)
{
    struct cella_buffer file;
    struct cella_image_iterator iterator;
    struct cella_image_run run;
    uint64_t end = 0;
    unsigned tcs = 0;
    unsigned in_place = 0;

    (void)state;
    sample_cella(&file, false);
    struct cella_image image = parse(&file);
    cella_image_iterator_init(&iterator, &image);
    while (cella_image_next(&iterator, &run)) {
        assert_true(run.offset >= end);
        assert_true(run.page_count > 0);
        end = run.offset + run.page_count * PAGE;
        tcs += run.kind == CELLA_IMAGE_RUN_TCS;
        in_place += run.data >= file.data && run.data < file.data + file.size;
    }
    assert_true(end <= image.info.enclave_size);
    assert_int_equal(tcs, 3);
    assert_true(in_place > 0);
    assert_int_equal(image.info.flags, CELLA_IMAGE_REWRITTEN);
    assert_int_equal(image.info.phdr_count, 7);
    assert_int_equal(image.info.phdr_offset, SAMPLE_IMAGE_END);
    cella_buffer_done(&file);
}

static void secs_follows_masks(void **state)
{
    struct cella_buffer file;
    struct sgx_secs secs;
    struct cella_error error = {0};
    struct cella_image_processor processor = {.xfrm = 0xE7, .misc_select = 3};

    (void)state;
    sample_cella(&file, true);
    struct cella_image image = parse(&file);
    assert_true(cella_is_ok(cella_image_secs(&image, &processor, &secs, &error)));
    assert_int_equal(secs.size, 64 * PAGE);
    assert_int_equal(secs.ssa_frame_size, 1);
    assert_int_equal(secs.attributes.flags, SGX_FLAGS_MODE64BIT);
    assert_int_equal(secs.attributes.xfrm, 0xE7);
    assert_int_equal(secs.misc_select, 1);
    processor.xfrm = 3;
    processor.misc_select = 0;
    assert_true(cella_is_ok(cella_image_secs(&image, &processor, &secs, &error)));
    assert_int_equal(secs.attributes.xfrm, 3);
    assert_int_equal(secs.misc_select, 0);

    processor.debug = true;
    assert_int_equal(cella_image_secs(&image, &processor, &secs, &error).code,
                     CELLA_CODE_DEBUG_MISMATCH);
    image.sigstruct.attributes.flags |= SGX_FLAGS_DEBUG;
    image.sigstruct.attribute_mask.flags &= ~SGX_FLAGS_DEBUG;
    assert_true(cella_is_ok(cella_image_secs(&image, &processor, &secs, &error)));
    assert_true(secs.attributes.flags & SGX_FLAGS_DEBUG);
    processor.debug = false;
    assert_true(cella_is_ok(cella_image_secs(&image, &processor, &secs, &error)));
    assert_false(secs.attributes.flags & SGX_FLAGS_DEBUG);

    image.sigstruct.attributes.xfrm = 7;
    assert_int_equal(cella_image_secs(&image, &processor, &secs, &error).code,
                     CELLA_CODE_ATTRIBUTE_REFUSED);
    image.sigstruct.attributes.xfrm = 3;
    image.sigstruct.misc_select = 1;
    assert_int_equal(cella_image_secs(&image, &processor, &secs, &error).code,
                     CELLA_CODE_ATTRIBUTE_REFUSED);
    cella_buffer_done(&file);
}

enum place {
    AT_FILE,
    AT_INFO,
    AT_NOTE,
};

struct damage {
    const char *what;
    enum place place;
    uint64_t at;
    uint64_t value;
    unsigned size;
    enum cella_code code;
};

#define PHDR(index, field) AT_FILE, 64 + 56 * (index) + offsetof(Elf64_Phdr, field)
#define EHDR(field) AT_FILE, offsetof(Elf64_Ehdr, field)
#define INFO(field) AT_INFO, offsetof(struct cella_image_info, field)
#define NOTE(field) AT_NOTE, offsetof(struct cella_image_note, field)

static const struct damage g_damages[] = {
    {"ELF magic", EHDR(e_ident), 0, 1, CELLA_CODE_BAD_MAGIC},
    {"32-bit class", EHDR(e_ident) + EI_CLASS, 1, 1, CELLA_CODE_UNSUPPORTED},
    {"big endian", EHDR(e_ident) + EI_DATA, 2, 1, CELLA_CODE_UNSUPPORTED},
    {"ET_EXEC", EHDR(e_type), ET_EXEC, 2, CELLA_CODE_UNSUPPORTED},
    {"another machine", EHDR(e_machine), EM_AARCH64, 2, CELLA_CODE_UNSUPPORTED},
    {"program header size", EHDR(e_phentsize), 55, 2, CELLA_CODE_BAD_FIELD},
    {"no program header", EHDR(e_phnum), 0, 2, CELLA_CODE_BAD_FIELD},
    {"too many program headers", EHDR(e_phnum), 65, 2, CELLA_CODE_BAD_FIELD},
    {"program headers behind the file", EHDR(e_phoff), 1ull << 40, 8, CELLA_CODE_TRUNCATED},
    {"program headers wrap", EHDR(e_phoff), UINT64_MAX - 8, 8, CELLA_CODE_TRUNCATED},
    {"file size above memory size", PHDR(1, p_filesz), 0x300, 8, CELLA_CODE_BAD_FIELD},
    {"segment too large", PHDR(2, p_memsz), 1ull << 41, 8, CELLA_CODE_LIMIT_EXCEEDED},
    {"segment wraps", PHDR(2, p_vaddr), UINT64_MAX - 0xF, 8, CELLA_CODE_LIMIT_EXCEEDED},
    {"segment bytes behind the file", PHDR(1, p_offset), 1ull << 32, 8, CELLA_CODE_TRUNCATED},
    {"offset and address differ", PHDR(1, p_offset), 0x1001, 8, CELLA_CODE_BAD_FIELD},
    {"overlap", PHDR(2, p_vaddr), 0x1FF0, 8, CELLA_CODE_OVERLAP},
    {"out of order", PHDR(1, p_vaddr), 0x8000, 8, CELLA_CODE_OVERLAP},
    {"first segment not at 0", PHDR(0, p_type), PT_NULL, 4, CELLA_CODE_BAD_FIELD},
    {"writable code", PHDR(1, p_flags), 7, 4, CELLA_CODE_BAD_FIELD},
    {"unreadable code", PHDR(1, p_flags), 1, 4, CELLA_CODE_BAD_FIELD},
    {"image grown by a page", PHDR(2, p_memsz), 0x2800, 8, CELLA_CODE_BAD_FIELD},
    {"note magic", NOTE(magic), 1, 8, CELLA_CODE_BAD_MAGIC},
    {"note name", NOTE(name), 'X', 1, CELLA_CODE_BAD_MAGIC},
    {"note version", NOTE(version), 2, 4, CELLA_CODE_UNSUPPORTED_VERSION},
    {"note type", NOTE(type), 2, 4, CELLA_CODE_BAD_FIELD},
    {"note size", NOTE(desc_size), 2027, 4, CELLA_CODE_BAD_FIELD},
    {"note reserved", NOTE(reserved), 1, 1, CELLA_CODE_BAD_FIELD},
    {"information object elsewhere", NOTE(info_offset), 0x4400, 8, CELLA_CODE_BAD_FIELD},
    {"information object wraps", NOTE(info_offset), UINT64_MAX - 7, 8, CELLA_CODE_BAD_FIELD},
    {"info magic", INFO(magic), 0, 8, CELLA_CODE_BAD_FIELD},
    {"info version", INFO(version), 9, 4, CELLA_CODE_BAD_FIELD},
    {"info enclave size", INFO(enclave_size), 1 << 19, 8, CELLA_CODE_BAD_FIELD},
    {"info heap offset", INFO(heap_offset), 0x7000, 8, CELLA_CODE_BAD_FIELD},
    {"info heap size not of pages", INFO(heap_size), 0x10001, 8, CELLA_CODE_OUT_OF_RANGE},
    {"info heap initial above heap", INFO(heap_initial), 0x20000, 8, CELLA_CODE_OUT_OF_RANGE},
    {"info stack too small", INFO(stack_size), 0x1000, 8, CELLA_CODE_OUT_OF_RANGE},
    {"info no thread", INFO(thread_count), 0, 4, CELLA_CODE_OUT_OF_RANGE},
    {"info too many threads", INFO(thread_count), 1025, 4, CELLA_CODE_OUT_OF_RANGE},
    {"info all threads the enclave's", INFO(enclave_thread_count), 3, 4, CELLA_CODE_OUT_OF_RANGE},
    {"info one SSA frame", INFO(nssa), 1, 4, CELLA_CODE_OUT_OF_RANGE},
    {"info SSA frame pages", INFO(ssa_frame_pages), 2, 4, CELLA_CODE_OUT_OF_RANGE},
    {"info thread data pages", INFO(td_pages), 0, 4, CELLA_CODE_OUT_OF_RANGE},
    {"info slot offset", INFO(slot_td), 0, 8, CELLA_CODE_BAD_FIELD},
    {"info unknown flag", INFO(flags), 2, 4, CELLA_CODE_BAD_FIELD},
    {"info entry outside", INFO(entry), SAMPLE_IMAGE_END, 8, CELLA_CODE_BAD_FIELD},
    {"info libc entry outside", INFO(libc_entry), UINT64_MAX, 8, CELLA_CODE_BAD_FIELD},
    {"info phdr outside", INFO(phdr_offset), SAMPLE_IMAGE_END - 8, 8, CELLA_CODE_BAD_FIELD},
    {"info relocations outside", INFO(rela_count), 0xFFFFFFFF, 4, CELLA_CODE_BAD_FIELD},
    {"info TLS outside", INFO(tls_offset), SAMPLE_IMAGE_END, 8, CELLA_CODE_BAD_FIELD},
    {"info RELRO outside", INFO(relro_size), 1ull << 33, 8, CELLA_CODE_BAD_FIELD},
    {"info product", INFO(product_id), 65536, 4, CELLA_CODE_BAD_FIELD},
    {"info reserved", INFO(reserved), 1, 1, CELLA_CODE_BAD_FIELD},
};

static void damaged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(g_damages) / sizeof(g_damages[0]); i++) {
        const struct damage *damage = &g_damages[i];
        struct cella_buffer file;
        struct cella_image image;
        struct cella_error error = {0};

        sample_cella(&file, true);
        uint64_t base = damage->place == AT_INFO   ? SAMPLE_INFO
                        : damage->place == AT_NOTE ? file.size - sizeof(struct cella_image_note)
                                                   : 0;
        memcpy(file.data + base + damage->at, &damage->value, damage->size);
        cella_result result = cella_image_parse(cella_buffer_bytes(&file), &image, &error);
        print_message("%s: %s\n", damage->what, error.text);
        assert_int_equal(result.code, damage->code);
        assert_true(error.text[0] != 0);
        cella_buffer_done(&file);
    }
}

/* A flipped bit in a measured byte changes the measurement or is refused; elsewhere it changes
 * nothing. */
static void flipped_bits(void **state)
{
    struct cella_buffer file;
    uint8_t before[32];
    uint8_t after[32];

    (void)state;
    sample_cella(&file, true);
    struct cella_image image = parse(&file);
    assert_true(cella_is_ok(cella_image_measure(&image, before)));
    for (size_t at = 0; at < file.size; at += 7) {
        struct cella_image changed;
        bool measured = at < 0x3140 && !(at >= 0x1200 && at < 0x2FF0);
        file.data[at] ^= 0x10;
        if (cella_is_ok(cella_image_parse(cella_buffer_bytes(&file), &changed, NULL))) {
            assert_true(cella_is_ok(cella_image_measure(&changed, after)));
            assert_int_equal(memcmp(before, after, 32) != 0, measured);
        }
        file.data[at] ^= 0x10;
    }
    cella_buffer_done(&file);
}

static void truncated(void **state)
{
    struct cella_buffer file;

    (void)state;
    sample_cella(&file, true);
    for (size_t size = 0; size < file.size; size += 5) {
        struct cella_image image;
        uint8_t *copy = malloc(size ? size : 1);
        memcpy(copy, file.data, size);
        assert_false(cella_is_ok(cella_image_parse(cella_bytes_of(copy, size), &image, NULL)));
        free(copy);
    }
    cella_buffer_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measurement_is_the_documents),
        cmocka_unit_test(information_is_filled),
        cmocka_unit_test(runs_ascend),
        cmocka_unit_test(secs_follows_masks),
        cmocka_unit_test(damaged),
        cmocka_unit_test(flipped_bits),
        cmocka_unit_test(truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
