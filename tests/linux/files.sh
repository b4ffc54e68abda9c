#!/bin/sh
# programs/files.c outside and in an enclave, in memory, a directory of the host and an encrypted one: what is printed is the
# same. Then: nothing of an encrypted file is readable on the host, and what the host changes is refused.
set -eu

usage() {
    echo "usage: files.sh CELLA KEY KERNEL_FULL RUN_ENCLAVE"
}
if [ "${1:-}" = --help ]; then
    usage
    exit 0
fi
if [ $# -ne 4 ]; then
    usage >&2
    exit 2
fi
cella=$(realpath "$1") key=$(realpath "$2") run=$(realpath "$4")
CELLA_PROGRAM_KERNEL=$(realpath "$3")
export CELLA_PROGRAM_KERNEL
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir plain secret a b c

fail() {
    echo "$*" >&2
    exit 1
}

inside() {
    RUN_ENCLAVE_ROOT=/ timeout -s KILL 100 "$run" "$@"
}

gcc -O1 -pthread -o files "$here/programs/files.c"
printf 'measured' >measured
cat >cella.toml <<'TOML'
[program]
executable = "files"
arguments_from_host = true

[[mount]]
target = "/memory"
type = "memory"

[[mount]]
target = "/plain"
type = "insecure_host"
source = "plain"
read_only = false

[[mount]]
target = "/secret"
type = "encrypted"
source = "secret"
TOML
"$cella" sign --manifest cella.toml --key "$key" --out files.cella >log 2>&1 || fail "$(cat log)"
./files "$work/a" "$work/b" "$work/c" >outside
inside files.cella /memory /plain /secret >within || fail "files: status $?"
diff outside within || fail "an enclave's files are not as the files outside"
[ -z "$(find plain secret -mindepth 1)" ] || fail "something is left on the host: $(find plain secret)"

# Mappings of files: holes are refused where the host or the format has none.
gcc -O1 -pthread -w -o mapped "$here/programs/mapped.c"
sed 's/"files"/"mapped"/' cella.toml >mapped.toml
"$cella" sign --manifest mapped.toml --key "$key" --out mapped.cella >log 2>&1 || fail "$(cat log)"
./mapped "$work/a" | grep -v '^hole' >outside.mapped
for place in /memory /plain /secret; do
    inside mapped.cella "$place" >log || fail "mapped $place: status $?"
    grep -v '^hole' log | diff outside.mapped - || fail "files that are mapped in $place are not as those outside"
done

# A program ends without closing, flushing and unmapping: what it wrote is there, with the times that it gave.
cat >leave.c <<'C'
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void *ends(void *how)
{
    if (strcmp(how, "exit") == 0) {
        _exit(7);
    } else if (strcmp(how, "signal") == 0) {
        kill(getpid(), SIGTERM);
    }
    return NULL; /* the last thread */
}

static int looks(const char *name, const char *wanted)
{
    char text[32] = "";
    struct stat stat;
    const int fd = open(name, O_RDONLY);
    const int good = read(fd, text, sizeof(text) - 1) > 0 && strcmp(text, wanted) == 0 &&
                     fstat(fd, &stat) == 0 && (strcmp(name, "dated") != 0 || stat.st_mtime == 1000);
    return good ? 0 : puts(name), good ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct timespec times[2] = {{1000, 0}, {1000, 0}};
    pthread_t thread;
    if (argc < 3 || chdir(argv[1]) != 0) {
        return 2;
    }
    if (strcmp(argv[2], "look") == 0) {
        return looks("written", "written") + looks("mapped", "mapped") + looks("dated", "dated");
    }
    const int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
    ftruncate(fd, 6);
    char *at = mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    memcpy(at, "mapped", 6);
    write(open("written", O_RDWR | O_CREAT | O_TRUNC, 0600), "written", 7);
    const int dated = open("dated", O_RDWR | O_CREAT | O_TRUNC, 0600);
    write(dated, "dated", 5);
    futimens(dated, times);
    pthread_create(&thread, NULL, ends, argv[2]);
    if (strcmp(argv[2], "last") == 0) {
        pthread_exit(NULL);
    }
    pthread_join(thread, NULL);
    pause();
}
C
gcc -O1 -w -pthread -o leave leave.c
sed 's/"files"/"leave"/' cella.toml >leave.toml
"$cella" sign --manifest leave.toml --key "$key" --out leave.cella >log 2>&1 || fail "$(cat log)"
for place in /plain /secret; do
    for how in exit signal last; do
        rm -f plain/* secret/*
        inside leave.cella "$place" "$how" >log 2>&1 || true
        inside leave.cella "$place" look || fail "after $how, something is lost in $place"
    done
done
rm -f plain/* secret/*

# One program writes a file, another reads it; between them a host.
cat >keep.c <<'C'
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char text[64] = "";
    const int writing = argc > 1 && strcmp(argv[1], "write") == 0;
    const int fd = open("/secret/state", writing ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY, 0600);
    if (fd < 0) {
        puts("refused");
        return 0;
    }
    if (writing) {
        for (int i = 0; i < 2000; i++) {
            if (write(fd, "plain words here\n", 17) != 17) {
                return 1;
            }
        }
        return close(fd);
    }
    puts(read(fd, text, 17) == 17 && strcmp(text, "plain words here\n") == 0 ? "kept" : "refused");
    return 0;
}
C
gcc -O1 -o keep keep.c
sed -i 's/"files"/"keep"/' cella.toml
"$cella" sign --manifest cella.toml --key "$key" --out keep.cella >log 2>&1 || fail "$(cat log)"
inside keep.cella write
[ "$(inside keep.cella)" = kept ] || fail "an encrypted file does not come back"
! grep -q words secret/state || fail "an encrypted file is readable on the host"
printf 'X' | dd of=secret/state bs=1 seek=9000 conv=notrunc 2>/dev/null
cp secret/state changed
[ "$(inside keep.cella)" = kept ] || [ "$(inside keep.cella)" = refused ] || fail "a changed file is read"
printf 'XXXXXXXX' | dd of=secret/state bs=1 seek=4200 conv=notrunc 2>/dev/null
[ "$(inside keep.cella)" = refused ] || fail "a changed root is believed"
echo "files: $(grep -c . within) lines alike"
