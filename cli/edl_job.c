/*
 * The EDL compiler's run: every file is compiled before any is written.
 * Side: tools. Called by cmd_edl.c, oeedger8r.c and sgx_edger8r.c.
 */
#include "cli/edl_job.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file.h"
#include "cli/sdk.h"
#include "common/cleanup.h"

/* The last kind that oeedger8r knows; those behind it are Cella's own. */
#define LAST_OPENENCLAVE_WARNING CELLA_EDL_W_SIGNED_SIZE_OR_COUNT

void edl_job_init(struct edl_job *job, const char *program, enum cella_edl_dialect dialect)
{
    *job = (struct edl_job){
        .program = program,
        .emit = {.dialect = dialect, .args_header = dialect == CELLA_EDL_OPENENCLAVE},
        .trusted_dir = ".",
        .untrusted_dir = ".",
        .report = edl_job_print,
    };
    cella_edl_options_init(&job->options, dialect);
}

static bool add(const struct edl_job *job, const char **list, size_t *count, const char *item,
                const char *what)
{
    if (*count == EDL_JOB_LIST_MAX) {
        fprintf(stderr, "%s: more than %d %s\n", job->program, EDL_JOB_LIST_MAX, what);
        return false;
    }
    list[(*count)++] = item;
    return true;
}

bool edl_job_add_file(struct edl_job *job, const char *path)
{
    return add(job, job->files, &job->file_count, path, "files");
}

bool edl_job_add_search_path(struct edl_job *job, const char *path)
{
    return add(job, job->search_paths, &job->options.search_path_count, path, "search paths");
}

bool edl_job_add_define(struct edl_job *job, const char *name)
{
    return add(job, job->defines, &job->options.define_count, name, "symbols");
}

enum edl_job_taken edl_job_take_option(struct edl_job *job, int argc, char **argv, int *index,
                                       int (*compare)(const char *, const char *),
                                       const char **ret_search_path)
{
    const struct {
        const char *name;
        bool *flag; /* or */
        const char **value;
    } options[] = {
        {"--trusted", &job->emit.trusted, NULL},
        {"--untrusted", &job->emit.untrusted, NULL},
        {"--header-only", &job->emit.header_only, NULL},
        {"--use-prefix", &job->emit.use_prefix, NULL},
        {"--trusted-dir", NULL, &job->trusted_dir},
        {"--untrusted-dir", NULL, &job->untrusted_dir},
        {"--search-path", NULL, ret_search_path},
    };
    for (size_t i = 0; i < CELLA_COUNT(options); i++) {
        if (compare(argv[*index], options[i].name) != 0) {
            continue;
        }
        if (options[i].flag) {
            *options[i].flag = true;
        } else if (*index + 1 >= argc) {
            fprintf(stderr, "%s: %s needs a folder behind it\n", job->program, options[i].name);
            return EDL_JOB_NO_VALUE;
        } else {
            *options[i].value = argv[++*index];
        }
        return EDL_JOB_TAKEN;
    }
    return EDL_JOB_NOT_MINE;
}

bool edl_job_add_warning(struct edl_job *job, const char *argument)
{
    enum cella_edl_warning warning;
    enum edl_job_wish wish = EDL_JOB_WARN;
    const char *name = argument + strlen("-W");
    bool *group = NULL;
    bool is_no = strncmp(name, "no-", 3) == 0;
    const char *kind = is_no ? name + 3 : name;
    if (strcmp(kind, "all") == 0) {
        group = is_no ? &job->no_all : &job->warn_all;
    } else if (strcmp(kind, "error") == 0) {
        group = is_no ? &job->no_error : &job->all_fail;
    }
    if (group) {
        *group = true;
        return true;
    }
    if (strncmp(name, "no-", 3) == 0) {
        wish = EDL_JOB_OFF;
        name += 3;
    } else if (strncmp(name, "error=", 6) == 0) {
        wish = EDL_JOB_ERROR;
        name += 6;
    }
    if (!cella_edl_warning_find(name, &warning)) {
        return false;
    }
    if (wish > job->wishes[warning]) {
        job->wishes[warning] = wish;
    }
    return true;
}

static void settle_warnings(struct edl_job *job)
{
    job->warn_all &= !job->no_all;
    job->all_fail &= !job->no_error;
    for (int i = 0; i < CELLA_EDL_WARNING_COUNT; i++) {
        enum cella_edl_level *level = &job->options.warnings[i];
        bool is_own = i > (int)LAST_OPENENCLAVE_WARNING;
        if (job->wishes[i] == EDL_JOB_WARN || job->warn_all) {
            *level = CELLA_EDL_WARNS;
        }
        if (*level == CELLA_EDL_WARNS && job->all_fail && (!is_own || job->own_warnings_fail)) {
            *level = CELLA_EDL_FAILS;
        }
        if (job->wishes[i] == EDL_JOB_ERROR) {
            *level = CELLA_EDL_FAILS;
        } else if (job->wishes[i] == EDL_JOB_OFF) {
            *level = CELLA_EDL_IGNORED;
        }
    }
}

void edl_job_find_system_folder(struct edl_job *job, const char *installed, const char *source)
{
    static char folder[2 * PATH_MAX];
    char program[PATH_MAX];
    if (!cella_is_ok(sdk_program_folder(program, sizeof program, NULL))) {
        return;
    }
    snprintf(folder, sizeof folder, "%s/%s", program, installed);
    if (access(folder, R_OK) != 0) {
        snprintf(folder, sizeof folder, "%s", source);
    }
    job->options.system_folder = folder;
}

