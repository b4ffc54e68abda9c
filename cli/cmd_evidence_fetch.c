/*
 * `cella evidence fetch-collateral`: what is needed to verify a piece of evidence, from a provisioning service, into files.
 * Side: tools. Called by cli/cmd_evidence.c. Believes nothing that it fetches: all of it is signed, and verified with the evidence.
 * Sources: Intel PCS API v4 and PCCS, shared by both; AMD KDS interface specification, "VCEK" and "CRL".
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/evidence.h"
#include "cli/file.h"
#include "common/cleanup.h"
#include "services/common/fetch.h"

#define COMMAND "cella evidence fetch-collateral"
#define PCS_URL "https://api.trustedservices.intel.com/sgx/certification/v4"
#define PCS_ROOT_CRL "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
#define KDS_URL "https://kdsintf.amd.com"
#define URL_SIZE 1024u
#define BODY_MAX ((size_t)4 << 20)

static const char g_usage[] =
    "usage: cella evidence fetch-collateral [--from URL] [--ca-file PEM] [--out DIR] FILE\n"
    "\n"
    "Fetches what is needed to verify the evidence in FILE, and writes it to DIR, for `cella "
    "evidence "
    "verify\n"
    "--collateral DIR`. Quotes ask a provisioning certificate (caching) service, SNP reports AMD's "
    "key service.\n"
    "\n"
    "  --from URL      the service, with /sgx/certification/v3 or v4 at the end; default: Intel's "
    "or "
    "AMD's own\n"
    "  --ca-file PEM   whose certificate the service's may have; default: the system's\n"
    "  --out DIR       made if it is not there; default: collateral\n"
    "  --help          this text\n"
    "\n"
    "exit status: 0 done, 1 something could not be fetched, 2 FILE could not be read, or wrong "
    "use\n";

struct job {
    const char *out;
    char base[URL_SIZE]; /* without a slash at its end */
    bool is_default;
    struct fetch_options options;
    unsigned failures;
};

/* One document: its file, and the file of the chain that comes in a header. */
struct wanted {
    const char *file;
    const char *chain_file;       /* NULL: none */
    const char *chain_headers[3]; /* one of these */
};

static void file_write(struct job *job, const char *name, const void *data, size_t size)
{
    char path[4096];
    struct cella_error error = {0};
    snprintf(path, sizeof(path), "%s/%s", job->out, name);
    if (cella_is_ok(cella_file_write(path, data, size, 0644, &error))) {
        printf("%s\n", path);
    } else {
        fprintf(stderr, COMMAND ": %s\n", error.text);
        job->failures++;
    }
}

/* Undoes percent encoding in place; gives the length. */
static size_t unescape(char *text)
{
    char *out = text;
    for (const char *at = text; *at; at++) {
        if (at[0] == '%' && isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2])) {
            const char pair[] = {at[1], at[2], 0};
            *out++ = (char)strtoul(pair, NULL, 16);
            at += 2;
        } else {
            *out++ = *at;
        }
    }
    *out = 0;
    return (size_t)(out - text);
}

static void chain_write(struct job *job, const struct wanted *wanted,
                        const struct fetch_answer *answer)
{
    for (size_t i = 0; i < CELLA_COUNT(wanted->chain_headers) && wanted->chain_headers[i]; i++) {
        const char *value = fetch_header(answer, wanted->chain_headers[i]);
        char *copy = value ? strdup(value) : NULL;
        if (copy) {
            file_write(job, wanted->chain_file, copy, unescape(copy));
            free(copy);
            return;
        }
    }
    fprintf(stderr, COMMAND ": %s: the answer has no header %s\n", wanted->file,
            wanted->chain_headers[0]);
    job->failures++;
}

static void get(struct job *job, const char *url, const struct wanted *wanted)
{
    CELLA_CLEANUP(fetch_done) struct fetch_answer answer = {0};
    struct cella_error error = {0};
    if (!cella_is_ok(fetch_get(url, &job->options, &answer, &error))) {
        fprintf(stderr, COMMAND ": %s\n", error.text);
        job->failures++;
    } else if (answer.status != 200 || answer.size == 0) {
        fprintf(stderr, COMMAND ": %s: status %d%s\n", url, answer.status,
                answer.status == 404 ? ": the service does not know this platform" : "");
        job->failures++;
    } else {
        file_write(job, wanted->file, answer.body, answer.size);
        if (wanted->chain_file) {
            chain_write(job, wanted, &answer);
        }
    }
}

