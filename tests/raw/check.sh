#!/bin/sh
# One signed file, bit for bit, through: raw ioctls and the vDSO under `cella soft`; the runtime's kernel-ABI table
# under `cella soft`; the runtime's own software table.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 4 ]; then
    echo "usage: check.sh CELLA RAW_HOST RUNTIME_HOST IMAGE"
    exit 2
fi
cella=$1 raw=$2 runtime=$3 image=$4
before=$(sha256sum <"$image")
expect() {
    wanted=$1
    shift
    got=$("$@")
    if [ "$got" != "$wanted" ]; then
        echo "expected '$wanted', got '$got' from: $*"
        exit 1
    fi
}
expect "Hello, world" "$cella" soft -- "$raw" "$image"
expect "hardware: Hello, world" env CELLA_PROCESSOR=hardware "$cella" soft -- "$runtime" "$image"
expect "software: Hello, world" env CELLA_PROCESSOR=software "$runtime" "$image"
if [ ! -e /dev/sgx_enclave ]; then
    if env CELLA_PROCESSOR=hardware "$runtime" "$image" 2>/dev/null; then
        echo "ran on hardware that is not there"
        exit 1
    fi
    if "$raw" "$image" 2>/dev/null; then
        echo "ran on hardware that is not there"
        exit 1
    fi
fi
[ "$(sha256sum <"$image")" = "$before" ]
