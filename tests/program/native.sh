#!/bin/sh
# Programs of C and Go, linked in every way, with all their system calls through trampolines, outside any enclave.
set -eu

usage() {
    echo "usage: native.sh c|go MAKE_IMAGE RUN_NATIVE KERNEL"
}
if [ "${1:-}" = --help ]; then
    usage
    exit 0
fi
if [ $# -ne 4 ]; then
    usage >&2
    exit 2
fi
language=$1 make_image=$2 run_native=$3 kernel=$4
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
loader=/lib64/ld-linux-x86-64.so.2
libc=/lib/x86_64-linux-gnu/libc.so.6

# try NAME ALLOWED INTERPRETER EXPECTED ARGUMENT...: at most ALLOWED of the program's sites are left.
try() {
    name=$1 allowed=$2 interpreter=$3 expected=$4
    shift 4
    set -- "$work/$name.image" "$@"
    if [ "$interpreter" = - ]; then
        "$make_image" "$kernel" "$work/$name" - "$1" >"$work/log"
    else
        "$make_image" "$kernel" "$work/$name" "$interpreter" "$1" "$libc" >"$work/log"
    fi
    # "sites N replaced M in files …": of libc.so.6 one in a hundred may be left, of the program ALLOWED.
    tail -n 1 "$work/log" | {
        read -r _ sites _ replaced _ _ file_sites _ file_replaced
        if [ "$sites" -eq 0 ] || [ $((sites - replaced)) -gt "$allowed" ] ||
            [ $((file_sites - file_replaced)) -gt $((file_sites / 100)) ]; then
            cat "$work/log" >&2
            exit 1
        fi
    }
    option=
    [ "$allowed" -eq 0 ] || option=--sigreturn-left
    # shellcheck disable=SC2086 # none, or one
    got=$(timeout -s KILL 60 "$run_native" $option "$@") || {
        echo "$name: run: status $?" >&2
        exit 1
    }
    # shellcheck disable=SC2254 # it is a pattern
    case $got in
    $expected) echo "$name: $(tail -n 1 "$work/log")" ;;
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
        gcc -static $flags "$work/static"
        gcc -static -no-pie -s $flags "$work/static-stripped"
        gcc -static-pie $flags "$work/static-pie"
        gcc $flags "$work/dynamic"
        gcc -no-pie -s $flags "$work/dynamic-fixed"
    }
    try static 0 - '240 10 a' a
    try static-stripped 0 - '240 10 a' a
    try static-pie 0 - '240 10 a' a
    try dynamic 0 "$loader" '240 10 a' a
    try dynamic-fixed 0 "$loader" '240 10 a' a
    if command -v musl-gcc >/dev/null; then
        # shellcheck disable=SC2086 # a list of flags
        {
            musl-gcc -static $flags "$work/musl"
            musl-gcc -static -s $flags "$work/musl-stripped"
            musl-gcc $flags "$work/musl-dynamic"
        }
        # musl's signal return has no call frame information: its bytes stay.
        try musl 1 - '240 10 a' a
        try musl-stripped 1 - '240 10 a' a
        try musl-dynamic 1 /lib/ld-musl-x86_64.so.1 '240 10 a' a
    fi
    exit 0
fi

go=$(command -v go || echo /usr/local/go/bin/go)
if [ ! -x "$go" ]; then
    echo "no Go toolchain: skipped"
    exit 77
fi
export GO111MODULE=off CGO_ENABLED=0
build() {
    out=$1
    shift
    "$go" build "$@" -o "$work/$out" "$here/native/threads.go"
}
said='recovered: runtime error: invalid memory address or nil pointer dereference
threads * user defined signal 1'
build fixed
build fixed-stripped -ldflags '-s -w'
build pie-stripped -buildmode=pie -ldflags '-s -w'
try fixed 0 - "$said"
try fixed-stripped 0 - "$said"
try pie-stripped 0 - "$said"
try pie-stripped 0 "$loader" "$said"
CGO_ENABLED=1
build cgo-stripped -ldflags '-linkmode external -s -w'
build cgo-static -ldflags '-linkmode external -extldflags -static'
try cgo-stripped 0 "$loader" "$said"
try cgo-static 0 - "$said"
