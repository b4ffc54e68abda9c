/*
 * From a project's sources to its host program and its signed image.
 * Side: tools. Called by cella build and run.
 * Never writes outside the project's build folder.
 */
#include "cli/compile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/file.h"
#include "cli/job.h"
#include "common/cleanup.h"
#include "enclave/recipe.h"
#include "image/elf64.h"

#define SOURCES_MAX 256u
#define MUSL_FOLDER "/usr/lib/x86_64-linux-musl"

/* The sources of one side. */
struct sources {
    char names[SOURCES_MAX][256];
    unsigned count;
    bool has_cxx;
    int64_t newest;                       /* of all files, headers included */
    char generated[PROJECT_NAME_MAX + 8]; /* in build/edl; empty: no EDL */
};

struct build {
    const struct project *project;
    const struct sdk *sdk;
    const struct compile_options *options;
    struct sources enclave, host;
    int64_t newest_shared;
    struct job_pool pool;
    bool worked;
};

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), tail = strlen(ending);
    return length > tail && strcmp(name + length - tail, ending) == 0;
}

static bool is_cxx(const char *name)
{
    return ends_with(name, ".cpp") || ends_with(name, ".cc") || ends_with(name, ".cxx");
}

static bool is_source(const char *name)
{
    return is_cxx(name) || ends_with(name, ".c") || ends_with(name, ".S");
}

/* Nanoseconds; 0 when it is not there. */
static int64_t modified(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0
               ? (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec
               : 0;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* Lists FOLDER/side; sorted, so that the link order, and with it the measurement, is the same everywhere. */
static cella_result list_sources(const char *folder, const char *side, struct sources *ret_sources,
                                 struct cella_error *error)
{
    char path[4608];
    snprintf(path, sizeof(path), "%s/%s", folder, side);
    DIR *directory = opendir(path);
    if (!directory) {
        return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), errno, "%s", path);
    }
    cella_result result = CELLA_OK;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char file[5120];
        if (entry->d_name[0] == '.') {
            continue; /* "..", too: it changes when build/ is made */
        }
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        int64_t changed = modified(file);
        ret_sources->newest = changed > ret_sources->newest ? changed : ret_sources->newest;
        if (!is_source(entry->d_name)) {
            continue;
        }
        if (ret_sources->count == SOURCES_MAX) {
            result = cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                                     "%s: more than %u sources", path, SOURCES_MAX);
            break;
        }
        ret_sources->has_cxx = ret_sources->has_cxx || is_cxx(entry->d_name);
        snprintf(ret_sources->names[ret_sources->count++], 256, "%s", entry->d_name);
    }
    closedir(directory);
    if (cella_is_ok(result) && ret_sources->count == 0) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "%s: no .c, .cpp or .S file there",
                               path);
    }
    qsort(ret_sources->names, ret_sources->count, sizeof(ret_sources->names[0]), compare_names);
    return result;
}

/* Of the files in FOLDER/below whose names end so. */
static int64_t newest_of(const char *folder, const char *below, const char *ending)
{
    char path[4608];
    int64_t newest = 0;
    snprintf(path, sizeof(path), "%s%s", folder, below);
    DIR *directory = opendir(path);
    if (!directory) {
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char file[5120];
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        int64_t changed = ends_with(entry->d_name, ending) ? modified(file) : 0;
        newest = changed > newest ? changed : newest;
    }
    closedir(directory);
    return newest;
}

static cella_result make_folder(const char *path, struct cella_error *error)
{
    if (mkdir(path, 0777) < 0 && errno != EEXIST) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    return CELLA_OK;
}

static void add_words(struct job *job, const struct project_words *words)
{
    for (unsigned i = 0; i < words->count; i++) {
        job_add(job, "%s", words->words[i]);
    }
}

static void add_includes(struct job *job, const struct build *b)
{
    if (b->project->edl[0]) {
        job_add(job, "-I%s/build/edl", b->project->folder);
    }
    job_add(job, "-I%s/shared", b->project->folder);
    job_add(job, "-I%s", b->project->folder);
    for (unsigned i = 0; i < 2 && b->sdk->include[i][0]; i++) {
        job_add(job, "-I%s", b->sdk->include[i]);
    }
}

/*
 * The interface's C code, in build/edl. The compiler is the command itself, with its own messages. Made anew when a file
 * that it may be made of has changed.
 */
