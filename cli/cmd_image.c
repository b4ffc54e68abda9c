/*
 * cella image: a project as a container image; cella image verify: what enclave an image has in it.
 * Side: tools. Called by cli/main.c. No daemon, no network, no root.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/file.h"
#include "cli/image_job.h"
#include "cli/image_program.h"
#include "cli/image_verify.h"
#include "cli/program_run.h"
#include "common/cleanup.h"
#include "oci/sbom.h"

static const char g_help[] =
    "usage: cella image [FOLDER] [-o DIR|FILE.tar] [OPTION...]\n"
    "       cella image PROGRAM.cella [-o DIR|FILE.tar] [OPTION...]\n"
    "       cella image {--node|--program FILE...} -o DIR|FILE.tar [OPTION...]\n"
    "       cella image verify IMAGE [--mrenclave HEX] [--mrsigner HEX] [OPTION...]\n"
    "\n"
    "Builds the project in FOLDER (default: here) and writes a container image of it: the host\n"
    "program, the signed enclave, the libraries they need, and nothing else. The same inputs give\n"
    "the same digest. `cella run --container` starts it; skopeo, podman, docker and others read\n"
    "it. PROGRAM.cella is a whole program that `cella sign` has signed: its image has the "
    "program,\n"
    "`cella-run`, the libraries that this needs, and folders for what is mounted.\n"
    "\n"
    "  -o DIR             an OCI image layout (default: FOLDER/build/image, PROGRAM.image)\n"
    "  -o FILE.tar        one archive, for `docker load` and `podman load`\n"
    "  --docker           the archive FOLDER/build/NAME.tar when there is no -o\n"
    "  --name NAME[:TAG]  its name (default: the project's or program's, latest)\n"
    "  --ca-certificates  with the certificates of public authorities\n"
    "  --software         with a place for the software platform's keys\n"
    "  --quoting          with the software platform's quoting enclaves (and --software)\n"
    "  --preload          with the software processor under a host that does not have it in it\n"
    "  --add FILE[=PATH]  with this file too, in /app or at PATH\n"
    "  --program FILE     programs without an enclave in place of a project: FILE, or its name\n"
    "                     beside this program; needs -o and --name\n"
    "  --node             the programs of a cluster's nodes: cella-device-plugin, cella-quoted,\n"
    "                     cella-webhook, and what they need; needs -o\n"
    "  --user ID          runs as this user and group (default 65534, nobody)\n"
    "  --keep-debug       with debugging information\n"
    "  --sbom FILE        where the SPDX document goes (default: beside the image, .spdx.json)\n"
    "  --key PEM, --verbose   as for cella build\n"
    "  --json             the report as JSON\n"
    "\n"
    "SOURCE_DATE_EPOCH sets the time of everything in it (default: 1970).\n"
    "`cella image verify --help` tells of the other form.\n";

struct image_line {
    const char *folder;
    const char *output;
    const char *sbom;
    bool docker;
    bool json;
    bool node;
    struct image_options options;
    struct compile_options compile;
};

static bool parse_user(const char *text, uint32_t *ret_user)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *ret_user = (uint32_t)value;
    return !errno && end != text && !*end && value > 0 && value < UINT32_MAX && text[0] != '-';
}

/* The exit status, or -1 to go on. */
static int parse_option(int option, struct image_line *line)
{
    switch (option) {
    case 'o':
        line->output = optarg;
        return -1;
    case 'd':
        line->docker = true;
        return -1;
    case 'n':
        line->options.name = optarg;
        return -1;
    case 'c':
        line->options.ca_certificates = true;
        return -1;
    case 'q':
        line->options.quoting = true;
        line->options.software = true;
        return -1;
    case 's':
        line->options.software = true;
        return -1;
    case 'p':
        line->options.preload = true;
        return -1;
    case 'a':
        if (line->options.added_count == IMAGE_ADD_MAX) {
            fprintf(stderr, "cella image: more than %u --add\n", IMAGE_ADD_MAX);
            return 2;
        }
        line->options.added[line->options.added_count++] = optarg;
        return -1;
    case 'N':
        line->node = true;
        return -1;
    case 'P':
        if (line->options.program_count == IMAGE_PROGRAM_MAX) {
            fprintf(stderr, "cella image: more than %u --program\n", IMAGE_PROGRAM_MAX);
            return 2;
        }
        line->options.programs[line->options.program_count++] = optarg;
        return -1;
    case 'u':
        if (!parse_user(optarg, &line->options.user)) {
            fprintf(stderr, "cella image: --user %s: expected a number from 1 on\n", optarg);
            return 2;
        }
        return -1;
    case 'g':
        line->options.keep_debug = true;
        return -1;
    case 'b':
        line->sbom = optarg;
        return -1;
    case 'k':
        line->compile.key = optarg;
        return -1;
    case 'v':
        line->compile.verbose = true;
        return -1;
    case 'j':
        line->json = true;
        return -1;
    case 'h':
        fputs(g_help, stdout);
        return 0;
    default:
        return 2;
    }
}

