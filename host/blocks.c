/*
 * Files in blocks, for the enclave's protected files: reads and writes over a few spans. A thread of the file writes one
 * while the enclave fills the next, or reads the next while the enclave decrypts one.
 * Side: host. Called by service.c. Source of the operations: abi/blocks.h.
 * Never follows a path out of the enclave's file root; never drops a write that failed: it is tried again.
 */
#include "host/blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/blocks.h"

#define BLOCKS_FILES_MAX 1024u
#define THREAD_MIN (64u << 10) /* smaller transfers are done at once */
#define THREAD_STACK (64u << 10)
#define THREAD_AWAITS 50000u /* ns */
#define RESERVE_FROM                                                                               \
    (4ull << 20) /* files that grow beyond this get their disk blocks in steps of: */
#define RESERVE_STEP (32ull << 20)

enum job_state {
    JOB_NONE,
    JOB_WAITING, /* for the thread */
    JOB_RUNNING,
    JOB_DONE,
};

/* A write out of a span that the thread does, or has done; or reading ahead into it. */
struct job {
    enum job_state state;
    bool reading;
    uint64_t turn; /* the lowest that waits is done first */
    uint64_t offset;
    size_t size;
    int64_t result; /* a count or -errno */
};

struct blocks_file {
    const cella_enclave *enclave;
    int fd;
    _Atomic uint32_t users;
    uint8_t *spans;
    uint64_t reserved; /* disk blocks were asked for up to here; 0: never */
    uint64_t size;     /* at opening */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job jobs[CELLA_BLOCKS_SPANS];
    _Atomic uint64_t turns; /* jobs so far */
    _Atomic bool ending;
    bool has_thread, no_thread;
    bool started; /* a job; the thread is to be told once the lock is free */
    pthread_t thread;
};

static struct blocks_file *g_files[BLOCKS_FILES_MAX];
static pthread_mutex_t g_files_lock = PTHREAD_MUTEX_INITIALIZER;

static int64_t errno_or(int64_t result)
{
    return result < 0 ? -errno : result;
}

/* ------------------------------------------------------------------------- moving bytes */

static uint8_t *span_of(const struct blocks_file *file, uint32_t span)
{
    return file->spans + (size_t)span * CELLA_BLOCKS_SPAN_SIZE;
}

/* Blocks that are there already make writing a file's end a third cheaper; that there are none is no failure. */
static void reserve(struct blocks_file *file, uint64_t end)
{
    if (end > RESERVE_FROM && end > file->reserved && end > file->size) {
        const uint64_t from = file->reserved > file->size ? file->reserved : file->size;
        (void)fallocate(file->fd, FALLOC_FL_KEEP_SIZE, (off_t)from,
                        (off_t)(end - from + RESERVE_STEP));
        file->reserved = end + RESERVE_STEP;
    }
}

/* Those beyond the end go back. */
static void reserve_end(struct blocks_file *file)
{
    struct stat status;
    if (file->reserved != 0 && fstat(file->fd, &status) == 0) {
        (void)!ftruncate(file->fd, status.st_size);
    }
}

/* All of it, or up to the end of the file when reading. */
static int64_t move(const struct blocks_file *file, uint32_t span, const struct job *job)
{
    uint8_t *at = span_of(file, span);
    size_t done = 0;
    while (done < job->size) {
        const off_t offset = (off_t)(job->offset + done);
        const ssize_t part = job->reading ? pread(file->fd, at + done, job->size - done, offset)
                                          : pwrite(file->fd, at + done, job->size - done, offset);
        if (part < 0 && errno == EINTR) {
            continue;
        }
        if (part < 0) {
            return -errno;
        }
        if (part == 0) {
            break;
        }
        done += (size_t)part;
    }
    return (int64_t)done;
}

