/*
 * A project's container image: what goes in.
 * Side: tools. Called by cella image and cella run --container.
 * Never runs anything of the project's, and takes nothing that was not asked for.
 */
#include "cli/image_job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/bundle.h"
#include "cli/cli.h"
#include "cli/image_program.h"
#include "cli/sdk.h"
#include "common/cleanup.h"
#include "host/quote.h"

#define CA_CERTIFICATES "/etc/ssl/certs/ca-certificates.crt"
#define QUOTE_FOLDER "usr/lib/cella"
#define LIBRARY_FOLDER "usr/lib/cella"

static bool tag_is_good(const char *text, size_t length, bool upper)
{
    bool good = length > 0 && length < 128;
    for (size_t i = 0; good && i < length; i++) {
        const char c = text[i];
        good = (c >= 'a' && c <= 'z') || (upper && c >= 'A' && c <= 'Z') ||
               (c >= '0' && c <= '9') ||
               (i > 0 && (c == '.' || c == '-' || c == '_' || (!upper && c == '/'))) ||
               (upper && c == '_');
    }
    return good;
}

cella_result image_options_settle(struct image_options *options, struct cella_error *error)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    if (epoch && *epoch) {
        char *end;
        errno = 0;
        long long value = strtoll(epoch, &end, 10);
        /* The largest is the last second of the year 9999. */
        if (errno || *end || value < 0 || value > 253402300799ll) {
            return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                                   "SOURCE_DATE_EPOCH=%s: expected seconds since 1970", epoch);
        }
        options->epoch = value;
    }
    options->user = options->user ? options->user : OCI_NOBODY;
    return CELLA_OK;
}

/* The project's name is letters of both kinds; an image's is lower case. */
static cella_result settle_name(struct image_job *job, struct cella_error *error)
{
    char own[sizeof(job->title)] = "";
    if (job->options.signed_program) {
        const struct cella_bytes bytes = image_program_name(job->options.signed_program);
        snprintf(own, sizeof(own), "%.*s", (int)bytes.size, (const char *)bytes.data);
    }
    const char *name = job->options.name ? job->options.name
                       : job->project    ? job->project->name
                                         : own;
    const char *slash = strrchr(name, '/');
    const char *colon = strchr(slash ? slash : name, ':');
    const size_t length = colon ? (size_t)(colon - name) : strlen(name);
    const char *tag = colon ? colon + 1 : "latest";
    if (length >= sizeof(job->title)) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: too long", name);
    }
    snprintf(job->title, sizeof(job->title), "%.*s", (int)length, name);
    for (char *at = job->title; !job->options.name && *at; at++) {
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    }
    if (!tag_is_good(job->title, strlen(job->title), false) ||
        !tag_is_good(tag, strlen(tag), true)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "'%s': an image's name is lower case letters, digits, '.', '-', '_' "
                               "and '/', and a tag letters, digits, '.', '-' and '_'",
                               name);
    }
    snprintf(job->tag, sizeof(job->tag), "%s", tag);
    return CELLA_OK;
}

static cella_result add_text(struct image_job *job, const char *path, const char *text,
                             struct cella_error *error)
{
    return oci_tree_add(&job->tree,
                        &(struct oci_entry){.kind = OCI_FILE,
                                            .layer = OCI_LAYER_BASE,
                                            .mode = 0644,
                                            .path = (char *)path,
                                            .data = (uint8_t *)(uintptr_t)text,
                                            .size = strlen(text)},
                        error);
}

static cella_result add_folder(struct image_job *job, const char *path, unsigned mode,
                               uint32_t owner, struct cella_error *error)
{
    return oci_tree_add(&job->tree,
                        &(struct oci_entry){.kind = OCI_FOLDER,
                                            .layer = OCI_LAYER_BASE,
                                            .mode = mode,
                                            .owner = owner,
                                            .path = (char *)path},
                        error);
}

static cella_result add_users(struct image_job *job, struct cella_error *error)
{
    char line[512];
    const uint32_t user = job->options.user;
    const char *name = user == OCI_NOBODY ? "nobody" : "app";
    snprintf(line, sizeof(line),
             "root:x:0:0:root:/:/sbin/nologin\n%s:x:%u:%u:%s:/app:/sbin/nologin\n", name, user,
             user, name);
    CELLA_TRY(add_text(job, "etc/passwd", line, error));
    snprintf(line, sizeof(line), "root:x:0:\n%s:x:%u:\n", user == OCI_NOBODY ? "nogroup" : name,
             user);
    CELLA_TRY(add_text(job, "etc/group", line, error));
    return add_folder(job, "tmp", 01777, 0, error);
}

