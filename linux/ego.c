/*
 * EGo's system calls 1000 to 1009: reports, seal keys and names of results for its Go packages, and for ours.
 * Side: enclave. Called by syscall.c. Numbers, arguments and results are EGo's and Open Enclave's: each answers an
 * oe_result_t, or an errno where a pointer leads nowhere.
 * Never hands out a key but a seal key; what is handed out lies on pages of the program.
 */
#include "cella/attest.h"
#include "cella/report.h"
#include "linux/ego.h"
#include "linux/linux.h"

#define CALL_REMOTE_REPORT 1000u
#define CALL_FREE_REPORT 1001u
#define CALL_VERIFY_REPORT 1002u
#define CALL_SEAL_KEY 1003u
#define CALL_FREE_SEAL_KEY 1004u
#define CALL_SEAL_KEY_BY_POLICY 1005u
#define CALL_RESULT_NAME 1006u
#define CALL_VERIFY_EVIDENCE 1007u
#define CALL_FREE_CLAIMS 1008u
#define CALL_LOCAL_REPORT 1009u

static const char *const g_result_names[] = {
#define X(number, name) [number] = #name,
#include "linux/ego_results.def"
#undef X
};

/* oe_report_t with its oe_identity_t: what a verified report becomes. */
struct parsed_report {
    uint64_t size;
    uint32_t enclave_type;
    uint32_t pad;
    uint64_t data_size;
    uint64_t body_size;
    uint64_t data; /* address in the report that was given */
    uint64_t body;
    uint32_t id_version;
    uint32_t security_version;
    uint64_t attributes;
    uint8_t unique_id[32];
    uint8_t signer_id[32];
    uint8_t product_id[16];
    uint32_t verification_result;
    uint32_t pad2;
};
_Static_assert(sizeof(struct parsed_report) == 152, "oe_report_t");
#define ENCLAVE_TYPE_SGX 2u
#define ATTRIBUTE_DEBUG 1u

/* Open Enclave's masks of seal keys: DEBUG and INIT count, and what no processor has yet; the rest may change. */
#define SEAL_FLAGS_MASK (~(0xFFFFFFFFFFFFC0ull | 0x4 | 0x10 | 0x20))
#define SEAL_MISC_MASK 0xF0000000u
#define SEAL_POLICY_UNIQUE 1u
#define SEAL_POLICY_PRODUCT 2u

/* ------------------------------------------------------------------ memory of the program */

/* Stands before each result on its pages. */
struct result_head {
    uint64_t magic;
    uint64_t size; /* with this */
};
#define RESULT_MAGIC 0x746C757365722D65ull

/* Room for a result on pages of its own; 0: none. */
uint64_t linux_ego_result_new(uint64_t size)
{
    const uint64_t at = cella_linux_user_pages(size + sizeof(struct result_head));
    if (at == 0) {
        return 0;
    }
    *(struct result_head *)at =
        (struct result_head){.magic = RESULT_MAGIC, .size = size + sizeof(struct result_head)};
    return at + sizeof(struct result_head);
}

/* The program says what is freed: nothing but a result's pages go, whatever it says. */
static void result_free(uint64_t address)
{
    const uint64_t at = address - sizeof(struct result_head);
    if (at % SGX_PAGE_SIZE != 0 || at >= CELLA_PROGRAM_KERNEL ||
        !cella_user_range(at, sizeof(struct result_head))) {
        return;
    }
    const struct result_head head = *(const struct result_head *)at;
    if (head.magic == RESULT_MAGIC && head.size >= sizeof(head) &&
        head.size <= CELLA_QUOTE_MAX + SGX_PAGE_SIZE && cella_user_range(at, head.size)) {
        cella_zero((void *)at, head.size);
        cella_linux_user_pages_free(at, head.size);
    }
}

/* Where the address of a result and its size go. */
static bool result_places(uint64_t pointer, uint64_t size)
{
    return cella_user_writable(pointer, sizeof(uint64_t)) &&
           cella_user_writable(size, sizeof(uint64_t));
}