/* Makes `folder` and those above it. */
static bool make_folder(const struct edl_job *job, const char *folder)
{
    char path[PATH_MAX];
    size_t size = strlen(folder);
    if (size >= sizeof path) {
        fprintf(stderr, "%s: %s: %s\n", job->program, folder, strerror(ENAMETOOLONG));
        return false;
    }
    for (size_t i = 1; i <= size; i++) {
        if (folder[i] != '/' && folder[i] != '\0') {
            continue;
        }
        memcpy(path, folder, i);
        path[i] = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            fprintf(stderr, "%s: %s: %s\n", job->program, path, strerror(errno));
            return false;
        }
    }
    return true;
}

/* One file's way through. */
struct piece {
    struct cella_edl *edl;
    struct cella_edl_outputs outputs;
};

static bool compile(struct edl_job *job, const char *path, struct piece *piece)
{
    cella_result result = cella_edl_compile(path, &job->options, &piece->edl);
    if (piece->edl) {
        job->report(job, piece->edl);
    }
    if (!piece->edl) {
        fprintf(stderr, "%s: %s: %s\n", job->program, path, cella_result_text(result));
    }
    return cella_is_ok(result);
}

static bool generate(struct edl_job *job, struct piece *piece)
{
    struct cella_error error = {0};
    const struct cella_edl_unit *unit = cella_edl_unit(piece->edl);
    cella_result result = cella_edl_emit(unit, &job->emit, &piece->outputs, &error);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "%s: %s: %s\n", job->program, unit->path,
                error.text[0] ? error.text : cella_result_text(result));
    }
    return cella_is_ok(result);
}

static const char *folder_of(const struct edl_job *job, const struct cella_edl_output *output)
{
    return output->is_trusted ? job->trusted_dir : job->untrusted_dir;
}

static mode_t file_mode(void)
{
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

static bool write_outputs(const struct edl_job *job, const struct piece *piece)
{
    for (size_t i = 0; i < piece->outputs.count; i++) {
        const struct cella_edl_output *output = &piece->outputs.files[i];
        struct cella_error error = {0};
        char path[2 * PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder_of(job, output), output->name);
        if (!cella_is_ok(cella_file_write(path, output->text, output->size, file_mode(), &error))) {
            fprintf(stderr, "%s: %s\n", job->program, error.text);
            return false;
        }
    }
    return true;
}

/* In a makefile blanks, # and $ need care. */
static void put_make_name(FILE *stream, const char *name)
{
    for (; *name; name++) {
        if (*name == ' ' || *name == '#') {
            fputc('\\', stream);
        } else if (*name == '$') {
            fputc('$', stream);
        }
        fputc(*name, stream);
    }
}

static bool write_depfile(const struct edl_job *job, const struct piece *pieces)
{
    FILE *stream = fopen(job->depfile, "we");
    if (!stream) {
        fprintf(stderr, "%s: %s: %s\n", job->program, job->depfile, strerror(errno));
        return false;
    }
    for (size_t i = 0; i < job->file_count; i++) {
        const struct cella_edl_unit *unit = cella_edl_unit(pieces[i].edl);
        for (size_t j = 0; j < pieces[i].outputs.count; j++) {
            const struct cella_edl_output *output = &pieces[i].outputs.files[j];
            put_make_name(stream, folder_of(job, output));
            fputc('/', stream);
            put_make_name(stream, output->name);
            fputc(' ', stream);
        }
        fputc(':', stream);
        for (uint32_t j = 0; j < unit->file_count; j++) {
            fputc(' ', stream);
            put_make_name(stream, unit->files[j]);
        }
        fputc('\n', stream);
    }
    bool is_good = !ferror(stream);
    return fclose(stream) == 0 && is_good;
}

static bool run(struct edl_job *job, struct piece *pieces)
{
    bool is_good = true;
    for (size_t i = 0; i < job->file_count; i++) {
        is_good &= compile(job, job->files[i], &pieces[i]);
    }
    if (!is_good || job->is_check) {
        return is_good;
    }
    for (size_t i = 0; i < job->file_count; i++) {
        is_good &= generate(job, &pieces[i]);
    }
    if (!is_good || !make_folder(job, job->trusted_dir) || !make_folder(job, job->untrusted_dir)) {
        return false;
    }
    for (size_t i = 0; i < job->file_count; i++) {
        is_good &= write_outputs(job, &pieces[i]);
    }
    return is_good && (!job->depfile || write_depfile(job, pieces));
}

int edl_job_run(struct edl_job *job)
{
    struct piece *pieces = calloc(job->file_count, sizeof *pieces);
    if (!pieces) {
        fprintf(stderr, "%s: out of memory\n", job->program);
        return 1;
    }
    job->options.search_paths = job->search_paths;
    job->options.defines = job->defines;
    job->options.is_header_only = job->emit.header_only;
    if (!job->emit.trusted && !job->emit.untrusted) {
        job->emit.trusted = true;
        job->emit.untrusted = true;
    }
    settle_warnings(job);
    bool is_good = run(job, pieces);
    for (size_t i = 0; i < job->file_count; i++) {
        cella_edl_outputs_done(&pieces[i].outputs);
        cella_edl_free(pieces[i].edl);
    }
    free(pieces);
    return is_good ? 0 : 1;
}
