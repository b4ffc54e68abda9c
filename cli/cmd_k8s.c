/*
 * cella k8s manifest: Kubernetes' objects for a project or for an image with an enclave in it.
 * Side: tools. Called by cli/main.c. Asks no cluster, changes nothing but the file that it is told to write.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/file.h"
#include "cli/manifest_image.h"
#include "cli/yaml.h"
#include "common/cleanup.h"

static const char g_help[] =
    "usage: cella k8s manifest [FOLDER|IMAGE[:TAG]] [OPTION...] [-- ARGUMENT...]\n"
    "\n"
    "Prints Kubernetes' objects for a project whose image `cella image` has made, or for an image\n"
    "(an OCI layout or archive, or one of `docker save`): a Deployment or a Job that asks for the\n"
    "enclave memory, processors and memory that the enclave in the image needs, and may nothing\n"
    "else; a Service for its ports; claims for its volumes. ARGUMENTs are the program's.\n"
    "\n"
    "  --image REF        where the cluster finds the image: REGISTRY/NAME[:TAG]; the digest is "
    "added\n"
    "  --kind KIND        deployment (default) or job\n"
    "  --name NAME        of the objects (default: the project's)\n"
    "  --namespace NAME   default: none, the one that kubectl has\n"
    "  --replicas N       how many pods (default 1)\n"
    "  --dialect D        which names enclave memory has on the cluster's nodes: intel (default;\n"
    "                     sgx.intel.com/epc), azure, alibaba, or soft (cella.dev/soft-enclave, "
    "the\n"
    "                     software processor)\n"
    "  --quotes WAY       socket (of the node's quote service), process (made by the program "
    "itself)\n"
    "                     or none; default: socket where the project has the module attest or tls\n"
    "  --port [NAME=]PORT[:TARGET]\n"
    "                     a port of the container, and of a Service; TARGET is the container's\n"
    "  --service TYPE     ClusterIP (default), NodePort or LoadBalancer\n"
    "  --probe PROBE      http:/PATH:PORT, https:/PATH:PORT, tcp:PORT, grpc:PORT, exec:COMMAND\n"
    "  --volume [KIND/]NAME:/PATH[:SIZE][:ro]\n"
    "                     a claim (default), configmap or secret; with SIZE the claim is made, "
    "too\n"
    "  --volume scratch:/PATH[:SIZE]\n"
    "                     an empty folder in memory\n"
    "  --env NAME=VALUE   a variable of the environment\n"
    "  --epc, --memory, --cpu QUANTITY\n"
    "                     in place of what follows from the enclave\n"
    "  --seccomp PROFILE  a profile in the kubelet's folder, such as cella.json (default: the\n"
    "                     runtime's own)\n"
    "  --user ID          the user and group (default: the image's, or 65534)\n"
    "  --pull-secret NAME for the registry\n"
    "  --tolerate KEY[=VALUE][:EFFECT]\n"
    "                     a taint, besides those of pools with SGX\n"
    "  --node-label KEY=VALUE\n"
    "                     only on nodes with this label\n"
    "  --enclave PATH     which enclave of the image, where there are several\n"
    "  -o FILE            into this file\n"
    "  --json             as a List in JSON\n";

struct k8s_line {
    const char *output;
    bool json;
    struct manifest_source source;
    struct manifest manifest;
};

enum option_id {
    OPTION_IMAGE = 256,
    OPTION_KIND,
    OPTION_NAME,
    OPTION_NAMESPACE,
    OPTION_REPLICAS,
    OPTION_DIALECT,
    OPTION_QUOTES,
    OPTION_PORT,
    OPTION_SERVICE,
    OPTION_PROBE,
    OPTION_VOLUME,
    OPTION_ENV,
    OPTION_EPC,
    OPTION_MEMORY,
    OPTION_CPU,
    OPTION_SECCOMP,
    OPTION_USER,
    OPTION_PULL_SECRET,
    OPTION_TOLERATE,
    OPTION_NODE_LABEL,
    OPTION_ENCLAVE,
    OPTION_JSON,
    OPTION_HELP,
};

static const struct option g_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"image", required_argument, NULL, OPTION_IMAGE},
    {"kind", required_argument, NULL, OPTION_KIND},
    {"name", required_argument, NULL, OPTION_NAME},
    {"namespace", required_argument, NULL, OPTION_NAMESPACE},
    {"replicas", required_argument, NULL, OPTION_REPLICAS},
    {"dialect", required_argument, NULL, OPTION_DIALECT},
    {"quotes", required_argument, NULL, OPTION_QUOTES},
    {"port", required_argument, NULL, OPTION_PORT},
    {"service", required_argument, NULL, OPTION_SERVICE},
    {"probe", required_argument, NULL, OPTION_PROBE},
    {"volume", required_argument, NULL, OPTION_VOLUME},
    {"env", required_argument, NULL, OPTION_ENV},
    {"epc", required_argument, NULL, OPTION_EPC},
    {"memory", required_argument, NULL, OPTION_MEMORY},
    {"cpu", required_argument, NULL, OPTION_CPU},
    {"seccomp", required_argument, NULL, OPTION_SECCOMP},
    {"user", required_argument, NULL, OPTION_USER},
    {"pull-secret", required_argument, NULL, OPTION_PULL_SECRET},
    {"tolerate", required_argument, NULL, OPTION_TOLERATE},
    {"node-label", required_argument, NULL, OPTION_NODE_LABEL},
    {"enclave", required_argument, NULL, OPTION_ENCLAVE},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* ------------------------------------------------------------------------- the command line */