/* OpenSSL of the distribution looks for cert.pem in /usr/lib/ssl; others know the file itself. */
static cella_result add_certificates(struct image_job *job, struct cella_error *error)
{
    cella_result result = oci_tree_add_file(&job->tree, OCI_LAYER_BASE, CA_CERTIFICATES + 1,
                                            CA_CERTIFICATES, 0644, OCI_TRIM_NOT, error);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result,
                               CA_CERTIFICATES ": cannot be read: apt-get install ca-certificates");
    }
    return oci_tree_add(&job->tree,
                        &(struct oci_entry){.kind = OCI_LINK,
                                            .layer = OCI_LAYER_BASE,
                                            .mode = 0777,
                                            .path = (char *)"usr/lib/ssl/cert.pem",
                                            .target = (char *)CA_CERTIFICATES},
                        error);
}

static cella_result add_preload(struct image_job *job, struct cella_error *error)
{
    char source[4096];
    if (!cella_soft_library_find(source, sizeof(source))) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               CELLA_SOFT_LIBRARY
                               " not found beside this program; is the installation whole?");
    }
    CELLA_TRY(oci_tree_add_file(&job->tree, OCI_LAYER_BASE, LIBRARY_FOLDER "/" CELLA_SOFT_LIBRARY,
                                source, 0755, OCI_TRIM_PROGRAM, error));
    return oci_tree_add_needs(&job->tree, source, job->project ? job->project->folder : "/proc",
                              error);
}

static cella_result add_quoting(struct image_job *job, struct cella_error *error)
{
    static const char *const names[] = {"cella-qe.signed", "cella-pce.signed"};
    for (size_t i = 0; i < CELLA_COUNT(names); i++) {
        char source[4096], path[256];
        CELLA_TRY(cella_quote_image_find(names[i], source, sizeof(source), error));
        snprintf(path, sizeof(path), QUOTE_FOLDER "/%s", names[i]);
        CELLA_TRY(oci_tree_add_file(&job->tree, OCI_LAYER_BASE, path, source, 0644,
                                    job->options.keep_debug ? OCI_TRIM_NOT : OCI_TRIM_ENCLAVE,
                                    error));
    }
    return CELLA_OK;
}

/* FILE or FILE=PATH; without a path it lands beside the program. */
static cella_result add_one(struct image_job *job, const char *what, struct cella_error *error)
{
    char source[4096], path[4096 + 8];
    const char *equals = strchr(what, '=');
    const size_t length = equals ? (size_t)(equals - what) : strlen(what);
    if (length >= sizeof(source)) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: too long", what);
    }
    snprintf(source, sizeof(source), "%.*s", (int)length, what);
    if (equals) {
        snprintf(path, sizeof(path), "%s", equals + 1 + (equals[1] == '/'));
    } else {
        const char *slash = strrchr(source, '/');
        snprintf(path, sizeof(path), "app/%s", slash ? slash + 1 : source);
    }
    return oci_tree_add_file(&job->tree, OCI_LAYER_HOST, path, source, 0644, OCI_TRIM_NOT, error);
}

/* Where a file of the project lies in the image: a project with a build of its own keeps its folders. */
static void place(const struct image_job *job, const char *file, char *ret_path, size_t size)
{
    const char *name = strncmp(file, "./", 2) == 0 ? file + 2 : file;
    if (!job->built->folder[0]) {
        const char *slash = strrchr(file, '/');
        name = slash ? slash + 1 : file;
    }
    snprintf(ret_path, size, "app/%s", name);
}

static void source_of(const struct image_job *job, const char *file, char *ret_path, size_t size)
{
    snprintf(ret_path, size, "%s%s%s", job->built->folder, job->built->folder[0] ? "/" : "", file);
}

static cella_result add_host(struct image_job *job, struct cella_error *error)
{
    char source[sizeof(job->built->host) + sizeof(job->built->folder) + 2];
    source_of(job, job->built->host, source, sizeof(source));
    place(job, job->built->host, job->host_path, sizeof(job->host_path));
    CELLA_TRY(oci_tree_add_file(&job->tree, OCI_LAYER_HOST, job->host_path, source, 0755,
                                job->options.keep_debug ? OCI_TRIM_NOT : OCI_TRIM_PROGRAM, error));
    return oci_tree_add_needs(&job->tree, source, job->project->folder, error);
}

static cella_result check_identity(const struct inspect *inspect, struct cella_error *error)
{
    const struct inspect_identity *identity = &inspect->identities[0];
    if (inspect_is_good(inspect)) {
        return CELLA_OK;
    }
    return cella_error_set(error, CELLA_RESULT(BAD_SIGNATURE), "%s: %s", inspect->path,
                           inspect->identity_count == 0 ? "no signed identity"
                           : identity->trouble[0]
                               ? identity->trouble
                               : "the measurement is not the one that was signed");
}