static cella_result generate(struct build *b, struct cella_error *error)
{
    char edl[4608], folder[4608], shared[4608], made[5120];
    const struct project *project = b->project;
    if (project->edl[0] == '\0') {
        return CELLA_OK;
    }
    const int stem = (int)strlen(project->edl) - 4;
    snprintf(b->enclave.generated, sizeof(b->enclave.generated), "%.*s_t.c", stem, project->edl);
    snprintf(b->host.generated, sizeof(b->host.generated), "%.*s_u.c", stem, project->edl);
    snprintf(edl, sizeof(edl), "%s/%s", project->folder, project->edl);
    snprintf(folder, sizeof(folder), "%s/build/edl", project->folder);
    snprintf(shared, sizeof(shared), "%s/shared", project->folder);
    snprintf(made, sizeof(made), "%s/%s", folder, b->host.generated);
    CELLA_TRY(make_folder(folder, error));
    int64_t newest = newest_of(project->folder, "", ".edl");
    newest = newest > b->newest_shared ? newest : b->newest_shared;
    if (b->options->rebuild || modified(made) <= newest) {
        char *arguments[] = {
            (char *)"edl", (char *)"--trusted-dir", folder, (char *)"--untrusted-dir",
            folder,        (char *)"--search-path", shared, edl,
            NULL};
        b->worked = true;
        if (cella_cmd_edl((int)CELLA_COUNT(arguments) - 1, arguments) != 0) {
            return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "%s: not understood; see above",
                                   edl);
        }
    }
    const int64_t changed = modified(made);
    b->newest_shared = changed > b->newest_shared ? changed : b->newest_shared;
    return CELLA_OK;
}

/* Where a project lies is in nothing that is made of it: the same sources give the same files anywhere. */
static void forget_place(struct job *job, const struct build *b)
{
    char here[4096];
    const size_t length = getcwd(here, sizeof(here)) ? strlen(here) : 0;
    /* Of several that fit, compilers take the last: what lies below comes behind what is above it. */
    for (unsigned below = 0; below < 2; below++) {
        for (unsigned i = 0; i < 2 && b->sdk->include[i][0]; i++) {
            if ((strncmp(b->sdk->include[i], here, length) == 0) == (below != 0)) {
                job_add(job, "-ffile-prefix-map=%s/=cella-sdk/", b->sdk->include[i]);
            }
        }
        if (below == 0 && length > 0) {
            job_add(job, "-ffile-prefix-map=%s=.", here);
        }
    }
    job_add(job, "-ffile-prefix-map=%s=.", b->project->folder);
}

/* The compiler and flags for one enclave source. */
static void enclave_compiler(struct job *job, const struct build *b, const char *name)
{
    static const char *const common[] = {CELLA_RECIPE_COMPILE};
    static const char *const bare[] = {CELLA_RECIPE_COMPILE_BARE};
    bool cxx = is_cxx(name), musl = b->project->libc == PROJECT_LIBC_MUSL;
    job_add(job, "%s", cxx ? "g++" : musl ? "musl-gcc" : "gcc");
    job_add(job, "%s", cxx ? "-std=gnu++17" : "-std=gnu17");
    job_add(job, "-O2");
    job_add(job, "-g");
    job_add(job, "-Wall");
    for (size_t i = 0; i < CELLA_COUNT(common); i++) {
        job_add(job, "%s", common[i]);
    }
    for (size_t i = 0; b->project->libc == PROJECT_LIBC_NONE && i < CELLA_COUNT(bare); i++) {
        job_add(job, "%s", bare[i]);
    }
    if (b->project->libc != PROJECT_LIBC_NONE) {
        job_add(job, "-fstack-protector-strong");
    }
    forget_place(job, b);
    add_includes(job, b);
    add_words(job, &b->project->enclave_flags);
}

static void host_compiler(struct job *job, const struct build *b, const char *name)
{
    job_add(job, "%s", is_cxx(name) ? "g++" : "gcc");
    job_add(job, "%s", is_cxx(name) ? "-std=gnu++17" : "-std=gnu17");
    job_add(job, "-O2");
    job_add(job, "-g");
    job_add(job, "-Wall");
    job_add(job, "-fPIE");
    forget_place(job, b);
    add_includes(job, b);
    add_words(job, &b->project->host_flags);
}

static cella_result compile_one(struct build *b, const char *side, const char *folder,
                                const char *name, int64_t newest,
                                void (*compiler)(struct job *, const struct build *, const char *),
                                struct cella_error *error)
{
    char object[5120];
    snprintf(object, sizeof(object), "%s/build/%s/%s.o", b->project->folder, side, name);
    if (!b->options->rebuild && modified(object) > newest) {
        return CELLA_OK;
    }
    CELLA_CLEANUP(job_done) struct job job = {0};
    compiler(&job, b, name);
    job_add(&job, "-c");
    job_add(&job, "%s/%s/%s", b->project->folder, folder, name);
    job_add(&job, "-o");
    job_add(&job, "%s", object);
    b->worked = true;
    return job_start(&b->pool, &job, b->options->verbose, error);
}

