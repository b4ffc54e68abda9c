/*
 * Prints what `cella inspect` knows, as text and as JSON.
 * Side: tools. Called by cli/cmd_inspect.c. Never decides anything.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/inspect.h"
#include "common/cleanup.h"

#define HEX_MAX 64u

struct hex {
    char text[2 * HEX_MAX + 1];
};

static struct hex hex_of(const uint8_t *bytes, size_t size)
{
    struct hex hex = {{0}};
    for (size_t i = 0; i < size && i < HEX_MAX; i++) {
        snprintf(hex.text + 2 * i, 3, "%02x", bytes[i]);
    }
    return hex;
}

static struct hex hex_u64(uint64_t value)
{
    struct hex hex = {{0}};
    snprintf(hex.text, sizeof(hex.text), "0x%llx", (unsigned long long)value);
    return hex;
}

static const struct {
    uint64_t bit;
    const char *name;
} g_attribute_names[] = {
    {SGX_FLAGS_INIT, "INIT"},
    {SGX_FLAGS_DEBUG, "DEBUG"},
    {SGX_FLAGS_MODE64BIT, "MODE64BIT"},
    {SGX_FLAGS_PROVISIONKEY, "PROVISIONKEY"},
    {SGX_FLAGS_EINITTOKENKEY, "EINITTOKENKEY"},
    {SGX_FLAGS_CET, "CET"},
    {SGX_FLAGS_KSS, "KSS"},
    {SGX_FLAGS_AEXNOTIFY, "AEXNOTIFY"},
};

static void permissions_of(uint64_t flags, char ret_text[8])
{
    if ((flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_TCS) {
        snprintf(ret_text, 8, "TCS");
        return;
    }
    snprintf(ret_text, 8, "%s%s%s", flags & SGX_SECINFO_R ? "r" : "-",
             flags & SGX_SECINFO_W ? "w" : "-", flags & SGX_SECINFO_X ? "x" : "-");
}

static void print_attributes(const struct sgx_sigstruct *s)
{
    printf("attributes   0x%llx mask 0x%llx (", (unsigned long long)s->attributes.flags,
           (unsigned long long)s->attribute_mask.flags);
    const char *comma = "";
    for (size_t i = 0; i < CELLA_COUNT(g_attribute_names); i++) {
        if (s->attributes.flags & g_attribute_names[i].bit) {
            printf("%s%s", comma, g_attribute_names[i].name);
            comma = " ";
        }
    }
    printf(")\nxfrm         0x%llx mask 0x%llx\nmisc         0x%x mask 0x%x\n",
           (unsigned long long)s->attributes.xfrm, (unsigned long long)s->attribute_mask.xfrm,
           s->misc_select, s->misc_mask);
}

static void print_identity(const struct inspect_identity *identity)
{
    const struct sgx_sigstruct *s = &identity->sigstruct;

    if (identity->label[0]) {
        printf("\n[%s]\n", identity->label);
    }
    if (identity->measured) {
        printf("mrenclave    %s\n", hex_of(identity->mr_enclave, 32).text);
    }
    printf("  signed     %s (%s)\n", hex_of(s->enclave_hash, 32).text,
           identity->matches ? "equal" : "DIFFERS");
    if (identity->is_signed) {
        printf("mrsigner     %s\n", hex_of(identity->mr_signer, 32).text);
    }
    printf("signature    %s\n", identity->signature_good ? "valid"
                                : identity->is_signed    ? "NOT VALID"
                                                         : "none");
    if (identity->trouble[0]) {
        printf("trouble      %s\n", identity->trouble);
    }
    printf("product      %u\nsvn          %u\ndate         %04x-%02x-%02x\n", s->isv_prod_id,
           s->isv_svn, s->date >> 16, s->date >> 8 & 0xFF, s->date & 0xFF);
    printf("family id    %s\next. product %s\n", hex_of(s->isv_family_id, 16).text,
           hex_of(s->isv_ext_prod_id, 16).text);
    print_attributes(s);
}

static void print_rows(const struct inspect *inspect)
{
    printf("\n%-8s %5s  %-18s %10s  %-4s %s\n", "pages", "index", "offset", "count", "perm",
           "measured");
    for (uint32_t i = 0; i < inspect->row_count; i++) {
        const struct inspect_row *row = &inspect->rows[i];
        char permissions[8];
        permissions_of(row->secinfo_flags, permissions);
        printf("%-8s %5u  0x%016llx %10llu  %-4s %s\n", inspect_run_name(row->kind), row->index,
               (unsigned long long)row->offset, (unsigned long long)row->page_count, permissions,
               row->measured ? "yes" : "no");
    }
}

static void print_layout(const struct inspect *inspect)
{
    printf("\nenclave size 0x%llx, SSA frame %u page%s, %u thread%s\n",
           (unsigned long long)inspect->enclave_size, inspect->ssa_frame_pages,
           inspect->ssa_frame_pages == 1 ? "" : "s", inspect->thread_count,
           inspect->thread_count == 1 ? "" : "s");
    printf("pages added  %llu, measured %llu:", (unsigned long long)inspect->added_pages,
           (unsigned long long)inspect->measured_pages);
    for (int kind = 0; kind <= CELLA_IMAGE_RUN_OTHER; kind++) {
        if (inspect->pages[kind]) {
            printf(" %s %llu", inspect_run_name((enum cella_image_run_kind)kind),
                   (unsigned long long)inspect->pages[kind]);
        }
    }
    printf("\ncode + read-only data: %llu bytes in %llu pages\n",
           (unsigned long long)inspect->read_only_bytes,
           (unsigned long long)inspect->read_only_pages);
    if (inspect->cella) {
        const struct cella_image_info *info = &inspect->cella->info;
        printf("heap 0x%llx (%llu KiB added at load), stack 0x%llx a thread, %u thread%s of the "
               "enclave's own, nssa %u%s\n",
               (unsigned long long)info->heap_size, (unsigned long long)info->heap_initial / 1024,
               (unsigned long long)info->stack_size, info->enclave_thread_count,
               info->enclave_thread_count == 1 ? "" : "s", info->nssa,
               info->flags & CELLA_IMAGE_REWRITTEN ? ", system calls rewritten" : "");
    }
}

void inspect_print_text(const struct inspect *inspect, bool pages)
{
    printf("file         %s\nkind         %s\n", inspect->path, inspect_kind_name(inspect->kind));
    if (inspect->name[0]) {
        printf("name         %s\n", inspect->name);
    }
    for (uint32_t i = 0; i < inspect->identity_count; i++) {
        print_identity(&inspect->identities[i]);
    }
    print_layout(inspect);
    inspect_program_print_text(inspect);
    if (inspect->section_count) {
        printf("\n%-20s %-18s %10s\n", "section", "offset", "size");
    }
    for (uint32_t i = 0; i < inspect->section_count; i++) {
        const struct inspect_section *section = &inspect->sections[i];
        printf("%-20.20s 0x%016llx %10llu  r%s%s%s\n", section->name,
               (unsigned long long)section->address, (unsigned long long)section->size,
               section->writable ? "w" : "-", section->executable ? "x" : "-",
               section->in_file ? "" : "  zeros");
    }
    if (pages) {
        print_rows(inspect);
    }
}

static json_t *json_identity(const struct inspect_identity *identity)
{
    const struct sgx_sigstruct *s = &identity->sigstruct;
    char date[16];
    json_t *root = json_object();

    snprintf(date, sizeof(date), "%04x-%02x-%02x", s->date >> 16, s->date >> 8 & 0xFF,
             s->date & 0xFF);
    if (identity->label[0]) {
        json_object_set_new(root, "metadata", json_string(identity->label));
    }
    json_object_set_new(root, "mrenclave",
                        identity->measured ? json_string(hex_of(identity->mr_enclave, 32).text)
                                           : json_null());
    json_object_set_new(root, "signed_mrenclave", json_string(hex_of(s->enclave_hash, 32).text));
    json_object_set_new(root, "equal", json_boolean(identity->matches));
    json_object_set_new(root, "mrsigner",
                        identity->is_signed ? json_string(hex_of(identity->mr_signer, 32).text)
                                            : json_null());
    json_object_set_new(root, "signature_valid", json_boolean(identity->signature_good));
    if (identity->trouble[0]) {
        json_object_set_new(root, "trouble", json_string(identity->trouble));
    }
    json_object_set_new(root, "product_id", json_integer(s->isv_prod_id));
    json_object_set_new(root, "svn", json_integer(s->isv_svn));
    json_object_set_new(root, "date", json_string(date));
    json_object_set_new(root, "family_id", json_string(hex_of(s->isv_family_id, 16).text));
    json_object_set_new(root, "ext_product_id", json_string(hex_of(s->isv_ext_prod_id, 16).text));
    json_object_set_new(root, "debug", json_boolean(s->attributes.flags & SGX_FLAGS_DEBUG));
    json_object_set_new(root, "attributes", json_string(hex_u64(s->attributes.flags).text));
    json_object_set_new(root, "attributes_mask",
                        json_string(hex_u64(s->attribute_mask.flags).text));
    json_object_set_new(root, "xfrm", json_string(hex_u64(s->attributes.xfrm).text));
    json_object_set_new(root, "xfrm_mask", json_string(hex_u64(s->attribute_mask.xfrm).text));
    json_object_set_new(root, "misc_select", json_string(hex_u64(s->misc_select).text));
    json_object_set_new(root, "misc_mask", json_string(hex_u64(s->misc_mask).text));
    return root;
}

static json_t *json_rows(const struct inspect *inspect)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < inspect->row_count; i++) {
        const struct inspect_row *row = &inspect->rows[i];
        char permissions[8];
        permissions_of(row->secinfo_flags, permissions);
        json_array_append_new(rows, json_pack("{s:s, s:i, s:s, s:I, s:s, s:b}", "kind",
                                              inspect_run_name(row->kind), "index", (int)row->index,
                                              "offset", hex_u64(row->offset).text, "pages",
                                              (json_int_t)row->page_count, "permissions",
                                              permissions, "measured", (int)row->measured));
    }
    return rows;
}

static json_t *json_sections(const struct inspect *inspect)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < inspect->section_count; i++) {
        const struct inspect_section *section = &inspect->sections[i];
        /* A name that is no UTF-8 (a damaged file) makes json_pack fail: such a row is left out. */
        json_t *row =
            json_pack("{s:s, s:s, s:I, s:b, s:b}", "name", section->name, "offset",
                      hex_u64(section->address).text, "size", (json_int_t)section->size, "writable",
                      (int)section->writable, "executable", (int)section->executable);
        if (row) {
            json_array_append_new(rows, row);
        }
    }
    return rows;
}

