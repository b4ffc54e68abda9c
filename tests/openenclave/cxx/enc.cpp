/*
 * C++ inside: static objects, containers, streams, exceptions through frames.
 * Side: enclave, tests.
 */
/* Not <memory> nor <stdexcept>: LLVM's headers, which programs for Open Enclave were written with, bring them along. */
#include <map>
#include <sstream>
#include <string>

#include <openenclave/enclave.h>

#include "cxx_t.h"

static std::map<std::string, int> g_words = {{"first", 1}};

extern "C" int add_words(const char *text)
{
    std::istringstream in(text);
    std::string word;
    int number = 0;
    while (in >> word) {
        g_words[word]++;
    }
    if (host_number(&number) != OE_OK) {
        return -1;
    }
    return static_cast<int>(g_words.size()) * 100 + number;
}

static int fall(int depth)
{
    auto guard = std::make_unique<int>(depth);
    if (depth == 0) {
        throw std::out_of_range("bottom");
    }
    return fall(depth - 1) + *guard;
}

extern "C" int throw_and_catch(int depth)
{
    try {
        return fall(depth);
    } catch (const std::exception &error) {
        return std::string(error.what()) == "bottom" ? 42 : -1;
    }
}

extern "C" int leave_by_exception()
{
    throw 1; /* nobody catches it: the enclave ends */
}

extern "C" int stay_calm()
{
    return 11;
}

/* An exit handler that makes a switchless call, which makes another into the enclave. */
__attribute__((destructor)) static void leave()
{
    host_leaving();
}

OE_SET_ENCLAVE_SGX2(5, 6, ({1, 2, 3, 4}), ({5, 6}), true, false, true, false, 0, 1024, 128, 2)