static cella_result compile_side(struct build *b, const char *side, const struct sources *sources,
                                 void (*compiler)(struct job *, const struct build *, const char *),
                                 struct cella_error *error)
{
    char project_file[4608];
    snprintf(project_file, sizeof(project_file), "%s/%s", b->project->folder, PROJECT_FILE);
    int64_t newest = sources->newest > b->newest_shared ? sources->newest : b->newest_shared;
    int64_t settings = modified(project_file);
    newest = settings > newest ? settings : newest;
    for (unsigned i = 0; i < sources->count; i++) {
        CELLA_TRY(compile_one(b, side, side, sources->names[i], newest, compiler, error));
    }
    if (sources->generated[0]) {
        CELLA_TRY(compile_one(b, side, "build/edl", sources->generated, newest, compiler, error));
    }
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- linking */

static void add_objects(struct job *job, const struct build *b, const char *side,
                        const struct sources *sources)
{
    for (unsigned i = 0; i < sources->count; i++) {
        job_add(job, "%s/build/%s/%s.o", b->project->folder, side, sources->names[i]);
    }
    if (sources->generated[0]) {
        job_add(job, "%s/build/%s/%s.o", b->project->folder, side, sources->generated);
    }
}

/* "%L/name" stands for a library of ours. */
static void add_recipe_word(struct job *job, const struct build *b, const char *word)
{
    if (strncmp(word, "%L/", 3) == 0) {
        job_add(job, "%s/%s", b->sdk->enclave_libraries, word + 3);
    } else {
        job_add(job, "%s", word);
    }
}

static void add_modules(struct job *job, const struct build *b)
{
    static const struct {
        const char *module;
        const char *words[5];
    } modules[] = {
#define X(name) {#name, {CELLA_RECIPE_MODULE(name)}},
        CELLA_RECIPE_MODULES(X)
#undef X
            {"attest", {CELLA_RECIPE_ATTEST}},
        {"evidence", {CELLA_RECIPE_EVIDENCE}},
        {"protected", {CELLA_RECIPE_PROTECTED}},
        {"seal", {CELLA_RECIPE_SEAL}},
        {"tls", {CELLA_RECIPE_TLS}},
    };
    for (size_t i = 0; i < CELLA_COUNT(modules); i++) {
        const bool wanted = project_has_module(b->project, modules[i].module);
        for (size_t j = 0; wanted && j < CELLA_COUNT(modules[i].words) && modules[i].words[j];
             j++) {
            add_recipe_word(job, b, modules[i].words[j]);
        }
    }
}

static void add_application(struct job *job, const struct build *b)
{
    add_objects(job, b, "enclave", &b->enclave);
    add_modules(job, b);
    static const char *const crypto[] = {CELLA_RECIPE_CRYPTO};
    for (unsigned i = 0; i < b->project->libraries.count; i++) {
        const char *name = b->project->libraries.words[i];
        bool is_crypto = strcmp(name, "crypto") == 0;
        for (size_t j = 0; is_crypto && j < CELLA_COUNT(crypto); j++) {
            add_recipe_word(job, b, crypto[j]);
        }
        if (!is_crypto) {
            job_add(job, "-l:lib%s.a", name);
        }
    }
}

/* The folder of gcc's own start files. */
static cella_result compiler_folder(char *ret_folder, size_t size, struct cella_error *error)
{
    FILE *pipe = popen("gcc -print-libgcc-file-name", "re");
    if (!pipe || !fgets(ret_folder, (int)size, pipe)) {
        if (pipe) {
            pclose(pipe);
        }
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "gcc: cannot be run (cella doctor says how to install it)");
    }
    pclose(pipe);
    char *slash = strrchr(ret_folder, '/');
    if (slash) {
        *slash = '\0';
    }
    return CELLA_OK;
}

