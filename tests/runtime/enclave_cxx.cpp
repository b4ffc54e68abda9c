/*
 * The C++17 test enclave on static glibc: exceptions, iostreams, threads, thread_local, futures, containers.
 * Side: enclave (tests). Called by test_libc.c.
 * Never includes host code.
 */
#include <atomic>
#include <condition_variable>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cella/enclave.h"

namespace
{
struct global {
    std::string text;
    global()
    {
        std::thread early([this] { text = "constructed"; }); /* before the enclave is ready */
        early.join();
    }
    ~global()
    {
        std::cout << "destructed" << std::endl;
    }
};
global g_global;
thread_local std::string t_text("local");

int depth(int n)
{
    struct guard {
        int &count;
        ~guard()
        {
            count++;
        }
    };
    static thread_local int unwound;
    guard here{unwound};
    if (n == 0) {
        throw std::runtime_error("thrown from " + std::to_string(unwound));
    }
    return depth(n - 1) + 1;
}

std::optional<std::string> exceptions()
{
    try {
        depth(50);
    } catch (const std::exception &e) {
        return e.what();
    }
    return std::nullopt;
}

int threads()
{
    std::mutex lock;
    std::condition_variable changed;
    std::vector<std::thread> all;
    std::atomic<int> sum{0};
    int ready = 0;
    for (int i = 0; i < 3; i++) {
        all.emplace_back([&] {
            t_text += "x";
            sum += static_cast<int>(t_text.size());
            std::lock_guard<std::mutex> guard(lock);
            ready++;
            changed.notify_all();
        });
    }
    {
        std::unique_lock<std::mutex> guard(lock);
        changed.wait(guard, [&] { return ready == 3; });
    }
    for (auto &thread : all) {
        thread.join();
    }
    auto later = std::async(std::launch::async, []() -> int { throw std::logic_error("later"); });
    try {
        later.get();
    } catch (const std::logic_error &) {
        sum += 100;
    }
    return sum;
}

cella_result run(const void *, size_t, void *out, size_t out_capacity, size_t *ret_size)
{
    std::map<std::string, int> map{{"one", 1}, {"two", 2}};
    std::ostringstream text;
    text << g_global.text << ' ' << exceptions().value_or("nothing thrown") << ' ' << threads()
         << ' ' << map.at("two") << ' ' << 2.5;
    std::cout << text.str() << std::endl;
    const std::string answer = text.str();
    CELLA_ENSURE(answer.size() <= out_capacity, BUFFER_TOO_SMALL);
    answer.copy(static_cast<char *>(out), answer.size());
    *ret_size = answer.size();
    return CELLA_OK;
}

/* An exception that nobody catches ends the enclave, not the host. */
cella_result uncaught(const void *, size_t, void *, size_t, size_t *)
{
    throw 42;
}
} // namespace

CELLA_ECALLS({run, 0, 256}, {uncaught, 0, 0});