__attribute__((format(printf, 3, 4))) static void
get_at(struct job *job, const struct wanted *wanted, const char *format, ...)
{
    char path[URL_SIZE / 2], url[2 * URL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof(path), format, arguments);
    va_end(arguments);
    snprintf(url, sizeof(url), "%s%s", job->base, path);
    get(job, url, wanted);
}

/* ------------------------------------------------------------------------- quotes */

/* The same service's TDX routes: …/tdx/certification/v4 beside …/sgx/certification/v4. */
static void tdx_base(const char *base, char out[URL_SIZE])
{
    const char *sgx = strstr(base, "/sgx/");
    snprintf(out, URL_SIZE, "%s", base);
    if (sgx) {
        memcpy(out + (sgx - base), "/tdx/", 5);
    }
}

static void root_crl_get(struct job *job)
{
    static const struct wanted wanted = {.file = "root_ca_crl.der"};
    if (job->is_default) {
        get(job, PCS_ROOT_CRL, &wanted); /* Intel's service does not have this route */
    } else {
        get_at(job, &wanted, "/rootcacrl");
    }
}

static void quote_collateral(struct job *job, const struct cella_platform_claims *platform,
                             enum cella_tee tee)
{
    static const struct wanted tcb = {"tcb_info.json",
                                      "tcb_info_issuer_chain.pem",
                                      {"TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain", NULL}};
    static const struct wanted qe = {"qe_identity.json",
                                     "qe_identity_issuer_chain.pem",
                                     {"SGX-Enclave-Identity-Issuer-Chain", NULL, NULL}};
    static const struct wanted crl = {
        "pck_crl.der", "pck_crl_issuer_chain.pem", {"SGX-PCK-CRL-Issuer-Chain", NULL, NULL}};
    char sgx[URL_SIZE];
    char *fmspc = evidence_hex((struct cella_span){platform->fmspc, sizeof(platform->fmspc)});
    if (!fmspc) {
        job->failures++;
        return;
    }
    snprintf(sgx, sizeof(sgx), "%s", job->base);
    if (tee == CELLA_TEE_TDX) {
        tdx_base(sgx, job->base);
    }
    get_at(job, &tcb, "/tcb?fmspc=%s", fmspc);
    get_at(job, &qe, "/qe/identity");
    snprintf(job->base, sizeof(job->base), "%s", sgx);
    /* Only PCK certificates of a platform CA have an instance id. */
    get_at(job, &crl, "/pckcrl?ca=%s&encoding=der",
           platform->has_instance_id ? "platform" : "processor");
    root_crl_get(job);
    free(fmspc);
}

static int from_quote(struct job *job, const struct evidence_input *input, enum cella_tee tee)
{
    struct cella_platform_claims platform;
    void *scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    const cella_result result =
        scratch ? cella_evidence_platform(evidence_input_span(input), scratch,
                                          CELLA_EVIDENCE_SCRATCH_SIZE, &platform)
                : CELLA_RESULT(OUT_OF_MEMORY);
    free(scratch);
    if (!cella_is_ok(result)) {
        fprintf(stderr, COMMAND ": the quote has no PCK certificate to tell the platform by: %s\n",
                cella_result_text(result));
        return 1;
    }
    quote_collateral(job, &platform, tee);
    return job->failures ? 1 : 0;
}

/* ------------------------------------------------------------------------- SNP */

static const char *product_name(enum cella_snp_product product)
{
    switch (product) {
    case CELLA_SNP_MILAN:
        return "Milan";
    case CELLA_SNP_GENOA:
        return "Genoa";
    case CELLA_SNP_TURIN:
        return "Turin";
    default:
        return NULL;
    }
}

