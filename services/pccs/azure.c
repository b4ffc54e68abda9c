/*
 * The dialect of Azure's caches, as Microsoft's provider library asks for it.
 * Side: services. Called by routes.c. The paths are the same; `clientid` or `api-version` in the query tells that a client
 * speaks it. PCK certificates come as JSON, lists by their address and in PEM, and everything with a time to keep it.
 */
#include <stdlib.h>
#include <string.h>

#include "services/pccs/pccs.h"

#define KEEP_SECONDS "3600"
#define PEM_SINCE "2020-02-12" /* earlier versions of the interface have lists in DER */

bool azure_asks(const struct http_exchange *exchange)
{
    return http_query(exchange, "clientid") || http_query(exchange, "api-version");
}

void azure_keep(struct http_exchange *exchange)
{
    if (azure_asks(exchange)) {
        http_reply_header(exchange, "Cache-Control", "max-age=" KEEP_SECONDS);
    }
}

bool azure_wants_pem(const struct http_exchange *exchange)
{
    const char *version = http_query(exchange, "api-version");
    return version && strncmp(version, PEM_SINCE, strlen(PEM_SINCE)) >= 0;
}

void azure_reply_pck(struct http_exchange *exchange, const struct pck_certificate *certificate,
                     const char *chain)
{
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "pckCert", certificate->pem,
                  "sgx-Pck-Certificate-Issuer-Chain", chain, "sgx-Tcbm", certificate->tcbm,
                  "sgx-Fmspc", certificate->fmspc, "sgx-Pck-Certificate-Ca-Type", certificate->ca,
                  "cacheMaxAge", KEEP_SECONDS);
    azure_keep(exchange);
    http_reply_json(exchange, 200, "application/json", body);
}

/* The library escapes the address once more than the query needs. */
const char *list_at(const char *uri)
{
    static const struct {
        const char *part, *name;
    } lists[] = {
        {"IntelSGXRootCA.", "rootcacrl"},
        {"/rootcacrl", "rootcacrl"},
        {"/pckcrl?ca=platform", "pckcrl/PLATFORM"},
        {"/pckcrl?ca=processor", "pckcrl/PROCESSOR"},
        {"/IntelSGXPCKPlatform.", "pckcrl/PLATFORM"},
        {"/IntelSGXPCKProcessor.", "pckcrl/PROCESSOR"},
    };
    const char *name = NULL;
    char *plain = uri && strlen(uri) <= 2048 ? strdup(uri) : NULL;
    if (plain) {
        percent_decode(plain);
    }
    bool web = plain && (strncmp(plain, "https://", 8) == 0 || strncmp(plain, "http://", 7) == 0);
    for (size_t i = 0; web && !name && i < CELLA_COUNT(lists); i++) {
        name = strcasestr(plain, lists[i].part) ? lists[i].name : NULL;
    }
    free(plain);
    return name;
}
