/*
 * `ego-oesign`: what EGo's users call of Open Enclave's tool: `dump` of a signed executable.
 * Side: tools. A program of its own. Signing is `ego sign`.
 */
#include <string.h>

#include "cli/ego.h"
#include "common/cleanup.h"
#include "image/image.h"

static const char g_usage[] = "usage: ego-oesign dump -e|--enclave-image EXECUTABLE\n"
                              "\n"
                              "Prints the layout, identity and signature of a signed executable.\n";

static void print_bytes(const char *name, const uint8_t *bytes, size_t size)
{
    printf("%s=", name);
    for (size_t i = 0; i < size; i++) {
        printf("%02x", bytes[i]);
    }
    putchar('\n');
}

static void print(const struct cella_image *image)
{
    const struct sgx_sigstruct *s = &image->sigstruct;
    uint8_t signer[32];
    printf("=== Entry point:\naddress=0x%llx\n\n", (unsigned long long)image->info.entry);
    printf("=== SGX Enclave Properties:\nproduct_id=%u\nsecurity_version=%u\ndebug=%d\nxfrm=%llu\n"
           "num_tcs=%u\n\n",
           s->isv_prod_id, s->isv_svn, (s->attributes.flags & SGX_FLAGS_DEBUG) != 0,
           (unsigned long long)s->attributes.xfrm, image->info.thread_count);
    printf("=== SGX Enclave Signature:\nvendor=0x%x\ndate=0x%08x\n", s->vendor, s->date);
    print_bytes("modulus", s->modulus, sizeof(s->modulus));
    print_bytes("signature", s->signature, sizeof(s->signature));
    printf("miscselect=%08x\nmiscmask=%08x\n", s->misc_select, s->misc_mask);
    printf("attributes.flags=%016llx\nattributes.xfrm=%016llx\n",
           (unsigned long long)s->attributes.flags, (unsigned long long)s->attributes.xfrm);
    printf("attributemask.flags=%016llx\nattributemask.xfrm=%016llx\n",
           (unsigned long long)s->attribute_mask.flags, (unsigned long long)s->attribute_mask.xfrm);
    print_bytes("mrenclave", s->enclave_hash, sizeof(s->enclave_hash));
    if (cella_is_ok(cella_sigstruct_signer(s, signer))) {
        print_bytes("mrsigner", signer, sizeof(signer));
    }
    printf("isvprodid=%u\nisvsvn=%u\n\n", s->isv_prod_id, s->isv_svn);
}

static cella_result dump(const char *path, struct cella_error *error)
{
    CELLA_CLEANUP(ego_executable_done) struct ego_executable executable = {0};
    struct cella_image image;
    CELLA_TRY(ego_executable_read(path, "", &executable, error));
    if (executable.parts.image.size == 0) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "%s is not signed", path);
    }
    CELLA_TRY(cella_image_parse(executable.parts.image, &image, error));
    print(&image);
    return CELLA_OK;
}

int main(int argc, char **argv)
{
    struct cella_error error = {0};
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(g_usage, stdout);
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "dump") == 0 &&
        (strcmp(argv[2], "-e") == 0 || strcmp(argv[2], "--enclave-image") == 0)) {
        const cella_result result = dump(argv[3], &error);
        if (!cella_is_ok(result)) {
            fprintf(stderr, "ego-oesign: %s\n",
                    error.text[0] ? error.text : cella_result_text(result));
            return 1;
        }
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "sign") == 0) {
        fputs(
            "ego-oesign: a layout of one's own is written in cella.toml here, and `cella go sign` "
            "signs by it; `ego sign` signs by enclave.json\n",
            stderr);
        return 1;
    }
    fputs(g_usage, stderr);
    return 1;
}