void inspect_print_json(const struct inspect *inspect, bool pages)
{
    json_t *root = json_object();
    json_t *identities = json_array();
    json_t *by_kind = json_object();

    for (uint32_t i = 0; i < inspect->identity_count; i++) {
        json_array_append_new(identities, json_identity(&inspect->identities[i]));
    }
    for (int kind = 0; kind <= CELLA_IMAGE_RUN_OTHER; kind++) {
        json_object_set_new(by_kind, inspect_run_name((enum cella_image_run_kind)kind),
                            json_integer((json_int_t)inspect->pages[kind]));
    }
    json_object_set_new(root, "file", json_string(inspect->path));
    json_object_set_new(root, "kind", json_string(inspect_kind_name(inspect->kind)));
    json_object_set_new(root, "name", json_string(inspect->name));
    json_object_set_new(root, "good", json_boolean(inspect_is_good(inspect)));
    json_object_set_new(root, "identities", identities);
    json_object_set_new(root, "enclave_size", json_string(hex_u64(inspect->enclave_size).text));
    json_object_set_new(root, "ssa_frame_pages", json_integer(inspect->ssa_frame_pages));
    json_object_set_new(root, "threads", json_integer(inspect->thread_count));
    json_object_set_new(root, "pages_added", json_integer((json_int_t)inspect->added_pages));
    json_object_set_new(root, "pages_measured", json_integer((json_int_t)inspect->measured_pages));
    json_object_set_new(root, "pages_by_kind", by_kind);
    json_object_set_new(root, "read_only_bytes",
                        json_integer((json_int_t)inspect->read_only_bytes));
    json_object_set_new(root, "read_only_pages",
                        json_integer((json_int_t)inspect->read_only_pages));
    json_object_set_new(root, "sections", json_sections(inspect));
    if (inspect->has_program) {
        json_object_set_new(root, "program", inspect_program_json(inspect));
    }
    if (pages) {
        json_object_set_new(root, "pages", json_rows(inspect));
    }
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(root);
}
