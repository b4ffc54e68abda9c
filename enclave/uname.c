/*
 * The uname module: the host's names. Opt-in: -u cella_module_uname; without it they are constants of the enclave.
 * Side: enclave. Called for the libc's uname, gethostname and getdomainname.
 * Never gives the libc a name that is not text and does not end.
 */
#include "enclave/libc.h"

#include "abi/service.h"

#define FIELD_SIZE 65u
#define FIELDS 6u

extern const char cella_module_uname;
const char cella_module_uname = 1;

static bool field_is_text(const char *field)
{
    for (uint32_t i = 0; i < FIELD_SIZE; i++) {
        if (field[i] == 0) {
            return true;
        }
        if (field[i] < ' ' || field[i] > '~') {
            return false;
        }
    }
    return false;
}

static long names(uint64_t to)
{
    struct {
        int64_t value;
        char fields[FIELDS * FIELD_SIZE + 2]; /* to a multiple of 8 */
    } answer = {0};
    size_t size = 0;
    if (!cella_user_range(to, FIELDS * FIELD_SIZE)) {
        return -EFAULT;
    }
    cella_result result =
        cella_system_ocall(CELLA_OCALL_UNAME, NULL, 0, &answer, sizeof(answer), &size);
    if (!cella_is_ok(result)) {
        return cella_errno_of(result);
    }
    if (size != sizeof(answer) || answer.value != 0) {
        return -EIO;
    }
    for (uint32_t i = 0; i < FIELDS; i++) {
        if (!field_is_text(answer.fields + i * FIELD_SIZE)) {
            return -EIO;
        }
    }
    __builtin_memcpy((void *)to, answer.fields, FIELDS * FIELD_SIZE);
    return 0;
}

static bool uname_syscall(struct cella_regs *regs, long *ret_result)
{
    if (regs->rax != __NR_uname) {
        return false;
    }
    *ret_result = names(ARG0(regs));
    return true;
}

static const struct cella_module uname_module = {.name = "uname", .syscall = uname_syscall};
CELLA_MODULE(uname_module);