static cella_result link_recipe(struct build *b, const char *const *recipe, size_t count,
                                const char *out, struct cella_error *error)
{
    char gcc_folder[4096] = "";
    CELLA_CLEANUP(job_done) struct job job = {0};
    if (b->project->libc == PROJECT_LIBC_MUSL) {
        CELLA_TRY(compiler_folder(gcc_folder, sizeof(gcc_folder), error));
    }
    for (size_t i = 0; i < count; i++) {
        const char *word = recipe[i];
        if (strcmp(word, "%O") == 0) {
            add_application(&job, b);
        } else if (strcmp(word, "%o") == 0) {
            job_add(&job, "%s", out);
        } else if (strncmp(word, "%M/", 3) == 0) {
            job_add(&job, "%s/%s", MUSL_FOLDER, word + 3);
        } else if (strncmp(word, "%G/", 3) == 0) {
            job_add(&job, "%s/%s", gcc_folder, word + 3);
        } else if (strcmp(word, "-L%M") == 0) {
            job_add(&job, "-L%s", MUSL_FOLDER);
        } else {
            add_recipe_word(&job, b, word);
        }
    }
    /* What glibc says of name look-ups in static programs is about a host's name service; an enclave has none. */
    return job_run_without(&job, b->options->verbose, "in statically linked applications", error);
}

static cella_result link_enclave(struct build *b, const char *out, struct cella_error *error)
{
    static const char *const none[] = {CELLA_RECIPE_NONE};
    static const char *const musl[] = {CELLA_RECIPE_MUSL};
    static const char *const glibc[] = {CELLA_RECIPE_GLIBC};
    static const char *const cxx[] = {CELLA_RECIPE_GLIBC_CXX};
    switch (b->project->libc) {
    case PROJECT_LIBC_NONE:
        return link_recipe(b, none, CELLA_COUNT(none), out, error);
    case PROJECT_LIBC_MUSL:
        return link_recipe(b, musl, CELLA_COUNT(musl), out, error);
    case PROJECT_LIBC_GLIBC:
        break;
    }
    return b->enclave.has_cxx ? link_recipe(b, cxx, CELLA_COUNT(cxx), out, error)
                              : link_recipe(b, glibc, CELLA_COUNT(glibc), out, error);
}

/* Whether the linked enclave may ask for quotes; without a table of symbols nobody knows. */
static bool asks_for_quotes(const char *elf_path)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_error ignored = {0};
    struct cella_elf elf;
    struct cella_elf_symbols symbols;
    Elf64_Sym symbol;
    return !cella_is_ok(cella_file_read(elf_path, CELLA_IMAGE_FILE_MAX, &file, &ignored)) ||
           !cella_is_ok(cella_elf_parse(cella_bytes_of(file.data, file.size), &elf, &ignored)) ||
           !cella_is_ok(cella_elf_symbols(&elf, SHT_SYMTAB, &symbols)) ||
           cella_is_ok(cella_elf_symbol_find(&symbols, "cella_quote_create", &symbol));
}

static cella_result link_host(struct build *b, const char *elf, const char *out,
                              struct cella_error *error)
{
    CELLA_CLEANUP(job_done) struct job job = {0};
    job_add(&job, "%s", b->host.has_cxx ? "g++" : "gcc");
    job_add(&job, "-o");
    job_add(&job, "%s", out);
    add_objects(&job, b, "host", &b->host);
    if (!asks_for_quotes(elf)) {
        /* The answer "there are none", in place of all that makes them: libcrypto's larger part. */
        job_add(&job, "-Wl,-u,cella_quote_serve");
        job_add(&job, "%s/libcella_host_noquotes.a", b->sdk->host_libraries);
    }
    job_add(&job, "%s/libcella_host.a", b->sdk->host_libraries);
    /* Cella's other libraries: beside that one where it is installed, in their own folders of a build tree. */
    job_add(&job, "-L%s", b->sdk->host_libraries);
    job_add(&job, "-L%s/../evidence", b->sdk->host_libraries);
    job_add(&job, "-L%s/../tls", b->sdk->host_libraries);
    for (unsigned i = 0; i < b->project->host_libraries.count; i++) {
        job_add(&job, "-l%s", b->project->host_libraries.words[i]);
    }
    if (b->project->host_static_crypto) {
        /* Its names stay inside: a library of the host that has another libcrypto does not meet them. */
        job_add(&job, "-l:libcrypto.a");
        job_add(&job, "-Wl,--exclude-libs,libcrypto.a");
    } else {
        job_add(&job, "-lcrypto");
    }
    job_add(&job, "-lpthread");
    job_add(&job, "-ldl");
    return job_start(&b->pool, &job, b->options->verbose, error);
}

