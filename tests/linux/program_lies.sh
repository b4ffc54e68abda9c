#!/bin/sh
# Signs programs/lies.c with a folder of the host and an encrypted one, and runs it under a host that lies.
set -eu

usage() {
    echo "usage: program_lies.sh CELLA KEY KERNEL_FULL TEST_PROGRAM_LIES [OCALL LIE SEED]"
}
if [ "${1:-}" = --help ]; then
    usage
    exit 0
fi
if [ $# -ne 4 ] && [ $# -ne 7 ]; then
    usage >&2
    exit 2
fi
cella=$(realpath "$1") key=$(realpath "$2") lies=$(realpath "$4")
CELLA_PROGRAM_KERNEL=$(realpath "$3")
export CELLA_PROGRAM_KERNEL
entry=$(nm "$3" | awk '$3 == "cella_linux_entry" { print $1 }')
entry=$(printf '%x' $((0x1000000000 + 0x$entry))) # abi/program.h: where the kernel is
shift 4
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir host secret
gcc -O1 -pthread -static -w -o lies "$here/programs/lies.c"
manifest() {
    cat <<TOML
[program]
executable = "lies"

[enclave]
async_calls = $1

[[mount]]
target = "/host"
type = "insecure_host"
source = "$work/host"
read_only = false

[[mount]]
target = "/secret"
type = "encrypted"
source = "$work/secret"
TOML
}
for async in false true; do
    manifest "$async" >cella.toml
    "$cella" sign --manifest cella.toml --key "$key" --out lies.cella >log 2>&1 || {
        cat log >&2
        exit 1
    }
    echo "async_calls = $async:"
    "$lies" lies.cella "$entry" "$@"
done
