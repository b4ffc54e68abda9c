#!/bin/sh
# gdb's backtrace goes from the system call entry through a trampoline to main.
# usage: backtrace.sh CELLA PROGRAM
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 CELLA PROGRAM" >&2
    exit 2
fi
if ! command -v gdb > /dev/null; then
    echo "no gdb on this machine"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" sign "$2" --key "$(dirname "$0")/test-signing-key.pem" --out "$folder/signed" > "$folder/log"
# 39 is getpid, which test_signals calls.
# shellcheck disable=SC2016
gdb -batch -nx -ex 'set confirm off' -ex 'handle all nostop noprint' \
    -ex 'break cella_syscall_entry if $eax == 39' -ex 'run rewritten' -ex 'backtrace' \
    "$folder/signed" > "$folder/out" 2>&1 || true
if grep -q 'ptrace: Operation not permitted' "$folder/out"; then
    echo "gdb may not trace here"
    exit 77
fi
cat "$folder/out"
for frame in 'in cella_syscall_trampolines ()' 'getpid ()' 'test_signals ()' 'main ('; do
    grep -qF "$frame" "$folder/out" || {
        echo "backtrace.sh: no frame '$frame'" >&2
        exit 1
    }
done
