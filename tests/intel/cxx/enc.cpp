/*
 * C++ inside: constructors, exceptions, the library, std::thread and pthread.h.
 * Side: enclave, tests. Each function gives 0 or the line that failed.
 */
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <errno.h>
#include <pthread.h>

#include "cxx_t.h"
#include "sgx_trts.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)

namespace {

struct Global {
    std::string text{"made before the first call, and long enough for the heap"};
    int called = 0;
    Global() { called = 42; }
};
Global global;

struct Counted {
    static int alive;
    Counted() { alive++; }
    Counted(const Counted &) { alive++; }
    Counted &operator=(const Counted &) = default;
    ~Counted() { alive--; }
};
int Counted::alive;

struct Base {
    virtual ~Base() = default;
    virtual int number() const { return 1; }
};
struct Derived : Base {
    int number() const override { return 2; }
};

[[noreturn]] void throw_deep(int depth)
{
    Counted here;
    if (depth == 0) {
        throw std::out_of_range("deep");
    }
    throw_deep(depth - 1);
}

} // namespace

int test_language()
{
    CHECK(global.called == 42 && global.text.size() > 40);
    int result = 0;
    CHECK(host_throws_nothing(&result, 21) == SGX_SUCCESS && result == 42);
    try {
        throw_deep(20);
    } catch (const std::logic_error &error) {
        CHECK(std::string(error.what()) == "deep" && Counted::alive == 0);
        result = 7;
    }
    CHECK(result == 7);
    try {
        try {
            throw 5;
        } catch (int number) {
            CHECK(number == 5);
            throw;
        }
    } catch (...) {
        result = 8;
    }
    CHECK(result == 8);
    std::exception_ptr kept;
    try {
        (void)std::vector<int>().at(3);
    } catch (...) {
        kept = std::current_exception();
    }
    try {
        std::rethrow_exception(kept);
    } catch (const std::out_of_range &) {
        result = 9;
    }
    CHECK(result == 9);
    try {
        char *volatile too_much = new char[1ull << 40]; // volatile: compilers know new
        CHECK(too_much == nullptr);
    } catch (const std::bad_alloc &) {
        result = 10;
    }
    CHECK(result == 10);
    std::unique_ptr<Base> base = std::make_unique<Derived>();
    CHECK(base->number() == 2 && dynamic_cast<Derived *>(base.get()) != nullptr);
    base = std::make_unique<Base>();
    CHECK(base->number() == 1 && dynamic_cast<Derived *>(base.get()) == nullptr);
    static thread_local int local = 3;
    local++;
    CHECK(local > 3);
    return 0;
}

int test_library()
{
    std::map<std::string, int> numbers;
    std::unordered_map<int, std::string> names;
    for (int i = 0; i < 1000; i++) {
        numbers[std::to_string(i)] = i;
        names[i] = std::to_string(i);
    }
    CHECK(numbers.size() == 1000 && numbers["999"] == 999 && names.at(500) == "500");
    std::vector<int> values(1000);
    std::iota(values.begin(), values.end(), 0);
    std::reverse(values.begin(), values.end());
    std::sort(values.begin(), values.end());
    CHECK(std::accumulate(values.begin(), values.end(), 0) == 499500);
    std::function<int(int)> twice = [](int number) { return 2 * number; };
    CHECK(twice(21) == 42);
    std::shared_ptr<Counted> first = std::make_shared<Counted>();
    std::weak_ptr<Counted> weak = first;
    CHECK(Counted::alive == 1 && weak.lock() != nullptr);
    first.reset();
    CHECK(Counted::alive == 0 && weak.expired());
    std::ostringstream text;
    text << "a " << 42 << ' ' << 1.5;
    CHECK(text.str() == "a 42 1.5");
    CHECK(sgx_is_within_enclave(values.data(), values.size() * sizeof(int)));
    return 0;
}

int test_std_threads(unsigned count)
{
    std::mutex mutex;
    std::condition_variable changed;
    std::atomic<int> sum{0};
    std::once_flag once;
    int plain = 0, inits = 0;
    bool go = false;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < count; i++) {
        threads.emplace_back([&, i] {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [&] { return go; });
            lock.unlock();
            std::call_once(once, [&] { inits++; });
            for (int round = 0; round < 500; round++) {
                sum += static_cast<int>(i);
                std::lock_guard<std::mutex> guard(mutex);
                plain++;
            }
        });
    }
    {
        std::lock_guard<std::mutex> guard(mutex);
        go = true;
    }
    changed.notify_all();
    for (auto &thread : threads) {
        thread.join();
    }
    CHECK(plain == static_cast<int>(500 * count) && inits == 1);
    CHECK(sum == static_cast<int>(500 * count * (count - 1) / 2));
    /* An exception of another thread. */
    auto failed = std::async(std::launch::async, []() -> int { throw std::runtime_error("there"); });
    try {
        failed.get();
        return __LINE__;
    } catch (const std::runtime_error &error) {
        CHECK(std::string(error.what()) == "there");
    }
    return 0;
}

namespace {

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
pthread_once_t once = PTHREAD_ONCE_INIT;
pthread_key_t key;
int arrived, inits, ended, shared;

void at_end(void *value)
{
    if (value == &shared) {
        pthread_mutex_lock(&mutex);
        ended++;
        pthread_mutex_unlock(&mutex);
    }
}

void *run(void *argument)
{
    const auto number = reinterpret_cast<std::uintptr_t>(argument);
    pthread_once(&once, [] { inits++; });
    pthread_setspecific(key, &shared);
    pthread_mutex_lock(&mutex);
    arrived++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 200; i++) {
        pthread_rwlock_wrlock(&rwlock);
        shared++;
        pthread_rwlock_unlock(&rwlock);
        pthread_rwlock_rdlock(&rwlock);
        pthread_rwlock_unlock(&rwlock);
    }
    if (number % 2 == 1) {
        pthread_exit(reinterpret_cast<void *>(number + 100));
    }
    return reinterpret_cast<void *>(number + 100);
}

} // namespace

int test_pthreads(unsigned count)
{
    std::vector<pthread_t> threads(count);
    arrived = ended = shared = 0;
    CHECK(pthread_key_create(&key, at_end) == 0);
    for (unsigned i = 0; i < count; i++) {
        CHECK(pthread_create(&threads[i], nullptr, run, reinterpret_cast<void *>(std::uintptr_t(i))) ==
              0);
        CHECK(!pthread_equal(threads[i], pthread_self()));
    }
    pthread_mutex_lock(&mutex);
    while (arrived < static_cast<int>(count)) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    for (unsigned i = 0; i < count; i++) {
        void *result = nullptr;
        CHECK(pthread_join(threads[i], &result) == 0);
        CHECK(reinterpret_cast<std::uintptr_t>(result) == i + 100);
    }
    CHECK(inits == 1 && ended == static_cast<int>(count) && shared == static_cast<int>(200 * count));
    CHECK(pthread_key_delete(key) == 0);
    CHECK(pthread_mutex_trylock(&mutex) == 0 && pthread_mutex_trylock(&mutex) == EBUSY);
    CHECK(pthread_mutex_unlock(&mutex) == 0);
    return 0;
}