static void result_give(uint64_t pointer, uint64_t size, uint64_t address, uint64_t value)
{
    *(uint64_t *)pointer = address;
    *(uint64_t *)size = value;
}

static long result_copy(const void *data, uint64_t data_size, uint64_t pointer, uint64_t size)
{
    const uint64_t address = linux_ego_result_new(data_size);
    if (address == 0) {
        return OE_OUT_OF_MEMORY;
    }
    __builtin_memcpy((void *)address, data, data_size);
    result_give(pointer, size, address, data_size);
    return OE_OK;
}

static long oe_of(cella_result result)
{
    switch (result.code) {
    case CELLA_CODE_OK:
        return OE_OK;
    case CELLA_CODE_OUT_OF_MEMORY:
    case CELLA_CODE_OUT_OF_EPC:
        return OE_OUT_OF_MEMORY;
    case CELLA_CODE_AUTH_FAILED:
        return OE_VERIFY_FAILED;
    case CELLA_CODE_HOST_VALUE:
        return OE_UNEXPECTED;
    case CELLA_CODE_UNSUPPORTED:
        return OE_UNSUPPORTED;
    case CELLA_CODE_NO_DEVICE:
    case CELLA_CODE_NOT_FOUND:
    case CELLA_CODE_BUSY:
        return OE_SERVICE_UNAVAILABLE;
    default:
        return OE_FAILURE;
    }
}

/* ------------------------------------------------------------------ reports */

/* The data of a report, zeros behind it. */
static long take_data(uint64_t at, uint64_t size, uint8_t *ret_data)
{
    cella_zero(ret_data, CELLA_REPORT_DATA_SIZE);
    if (size > CELLA_REPORT_DATA_SIZE) {
        return OE_INVALID_PARAMETER;
    }
    if (size != 0 && !cella_user_range(at, size)) {
        return -EFAULT;
    }
    if (size != 0) {
        __builtin_memcpy(ret_data, (const void *)at, size);
    }
    return OE_OK;
}

/* data, its size, 0, 0, address of the report's address, of its size */
static long remote_report(const struct cella_regs *regs)
{
    uint8_t data[CELLA_REPORT_DATA_SIZE];
    size_t size = 0;
    if (!result_places(ARG4(regs), ARG5(regs))) {
        return -EFAULT;
    }
    long result = take_data(ARG0(regs), ARG1(regs), data);
    if (result != OE_OK) {
        return result;
    }
    cella_result quoted = cella_quote_create(data, NULL, 0, &size);
    if (quoted.code != CELLA_CODE_BUFFER_TOO_SMALL) {
        return oe_of(quoted);
    }
    const uint64_t room = sizeof(struct linux_ego_header) + size;
    const uint64_t address = linux_ego_result_new(room);
    if (address == 0) {
        return OE_OUT_OF_MEMORY;
    }
    quoted =
        cella_quote_create(data, (void *)(address + sizeof(struct linux_ego_header)), size, &size);
    if (!cella_is_ok(quoted)) {
        result_free(address);
        return oe_of(quoted);
    }
    *(struct linux_ego_header *)address = (struct linux_ego_header){
        .version = LINUX_EGO_VERSION, .type = LINUX_EGO_REMOTE, .size = size};
    result_give(ARG4(regs), ARG5(regs), address, sizeof(struct linux_ego_header) + size);
    return OE_OK;
}

/* The body that a report in Open Enclave's header starts or, remote, holds. */
static long body_of(uint64_t report, uint64_t size, struct sgx_report_body *ret_body)
{
    struct linux_ego_header head;
    if (size < sizeof(head)) {
        return OE_INVALID_PARAMETER;
    }
    if (!cella_user_range(report, size)) {
        return -EFAULT;
    }
    __builtin_memcpy(&head, (const void *)report, sizeof(head));
    const uint64_t at =
        sizeof(head) + (head.type == LINUX_EGO_REMOTE ? offsetof(struct sgx_quote3_signed, body)
                                                      : offsetof(struct sgx_report, body));
    if (head.version != LINUX_EGO_VERSION || head.size != size - sizeof(head) ||
        (head.type != LINUX_EGO_LOCAL && head.type != LINUX_EGO_REMOTE) || size < at ||
        size - at < sizeof(*ret_body)) {
        return OE_INVALID_PARAMETER;
    }
    __builtin_memcpy(ret_body, (const void *)(report + at), sizeof(*ret_body));
    return OE_OK;
}

