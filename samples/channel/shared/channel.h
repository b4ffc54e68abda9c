/*
 * What host, enclave and ordinary client of the channel sample share.
 * Side: both.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdint.h>

#include "cella/result.h"

#define CHANNEL_MUTUAL 1u
#define CHANNEL_TEXT_SIZE 512

struct channel_answer {
    char text[CHANNEL_TEXT_SIZE]; /* what the server said, or why it was refused */
};

#endif
