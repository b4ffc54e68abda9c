/*
 * A daemon of the tests' own, and a client that writes frames byte by byte.
 * Side: tests.
 */
#ifndef TESTS_QUOTED_DAEMON_H
#define TESTS_QUOTED_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct daemon {
    pid_t pid;
    char folder[64]; /* socket, log and platform are in it */
    char socket[80];
    char log[80];
};

/* Starts the program with further arguments (NULL-terminated) and waits until it listens. */
bool daemon_start(struct daemon *daemon, const char *program, const char *const *arguments);
/* SIGTERM, and the exit status; -1: it had to be killed. */
int daemon_stop(struct daemon *daemon);
/* Removes its folder. */
bool daemon_clean(const struct daemon *daemon);
bool daemon_lives(const struct daemon *daemon);
/* Whether the log has the text, within ten seconds. */
bool daemon_said(const struct daemon *daemon, const char *text);

/* A connected socket, -1 on failure; reads time out after two seconds. */
int client_connect(const struct daemon *daemon);
bool client_send(int fd, const void *data, size_t size);
/* A frame's body, malloc'd; NULL: the connection ended or nothing came. */
uint8_t *client_receive(int fd, uint32_t *ret_size);
/* The answer to one message on a connection of its own. */
uint8_t *client_ask(const struct daemon *daemon, const void *message, uint32_t size,
                    uint32_t *ret_size);

/* A message that is written. */
struct message {
    uint8_t data[65536];
    uint32_t size;
};
void message_number(struct message *message, uint32_t field, uint64_t value);
void message_bytes(struct message *message, uint32_t field, const void *data, size_t size);
/* The message as a field of another. */
struct message message_in(uint32_t field, const struct message *inner);

/* The answer's own field number, and in it the value of a field; -1: not there. */
int64_t answer_kind(const uint8_t *answer, uint32_t size);
int64_t answer_number(const uint8_t *answer, uint32_t size, uint32_t field);
const uint8_t *answer_bytes(const uint8_t *answer, uint32_t size, uint32_t field,
                            uint32_t *ret_size);

#endif
