#!/bin/sh
# One program, natively and in an enclave: both print the same. Static, with glibc and musl, and dynamic.
set -eu

usage() {
    echo "usage: compare.sh SOURCE CELLA KEY KERNEL"
}
if [ "${1:-}" = --help ]; then
    usage
    exit 0
fi
if [ $# -ne 4 ]; then
    usage >&2
    exit 2
fi
source=$(realpath "$1") cella=$(realpath "$2") key=$(realpath "$3")
CELLA_PROGRAM_KERNEL=$(realpath "$4")
export CELLA_PROGRAM_KERNEL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# compare NAME COMPILER...: the program is made; with a manifest NAME.toml signed by that
compare() {
    name=$1
    shift
    "$@" -O1 -pthread -w -o "$name" "$source"
    set -- --program "$name"
    if [ -f "$name.toml" ]; then
        set -- --manifest "$name.toml"
    fi
    "$cella" sign "$@" --key "$key" --out "$name.cella" >log 2>&1 || {
        cat log >&2
        exit 1
    }
    timeout -s KILL 60 "./$name" >native 2>&1 || {
        echo "$name natively: status $?" >&2
        exit 1
    }
    timeout -s KILL 60 "$cella" run "$name.cella" >inside 2>&1 || {
        echo "$name in an enclave: status $?" >&2
        tail -n 5 inside >&2
        exit 1
    }
    if ! diff native inside >difference; then
        echo "$name: < natively, > in an enclave" >&2
        cat difference >&2
        exit 1
    fi
    echo "$name: $(wc -l <native) lines alike"
}

cat >async.toml <<TOML
[program]
executable = "async"
path = "/async"
[enclave]
async_calls = true
[network]
names = ["*"]
TOML
compare async gcc -static
compare static gcc -static
compare dynamic gcc
if command -v musl-gcc >/dev/null; then
    compare musl musl-gcc -static
fi