/* The identity of the file as it lies in the image must be that of the file that was signed. */
static cella_result add_enclave(struct image_job *job, struct cella_error *error)
{
    char source[sizeof(job->built->image) + sizeof(job->built->folder) + 2];
    source_of(job, job->built->image, source, sizeof(source));
    place(job, job->built->image, job->enclave_path, sizeof(job->enclave_path));
    CELLA_TRY(oci_tree_add_file(&job->tree, OCI_LAYER_ENCLAVE, job->enclave_path, source, 0644,
                                job->options.keep_debug ? OCI_TRIM_NOT : OCI_TRIM_ENCLAVE, error));
    const struct oci_entry *entry = &job->tree.entries[job->tree.count - 1];
    CELLA_TRY(inspect_read(&job->inspect, source, cella_bytes_of(entry->data, entry->size), error));
    return check_identity(&job->inspect, error);
}

/* What its description names on the host goes in, too: it is read first. */
static cella_result add_signed_program(struct image_job *job, struct cella_error *error)
{
    CELLA_TRY(image_program_add_enclave(job, error));
    CELLA_TRY(check_identity(&job->inspect, error));
    return image_program_add_host(job, error);
}

static void put_hex(json_t *object, const char *key, const uint8_t *bytes, size_t size)
{
    char text[OCI_HEX_SIZE];
    oci_hex(bytes, size, text);
    json_object_set_new(object, key, json_string(text));
}

static void put_number(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_sprintf("%llu", (unsigned long long)value));
}

json_t *image_annotations(const struct inspect *inspect, const char *path)
{
    json_t *object = json_object();
    /* Of Intel's images with several metadata versions, the first in the file. */
    const struct inspect_identity *identity = &inspect->identities[0];
    json_object_set_new(object, "cella.dev/enclave", json_sprintf("/%s", path));
    json_object_set_new(object, "cella.dev/kind", json_string(inspect_kind_name(inspect->kind)));
    put_hex(object, "cella.dev/mrenclave", identity->mr_enclave, 32);
    put_hex(object, "cella.dev/mrsigner", identity->mr_signer, 32);
    put_number(object, "cella.dev/product-id", identity->sigstruct.isv_prod_id);
    put_number(object, "cella.dev/svn", identity->sigstruct.isv_svn);
    json_object_set_new(
        object, "cella.dev/debug",
        json_string(identity->sigstruct.attributes.flags & SGX_FLAGS_DEBUG ? "true" : "false"));
    put_number(object, "cella.dev/enclave-size", inspect->enclave_size);
    put_number(object, "cella.dev/epc", inspect->added_pages * SGX_PAGE_SIZE);
    put_number(object, "cella.dev/heap",
               inspect->cella ? inspect->cella->info.heap_size
                              : inspect->pages[CELLA_IMAGE_RUN_HEAP] * SGX_PAGE_SIZE);
    put_number(object, "cella.dev/threads", inspect->thread_count);
    image_program_annotate(inspect, object);
    return object;
}

static json_t *make_environment(const struct image_job *job)
{
    json_t *list = json_array();
    json_array_append_new(list, json_string("PATH=/app:/usr/bin:/bin"));
    if (job->options.software) {
        json_array_append_new(list, json_string("CELLA_PLATFORM_DIR=" IMAGE_PLATFORM_PATH));
    }
    if (job->options.quoting) {
        json_array_append_new(list, json_string("CELLA_QUOTE_ENCLAVES=/" QUOTE_FOLDER));
    }
    if (job->options.preload) {
        json_array_append_new(list,
                              json_string("LD_PRELOAD=/" LIBRARY_FOLDER "/" CELLA_SOFT_LIBRARY));
    }
    return list;
}

/* Where the program NAME of this installation is, or of the build tree that this program lies in. */
static cella_result find_program(const char *name, char *ret_path, size_t size,
                                 struct cella_error *error)
{
    char folder[4096];
    const char *kind = strncmp(name, "cella-", 6) == 0 ? name + 6 : name;
    CELLA_TRY(sdk_program_folder(folder, sizeof(folder), error));
    snprintf(ret_path, size, "%s/%s", folder, name);
    if (access(ret_path, R_OK) != 0) {
        snprintf(ret_path, size, "%s/../services/%s/%s", folder, kind, name);
    }
    return access(ret_path, R_OK) == 0
               ? CELLA_OK
               : cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                 "--program %s: not in %s; a path has a slash in it", name, folder);
}

