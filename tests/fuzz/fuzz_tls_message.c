/*
 * Fuzz target: the CBOR in extensions of attested certificates. What is accepted lies in the input, and evidence that is
 * written anew from it is read back the same.
 * Side: tests. Run by libFuzzer, or replayed by replay.c over corpus/tls_message.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tls/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

static void inside(struct cella_bytes part, const uint8_t *data, size_t size)
{
    require(part.data >= data && part.size <= size &&
            (size_t)(part.data - data) <= size - part.size);
}

static void write_back(const struct tls_message *message, size_t size)
{
    struct tls_message again;
    size_t written = 0;
    uint8_t *out = malloc(size + 64);
    require(out != NULL);
    require(
        cella_is_ok(tls_message_make(message->quote, message->claims, out, size + 64, &written)));
    require(cella_is_ok(tls_message_parse(cella_bytes_of(out, written), &again)));
    require(again.quote.size == message->quote.size &&
            memcmp(again.quote.data, message->quote.data, again.quote.size) == 0);
    require(again.has_nonce == message->has_nonce && again.hash == message->hash &&
            again.key_hash.size == message->key_hash.size);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_message message;
    struct cella_bytes items[TLS_ENDORSEMENTS];
    const struct cella_bytes bytes = cella_bytes_of(data, size);
    if (cella_is_ok(tls_message_parse(bytes, &message))) {
        inside(message.quote, data, size);
        inside(message.claims, data, size);
        inside(message.key_hash, data, size);
        if (message.has_nonce) {
            inside(message.nonce, data, size);
        }
        write_back(&message, size);
    }
    if (cella_is_ok(tls_endorsements_parse(bytes, items))) {
        for (size_t i = 0; i < TLS_ENDORSEMENTS; i++) {
            inside(items[i], data, size);
        }
    }
    return 0;
}