/* What was expected, for the error; NULL: it is good. */
typedef const char *(*option_fn)(const char *text, struct k8s_line *line);

/* The place of `text` among `words`, which end in NULL; -1: none. */
static int word_find(const char *text, const char *const *words)
{
    for (int i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static const char *take_kind(const char *text, struct k8s_line *line)
{
    static const char *const words[] = {"deployment", "job", NULL};
    const int at = word_find(text, words);
    line->manifest.kind = at > 0 ? MANIFEST_JOB : MANIFEST_DEPLOYMENT;
    return at < 0 ? "deployment or job" : NULL;
}

static const char *take_dialect(const char *text, struct k8s_line *line)
{
    static const char *const words[] = {"intel", "azure", "alibaba", "soft", NULL};
    const int at = word_find(text, words);
    line->manifest.dialect = (enum resource_dialect)(at < 0 ? 0 : at);
    return at < 0 ? "intel, azure, alibaba or soft" : NULL;
}

static const char *take_quotes(const char *text, struct k8s_line *line)
{
    static const char *const words[] = {"none", "socket", "process", NULL};
    const int at = word_find(text, words);
    line->manifest.quotes = (enum manifest_quotes)(at < 0 ? 0 : at);
    line->source.quotes_told = true;
    return at < 0 ? "socket, process or none" : NULL;
}

static const char *take_service(const char *text, struct k8s_line *line)
{
    static const char *const words[] = {"ClusterIP", "NodePort", "LoadBalancer", NULL};
    line->manifest.service_type = text;
    return word_find(text, words) < 0 ? "ClusterIP, NodePort or LoadBalancer" : NULL;
}

static bool take_number(const char *text, unsigned long least, unsigned long most,
                        unsigned long *ret_value)
{
    char *end;
    errno = 0;
    *ret_value = strtoul(text, &end, 10);
    return !errno && *text >= '0' && *text <= '9' && !*end && *ret_value >= least &&
           *ret_value <= most;
}

static const char *take_replicas(const char *text, struct k8s_line *line)
{
    unsigned long value;
    const bool good = take_number(text, 1, 100000, &value);
    line->manifest.replicas = (unsigned)value;
    return good ? NULL : "a number from 1 to 100000";
}

static const char *take_user(const char *text, struct k8s_line *line)
{
    unsigned long value;
    const bool good = take_number(text, 1, INT32_MAX, &value);
    line->manifest.user = (uint32_t)value;
    return good ? NULL : "a number from 1 to 2147483647";
}

/* Kubernetes has no list of ours so long. */
#define TOO_MANY "at most 32 of them"

static const char *take_port(const char *text, struct k8s_line *line)
{
    struct manifest *manifest = &line->manifest;
    struct manifest_port *port = &manifest->ports[manifest->port_count];
    if (manifest->port_count == MANIFEST_LIST_MAX) {
        return TOO_MANY;
    }
    if (!manifest_port_parse(text, port)) {
        return "[NAME=]PORT[:TARGET], ports from 1 to 65535, a name of at most 15 lower case "
               "letters, digits and '-'";
    }
    for (unsigned i = 0; i < manifest->port_count; i++) {
        if (strcmp(manifest->ports[i].name, port->name) == 0 ||
            manifest->ports[i].port == port->port) {
            return "another name and port than the --port before";
        }
    }
    manifest->port_count++;
    return NULL;
}

static const char *take_volume(const char *text, struct k8s_line *line)
{
    struct manifest *manifest = &line->manifest;
    struct manifest_volume *volume = &manifest->volumes[manifest->volume_count];
    if (manifest->volume_count == MANIFEST_LIST_MAX) {
        return TOO_MANY;
    }
    if (!manifest_volume_parse(text, volume)) {
        return "[claim/|configmap/|secret/]NAME:/PATH[:SIZE][:ro] or scratch:/PATH[:SIZE]; a name "
               "is lower case letters, digits and '-', a size like 1Gi";
    }
    for (unsigned i = 0; i < manifest->volume_count; i++) {
        if (strcmp(manifest->volumes[i].path, volume->path) == 0) {
            return "another path than the --volume before";
        }
    }
    manifest->volume_count++;
    return NULL;
}

static const char *take_probe(const char *text, struct k8s_line *line)
{
    json_decref(line->manifest.probe.command);
    return manifest_probe_parse(text, &line->manifest.probe)
               ? NULL
               : "http:/PATH:PORT, https:/PATH:PORT, tcp:PORT, grpc:PORT or exec:COMMAND, which is "
                 "words or a JSON array of strings";
}

static const char *take_env(const char *text, struct k8s_line *line)
{
    struct manifest *manifest = &line->manifest;
    if (manifest->variable_count == MANIFEST_LIST_MAX) {
        return TOO_MANY;
    }
    return manifest_variable_parse(text, &manifest->variables[manifest->variable_count++])
               ? NULL
               : "NAME=VALUE, the name of letters, digits, '_', '-' and '.', the value UTF-8";
}

static const char *take_toleration(const char *text, struct k8s_line *line)
{
    struct manifest *manifest = &line->manifest;
    if (manifest->toleration_count == MANIFEST_LIST_MAX) {
        return TOO_MANY;
    }
    return manifest_toleration_parse(text, &manifest->tolerations[manifest->toleration_count++])
               ? NULL
               : "KEY[=VALUE][:EFFECT], the effect NoSchedule, PreferNoSchedule or NoExecute";
}

static const char *take_node_label(const char *text, struct k8s_line *line)
{
    struct manifest *manifest = &line->manifest;
    if (manifest->node_label_count == MANIFEST_LIST_MAX) {
        return TOO_MANY;
    }
    return manifest_node_label_parse(text, &manifest->node_labels[manifest->node_label_count++])
               ? NULL
               : "KEY=VALUE";
}

static const char *take_quantity(const char *text, const char **ret_quantity)
{
    *ret_quantity = text;
    return manifest_quantity_is_good(text) ? NULL
                                           : "a quantity of Kubernetes': 64Mi, 1.5Gi, 500m, …";
}

static const char *take_name(const char *text, const char **ret_name)
{
    char name[MANIFEST_LABEL_SIZE];
    *ret_name = text;
    return manifest_name_parse(text, name)
               ? NULL
               : "at most 63 lower case letters, digits and '-', a letter first";
}

static const char *take_other(int option, const char *text, struct k8s_line *line)
{
    struct manifest *manifest = &line->manifest;
    switch (option) {
    case OPTION_NAME:
        return take_name(text, &line->source.name);
    case OPTION_NAMESPACE:
        return take_name(text, &manifest->space);
    case OPTION_PULL_SECRET:
        return take_name(text, &manifest->pull_secret);
    case OPTION_EPC:
        return take_quantity(text, &manifest->epc);
    case OPTION_MEMORY:
        return take_quantity(text, &manifest->memory);
    case OPTION_CPU:
        return take_quantity(text, &manifest->cpu);
    case OPTION_IMAGE:
        line->source.image = text;
        return manifest_image_is_good(text) ? NULL : "[REGISTRY/]NAME[:TAG][@sha256:HEX]";
    case OPTION_SECCOMP:
        manifest->seccomp = text;
        return manifest_seccomp_is_good(text) ? NULL : "a path below the kubelet's seccomp folder";
    case OPTION_ENCLAVE:
        line->source.enclave = text;
        return text[0] == '/' ? NULL : "a path in the image that starts with /";
    case 'o':
        line->output = text;
        return NULL;
    default:
        line->json = true;
        return NULL;
    }
}

static const char *take_option(int option, const char *text, struct k8s_line *line)
{
    static const struct {
        int option;
        option_fn take;
    } takers[] = {
        {OPTION_KIND, take_kind},           {OPTION_DIALECT, take_dialect},
        {OPTION_QUOTES, take_quotes},       {OPTION_SERVICE, take_service},
        {OPTION_REPLICAS, take_replicas},   {OPTION_USER, take_user},
        {OPTION_PORT, take_port},           {OPTION_VOLUME, take_volume},
        {OPTION_PROBE, take_probe},         {OPTION_ENV, take_env},
        {OPTION_TOLERATE, take_toleration}, {OPTION_NODE_LABEL, take_node_label},
    };
    for (size_t i = 0; i < CELLA_COUNT(takers); i++) {
        if (takers[i].option == option) {
            return takers[i].take(text, line);
        }
    }
    return take_other(option, text, line);
}

/* Words behind the first "--" are the program's; getopt does not see them. */
static int parse(int argc, char **argv, struct k8s_line *line)
{
    int own = 0, option;
    while (own < argc && strcmp(argv[own], "--") != 0) {
        own++;
    }
    line->manifest.arguments = argv + (own < argc ? own + 1 : argc);
    line->manifest.argument_count = own < argc ? (unsigned)(argc - own - 1) : 0;
    optind = 1;
    for (int index = 0; (option = getopt_long(own, argv, "o:", g_options, &index)) != -1;) {
        if (option == OPTION_HELP) {
            fputs(g_help, stdout);
            return 0;
        }
        const char *expected = option == '?' ? "" : take_option(option, optarg, line);
        if (expected) {
            if (*expected) {
                fprintf(stderr, "cella k8s manifest: --%s %s: expected %s\n",
                        option == 'o' ? "output" : g_options[index].name, optarg, expected);
            }
            return 2;
        }
    }
    if (optind < own) {
        line->source.what = argv[optind++];
    }
    if (optind < own) {
        fprintf(stderr,
                "cella k8s manifest: %s: unexpected; the program's arguments stand behind --\n",
                argv[optind]);
        return 2;
    }
    for (unsigned i = 0; i < line->manifest.argument_count; i++) {
        json_t *text = json_string(line->manifest.arguments[i]);
        if (!text) {
            fprintf(stderr, "cella k8s manifest: argument %u of the program is not UTF-8\n", i + 1);
            return 2;
        }
        json_decref(text);
    }
    return -1;
}

static cella_result check_ports(const struct manifest *manifest, struct cella_error *error)
{
    if (manifest->service_type && manifest->port_count == 0) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "--service %s: a Service needs a port: --port PORT",
                               manifest->service_type);
    }
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- printing */

static void write_comments(const struct k8s_line *line, FILE *out)
{
    const struct manifest *manifest = &line->manifest;
    const struct json_t *identity = manifest->identity;
    char text[600];
    snprintf(text, sizeof(text), "%s: %s, mrenclave %.16s..., %u thread%s", manifest->name,
             json_string_value(json_object_get(identity, "cella.dev/enclave")),
             json_string_value(json_object_get(identity, "cella.dev/mrenclave")), manifest->threads,
             manifest->threads == 1 ? "" : "s");
    yaml_comment(text, out);
    if (!line->source.image) {
        yaml_comment(
            "The image has no registry yet: --image REGISTRY/NAME says where it is pushed.", out);
    }
    if (strcmp(json_string_value(json_object_get(identity, "cella.dev/debug")), "true") == 0) {
        yaml_comment("The enclave is signed for debugging: whoever runs it can read its memory.",
                     out);
    }
    if (manifest->dialect == DIALECT_CELLA) {
        yaml_comment("On the software processor, which protects nothing from the node's owner.",
                     out);
    }
}

static bool write_objects(const struct k8s_line *line, json_t *objects, FILE *out)
{
    bool good = true;
    if (line->json) {
        json_t *list =
            json_pack("{s:s, s:s, s:O}", "apiVersion", "v1", "kind", "List", "items", objects);
        good = list && json_dumpf(list, out, JSON_INDENT(2)) == 0;
        json_decref(list);
        fputc('\n', out);
        return good;
    }
    write_comments(line, out);
    for (size_t i = 0; i < json_array_size(objects); i++) {
        if (i > 0) {
            fputs("---\n", out);
        }
        good = yaml_write(json_array_get(objects, i), out) && good;
    }
    return good;
}

static cella_result print(const struct k8s_line *line, struct cella_error *error)
{
    json_t *objects = manifest_make(&line->manifest);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool good = out && objects && write_objects(line, objects, out);
    good = out && fclose(out) == 0 && good;
    json_decref(objects);
    cella_result result =
        good ? CELLA_OK : cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "out of memory");
    if (good && line->output) {
        result = cella_file_write(line->output, text, size, 0644, error);
    } else if (good && (fwrite(text, 1, size, stdout) != size || fflush(stdout) != 0)) {
        result = cella_error_errno(error, CELLA_RESULT(IO), errno, "standard output");
    }
    free(text);
    return result;
}

static cella_result make(struct k8s_line *line, struct cella_error *error)
{
    CELLA_TRY(check_ports(&line->manifest, error));
    CELLA_TRY(manifest_of_image(&line->source, &line->manifest, error));
    return print(line, error);
}

static int manifest_command(int argc, char **argv)
{
    struct k8s_line line = {.source = {.what = "."}, .manifest = {.replicas = 1}};
    struct cella_error error = {0};
    int status = parse(argc, argv, &line);
    if (status < 0) {
        cella_result result = make(&line, &error);
        status = cella_is_ok(result) ? 0 : 1;
        if (status) {
            fprintf(stderr, "cella k8s manifest: %s\n",
                    error.text[0] ? error.text : cella_result_text(result));
        }
    }
    manifest_done(&line.manifest);
    return status;
}

int cella_cmd_k8s(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "manifest") == 0) {
        return manifest_command(argc - 1, argv + 1);
    }
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(g_help, stdout);
        return 0;
    }
    fputs(g_help, stderr);
    return 2;
}
