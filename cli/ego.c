/*
 * `ego`: finds the command, checks how many arguments it has, and answers --help as EGo's program does.
 * Side: tools. A program of its own. ego.h is the manual.
 */
#include "cli/ego.h"

#include <string.h>
#include <strings.h>

#include "cli/ego_completion.h"
#include "common/cleanup.h"

struct command {
    const char *name;
    const char *usage;
    const char *summary;
    const char *text; /* behind the summary, in --help */
    const char *examples;
    int at_least, at_most; /* arguments */
    bool takes_flags;      /* what starts with '-' is an argument, too */
    bool quiet;            /* the usage without the error, as EGo has it */
    int (*run)(int argc, char **argv);
};

static const struct command g_commands[] = {
    {"sign", "sign [executable | config.json]", "Sign an executable, so that it runs in an enclave",
     "The signed image is put behind the end of the executable, which still runs outside enclaves.",
     "  ego sign <executable>\n"
     "    Signs by enclave.json; without one, writes it, and a new key private.pem where there is "
     "none.\n"
     "\n"
     "  ego sign\n"
     "    Signs what enclave.json names.\n"
     "\n"
     "  ego sign <config.json>\n"
     "    Signs what that file names.\n",
     0, 1, false, true, ego_sign},
    {"run", "run <executable> [args...]", "Run a signed executable in an enclave",
     "Arguments go to the program. Of the environment it gets what starts with EDG_ and what "
     "enclave.json\n"
     "names. OE_SIMULATION=1 takes the software processor, where everything works but nothing is "
     "protected\n"
     "from this machine. EDG_LOG_FORMAT=json makes the lines of the start JSON.",
     NULL, 1, -1, true, false, ego_run},
    {"marblerun", "marblerun <executable>", "Run a signed executable as a Marble of MarbleRun",
     NULL, NULL, 1, 1, false, false, ego_marblerun},
    {"bundle", "bundle <executable> [output]",
     "Put a signed executable and what runs it into one file",
     "The result, <executable>-bundle without an output, needs no installation of this software "
     "where it\n"
     "runs, but a C library and OpenSSL 3.",
     NULL, 1, 2, false, false, ego_bundle},
    {"signerid", "signerid <executable | key.pem>", "Print the SignerID of an executable or a key",
     "Of a key: the public one.", NULL, 1, 1, false, true, ego_signerid},
    {"uniqueid", "uniqueid <executable>", "Print the UniqueID of a signed executable", NULL, NULL,
     1, 1, false, false, ego_uniqueid},
    {"env", "env ...", "Run a command in the environment for builds", NULL,
     "  ego env make\n"
     "    Builds a Go project that has a Makefile.\n",
     1, -1, true, false, ego_env},
    {"install", "install [component]", "Install drivers and other components",
     "Without a component: lists those for this system, from the file that EGO_INSTALL_URL names.",
     NULL, 0, 1, false, false, ego_install},
};

static void usage_root(FILE *out)
{
    fputs("Usage:\n  ego [command]\n\nAvailable Commands:\n", out);
    for (size_t i = 0; i < CELLA_COUNT(g_commands); i++) {
        fprintf(out, "  %-11s %s\n", g_commands[i].name, g_commands[i].summary);
    }
    fputs("  help        Help about any command\n"
          "  completion  Generate the autocompletion script for the specified shell\n"
          "\n"
          "Flags:\n"
          "  -h, --help   help for ego\n"
          "\n"
          "Use \"ego [command] --help\" for more information about a command.\n",
          out);
}

static void usage_of(FILE *out, const struct command *command)
{
    fprintf(out, "Usage:\n  ego %s\n", command->usage);
    if (command->examples) {
        fprintf(out, "\nExamples:\n%s", command->examples);
    }
    if (!command->takes_flags) {
        fprintf(out, "\nFlags:\n  -h, --help   help for %s\n", command->name);
    }
}

static int help_of(const struct command *command)
{
    printf("%s.\n%s%s\n", command->summary, command->text ? command->text : "",
           command->text ? "\n" : "");
    usage_of(stdout, command);
    return 0;
}

static int help_root(void)
{
    puts("Sign and run programs in enclaves, with the commands of EGo.\n");
    usage_root(stdout);
    return 0;
}

