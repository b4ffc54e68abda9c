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
