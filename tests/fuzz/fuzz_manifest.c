/*
 * Fuzz target: values of the options of cella k8s manifest, one a line, a letter first; the objects, and the YAML of them.
 * Side: tests. Run by libFuzzer, or replayed by replay.c over corpus/manifest.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/manifest.h"
#include "cli/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 4096u

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Takes the value into the manifest where it is good; what is good has the shape that a cluster wants. */
static void take(struct manifest *manifest, char what, const char *value)
{
    struct manifest_probe probe = {0};
    const unsigned last = MANIFEST_LIST_MAX - 1;
    switch (what) {
    case 'n':
        if (manifest_name_parse(value, manifest->name)) {
            require(strlen(manifest->name) < MANIFEST_LABEL_SIZE && manifest->name[0] >= 'a');
        }
        break;
    case 'i':
        if (manifest_image_is_good(value)) {
            snprintf(manifest->image, sizeof(manifest->image), "%s", value);
            require(strlen(manifest->image) == strlen(value) && !strchr(value, ' '));
        }
        break;
    case 'q':
        manifest->epc = manifest_quantity_is_good(value) ? value : manifest->epc;
        break;
    case 's':
        manifest->seccomp = manifest_seccomp_is_good(value) ? value : manifest->seccomp;
        require(!manifest->seccomp || manifest->seccomp[0] != '/');
        break;
    case 'p':
        if (manifest->port_count < last &&
            manifest_port_parse(value, &manifest->ports[manifest->port_count])) {
            require(manifest->ports[manifest->port_count++].target > 0);
        }
        break;
    case 'v':
        if (manifest->volume_count < last &&
            manifest_volume_parse(value, &manifest->volumes[manifest->volume_count])) {
            require(manifest->volumes[manifest->volume_count++].path[0] == '/');
        }
        break;
    case 'h':
        if (manifest_probe_parse(value, &probe)) {
            json_decref(manifest->probe.command);
            manifest->probe = probe;
        } else {
            require(!probe.command);
        }
        break;
    case 'e':
        if (manifest->variable_count < last &&
            manifest_variable_parse(value, &manifest->variables[manifest->variable_count])) {
            manifest->variable_count++;
        }
        break;
    case 't':
        if (manifest->toleration_count < last &&
            manifest_toleration_parse(value, &manifest->tolerations[manifest->toleration_count])) {
            manifest->toleration_count++;
        }
        break;
    case 'l':
        if (manifest->node_label_count < last &&
            manifest_node_label_parse(value, &manifest->node_labels[manifest->node_label_count])) {
            manifest->node_label_count++;
        }
        break;
    default:
        manifest->kind = what & 1 ? MANIFEST_JOB : MANIFEST_DEPLOYMENT;
        manifest->dialect = (enum resource_dialect)((unsigned char)what >> 1 & 3);
        manifest->quotes = (enum manifest_quotes)((unsigned char)what % 3);
    }
}

/* Nothing but lines of what can be seen: no value has broken out of its quotes into another line. */
static void check_yaml(const json_t *objects)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; i < json_array_size(objects); i++) {
        require(yaml_write(json_array_get(objects, i), out));
    }
    fclose(out);
    for (size_t i = 0; i < size; i++) {
        require(text[i] == '\n' || ((unsigned char)text[i] >= ' ' && text[i] != 0x7f));
        require(text[i] != '\n' || i + 1 == size || strchr(" akms-", text[i + 1]));
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct manifest manifest;
    char text[INPUT_MAX + 1];
    manifest = (struct manifest){.replicas = 1, .name = "x", .image = "x", .threads = 1};
    memcpy(text, data, size < INPUT_MAX ? size : INPUT_MAX);
    text[size < INPUT_MAX ? size : INPUT_MAX] = '\0';
    for (char *rest = NULL, *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        take(&manifest, line[0], line + 1);
    }
    manifest.identity = json_object();
    json_t *objects = manifest_make(&manifest);
    require(json_array_size(objects) > 0);
    check_yaml(objects);
    json_decref(objects);
    manifest_done(&manifest);
    return 0;
}
