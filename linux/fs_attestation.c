/*
 * /dev/attestation: reports, quotes and keys as files, under the names that other library operating systems use.
 * Side: enclave. Called by fs_start.c and through the nodes' operations. docs/linux-files.md has the list.
 * Never gives out a key but to the program itself; a quote's signature is for a verifier to look at.
 */
#include "linux/fs_tree.h"

#include "cella/attest.h"
#include "cella/report.h"

/* As sealing has them: a debug enclave's key is not a production enclave's. */
#define FLAGS_MASK 0xFF0000000000000Bull
#define MISC_MASK 0xF0000000u
#define KEY_SIZE 16u

static struct sgx_targetinfo target;
static uint8_t data[CELLA_REPORT_DATA_SIZE];
static struct cella_lock lock;

static void values_take(struct sgx_targetinfo *ret_target, uint8_t ret_data[CELLA_REPORT_DATA_SIZE])
{
    cella_lock_take(&lock);
    *ret_target = target;
    __builtin_memcpy(ret_data, data, sizeof(data));
    cella_lock_give(&lock);
}

/* Whole values only: half a report data would be bound as if it were meant. */
static long value_write(void *to, uint64_t wanted, const char *from, uint64_t size)
{
    if (size > wanted) {
        return -EINVAL;
    }
    cella_lock_take(&lock);
    cella_zero(to, wanted);
    __builtin_memcpy(to, from, size);
    cella_lock_give(&lock);
    return 0;
}

static void say_data(struct fs_text *text, const struct fs_node *node)
{
    struct sgx_targetinfo ignored;
    uint8_t bytes[CELLA_REPORT_DATA_SIZE];
    (void)node;
    values_take(&ignored, bytes);
    fs_say_bytes(text, bytes, sizeof(bytes));
}

/* At most 64 bytes; zeros behind fewer. */
static long write_data(const struct fs_node *node, const char *from, uint64_t size)
{
    (void)node;
    return value_write(data, sizeof(data), from, size);
}

static void say_target(struct fs_text *text, const struct fs_node *node)
{
    struct sgx_targetinfo there;
    uint8_t ignored[CELLA_REPORT_DATA_SIZE];
    (void)node;
    values_take(&there, ignored);
    fs_say_bytes(text, &there, sizeof(there));
}

static long write_target(const struct fs_node *node, const char *from, uint64_t size)
{
    (void)node;
    return size == sizeof(target) ? value_write(&target, sizeof(target), from, size) : -EINVAL;
}

static void say_own_target(struct fs_text *text, const struct fs_node *node)
{
    struct sgx_report report;
    struct sgx_targetinfo own;
    (void)node;
    if (!cella_is_ok(cella_report_self(&report))) {
        text->error = -EIO;
        return;
    }
    cella_report_target(&report, &own);
    fs_say_bytes(text, &own, sizeof(own));
}

static void say_report(struct fs_text *text, const struct fs_node *node)
{
    struct sgx_report report;
    struct sgx_targetinfo there;
    uint8_t bytes[CELLA_REPORT_DATA_SIZE];
    (void)node;
    values_take(&there, bytes);
    if (!cella_is_ok(cella_report_create(&there, bytes, &report))) {
        text->error = -EIO;
        return;
    }
    fs_say_bytes(text, &report, sizeof(report));
}

static void say_quote(struct fs_text *text, const struct fs_node *node)
{
    struct sgx_targetinfo ignored;
    uint8_t bytes[CELLA_REPORT_DATA_SIZE];
    size_t size = 0;
    (void)node;
    values_take(&ignored, bytes);
    uint8_t *quote = cella_pages_new(CELLA_QUOTE_MAX);
    if (!quote) {
        text->error = -ENOMEM;
        return;
    }
    const cella_result result = cella_quote_create(bytes, quote, CELLA_QUOTE_MAX, &size);
    if (cella_is_ok(result)) {
        fs_say_bytes(text, quote, size);
    } else {
        text->error = cella_result_category(result) == CELLA_CATEGORY_RESOURCE ? -EAGAIN : -EIO;
    }
    cella_pages_free(quote, CELLA_QUOTE_MAX);
}

/* The sealing key of this very enclave, or of its signer's product at this or a lower version. */
static void say_key(struct fs_text *text, uint16_t policy)
{
    struct sgx_report report;
    struct sgx_keyrequest request = {.key_name = SGX_KEY_SEAL, .key_policy = policy};
    uint8_t key[KEY_SIZE];
    if (!cella_is_ok(cella_report_self(&report))) {
        text->error = -EIO;
        return;
    }
    request.isv_svn = report.body.isv_svn;
    request.config_svn = report.body.config_svn;
    __builtin_memcpy(request.cpu_svn, report.body.cpu_svn, sizeof(request.cpu_svn));
    request.attribute_mask.flags = FLAGS_MASK;
    request.misc_mask = MISC_MASK;
    if (cella_is_ok(cella_key_get(&request, key))) {
        fs_say_bytes(text, key, sizeof(key));
    } else {
        text->error = -EACCES;
    }
    cella_zero(key, sizeof(key));
    __asm__ volatile("" : : "r"(key) : "memory");
}

static void say_enclave_key(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    say_key(text, SGX_KEYPOLICY_MRENCLAVE);
}

static void say_signer_key(struct fs_text *text, const struct fs_node *node)
{
    (void)node;
    say_key(text, SGX_KEYPOLICY_MRSIGNER);
}

static const struct fs_synthetic files[] = {
    {.path = "attestation/attestation_type", .mode = MODE_REGULAR | 0444, .constant = "dcap"},
    {.path = "attestation/user_report_data",
     .mode = MODE_REGULAR | 0666,
     .say = say_data,
     .write = write_data},
    {.path = "attestation/target_info",
     .mode = MODE_REGULAR | 0666,
     .say = say_target,
     .write = write_target},
    {.path = "attestation/my_target_info", .mode = MODE_REGULAR | 0444, .say = say_own_target},
    {.path = "attestation/report", .mode = MODE_REGULAR | 0444, .say = say_report},
    {.path = "attestation/quote", .mode = MODE_REGULAR | 0444, .say = say_quote},
    {.path = "attestation/keys/_sgx_mrenclave",
     .mode = MODE_REGULAR | 0400,
     .say = say_enclave_key},
    {.path = "attestation/keys/_sgx_mrsigner", .mode = MODE_REGULAR | 0400, .say = say_signer_key},
};

long fs_attestation_add(struct fs_tree *devices)
{
    return fs_synthetic_add(devices, files, CELLA_COUNT(files));
}