/* The signer is the command itself: one way to sign, with its own messages. */
static cella_result sign_image(struct build *b, const char *elf, const char *image,
                               struct cella_error *error)
{
    char config[4608], key[8192];
    char *arguments[12] = {(char *)"sign", (char *)elf, (char *)"--out", (char *)image};
    int count = 4;
    snprintf(config, sizeof(config), "%s/enclave/enclave.conf", b->project->folder);
    if (access(config, R_OK) == 0) {
        arguments[count++] = (char *)"--config";
        arguments[count++] = config;
    }
    if (b->options->key) {
        snprintf(key, sizeof(key), "%s", b->options->key);
    } else {
        snprintf(key, sizeof(key), "%s%s%s", b->project->key[0] == '/' ? "" : b->project->folder,
                 b->project->key[0] == '/' ? "" : "/", b->project->key);
    }
    if (b->options->key || b->project->key[0]) {
        arguments[count++] = (char *)"--key";
        arguments[count++] = key;
    }
    if (cella_cmd_sign(count, arguments) != 0) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT), "%s: not signed; see above",
                               elf);
    }
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- the whole */

static bool is_older(const char *path, const char *than)
{
    return modified(path) <= modified(than);
}

static bool needs_signing(const struct build *b, const char *elf, const char *image)
{
    char config[4608];
    snprintf(config, sizeof(config), "%s/enclave/enclave.conf", b->project->folder);
    return b->worked || b->options->key || is_older(image, elf) || is_older(image, config);
}

static cella_result check_languages(const struct build *b, struct cella_error *error)
{
    if (b->enclave.has_cxx && b->project->libc != PROJECT_LIBC_GLIBC) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s/%s: enclaves in C++ need libc = glibc", b->project->folder,
                               PROJECT_FILE);
    }
    if (b->project->libc == PROJECT_LIBC_MUSL && access(MUSL_FOLDER "/rcrt1.o", R_OK) < 0) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               MUSL_FOLDER
                               "/rcrt1.o: musl is not installed: apt-get install musl-tools");
    }
    if (b->project->libc == PROJECT_LIBC_NONE && b->project->modules.count) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s/%s: modules need a libc (libc = musl or glibc)",
                               b->project->folder, PROJECT_FILE);
    }
    return CELLA_OK;
}

static void unlock(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/* One build of a project at a time: another would take half-written objects. */
static cella_result lock_folder(const struct build *b, int *ret_fd, struct cella_error *error)
{
    char path[4608];
    snprintf(path, sizeof(path), "%s/build", b->project->folder);
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0 || flock(*ret_fd, LOCK_EX) < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    return CELLA_OK;
}

static cella_result make_folders(const struct build *b, struct cella_error *error)
{
    static const char *const folders[] = {"build", "build/enclave", "build/host"};
    for (size_t i = 0; i < CELLA_COUNT(folders); i++) {
        char path[4608];
        snprintf(path, sizeof(path), "%s/%s", b->project->folder, folders[i]);
        CELLA_TRY(make_folder(path, error));
    }
    return CELLA_OK;
}

cella_result compile_project(const struct project *project, const struct sdk *sdk,
                             const struct compile_options *options,
                             struct compile_result *ret_result, struct cella_error *error)
{
    static struct build b; /* large; one project at a time */
    CELLA_CLEANUP(unlock) int lock = -1;
    char elf[4608];
    b = (struct build){.project = project, .sdk = sdk, .options = options};
    CELLA_TRY(list_sources(project->folder, "enclave", &b.enclave, error));
    CELLA_TRY(list_sources(project->folder, "host", &b.host, error));
    b.newest_shared = newest_of(project->folder, "/shared", "");
    CELLA_TRY(check_languages(&b, error));
    CELLA_TRY(make_folders(&b, error));
    CELLA_TRY(lock_folder(&b, &lock, error));
    CELLA_TRY(generate(&b, error));
    snprintf(ret_result->host, sizeof(ret_result->host), "%s/build/%s", project->folder,
             project->name);
    snprintf(elf, sizeof(elf), "%s/build/%s.enclave", project->folder, project->name);
    snprintf(ret_result->image, sizeof(ret_result->image), "%s/build/%s.signed", project->folder,
             project->name);
    CELLA_TRY(compile_side(&b, "enclave", &b.enclave, enclave_compiler, error));
    CELLA_TRY(compile_side(&b, "host", &b.host, host_compiler, error));
    CELLA_TRY(job_wait(&b.pool, error));
    if (b.worked || access(elf, R_OK) < 0 || access(ret_result->host, X_OK) < 0) {
        b.worked = true;
        CELLA_TRY(link_enclave(&b, elf, error));
        CELLA_TRY(job_wait(&b.pool, error));
        CELLA_TRY(link_host(&b, elf, ret_result->host, error));
        CELLA_TRY(job_wait(&b.pool, error));
    }
    ret_result->up_to_date = !needs_signing(&b, elf, ret_result->image);
    return ret_result->up_to_date ? CELLA_OK : sign_image(&b, elf, ret_result->image, error);
}
