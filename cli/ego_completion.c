/*
 * `ego completion`: scripts for bash, zsh, fish and PowerShell.
 * Side: tools. Called by ego.c. The scripts complete the commands, then file names.
 */
#include "cli/ego_completion.h"

#include <stdio.h>
#include <string.h>

static const char g_help[] = "Generate the autocompletion script for ego for the specified shell.\n"
                             "\n"
                             "Usage:\n"
                             "  ego completion [command]\n"
                             "\n"
                             "Available Commands:\n"
                             "  bash        Generate the autocompletion script for bash\n"
                             "  fish        Generate the autocompletion script for fish\n"
                             "  powershell  Generate the autocompletion script for powershell\n"
                             "  zsh         Generate the autocompletion script for zsh\n"
                             "\n"
                             "Flags:\n"
                             "  -h, --help   help for completion\n";

static void words(const char *const *names, const char *before, const char *between)
{
    for (size_t i = 0; names[i]; i++) {
        printf("%s%s%s", i ? between : "", before, names[i]);
    }
}

static void bash(const char *const *names)
{
    puts("# bash completion for ego\n"
         "_ego() {\n"
         "    local word=${COMP_WORDS[COMP_CWORD]}\n"
         "    if [ \"$COMP_CWORD\" = 1 ]; then");
    printf("        mapfile -t COMPREPLY < <(compgen -W '");
    words(names, "", " ");
    puts("' -- \"$word\")\n"
         "    elif [ \"${COMP_WORDS[1]}\" = completion ]; then\n"
         "        mapfile -t COMPREPLY < <(compgen -W 'bash fish powershell zsh' -- \"$word\")\n"
         "    elif [ \"${COMP_WORDS[1]}\" = help ]; then");
    printf("        mapfile -t COMPREPLY < <(compgen -W '");
    words(names, "", " ");
    puts("' -- \"$word\")\n"
         "    else\n"
         "        compopt -o filenames 2>/dev/null\n"
         "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
         "    fi\n"
         "}\n"
         "complete -F _ego ego");
}

static void zsh(const char *const *names)
{
    puts("#compdef ego\n"
         "_ego() {\n"
         "    if (( CURRENT == 2 )); then");
    printf("        compadd ");
    words(names, "", " ");
    puts("\n"
         "    elif [[ $words[2] == completion ]]; then\n"
         "        compadd bash fish powershell zsh\n"
         "    else\n"
         "        _files\n"
         "    fi\n"
         "}\n"
         "if [ \"$funcstack[1]\" = _ego ]; then\n"
         "    _ego\n"
         "else\n"
         "    compdef _ego ego\n"
         "fi");
}

static void fish(const char *const *names)
{
    puts("# fish completion for ego");
    for (size_t i = 0; names[i]; i++) {
        printf("complete -c ego -n __fish_use_subcommand -f -a %s\n", names[i]);
    }
    puts("complete -c ego -n '__fish_seen_subcommand_from completion' -f -a 'bash fish powershell "
         "zsh'");
}

static void powershell(const char *const *names)
{
    puts("# powershell completion for ego\n"
         "Register-ArgumentCompleter -Native -CommandName ego -ScriptBlock {\n"
         "    param($wordToComplete, $commandAst, $cursorPosition)\n"
         "    if ($commandAst.CommandElements.Count -gt 2) { return }");
    printf("    ");
    words(names, "'", "', ");
    puts("' | Where-Object { $_ -like \"$wordToComplete*\" }\n"
         "}");
}

int ego_completion(int argc, char **argv, const char *const *names)
{
    static const struct {
        const char *shell;
        void (*write)(const char *const *names);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}, {"powershell", powershell}};
    if (argc < 2 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
        fputs(g_help, stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(argv[1], shells[i].shell) == 0) {
            shells[i].write(names);
            return 0;
        }
    }
    fprintf(stderr, "Error: unknown command \"%s\" for \"ego completion\"\n", argv[1]);
    return 1;
}
