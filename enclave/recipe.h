/*
 * The link recipe: which flags and files make an enclave image's ELF out of objects. Read by `cella build`.
 * Side: tools; not part of any enclave. docs/runtime.md says why each flag is there.
 * Never names a path: %L is Cella's library folder, %M musl's (/usr/lib/x86_64-linux-musl), %G the compiler's own.
 */
#ifndef CELLA_ENCLAVE_RECIPE_H
#define CELLA_ENCLAVE_RECIPE_H

/* For compiling enclave sources (C and C++), beside -I and -O. musl's headers: compile with musl-gcc. */
#define CELLA_RECIPE_COMPILE                                                                       \
    "-fPIE", "-ffunction-sections", "-fdata-sections", "-fvisibility=hidden", "-fcf-protection=none"

/* More for an enclave without a libc. */
#define CELLA_RECIPE_COMPILE_BARE                                                                  \
    "-ffreestanding", "-fstack-protector-strong", "-fno-asynchronous-unwind-tables"

/* For every link, by gcc (or g++ for C++ on glibc). */
#define CELLA_RECIPE_LINK                                                                          \
    "-static-pie", "-Wl,--gc-sections", "-Wl,-z,noexecstack", "-Wl,-z,separate-code",              \
        "-Wl,-z,max-page-size=4096", "-Wl,--hash-style=gnu", "-Wl,--build-id=none",                \
        "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-u,cella_enclave_entry"

/* Whole argument lists; "%O" stands for the objects and libraries of the application, "%o" for the result. */
#define CELLA_RECIPE_NONE                                                                          \
    "gcc", CELLA_RECIPE_LINK, "-nostdlib", "-Wl,-e,cella_enclave_entry",                           \
        "-Wl,--no-dynamic-linker", "-o", "%o", "%O", "%L/libcella_enclave.a",                      \
        "%L/libcella_enclave_bare.a"
#define CELLA_RECIPE_MUSL                                                                          \
    "gcc", CELLA_RECIPE_LINK, "-nostdlib", "-nostartfiles", "-Wl,--no-dynamic-linker", "-o", "%o", \
        "%M/rcrt1.o", "%M/crti.o", "%G/crtbeginS.o", "%O", "-L%M", "-Wl,--start-group",            \
        "%L/libcella_enclave_libc.a", "%L/libcella_enclave.a", "%M/libc.a", "-lgcc", "-lgcc_eh",   \
        "-Wl,--end-group", "%G/crtendS.o", "%M/crtn.o"
#define CELLA_RECIPE_GLIBC                                                                         \
    "gcc", CELLA_RECIPE_LINK, "-o", "%o", "%O", "-Wl,--start-group", "%L/libcella_enclave_libc.a", \
        "%L/libcella_enclave.a", "-Wl,--end-group"
#define CELLA_RECIPE_GLIBC_CXX                                                                     \
    "g++", CELLA_RECIPE_LINK, "-o", "%o", "%O", "-Wl,--start-group", "%L/libcella_enclave_libc.a", \
        "%L/libcella_enclave.a", "-Wl,--end-group"

/*
 * Opt-in modules: each is one library and the symbol that pulls it in, given before the group above (%O); docs/runtime.md
 * says what each brings. X(name). `sleep` and `threads` need nothing: their symbols are in libcella_enclave_libc.a.
 */
#define CELLA_RECIPE_MODULES(X)                                                                    \
    X(clock)                                                                                       \
    X(dirs) X(epoll) X(files) X(ids) X(pipes) X(poll) X(resolver) X(sockets) X(uname)
#define CELLA_RECIPE_MODULE(name) "-Wl,-u,cella_module_" #name, "%L/libcella_enclave_" #name ".a"
/* Sealing needs libcrypto: "%L/libcella_enclave_seal.a", "-l:libcrypto.a", with a libc. */
#define CELLA_RECIPE_SEAL "%L/libcella_enclave_seal.a", "-l:libcrypto.a"
/* Protected files: with libcrypto and a libc too. */
#define CELLA_RECIPE_PROTECTED                                                                     \
    "-Wl,-u,cella_module_protected", "%L/libcella_enclave_protected.a", "-l:libcrypto.a"
/* libcrypto alone: the symbol keeps the compressors that newer ones are built with out of the enclave. */
#define CELLA_RECIPE_CRYPTO                                                                        \
    "-Wl,-u,cella_no_compression", "%L/libcella_enclave_seal.a", "-l:libcrypto.a"

/* Quotes and evidence of this enclave; checking the evidence of others; TLS with both. With a libc. */
#define CELLA_RECIPE_ATTEST                                                                        \
    "-Wl,-u,cella_module_attest", "%L/libcella_enclave_attest.a", "-l:libcrypto.a"
#define CELLA_RECIPE_EVIDENCE                                                                      \
    "-Wl,-u,cella_no_compression", "%L/libcella_enclave_evidence.a", "-l:libcrypto.a"
#define CELLA_RECIPE_TLS                                                                           \
    "-Wl,-u,cella_no_compression", "%L/libcella_enclave_tls.a", "%L/libcella_enclave_evidence.a",  \
        "-l:libssl.a", "-l:libcrypto.a"

#endif