static int from_report(struct job *job, const struct cella_evidence_claims *claims)
{
    static const struct wanted vcek = {.file = "vcek.der"};
    static const struct wanted chain = {.file = "cert_chain.pem"};
    static const struct wanted crl = {.file = "crl.der"};
    const struct cella_snp_claims *snp = &claims->snp;
    const struct cella_snp_tcb *tcb = &snp->reported_tcb;
    const char *product = product_name(snp->product);
    const char *kind = snp->is_vlek ? "vlek" : "vcek";
    if (!product) {
        fputs(COMMAND ": the report does not say its processor: version 2 has no family and model; "
                      "fetch by hand\n",
              stderr);
        return 1;
    }
    get_at(job, &chain, "/%s/v1/%s/cert_chain", kind, product);
    get_at(job, &crl, "/%s/v1/%s/crl", kind, product);
    if (snp->is_vlek) {
        fputs(COMMAND ": the VLEK itself comes from whoever runs the machine, not from AMD\n",
              stderr);
        return job->failures ? 1 : 0;
    }
    /* From Turin on the chip's id has eight bytes, and the TCB a part more. */
    const bool turin = snp->product == CELLA_SNP_TURIN;
    char *chip =
        evidence_hex((struct cella_span){snp->chip_id.data, turin ? 8 : snp->chip_id.size});
    char fmc[24] = "";
    if (turin) {
        snprintf(fmc, sizeof(fmc), "fmcSPL=%u&", tcb->fmc);
    }
    if (chip) {
        get_at(job, &vcek, "/vcek/v1/%s/%s?%sblSPL=%u&teeSPL=%u&snpSPL=%u&ucodeSPL=%u", product,
               chip, fmc, tcb->bootloader, tcb->tee, tcb->snp, tcb->microcode);
    }
    free(chip);
    return job->failures || !chip ? 1 : 0;
}

/* ------------------------------------------------------------------------- the command */

static bool base_set(struct job *job, const char *url, enum cella_tee tee)
{
    job->is_default = url == NULL;
    if (!url) {
        url = tee == CELLA_TEE_SNP ? KDS_URL : PCS_URL;
    }
    size_t size = strlen(url);
    while (size > 0 && url[size - 1] == '/') {
        size--;
    }
    if (size >= URL_SIZE || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)) {
        fprintf(stderr, COMMAND ": --from %s: expected an http:// or https:// address\n", url);
        return false;
    }
    snprintf(job->base, sizeof(job->base), "%.*s", (int)size, url);
    return true;
}

static int run(struct job *job, const char *path, const char *url)
{
    CELLA_CLEANUP(evidence_input_done) struct evidence_input input = {0};
    struct cella_evidence_claims claims;
    if (!evidence_input_read(COMMAND, path, &input)) {
        return 2;
    }
    if (!cella_is_ok(cella_evidence_parse(evidence_input_span(&input), &claims, NULL))) {
        fprintf(stderr,
                COMMAND ": %s: the evidence is malformed; `cella evidence show` says where\n",
                path);
        return 2;
    }
    if (!base_set(job, url, claims.tee)) {
        return 2;
    }
    if (mkdir(job->out, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, COMMAND ": %s: %s\n", job->out, strerror(errno));
        return 1;
    }
    return claims.tee == CELLA_TEE_SNP ? from_report(job, &claims)
                                       : from_quote(job, &input, claims.tee);
}

int evidence_fetch(int argc, char **argv)
{
    static const struct option options[] = {
        {"from", required_argument, NULL, 'f'},
        {"ca-file", required_argument, NULL, 'c'},
        {"out", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct job job = {.out = "collateral", .options = {.seconds = 30, .size_max = BODY_MAX}};
    const char *url = NULL;
    for (int option; (option = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
        switch (option) {
        case 'h':
            fputs(g_usage, stdout);
            return 0;
        case 'f':
            url = optarg;
            break;
        case 'c':
            job.options.ca_file = optarg;
            break;
        case 'o':
            job.out = optarg;
            break;
        default:
            return 2;
        }
    }
    if (argc - optind != 1) {
        fputs(g_usage, stderr);
        return 2;
    }
    return run(&job, argv[optind], url);
}