/* The programs of a node; a place and a name where there is no project to have them. */
static int check_programs(struct image_line *line)
{
    static const char *const node[] = {"cella-device-plugin", "cella-quoted", "cella-webhook"};
    struct image_options *options = &line->options;
    for (size_t i = 0; line->node && i < CELLA_COUNT(node); i++) {
        if (options->program_count == IMAGE_PROGRAM_MAX) {
            fprintf(stderr, "cella image: more than %u --program\n", IMAGE_PROGRAM_MAX);
            return 2;
        }
        options->programs[options->program_count++] = node[i];
    }
    if (line->node) {
        options->quoting = options->node = true;
        options->name = options->name ? options->name : "cella/node:" CELLA_VERSION;
    }
    if (options->program_count == 0) {
        options->signed_program = program_run_is_image(line->folder) ? line->folder : NULL;
        return -1;
    }
    if (strcmp(line->folder, ".") != 0) {
        fprintf(stderr, "cella image: %s: a project and --program do not go together\n",
                line->folder);
        return 2;
    }
    if (!line->output || !options->name) {
        fprintf(stderr, "cella image: programs without a project need %s\n",
                line->output ? "--name NAME" : "-o DIR or -o FILE.tar");
        return 2;
    }
    return -1;
}

static int parse(int argc, char **argv, struct image_line *ret_line)
{
    static const struct option longs[] = {
        {"output", required_argument, NULL, 'o'}, {"docker", no_argument, NULL, 'd'},
        {"name", required_argument, NULL, 'n'},   {"ca-certificates", no_argument, NULL, 'c'},
        {"software", no_argument, NULL, 's'},     {"quoting", no_argument, NULL, 'q'},
        {"preload", no_argument, NULL, 'p'},      {"add", required_argument, NULL, 'a'},
        {"user", required_argument, NULL, 'u'},   {"keep-debug", no_argument, NULL, 'g'},
        {"sbom", required_argument, NULL, 'b'},   {"key", required_argument, NULL, 'k'},
        {"verbose", no_argument, NULL, 'v'},      {"json", no_argument, NULL, 'j'},
        {"node", no_argument, NULL, 'N'},         {"program", required_argument, NULL, 'P'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int option, status = -1;
    *ret_line = (struct image_line){.folder = "."};
    optind = 1;
    while (status < 0 && (option = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
        status = parse_option(option, ret_line);
    }
    if (status < 0 && optind < argc) {
        ret_line->folder = argv[optind++];
    }
    if (status < 0 && optind < argc) {
        fprintf(stderr, "cella image: %s: unexpected; see cella image --help\n", argv[optind]);
        status = 2;
    }
    return status < 0 ? check_programs(ret_line) : status;
}

static bool ends_with(const char *text, const char *ending)
{
    const size_t length = strlen(text), tail = strlen(ending);
    return length > tail && strcmp(text + length - tail, ending) == 0;
}

/* Where the image and its list land; both have room for a path. */
static void choose_places(const struct image_line *line, const struct project *project,
                          char *ret_output, char *ret_sbom, size_t size)
{
    const char *program = line->options.signed_program;
    if (line->output) {
        snprintf(ret_output, size, "%s", line->output);
    } else if (program) {
        const struct cella_bytes name = image_program_name(program);
        snprintf(ret_output, size, "%.*s%.*s.%s", (int)((const char *)name.data - program), program,
                 (int)name.size, (const char *)name.data, line->docker ? "tar" : "image");
    } else if (line->docker) {
        snprintf(ret_output, size, "%s/build/%s.tar", project->folder, project->name);
    } else {
        snprintf(ret_output, size, "%s/build/image", project->folder);
    }
    size_t length = strlen(ret_output);
    while (length > 1 && ret_output[length - 1] == '/') {
        ret_output[--length] = '\0';
    }
    if (line->sbom) {
        snprintf(ret_sbom, size, "%s", line->sbom);
    } else {
        snprintf(ret_sbom, size, "%.*s.spdx.json",
                 (int)(ends_with(ret_output, ".tar") ? length - 4 : length), ret_output);
    }
}

/* Static libraries leave no trace in a file: what the project's description says of them counts. */
static void linked_packages(const struct project *project, const char *ret_names[4])
{
    size_t count = 0;
    if (!project) {
        ret_names[0] = NULL;
        return;
    }
    bool crypto = project->host_static_crypto;
    static const char *const with_crypto[] = {"attest", "evidence", "protected", "seal", "tls"};
    for (size_t i = 0; i < CELLA_COUNT(with_crypto); i++) {
        crypto = crypto || project_has_module(project, with_crypto[i]);
    }
    for (unsigned i = 0; i < project->libraries.count; i++) {
        crypto = crypto || strcmp(project->libraries.words[i], "crypto") == 0;
    }
    if (project->libc == PROJECT_LIBC_MUSL) {
        ret_names[count++] = "musl-dev";
    } else if (project->libc == PROJECT_LIBC_GLIBC) {
        ret_names[count++] = "libc6-dev";
    }
    if (crypto) {
        ret_names[count++] = "libssl-dev";
    }
    ret_names[count] = NULL;
}

/* Made anew only for another image: asking the package database takes longer than all the rest. */
static cella_result write_sbom(const struct image_job *job, const char *path,
                               struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file old = {0};
    struct cella_error ignored = {0};
    const char *linked[4];
    char *text = NULL;
    if (cella_is_ok(cella_file_read(path, 1u << 28, &old, &ignored)) &&
        memmem(old.data, old.size, job->image.manifest.digest, OCI_HEX_SIZE - 1)) {
        return CELLA_OK;
    }
    linked_packages(job->project, linked);
    const struct oci_sbom what = {.name = job->title,
                                  .epoch = job->options.epoch,
                                  .linked = linked,
                                  .namespace_digest = job->image.manifest.digest};
    CELLA_TRY(oci_sbom_make(&job->tree, &what, &text, error));
    cella_result result = cella_file_write(path, text, strlen(text), 0644, error);
    free(text);
    return result;
}

static const char *const g_layers[] = {"libraries", "host", "enclave"};

static uint64_t packed_size(const struct oci_image *image)
{
    uint64_t size = image->config.size + image->manifest.size;
    for (unsigned i = 0; i < image->layer_count; i++) {
        size += image->layers[i].size;
    }
    return size;
}

static size_t host_bytes(const struct image_job *job)
{
    size_t size = 0;
    for (size_t i = 0; i < job->tree.count; i++) {
        size += job->tree.entries[i].layer == OCI_LAYER_ENCLAVE ? 0 : job->tree.entries[i].size;
    }
    return size;
}

static void report_text(const struct image_job *job, const char *output, const char *sbom)
{
    const struct oci_image *image = &job->image;
    printf("%s\n%s:%s  sha256:%s\n", output, job->title, job->tag, image->manifest.digest);
    for (unsigned i = 0; i < image->layer_count; i++) {
        printf("  %-10s %9zu bytes (%llu unpacked)%s\n", g_layers[image->kinds[i]],
               image->layers[i].size, (unsigned long long)image->layers[i].unpacked,
               image->layers[i].cached ? ", as before" : "");
    }
    printf("  %-10s %9llu bytes\n", "together", (unsigned long long)packed_size(image));
    if (!job->enclave_path[0]) {
        printf("sbom       %s\n", sbom);
        return;
    }
    printf("trusted    %9llu bytes of code and read-only data in the enclave\n",
           (unsigned long long)job->inspect.read_only_bytes);
    printf("untrusted  %9zu bytes of host, libraries and settings\n", host_bytes(job));
    printf("mrenclave  %s\nmrsigner   %s\n",
           json_string_value(json_object_get(job->annotations, "cella.dev/mrenclave")),
           json_string_value(json_object_get(job->annotations, "cella.dev/mrsigner")));
    printf("sbom       %s\n", sbom);
}

static void report_json(const struct image_job *job, const char *output, const char *sbom)
{
    const struct oci_image *image = &job->image;
    json_t *layers = json_array(), *files = json_array();
    char digest[OCI_HEX_SIZE];
    for (unsigned i = 0; i < image->layer_count; i++) {
        json_array_append_new(layers, json_pack("{s:s, s:o, s:I, s:I, s:b}", "name",
                                                g_layers[image->kinds[i]], "digest",
                                                json_sprintf("sha256:%s", image->layers[i].digest),
                                                "size", (json_int_t)image->layers[i].size,
                                                "unpacked", (json_int_t)image->layers[i].unpacked,
                                                "cached", (int)image->layers[i].cached));
    }
    for (size_t i = 0; i < job->tree.count; i++) {
        const struct oci_entry *entry = &job->tree.entries[i];
        oci_hex(entry->digest, 32, digest);
        json_array_append_new(
            files,
            json_pack("{s:o, s:s, s:I, s:I, s:s, s:s?}", "path", json_sprintf("/%s", entry->path),
                      "layer", g_layers[entry->layer], "size", (json_int_t)entry->size, "trimmed",
                      (json_int_t)entry->trimmed, "sha256", digest, "source", entry->source));
    }
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:o, s:I, s:o, s:o, s:I, s:I, s:O, s:s}", "image", output, "name",
        job->title, "tag", job->tag, "digest", json_sprintf("sha256:%s", image->manifest.digest),
        "size", (json_int_t)packed_size(image), "layers", layers, "files", files, "trusted_bytes",
        (json_int_t)job->inspect.read_only_bytes, "untrusted_bytes", (json_int_t)host_bytes(job),
        "annotations", job->annotations, "sbom", sbom);
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

static cella_result write_image(struct image_job *job, const char *output,
                                struct cella_error *error)
{
    if (ends_with(output, ".tar")) {
        return oci_image_write_archive(&job->image, job->options.epoch, output, error);
    }
    return oci_image_write_layout(&job->image, output, error);
}

/* What compilers and the signer print goes to stderr: stdout is the report's. */
static cella_result build_aside(const struct project *project,
                                const struct compile_options *options,
                                struct compile_result *ret_built, struct cella_error *error)
{
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    if (kept < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "stdout");
    }
    cella_result result = compile_any(project, options, ret_built, error);
    fflush(stdout);
    const bool back = dup2(kept, STDOUT_FILENO) >= 0;
    close(kept);
    return back ? result : cella_error_errno(error, CELLA_RESULT(IO), errno, "stdout");
}

static cella_result make(const struct image_line *line, struct image_job *job, char *ret_output,
                         char *ret_sbom, size_t size, struct cella_error *error)
{
    static struct project project;
    static struct compile_result built;
    char cache[8192];
    const bool is_project = line->options.program_count == 0 && !line->options.signed_program;
    if (is_project) {
        CELLA_TRY(project_read(line->folder, &project, error));
    }
    choose_places(line, &project, ret_output, ret_sbom, size);
    if (is_project) {
        CELLA_TRY(build_aside(&project, &line->compile, &built, error));
        CELLA_TRY(image_cache_folder(&project, cache, sizeof(cache), error));
        job->project = &project;
        job->built = &built;
    }
    job->options = line->options;
    CELLA_TRY(image_options_settle(&job->options, error));
    CELLA_TRY(image_job_make(job, is_project ? cache : NULL, error));
    CELLA_TRY(write_image(job, ret_output, error));
    return write_sbom(job, ret_sbom, error);
}

int cella_cmd_image(int argc, char **argv)
{
    struct image_line line;
    CELLA_CLEANUP(image_job_done) struct image_job job = {0};
    struct cella_error error = {0};
    char output[8192], sbom[8192];
    if (argc > 1 && strcmp(argv[1], "verify") == 0) {
        return cella_image_verify(argc - 1, argv + 1);
    }
    int status = parse(argc, argv, &line);
    if (status >= 0) {
        return status;
    }
    cella_result result = make(&line, &job, output, sbom, sizeof(output), &error);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "cella image: %s\n",
                error.text[0] ? error.text : cella_result_text(result));
        return 1;
    }
    if (line.json) {
        report_json(&job, output, sbom);
    } else {
        report_text(&job, output, sbom);
    }
    return 0;
}