static int next_job(const struct blocks_file *file)
{
    int first = -1;
    for (int span = 0; span < (int)CELLA_BLOCKS_SPANS; span++) {
        if (file->jobs[span].state == JOB_WAITING &&
            (first < 0 || file->jobs[span].turn < file->jobs[first].turn)) {
            first = span;
        }
    }
    return first;
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/*
 * The next job of a row comes in less time than this, and to wake a sleeping thread for each would cost the enclave's side
 * what two nodes take. The processor is left to whoever wants it meanwhile.
 */
static void job_await(struct blocks_file *file)
{
    const uint64_t turns = file->turns;
    const uint64_t until = now() + THREAD_AWAITS;
    pthread_mutex_unlock(&file->lock);
    while (file->turns == turns && !file->ending && now() < until) {
        sched_yield();
    }
    pthread_mutex_lock(&file->lock);
}

static void *thread_main(void *argument)
{
    struct blocks_file *file = argument;
    bool awaits = false;
    pthread_mutex_lock(&file->lock);
    while (!file->ending || next_job(file) >= 0) {
        const int span = next_job(file);
        if (span < 0 && awaits) {
            job_await(file);
            awaits = false;
            continue;
        }
        if (span < 0) {
            pthread_cond_wait(&file->changed, &file->lock);
            continue;
        }
        awaits = true;
        file->jobs[span].state = JOB_RUNNING;
        const struct job job = file->jobs[span];
        pthread_mutex_unlock(&file->lock);
        const int64_t result = move(file, (uint32_t)span, &job);
        pthread_mutex_lock(&file->lock);
        file->jobs[span].result = result;
        file->jobs[span].state = JOB_DONE;
        pthread_cond_broadcast(&file->changed);
    }
    pthread_mutex_unlock(&file->lock);
    return NULL;
}

/* The thread takes no signals: they are the application's. */
static bool thread_ready(struct blocks_file *file)
{
    pthread_attr_t attributes;
    sigset_t all, old;
    if (file->has_thread || file->no_thread) {
        return file->has_thread;
    }
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    file->has_thread = pthread_create(&file->thread, &attributes, thread_main, file) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    file->no_thread = !file->has_thread;
    return file->has_thread;
}

static void job_start(struct blocks_file *file, uint32_t span, const struct job *job)
{
    file->jobs[span] = *job;
    file->jobs[span].state = JOB_WAITING;
    file->jobs[span].turn = file->turns++;
    file->started = true;
}

static void job_wait(struct blocks_file *file, uint32_t span)
{
    if (file->jobs[span].state == JOB_WAITING && file->jobs[span].reading) {
        file->jobs[span].state = JOB_NONE; /* not begun: it is not worth waiting for */
    }
    while (file->jobs[span].state == JOB_WAITING || file->jobs[span].state == JOB_RUNNING) {
        pthread_cond_wait(&file->changed, &file->lock);
    }
}

/*
 * Waits; a write that failed is tried once more, and stays when it fails again; what was read ahead is forgotten.
 * 0 or -errno.
 */
static int64_t job_finish(struct blocks_file *file, uint32_t span)
{
    struct job *job = &file->jobs[span];
    job_wait(file, span);
    if (job->state == JOB_DONE && !job->reading && job->result != (int64_t)job->size) {
        job->result = move(file, span, job);
        if (job->result != (int64_t)job->size) {
            return job->result < 0 ? job->result : -EIO;
        }
    }
    job->state = JOB_NONE;
    return 0;
}

/* Nothing is under way then, and nothing that was read ahead is used any more. */
static int64_t settle(struct blocks_file *file)
{
    int64_t result = 0;
    for (uint32_t span = 0; span < CELLA_BLOCKS_SPANS; span++) {
        const int64_t finished = job_finish(file, span);
        result = result < 0 ? result : finished;
    }
    return result;
}

static int64_t writes_settle(struct blocks_file *file)
{
    int64_t result = 0;
    for (uint32_t span = 0; span < CELLA_BLOCKS_SPANS; span++) {
        const int64_t finished = file->jobs[span].reading ? 0 : job_finish(file, span);
        result = result < 0 ? result : finished;
    }
    return result;
}

static void reads_forget(struct blocks_file *file)
{
    for (uint32_t span = 0; span < CELLA_BLOCKS_SPANS; span++) {
        if (file->jobs[span].reading) {
            (void)job_finish(file, span);
        }
    }
}

/* ------------------------------------------------------------------------- operations */

/*
 * Writes first. What lies in the span already, read ahead, is not read again; the thread was told in time, and when no
 * processor had time for it this one reads. Other spans stay as they are.
 */
static int64_t blocks_read(struct blocks_file *file, const struct cella_call_blocks *call)
{
    struct job *job = &file->jobs[call->span];
    const uint32_t next = (call->span + 1) % CELLA_BLOCKS_SPANS;
    const struct job wanted = {.reading = true, .offset = call->offset, .size = (size_t)call->size};
    int64_t result = writes_settle(file);
    if (result < 0) {
        return result;
    }
    job_wait(file, call->span);
    const bool there = job->state == JOB_DONE && job->offset == wanted.offset &&
                       job->result >= (int64_t)wanted.size;
    job->state = JOB_NONE;
    result = there ? (int64_t)wanted.size : move(file, call->span, &wanted);
    if (result == (int64_t)wanted.size && call->ahead > 0 && thread_ready(file)) {
        const struct job ahead = {
            .reading = true, .offset = wanted.offset + wanted.size, .size = call->ahead};
        job_wait(file, next);
        job_start(file, next, &ahead);
    }
    return result;
}

static int64_t blocks_write(struct blocks_file *file, const struct cella_call_blocks *call)
{
    const struct job job = {.offset = call->offset, .size = (size_t)call->size};
    reads_forget(file);
    if (job.size >= THREAD_MIN && thread_ready(file)) {
        /* This span's write and the next one's, which the enclave is about to fill. */
        const int64_t own = job_finish(file, call->span);
        const int64_t next =
            own < 0 ? own : job_finish(file, (call->span + 1) % CELLA_BLOCKS_SPANS);
        if (next < 0) {
            return next;
        }
        reserve(file, job.offset + job.size);
        job_start(file, call->span, &job);
        return (int64_t)job.size;
    }
    const int64_t settled = settle(file);
    const int64_t done = settled < 0 ? settled : move(file, call->span, &job);
    return done < 0 || done == (int64_t)job.size ? done : -EIO;
}

static int64_t blocks_sync(struct blocks_file *file)
{
    const int64_t settled = settle(file);
    return settled < 0 ? settled : errno_or(fdatasync(file->fd));
}

static int64_t blocks_resize(struct blocks_file *file, uint64_t size)
{
    const int64_t settled = settle(file);
    return settled < 0 ? settled : errno_or(ftruncate(file->fd, (off_t)size));
}

static int64_t on_file(struct blocks_file *file, const struct cella_call_blocks *call)
{
    int64_t result = -EINVAL;
    if (call->span >= CELLA_BLOCKS_SPANS || call->size > CELLA_BLOCKS_SPAN_SIZE ||
        call->ahead > CELLA_BLOCKS_SPAN_SIZE || call->offset > INT64_MAX / 2) {
        return -EINVAL;
    }
    pthread_mutex_lock(&file->lock);
    switch (call->operation) {
    case CELLA_BLOCKS_READ:
        result = blocks_read(file, call);
        break;
    case CELLA_BLOCKS_WRITE:
        result = blocks_write(file, call);
        break;
    case CELLA_BLOCKS_SETTLE:
        result = settle(file);
        break;
    case CELLA_BLOCKS_SYNC:
        result = blocks_sync(file);
        break;
    case CELLA_BLOCKS_RESIZE:
        result = blocks_resize(file, call->offset);
        break;
    default:
        break;
    }
    const bool started = file->started;
    file->started = false;
    pthread_mutex_unlock(&file->lock);
    if (started) { /* without the lock: the thread would only wake up to wait for it */
        pthread_cond_broadcast(&file->changed);
    }
    return result;
}

/* ------------------------------------------------------------------------- opening and closing */

static void file_end(struct blocks_file *file)
{
    pthread_mutex_lock(&file->lock);
    file->ending = true;
    pthread_cond_broadcast(&file->changed);
    pthread_mutex_unlock(&file->lock);
    if (file->has_thread) {
        pthread_join(file->thread, NULL);
    }
    if (file->fd >= 0) {
        reserve_end(file);
        close(file->fd); /* the lock goes with it */
    }
    munmap(file->spans, (size_t)CELLA_BLOCKS_SPANS * CELLA_BLOCKS_SPAN_SIZE);
    pthread_cond_destroy(&file->changed);
    pthread_mutex_destroy(&file->lock);
    free(file);
}

/*
 * Below the file root. When that is the whole file system, a relative path is one of the process, as enclaves of other
 * SDKs expect.
 */
static int64_t open_path(const cella_enclave *enclave, const char *path, int flags)
{
    struct stat root, whole;
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
        .mode = (flags & O_CREAT) != 0 ? 0666 : 0,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int directory = enclave->file_root;
    if (path[0] != '/' && fstat(directory, &root) == 0 && stat("/", &whole) == 0 &&
        root.st_dev == whole.st_dev && root.st_ino == whole.st_ino) {
        directory = AT_FDCWD;
        how.resolve = RESOLVE_NO_MAGICLINKS;
    }
    return errno_or(syscall(SYS_openat2, directory, path, &how, sizeof(how)));
}

/* Locked, of the right kind, emptied if that is wanted. */
static int64_t file_prepare(struct blocks_file *file, uint64_t flags, uint64_t *ret_size)
{
    struct stat status;
    const bool writable = (flags & CELLA_BLOCKS_WRITABLE) != 0;
    if (flock(file->fd, (writable ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    }
    if (fstat(file->fd, &status) != 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return -EISDIR;
    }
    if ((flags & CELLA_BLOCKS_TRUNCATE) != 0 && ftruncate(file->fd, 0) != 0) {
        return -errno;
    }
    *ret_size = (flags & CELLA_BLOCKS_TRUNCATE) != 0 ? 0 : (uint64_t)status.st_size;
    file->size = *ret_size;
    return 0;
}

static int64_t file_insert(struct blocks_file *file)
{
    int64_t handle = -EMFILE;
    pthread_mutex_lock(&g_files_lock);
    for (uint32_t i = 0; i < BLOCKS_FILES_MAX; i++) {
        if (!g_files[i]) {
            g_files[i] = file;
            handle = i;
            break;
        }
    }
    pthread_mutex_unlock(&g_files_lock);
    return handle;
}

static int64_t blocks_open(cella_enclave *enclave, const char *path, uint64_t flags,
                           struct cella_call_blocks_answer *answer)
{
    struct blocks_file *file = calloc(1, sizeof(*file));
    if (!file) {
        return -ENOMEM;
    }
    file->enclave = enclave;
    file->fd = -1;
    pthread_mutex_init(&file->lock, NULL);
    pthread_cond_init(&file->changed, NULL);
    file->spans = mmap(NULL, (size_t)CELLA_BLOCKS_SPANS * CELLA_BLOCKS_SPAN_SIZE,
                       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (file->spans == MAP_FAILED) {
        free(file);
        return -ENOMEM;
    }
    const int open_flags = ((flags & CELLA_BLOCKS_WRITABLE) != 0 ? O_RDWR : O_RDONLY) |
                           ((flags & CELLA_BLOCKS_CREATE) != 0 ? O_CREAT : 0) |
                           ((flags & CELLA_BLOCKS_EXCLUSIVE) != 0 ? O_EXCL : 0);
    int64_t result = open_path(enclave, path, open_flags);
    file->fd = (int)result;
    if (result >= 0) {
        result = file_prepare(file, flags, &answer->size);
    }
    if (result >= 0) {
        result = file_insert(file);
    }
    if (result < 0) {
        file_end(file);
        return result;
    }
    for (uint32_t i = 0; i < CELLA_BLOCKS_SPANS; i++) {
        answer->spans[i] = (uint64_t)span_of(file, i);
    }
    return result;
}

/* Only files of this enclave. `taken`: out of the table, for closing. */
static struct blocks_file *file_find(const cella_enclave *enclave, int32_t handle, bool taken)
{
    struct blocks_file *file = NULL;
    pthread_mutex_lock(&g_files_lock);
    if (handle >= 0 && (uint32_t)handle < BLOCKS_FILES_MAX && g_files[handle] &&
        g_files[handle]->enclave == enclave) {
        file = g_files[handle];
        if (taken) {
            g_files[handle] = NULL;
        } else {
            atomic_fetch_add(&file->users, 1);
        }
    }
    pthread_mutex_unlock(&g_files_lock);
    return file;
}

static int64_t blocks_close(const cella_enclave *enclave, int32_t handle)
{
    struct blocks_file *file = file_find(enclave, handle, true);
    if (!file) {
        return -EBADF;
    }
    while (atomic_load(&file->users) != 0) {
        sched_yield();
    }
    file_end(file);
    return 0;
}

void cella_host_blocks_end(const cella_enclave *enclave)
{
    for (int32_t handle = 0; handle < (int32_t)BLOCKS_FILES_MAX; handle++) {
        (void)blocks_close(enclave, handle);
    }
}

static int64_t blocks_remove(const cella_enclave *enclave, const char *path)
{
    char directory[4096];
    const char *slash = strrchr(path, '/');
    const size_t size = slash ? (size_t)(slash - path) + 1 : 0;
    if (size + 2 > sizeof(directory)) {
        return -ENAMETOOLONG;
    }
    memcpy(directory, path, size);
    memcpy(directory + size, ".", 2);
    const int64_t parent = open_path(enclave, directory, O_RDONLY | O_DIRECTORY);
    if (parent < 0) {
        return parent;
    }
    const int64_t result = errno_or(unlinkat((int)parent, path + size, 0));
    close((int)parent);
    return result;
}

static int64_t serve(cella_enclave *enclave, const struct cella_call_blocks *call, const char *path,
                     struct cella_call_blocks_answer *answer)
{
    if (call->operation == CELLA_BLOCKS_OPEN) {
        return path ? blocks_open(enclave, path, call->offset, answer) : -EINVAL;
    }
    if (call->operation == CELLA_BLOCKS_REMOVE) {
        return path ? blocks_remove(enclave, path) : -EINVAL;
    }
    if (call->operation == CELLA_BLOCKS_CLOSE) {
        return blocks_close(enclave, call->handle);
    }
    struct blocks_file *file = file_find(enclave, call->handle, false);
    if (!file) {
        return -EBADF;
    }
    const int64_t result = on_file(file, call);
    atomic_fetch_sub(&file->users, 1);
    return result;
}

cella_result cella_host_blocks(cella_enclave *enclave, const void *in, size_t in_size, void *out,
                               size_t out_capacity, size_t *ret_size)
{
    struct cella_call_blocks call;
    struct cella_call_blocks_answer answer = {0};
    CELLA_ENSURE(enclave->file_root >= 0, ACCESS_DENIED);
    CELLA_ENSURE(in_size >= sizeof(call) && out_capacity >= sizeof(answer), TRUNCATED);
    memcpy(&call, in, sizeof(call));
    const char *path = (const char *)in + sizeof(call);
    const bool has_path = in_size > sizeof(call) && memchr(path, 0, in_size - sizeof(call)) != NULL;
    answer.value = serve(enclave, &call, has_path ? path : NULL, &answer);
    memcpy(out, &answer, sizeof(answer));
    *ret_size = sizeof(answer);
    return CELLA_OK;
}