/* data, its size, a report of the target, its size, address of the report's address, of its size */
static long local_report(const struct cella_regs *regs)
{
    struct sgx_targetinfo target = {.misc_select = 0}; /* without a target: for nobody */
    struct {
        struct linux_ego_header head;
        struct sgx_report report;
    } made;
    uint8_t data[CELLA_REPORT_DATA_SIZE];
    if (!result_places(ARG4(regs), ARG5(regs))) {
        return -EFAULT;
    }
    long result = take_data(ARG0(regs), ARG1(regs), data);
    if (result == OE_OK && ARG3(regs) != 0) {
        struct sgx_report of_target = {.key_id = {0}};
        result = body_of(ARG2(regs), ARG3(regs), &of_target.body);
        cella_report_target(&of_target, &target);
    }
    if (result != OE_OK) {
        return result;
    }
    const cella_result created = cella_report_create(&target, data, &made.report);
    if (!cella_is_ok(created)) {
        return oe_of(created);
    }
    made.head = (struct linux_ego_header){
        .version = LINUX_EGO_VERSION, .type = LINUX_EGO_LOCAL, .size = sizeof(made.report)};
    return result_copy(&made, sizeof(made), ARG4(regs), ARG5(regs));
}

/* report, its size, where the parsed one goes */
static long verify_report(const struct cella_regs *regs)
{
    struct linux_ego_header head;
    struct sgx_report report;
    const uint64_t at = ARG0(regs);
    long result = body_of(at, ARG1(regs), &report.body);
    if (result != OE_OK) {
        return result;
    }
    if (!cella_user_writable(ARG2(regs), sizeof(struct parsed_report))) {
        return -EFAULT;
    }
    __builtin_memcpy(&head, (const void *)at, sizeof(head));
    if (head.type == LINUX_EGO_REMOTE) {
        cella_trace("ego: remote reports are verified outside, or by the Go module: call", 1002);
        return OE_UNSUPPORTED;
    }
    if (ARG1(regs) < sizeof(head) + sizeof(report)) {
        return OE_INVALID_PARAMETER;
    }
    __builtin_memcpy(&report, (const void *)(at + sizeof(head)), sizeof(report));
    const cella_result verified = cella_report_verify(&report);
    if (!cella_is_ok(verified)) {
        return oe_of(verified);
    }
    struct parsed_report parsed = {
        .size = sizeof(parsed),
        .enclave_type = ENCLAVE_TYPE_SGX,
        .data_size = sizeof(report.body.report_data),
        .body_size = sizeof(report.body),
        .data = at + sizeof(head) + offsetof(struct sgx_report_body, report_data),
        .body = at + sizeof(head),
        .security_version = report.body.isv_svn,
        .attributes = report.body.attributes.flags & SGX_FLAGS_DEBUG ? ATTRIBUTE_DEBUG : 0,
    };
    __builtin_memcpy(parsed.unique_id, report.body.mr_enclave, sizeof(parsed.unique_id));
    __builtin_memcpy(parsed.signer_id, report.body.mr_signer, sizeof(parsed.signer_id));
    __builtin_memcpy(parsed.product_id, &report.body.isv_prod_id, sizeof(report.body.isv_prod_id));
    *(struct parsed_report *)ARG2(regs) = parsed;
    return OE_OK;
}

/* ------------------------------------------------------------------ seal keys */