/* A program that is no project's goes into the folder that every search begins with. */
static cella_result add_program(struct image_job *job, const char *what, struct cella_error *error)
{
    char folder[8192], source[8192], path[4096];
    if (strchr(what, '/')) {
        snprintf(source, sizeof(source), "%s", what);
    } else {
        CELLA_TRY(find_program(what, source, sizeof(source), error));
    }
    const char *slash = strrchr(source, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash == source ? 1 : (int)(slash - source), source);
    snprintf(path, sizeof(path), "usr/bin/%s", slash + 1);
    CELLA_TRY(oci_tree_add_file(&job->tree, OCI_LAYER_HOST, path, source, 0755,
                                job->options.keep_debug ? OCI_TRIM_NOT : OCI_TRIM_PROGRAM, error));
    if (!job->host_path[0]) {
        snprintf(job->host_path, sizeof(job->host_path), "%s", path);
    }
    return oci_tree_add_needs(&job->tree, source, folder, error);
}

static cella_result gather_programs(struct image_job *job, struct cella_error *error)
{
    for (unsigned i = 0; i < job->options.program_count; i++) {
        CELLA_TRY(add_program(job, job->options.programs[i], error));
    }
    if (job->options.node) {
        struct bundle bundle = {0};
        CELLA_TRY(bundle_find_seccomp(&bundle, NULL, error));
        CELLA_TRY(oci_tree_add_file(&job->tree, OCI_LAYER_BASE, "usr/share/cella/seccomp.json",
                                    bundle.seccomp_path, 0644, OCI_TRIM_NOT, error));
    }
    return CELLA_OK;
}

static cella_result gather(struct image_job *job, struct cella_error *error)
{
    CELLA_TRY(add_users(job, error));
    CELLA_TRY(job->project                  ? add_host(job, error)
              : job->options.signed_program ? add_signed_program(job, error)
                                            : gather_programs(job, error));
    if (job->options.ca_certificates) {
        CELLA_TRY(add_certificates(job, error));
    }
    if (job->options.software) {
        CELLA_TRY(add_folder(job, IMAGE_PLATFORM_PATH + 1, 0700, job->options.user, error));
    }
    if (job->options.preload) {
        CELLA_TRY(add_preload(job, error));
    }
    if (job->options.quoting) {
        CELLA_TRY(add_quoting(job, error));
    }
    for (unsigned i = 0; i < job->options.added_count; i++) {
        CELLA_TRY(add_one(job, job->options.added[i], error));
    }
    return job->project ? add_enclave(job, error) : CELLA_OK;
}

/* What starts: the host with its enclave, or the first of the programs. */
static json_t *make_entrypoint(const struct image_job *job)
{
    if (!job->enclave_path[0]) {
        return json_pack("[o]", json_sprintf("/%s", job->host_path));
    }
    return job->project && job->built->folder[0]
               ? json_pack("[o, s]", json_sprintf("/%s", job->host_path), job->built->image)
               : json_pack("[o, o]", json_sprintf("/%s", job->host_path),
                           json_sprintf("/%s", job->enclave_path));
}

cella_result image_job_make(struct image_job *job, const char *cache, struct cella_error *error)
{
    char created[32];
    CELLA_TRY(settle_name(job, error));
    CELLA_TRY(gather(job, error));
    job->annotations =
        job->enclave_path[0] ? image_annotations(&job->inspect, job->enclave_path) : json_object();
    oci_time_text(job->options.epoch, created);
    json_object_set_new(job->annotations, "org.opencontainers.image.title",
                        json_string(job->title));
    json_object_set_new(job->annotations, "org.opencontainers.image.created", json_string(created));
    job->entrypoint = make_entrypoint(job);
    job->environment = make_environment(job);
    const struct oci_config config = {.title = job->title,
                                      .tag = job->tag,
                                      .epoch = job->options.epoch,
                                      .user = job->options.user,
                                      .folder = job->enclave_path[0] ? "/app" : "/",
                                      .entrypoint = job->entrypoint,
                                      .environment = job->environment,
                                      .annotations = job->annotations};
    return oci_image_make(&job->tree, &config, cache, &job->image, error);
}

void image_job_done(struct image_job *job)
{
    inspect_done(&job->inspect);
    oci_image_done(&job->image);
    oci_tree_done(&job->tree);
    json_decref(job->annotations);
    json_decref(job->entrypoint);
    json_decref(job->environment);
    job->annotations = job->entrypoint = job->environment = NULL;
}

cella_result image_cache_folder(const struct project *project, char *ret_folder, size_t size,
                                struct cella_error *error)
{
    static const char *const below[] = {"build", "build/.layers"};
    for (size_t i = 0; i < CELLA_COUNT(below); i++) {
        if (snprintf(ret_folder, size, "%s/%s", project->folder, below[i]) >= (int)size) {
            return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: path too long",
                                   project->folder);
        }
        if (mkdir(ret_folder, 0777) < 0 && errno != EEXIST) {
            return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", ret_folder);
        }
    }
    return CELLA_OK;
}
