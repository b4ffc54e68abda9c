/*
 * A client of the AESM socket, as the protocol has its requests: sizes in, bytes out.
 * Side: host. Included by host/quote*.c and compat/intel/untrusted. Structures go as bytes, so that a skin with its own names
 * for them can include this.
 * Never keeps a connection.
 */
#ifndef CELLA_HOST_AESM_CLIENT_H
#define CELLA_HOST_AESM_CLIENT_H

#include "common/bytes.h"
#include "common/error.h"

#define CELLA_AESM_PATH "/var/run/aesmd/aesm.socket"
#define CELLA_AESM_TIMEOUT 30000 /* milliseconds for one request */
#define CELLA_AESM_QUOTE_MAX (128u << 10)
#define CELLA_AESM_KEYS_MAX 10u
#define CELLA_AESM_KEY_ID_SIZE 256u
#define CELLA_AESM_TARGET_SIZE 512u
#define CELLA_AESM_REPORT_SIZE 432u
#define CELLA_AESM_REPORT_INFO_SIZE 960u

/* The socket for this process; NULL: $CELLA_AESM_SOCKET, $SGX_AESM_ADDR if it is a path, CELLA_AESM_PATH. */
CELLA_MUST_USE cella_result cella_aesm_path_set(const char *path);
const char *cella_aesm_path(void);

/*
 * Each makes one request. *ret_code is the daemon's code when it gave one, else 0. NOT_FOUND: nobody listens; BUSY: no
 * answer in time, or the daemon says so; AUTH_FAILED, WRONG_STATE (no key yet), HOST_REFUSED (any other code), UNSUPPORTED
 * (the daemon does not know the request), HOST_VALUE and MALFORMED codes (its answer is none). `error` may be NULL.
 */
CELLA_MUST_USE cella_result cella_aesm_select_key(const void *list, size_t list_size,
                                                  void *ret_key_id, uint64_t *ret_code,
                                                  struct cella_error *error);
/* ret_key NULL: only its size is asked for. */
CELLA_MUST_USE cella_result cella_aesm_init_quote(const void *key_id, void *ret_target,
                                                  size_t *ret_key_size, void *ret_key, size_t room,
                                                  uint64_t *ret_code, struct cella_error *error);
CELLA_MUST_USE cella_result cella_aesm_quote_size(const void *key_id, uint32_t *ret_size,
                                                  uint64_t *ret_code, struct cella_error *error);
/* `info` may be NULL; in and out. */
CELLA_MUST_USE cella_result cella_aesm_get_quote(const void *key_id, const void *report, void *info,
                                                 void *out, size_t out_capacity, size_t *ret_size,
                                                 uint64_t *ret_code, struct cella_error *error);
CELLA_MUST_USE cella_result cella_aesm_key_count(uint32_t *ret_count, uint64_t *ret_code,
                                                 struct cella_error *error);
CELLA_MUST_USE cella_result cella_aesm_keys(void *ret_key_ids, uint32_t count, uint64_t *ret_code,
                                            struct cella_error *error);

/*
 * A Response with the answer `expected`: fields 1 to 4 as bytes and as numbers. UNSUPPORTED: the daemon does not know the
 * request. MALFORMED codes. Allocates nothing.
 */
CELLA_MUST_USE cella_result cella_aesm_answer_parse(struct cella_bytes message, uint32_t expected,
                                                    struct cella_bytes fields[5],
                                                    uint64_t numbers[5]);

#endif