static long key_of(const struct sgx_keyrequest *request, uint64_t pointer, uint64_t size)
{
    uint8_t key[16];
    struct sgx_report self;
    if (request->key_name != SGX_KEY_SEAL) {
        return OE_INVALID_KEYNAME;
    }
    const cella_result got = cella_key_get(request, key);
    if (got.code == CELLA_CODE_SVN_TOO_OLD) {
        return cella_is_ok(cella_report_self(&self)) && request->isv_svn > self.body.isv_svn
                   ? OE_INVALID_ISVSVN
                   : OE_INVALID_CPUSVN;
    }
    if (!cella_is_ok(got)) {
        return OE_INVALID_PARAMETER;
    }
    const long result = result_copy(key, sizeof(key), pointer, size);
    cella_zero(key, sizeof(key));
    __asm__ volatile("" : : "r"(key) : "memory");
    return result;
}

/* key request, its size, address of the key's address, of its size */
static long seal_key(const struct cella_regs *regs)
{
    struct sgx_keyrequest request;
    if (ARG1(regs) != sizeof(request)) {
        return OE_INVALID_PARAMETER;
    }
    if (!cella_user_range(ARG0(regs), sizeof(request)) || !result_places(ARG2(regs), ARG3(regs))) {
        return -EFAULT;
    }
    __builtin_memcpy(&request, (const void *)ARG0(regs), sizeof(request));
    return key_of(&request, ARG2(regs), ARG3(regs));
}

/* policy, address of the key's address, of its size, address of the key request's address, of its size */
static long seal_key_by_policy(const struct cella_regs *regs)
{
    struct sgx_report self;
    if (!result_places(ARG1(regs), ARG2(regs)) ||
        (ARG3(regs) != 0 && !result_places(ARG3(regs), ARG4(regs)))) {
        return -EFAULT;
    }
    if (ARG0(regs) != SEAL_POLICY_UNIQUE && ARG0(regs) != SEAL_POLICY_PRODUCT) {
        return OE_INVALID_PARAMETER;
    }
    if (!cella_is_ok(cella_report_self(&self))) {
        return OE_FAILURE;
    }
    struct sgx_keyrequest request = {
        .key_name = SGX_KEY_SEAL,
        .key_policy =
            ARG0(regs) == SEAL_POLICY_UNIQUE ? SGX_KEYPOLICY_MRENCLAVE : SGX_KEYPOLICY_MRSIGNER,
        .isv_svn = self.body.isv_svn,
        .attribute_mask = {.flags = SEAL_FLAGS_MASK},
        .misc_mask = SEAL_MISC_MASK,
    };
    __builtin_memcpy(request.cpu_svn, self.body.cpu_svn, sizeof(request.cpu_svn));
    long result = key_of(&request, ARG1(regs), ARG2(regs));
    if (result == OE_OK && ARG3(regs) != 0) {
        result = result_copy(&request, sizeof(request), ARG3(regs), ARG4(regs));
        if (result != OE_OK) {
            result_free(*(uint64_t *)ARG1(regs));
        }
    }
    return result;
}

/* ------------------------------------------------------------------ the calls */

static long result_name(uint64_t number)
{
    const char *name = number < CELLA_COUNT(g_result_names) ? g_result_names[number] : "UNKNOWN";
    return (long)(uintptr_t)name;
}

bool cella_linux_ego(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case CALL_REMOTE_REPORT:
        *ret_result = remote_report(regs);
        return true;
    case CALL_VERIFY_REPORT:
        *ret_result = verify_report(regs);
        return true;
    case CALL_SEAL_KEY:
        *ret_result = seal_key(regs);
        return true;
    case CALL_SEAL_KEY_BY_POLICY:
        *ret_result = seal_key_by_policy(regs);
        return true;
    case CALL_RESULT_NAME:
        *ret_result = result_name(ARG0(regs));
        return true;
    case CALL_VERIFY_EVIDENCE:
        *ret_result = linux_ego_evidence(regs);
        return true;
    case CALL_LOCAL_REPORT:
        *ret_result = local_report(regs);
        return true;
    case CALL_FREE_SEAL_KEY:
        result_free(ARG0(regs));
        result_free(ARG1(regs));
        *ret_result = OE_OK;
        return true;
    case CALL_FREE_REPORT:
    case CALL_FREE_CLAIMS:
        result_free(ARG0(regs));
        *ret_result = OE_OK;
        return true;
    default:
        return false;
    }
}
