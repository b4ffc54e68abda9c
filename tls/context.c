/*
 * TLS 1.3 contexts whose peers are checked by their evidence.
 * Side: both. Called by applications. No resumption: a ticket would stand for evidence that was checked at another time.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "cella/tls.h"
#include "common/cleanup.h"

/* The index of the peer in a connection; -1 when OpenSSL has none left. */
static int g_index = -1;

static void peer_free(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long argument,
                      void *context)
{
    (void)parent, (void)data, (void)index, (void)argument, (void)context;
    free(pointer);
}

static void index_make(void)
{
    g_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, peer_free);
}

static int index_get(void)
{
    static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
    return CRYPTO_THREAD_run_once(&once, index_make) ? g_index : -1;
}

const struct cella_tls_peer *cella_tls_peer(const SSL *connection)
{
    const int index = index_get();
    return connection && index >= 0 ? SSL_get_ex_data(connection, index) : NULL;
}

/* In place of OpenSSL's chain building: 1 good, 0 refused. The certificate's bytes live as long as the connection. */
static int certificate_check(X509_STORE_CTX *store, void *argument)
{
    SSL *connection = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    struct cella_tls_peer *peer = calloc(1, sizeof(*peer));
    X509_STORE_CTX_set_error(store, X509_V_ERR_OUT_OF_MEM);
    if (!peer || !connection || !certificate) {
        free(peer);
        return 0;
    }
    const cella_result result = cella_tls_certificate_verify(certificate, argument, peer);
    free(SSL_get_ex_data(connection, index_get()));
    if (SSL_set_ex_data(connection, index_get(), peer) != 1) {
        SSL_set_ex_data(connection, index_get(), NULL);
        free(peer);
        return 0;
    }
    X509_STORE_CTX_set_error(store,
                             cella_is_ok(result) ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
    return cella_is_ok(result);
}

/* Where a caller goes on after a failure, OpenSSL calls this; its answer is the chain's. */
static bool peer_wanted(SSL_CTX *context, const struct cella_tls_verifier *verifier)
{
    if (!verifier) {
        return true;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context, certificate_check, (void *)(uintptr_t)verifier);
    return index_get() >= 0;
}

static bool identity_set(SSL_CTX *context, const struct cella_tls_context_options *options)
{
    return !options->key || (SSL_CTX_use_certificate(context, options->certificate) == 1 &&
                             SSL_CTX_use_PrivateKey(context, options->key) == 1 &&
                             SSL_CTX_check_private_key(context) == 1);
}

static void context_done(SSL_CTX **context)
{
    SSL_CTX_free(*context);
}

cella_result cella_tls_context_new(const struct cella_tls_context_options *options,
                                   SSL_CTX **ret_context)
{
    CELLA_ENSURE(options && ret_context && !options->key == !options->certificate,
                 INVALID_ARGUMENT);
    const bool server = options->side == CELLA_TLS_SERVER;
    CELLA_ENSURE(server ? options->key != NULL : options->verifier != NULL, INVALID_ARGUMENT);
    CELLA_ENSURE(!options->verifier || options->verifier->policy, INVALID_ARGUMENT);
    CELLA_CLEANUP(context_done)
    SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    CELLA_ENSURE(context != NULL, OUT_OF_MEMORY);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(context, 1 << 20); /* evidence of several forms, with endorsements */
    CELLA_ENSURE(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
                     SSL_CTX_set_num_tickets(context, 0) == 1 && identity_set(context, options) &&
                     peer_wanted(context, options->verifier),
                 CRYPTO);
    *ret_context = CELLA_TAKE(context);
    return CELLA_OK;
}
