/*
 * C++17 for the rewriter: streams, exceptions, threads, file systems; it must print the same before
 * and after rewriting. Side: tests. Linked statically with libstdc++ and glibc; run by
 * tests/image/native.sh. Never part of an enclave.
 */
#include <cstring>
#include <fstream>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

extern "C" unsigned long shim_count;

namespace
{

struct Counted {
    static int alive;
    Counted()
    {
        alive++;
    }
    ~Counted()
    {
        alive--;
    }
};
int Counted::alive;

/* Throws out of depth, right behind a system call. */
[[gnu::noinline]] int deep(int depth)
{
    Counted counted;
    if (depth == 0) {
        if (open("/nonexistent", O_RDONLY) < 0) {
            throw std::system_error(errno, std::generic_category(), "open");
        }
    }
    return deep(depth - 1) + 1;
}

void exceptions()
{
    for (int i = 0; i < 100; i++) {
        try {
            deep(i);
        } catch (const std::system_error &error) {
            if (i == 99) {
                std::cout << "caught " << error.what() << ", alive " << Counted::alive << '\n';
            }
        }
    }
}

void threads()
{
    std::mutex lock;
    std::map<int, std::string> words;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++) {
        threads.emplace_back([&, i] {
            std::ostringstream text;
            text << "word " << i << ' ' << i * 1.5;
            std::lock_guard<std::mutex> guard(lock);
            words[i] = text.str();
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    for (const auto &[number, word] : words) {
        std::cout << number << '=' << word << ' ';
    }
    auto answer = std::async(std::launch::async, [] {
        if (getpid() > 0) {
            throw std::runtime_error("from another thread");
        }
        return 1;
    });
    try {
        answer.get();
    } catch (const std::runtime_error &error) {
        std::cout << error.what() << std::endl;
    }
}

void files()
{
    std::string line;
    size_t lines = 0;
    std::ifstream passwd("/etc/passwd");
    while (std::getline(passwd, line)) {
        lines++;
    }
    std::cout << "lines " << (lines > 0) << ' ' << passwd.eof() << '\n';
}

} // namespace

int main(int argc, char **)
{
    exceptions();
    threads();
    files();
    return (argc > 1) == (shim_count > 50) ? 3 : 1;
}
