#!/bin/sh
# The programs of native.sh, signed and run in an enclave; cancellation, which compares code addresses with those of libc's own.
set -eu

usage() {
    echo "usage: enclave.sh c|go CELLA KEY KERNEL"
}
if [ "${1:-}" = --help ]; then
    usage
    exit 0
fi
if [ $# -ne 4 ]; then
    usage >&2
    exit 2
fi
language=$1 cella=$(realpath "$2") key=$(realpath "$3")
CELLA_PROGRAM_KERNEL=$(realpath "$4")
export CELLA_PROGRAM_KERNEL
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# try NAME EXPECTED ARGUMENT...
try() {
    name=$1 expected=$2
    shift 2
    "$cella" sign --program "$name" --key "$key" --out "$name.cella" >log || {
        cat log >&2
        exit 1
    }
    got=$(timeout -s KILL 60 "$cella" run "$name.cella" "$@" 2>err) || {
        echo "$name: status $?: $(cat err)" >&2
        exit 1
    }
    # shellcheck disable=SC2254 # it is a pattern
    case $got in
    $expected) echo "$name: $(tail -n 1 log)" ;;
    *)
        echo "$name: printed '$got', not '$expected'" >&2
        exit 1
        ;;
    esac
}

if [ "$language" = c ]; then
    flags="-O2 -pthread $here/native/program.c -o"
    # shellcheck disable=SC2086 # a list of flags
    {
        gcc -static $flags static
        gcc -static -s $flags static-stripped
        gcc -static-pie $flags static-pie
        gcc $flags dynamic
        gcc -no-pie -s $flags dynamic-fixed
    }
    for name in static static-stripped static-pie dynamic dynamic-fixed; do
        try $name '240 10 a' a cancel
    done
    gcc -O2 -pthread -o many "$here/native/many.c"
    try many '240 threads'
    if command -v musl-gcc >/dev/null; then
        # shellcheck disable=SC2086 # a list of flags
        {
            musl-gcc -static -s $flags musl-stripped
            musl-gcc $flags musl-dynamic
        }
        try musl-stripped '240 10 a' a cancel
        try musl-dynamic '240 10 a' a cancel
    fi
    exit 0
fi

go=$(command -v go || echo /usr/local/go/bin/go)
if [ ! -x "$go" ]; then
    echo "no Go toolchain: skipped"
    exit 77
fi
export GO111MODULE=off CGO_ENABLED=0
said='recovered: runtime error: invalid memory address or nil pointer dereference
threads * user defined signal 1'
"$go" build -ldflags '-s -w' -o fixed "$here/native/threads.go"
"$go" build -buildmode=pie -o pie "$here/native/threads.go"
CGO_ENABLED=1 "$go" build -ldflags '-linkmode external -s -w' -o cgo "$here/native/threads.go"
try fixed "$said"
try pie "$said"
try cgo "$said"
