/*
 * The CPUID instructions of a program, for CPUs that cannot trap CPUID: the software processor makes them trap.
 * Side: tools. Called by cella soft.
 * Never changes the program's file.
 */
#ifndef CELLA_CLI_CPUID_SITES_H
#define CELLA_CLI_CPUID_SITES_H

#include <stddef.h>

/*
 * "device:inode:address,address…" in hexadecimal, addresses relative to the load base: what soft/cpuid.c reads from
 * CELLA_SOFT_CPUID_SITES. Empty when the file cannot be read or has no CPUID.
 */
void cpuid_sites_find(const char *program, char *ret_text, size_t size);

#endif
