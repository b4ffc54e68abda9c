/*
 * cella completion: prints the shell completion for bash, zsh or fish.
 * Side: tools. Called by cli/main.c.
 * Never writes a file.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

#define COMMANDS                                                                                   \
    "new build run go edl env doctor image k8s inspect evidence platform sign soft completion"

static const char g_help[] = "usage: cella completion bash|zsh|fish\n"
                             "\n"
                             "Prints completion for the shell:\n"
                             "  bash:  eval \"$(cella completion bash)\"\n"
                             "  zsh:   eval \"$(cella completion zsh)\"\n"
                             "  fish:  cella completion fish | source\n";

static const char g_bash[] =
    "_cella() {\n"
    "    local word=\"${COMP_WORDS[COMP_CWORD]}\" options=\"--help\"\n"
    "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
    "        COMPREPLY=($(compgen -W \"" COMMANDS " --help --version\" -- \"$word\"))\n"
    "        return\n"
    "    fi\n"
    "    case \"${COMP_WORDS[1]}\" in\n"
    "    new) options=\"--template --libc --help\" ;;\n"
    "    build) options=\"--key --rebuild --verbose --help\" ;;\n"
    "    run) options=\"--verbose --trace=syscalls --stats --container --runtime --network "
    "--platform --seccomp --volume "
    "--option "
    "--bundle --help --\" ;;\n"
    "    edl) options=\"--dialect --emit --trusted --untrusted --trusted-dir --untrusted-dir"
    " --search-path --header-only --use-prefix --depfile --check --dump-ast --json --help\" ;;\n"
    "    env) options=\"--json --help --\" ;;\n"
    "    doctor) options=\"--json --help\" ;;\n"
    "    image) options=\"verify --output --docker --name --ca-certificates --software --quoting "
    "--preload --add"
    " --node --program --user --keep-debug --sbom --key --mrenclave --mrsigner --product-id "
    "--min-svn --no-debug "
    "--only --enclave"
    " --json --verbose --help\" ;;\n"
    "    k8s) options=\"manifest --image --kind --name --namespace --replicas --dialect --quotes "
    "--port"
    " --service --probe --volume --env --epc --memory --cpu --seccomp --user --pull-secret"
    " --tolerate --node-label --enclave --output --json --help --\" ;;\n"
    "    inspect) options=\"--json --pages --help\" ;;\n"
    "    evidence) options=\"get show verify fetch-collateral --at --collateral --root --policy "
    "--json --nonce --data --debug --tls --out --from --ca-file --help\" ;;\n"
    "    platform) options=\"init show export-root export-collateral reset --platform --json --yes "
    "--source"
    " --help\" ;;\n"
    "    sign) options=\"--program --manifest --config --out --key --digest-out --signature "
    "--public-key --date"
    " --keep-syscalls --verbose --json --help\" ;;\n"
    "    soft) options=\"--epc --strict-epc --platform --help --\" ;;\n"
    "    completion) options=\"bash zsh fish --help\" ;;\n"
    "    esac\n"
    "    case \"${COMP_WORDS[COMP_CWORD-1]}\" in\n"
    "    --libc) options=\"none musl glibc\" ;;\n"
    "    --dialect | --emit)\n"
    "        options=\"cella openenclave intel\"\n"
    "        [ \"${COMP_WORDS[1]}\" != k8s ] || options=\"intel azure alibaba soft\" ;;\n"
    "    --kind) options=\"deployment job\" ;;\n"
    "    --quotes) options=\"socket process none\" ;;\n"
    "    --service) options=\"ClusterIP NodePort LoadBalancer\" ;;\n"
    "    --runtime) options=\"runc crun podman docker\" ;;\n"
    "    --network) options=\"none host\" ;;\n"
    "    --template) options=\"c cpp tls openenclave intel\" ;;\n"
    "    esac\n"
    "    COMPREPLY=($(compgen -W \"$options\" -- \"$word\") $(compgen -f -- \"$word\"))\n"
    "}\n"
    "complete -o filenames -F _cella cella\n";

static const char g_zsh_head[] = "autoload -Uz bashcompinit && bashcompinit\n";

static const char g_fish[] =
    "complete -c cella -n __fish_use_subcommand -f -a '" COMMANDS "'\n"
    "complete -c cella -n '__fish_seen_subcommand_from new' -l libc -x -a 'none musl glibc'\n"
    "complete -c cella -n '__fish_seen_subcommand_from new' -l template -x -a 'c cpp openenclave "
    "intel'\n"
    "complete -c cella -n '__fish_seen_subcommand_from edl' -l dialect -x -a 'cella openenclave "
    "intel'\n"
    "complete -c cella -n '__fish_seen_subcommand_from edl' -l search-path -r\n"
    "complete -c cella -n '__fish_seen_subcommand_from k8s' -a manifest\n"
    "complete -c cella -n '__fish_seen_subcommand_from k8s' -l kind -x -a 'deployment job'\n"
    "complete -c cella -n '__fish_seen_subcommand_from k8s' -l dialect -x -a 'intel azure alibaba "
    "soft'\n"
    "complete -c cella -n '__fish_seen_subcommand_from k8s' -l quotes -x -a 'socket process none'\n"
    "complete -c cella -n '__fish_seen_subcommand_from k8s' -l service -x -a 'ClusterIP NodePort "
    "LoadBalancer'\n"
    "complete -c cella -n '__fish_seen_subcommand_from k8s' -l image -x\n"
    "complete -c cella -n '__fish_seen_subcommand_from k8s' -l port -x\n"
    "complete -c cella -n '__fish_seen_subcommand_from k8s' -l probe -x\n"
    "complete -c cella -n '__fish_seen_subcommand_from k8s' -l volume -x\n"
    "complete -c cella -n '__fish_seen_subcommand_from k8s' -l json\n"
    "complete -c cella -n '__fish_seen_subcommand_from build' -l key -r\n"
    "complete -c cella -n '__fish_seen_subcommand_from build' -l rebuild\n"
    "complete -c cella -n '__fish_seen_subcommand_from build run' -l verbose\n"
    "complete -c cella -n '__fish_seen_subcommand_from env doctor inspect sign' -l json\n"
    "complete -c cella -n '__fish_seen_subcommand_from inspect' -l pages\n"
    "complete -c cella -n '__fish_seen_subcommand_from evidence' -f -a 'show verify'\n"
    "complete -c cella -n '__fish_seen_subcommand_from evidence' -l at -x\n"
    "complete -c cella -n '__fish_seen_subcommand_from evidence' -l collateral -r\n"
    "complete -c cella -n '__fish_seen_subcommand_from evidence' -l root -r\n"
    "complete -c cella -n '__fish_seen_subcommand_from evidence' -l policy -r\n"
    "complete -c cella -n '__fish_seen_subcommand_from evidence' -l json\n"
    "complete -c cella -n '__fish_seen_subcommand_from sign' -l program -r\n"
    "complete -c cella -n '__fish_seen_subcommand_from sign' -l manifest -r\n"
    "complete -c cella -n '__fish_seen_subcommand_from sign' -l config -r\n"
    "complete -c cella -n '__fish_seen_subcommand_from sign' -l key -r\n"
    "complete -c cella -n '__fish_seen_subcommand_from sign' -l out -r\n"
    "complete -c cella -n '__fish_seen_subcommand_from soft' -l epc -x\n"
    "complete -c cella -n '__fish_seen_subcommand_from soft' -l strict-epc\n"
    "complete -c cella -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n";

int cella_cmd_completion(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(g_help, stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "bash") == 0) {
        fputs(g_bash, stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "zsh") == 0) {
        fputs(g_zsh_head, stdout);
        fputs(g_bash, stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "fish") == 0) {
        fputs(g_fish, stdout);
        return 0;
    }
    fputs(g_help, stderr);
    return 2;
}
