/* The trusted half of @NAME@: what runs here is measured, and nobody outside sees its memory. */
#include <new>
#include <string>

#include "calls_t.h"

namespace
{

std::string greeting_for(const std::string &name)
{
    return "Hello " + name + ", from inside the enclave.";
}

} // namespace

int greet(const char *name, char *greeting, size_t size)
{
    try {
        const std::string text = greeting_for(name);
        if (text.size() >= size) {
            return 1;
        }
        text.copy(greeting, text.size());
        greeting[text.size()] = '\0';
    } catch (const std::bad_alloc &) {
        return 1; /* no exception may leave the enclave */
    }
    /* A call out; whatever the host does with it is not to be trusted. */
    return cella_is_ok(print_notice("the enclave was asked for a greeting")) ? 0 : 1;
}
