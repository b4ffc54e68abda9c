/*
 * Fuzz target: requests of rtnetlink as a program sends them. Answers are whole messages, whatever was asked.
 * Side: tests.
 */
#include <assert.h>
#include <string.h>

#include "linux/interfaces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct linux_interface list[LINUX_INTERFACES_MAX] = {
        {.name = "lo", .index = 1, .address4 = {127, 0, 0, 1}},
        {.name = "fifteen-letters", .index = 2}};
    struct netlink_answers answers = {0};
    linux_netlink_answer(cella_bytes_of(data, size), 77, list, LINUX_INTERFACES_MAX, &answers);
    assert(answers.size <= sizeof(answers.bytes));
    uint32_t at = 0;
    while (at < answers.size) {
        uint32_t message, port;
        assert(answers.size - at >= 16);
        memcpy(&message, answers.bytes + at, sizeof(message));
        memcpy(&port, answers.bytes + at + 12, sizeof(port));
        assert(message >= 16 && message % 4 == 0 && message <= answers.size - at);
        assert(port == 77);
        at += message;
    }
    return 0;
}