static const struct command *command_of(const char *name)
{
    for (size_t i = 0; i < CELLA_COUNT(g_commands); i++) {
        if (strcmp(g_commands[i].name, name) == 0) {
            return &g_commands[i];
        }
    }
    return NULL;
}

static int unknown(const char *name)
{
    fprintf(stderr, "Error: unknown command \"%s\" for \"ego\"\n", name);
    bool said = false;
    for (size_t i = 0; i < CELLA_COUNT(g_commands); i++) {
        const char *candidate = g_commands[i].name;
        const size_t common = strlen(name) < strlen(candidate) ? strlen(name) : strlen(candidate);
        if (common > 1 && strncasecmp(candidate, name, common) == 0) {
            fprintf(stderr, "%s\t%s\n", said ? "" : "\nDid you mean this?\n", candidate);
            said = true;
        }
    }
    fprintf(stderr, "%sRun 'ego --help' for usage.\n", said ? "\n" : "");
    return 1;
}

static int wrong_count(const struct command *command, int count)
{
    if (!command->quiet) {
        if (command->at_most < 0) {
            fprintf(stderr, "Error: requires at least %d arg(s), only received %d\n",
                    command->at_least, count);
        } else if (command->at_least == command->at_most) {
            fprintf(stderr, "Error: accepts %d arg(s), received %d\n", command->at_least, count);
        } else if (command->at_least == 0) {
            fprintf(stderr, "Error: accepts at most %d arg(s), received %d\n", command->at_most,
                    count);
        } else {
            fprintf(stderr, "Error: accepts between %d and %d arg(s), received %d\n",
                    command->at_least, command->at_most, count);
        }
    }
    usage_of(stderr, command);
    fputc('\n', stderr);
    return 1;
}

/* Flags of a command that has none but --help. "--" ends them. -1: go on. */
static int take_flags(const struct command *command, int *argc, char **argv)
{
    int kept = 1;
    bool flags = true;
    for (int i = 1; i < *argc; i++) {
        if (flags && strcmp(argv[i], "--") == 0) {
            flags = false;
        } else if (flags && (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)) {
            return help_of(command);
        } else if (flags && argv[i][0] == '-' && argv[i][1]) {
            const bool is_long = argv[i][1] == '-';
            if (is_long) {
                fprintf(stderr, "Error: unknown flag: %s\n", argv[i]);
            } else {
                fprintf(stderr, "Error: unknown shorthand flag: '%c' in %s\n", argv[i][1], argv[i]);
            }
            usage_of(stderr, command);
            fputc('\n', stderr);
            return 1;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    argv[kept] = NULL;
    return -1;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    if (command->takes_flags) {
        if (argc == 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
            return help_of(command);
        }
    } else {
        const int status = take_flags(command, &argc, argv);
        if (status >= 0) {
            return status;
        }
    }
    if (argc - 1 < command->at_least || (command->at_most >= 0 && argc - 1 > command->at_most)) {
        return wrong_count(command, argc - 1);
    }
    return command->run(argc, argv);
}

static int completion(int argc, char **argv)
{
    const char *names[CELLA_COUNT(g_commands) + 3] = {0};
    for (size_t i = 0; i < CELLA_COUNT(g_commands); i++) {
        names[i] = g_commands[i].name;
    }
    names[CELLA_COUNT(g_commands)] = "help";
    names[CELLA_COUNT(g_commands) + 1] = "completion";
    return ego_completion(argc, argv, names);
}

int main(int argc, char **argv)
{
    ego_log_version();
    if (argc < 2 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
        return help_root();
    }
    if (strcmp(argv[1], "help") == 0) {
        const struct command *command = argc > 2 ? command_of(argv[2]) : NULL;
        if (argc > 2 && !command) {
            printf("Unknown help topic [`%s`]\n", argv[2]);
            usage_root(stdout);
            return 0;
        }
        return command ? help_of(command) : help_root();
    }
    if (strcmp(argv[1], "completion") == 0) {
        return completion(argc - 1, argv + 1);
    }
    if (argv[1][0] == '-') {
        fprintf(stderr, "Error: unknown flag: %s\n", argv[1]);
        usage_root(stderr);
        return 1;
    }
    const struct command *command = command_of(argv[1]);
    return command ? run_command(command, argc - 1, argv + 1) : unknown(argv[1]);
}
