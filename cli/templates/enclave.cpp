/* The trusted half of @NAME@: what runs here is measured, and nobody outside sees its memory. */
#include <cstring>
#include <string>

#include "calls.h"
#include "cella/enclave.h"

namespace
{

std::string greeting(const std::string &name)
{
    return "Hello " + name + ", from inside the enclave.";
}

/* `in` is the enclave's own copy of what the host sent; what is put at `out` goes back. */
cella_result greet(const void *in, size_t in_size, void *out, size_t out_capacity, size_t *ret_size)
{
    try {
        const std::string text = greeting(std::string(static_cast<const char *>(in), in_size));
        if (text.size() > out_capacity) {
            return CELLA_RESULT(BUFFER_TOO_SMALL);
        }
        std::memcpy(out, text.data(), text.size());
        *ret_size = text.size();
    } catch (const std::bad_alloc &) {
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    /* A call out; whatever the host returns from it is not to be trusted. */
    static const char notice[] = "the enclave was asked for a greeting";
    return cella_ocall(OCALL_PRINT, notice, sizeof(notice) - 1, nullptr, 0, nullptr);
}

} // namespace

/* {function, most bytes in, most bytes out} */
CELLA_ECALLS({greet, TEXT_MAX / 2, TEXT_MAX});
