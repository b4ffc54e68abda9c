/*
 * sgx_config_cpusvn: the security version of the software processor's platform, up or down, so that an enclave's way of
 * dealing with sealed data of an older platform can be tried.
 * Side: tools. Over soft/platform.c, whose folder keeps the value.
 */
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "soft/keys.h"

#define SVN_SIZE 16u

static const struct {
    const char *option;
    uint8_t svn[SVN_SIZE];
} g_levels[] = {{"-downgrade", {0}}, {"-reset", {1}}, {"-upgrade", {2}}};

static int usage(FILE *to, int status)
{
    fputs("usage: sgx_config_cpusvn [-upgrade|-downgrade|-reset|-help]\n", to);
    fputs("Changes the CPUSVN of the software processor; of a real one only microcode does.\n", to);
    return status;
}

int main(int argc, char **argv)
{
    uint8_t now[SVN_SIZE];
    if (argc == 2 && strcmp(argv[1], "-help") == 0) {
        return usage(stdout, 0);
    }
    size_t level = 0;
    while (argc == 2 && level < CELLA_COUNT(g_levels) &&
           strcmp(argv[1], g_levels[level].option) != 0) {
        level++;
    }
    if (argc != 2 || level == CELLA_COUNT(g_levels)) {
        return usage(stderr, 255);
    }
    const struct soft_platform_info platform = soft_platform_info();
    if (platform.ephemeral) {
        fprintf(stderr, "sgx_config_cpusvn: the platform's folder cannot be used: %s\n",
                strerror(platform.error));
        return 255;
    }
    soft_platform_cpu_svn(now);
    if (memcmp(now, g_levels[level].svn, SVN_SIZE) == 0) {
        printf("The CPUSVN is that already (%s).\n", argv[1] + 1);
        return 0;
    }
    const int result = soft_platform_set_cpu_svn(g_levels[level].svn);
    if (result < 0) {
        fprintf(stderr, "sgx_config_cpusvn: cannot write in %s: %s\n", platform.directory,
                strerror(-result));
        return 255;
    }
    printf("CPUSVN %u, of the platform in %s\n", g_levels[level].svn[0], platform.directory);
    return 0;
}
