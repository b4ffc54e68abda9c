#!/bin/sh
# A gdb session without any plug-in: a breakpoint in enclave code stops, the backtrace crosses to the host's main, lines
# are right. The transcript is printed. Skipped (77) where there is no gdb.
set -eu

if [ "${1:-}" = --help ]; then
    echo "usage: gdb.sh TEST_CALLS IMAGE GROWING"
    exit 0
fi
command -v gdb >/dev/null || exit 77

out=$(gdb -nx -batch \
    -ex 'set breakpoint pending on' -ex 'set width 0' -ex 'set confirm off' -ex 'set debuginfod enabled off' \
    -ex 'handle SIGSEGV SIGILL SIGSYS SIGFPE nostop noprint pass' \
    -ex 'break enclave_none.c:add' -ex run \
    -ex bt -ex 'print in_size' -ex 'print numbers[0]' -ex 'finish' -ex 'delete' -ex 'continue' \
    --args "$1" "$2" "$3" 2>&1) || true
printf '%s\n' "$out"

failures=0
want() {
    if ! printf '%s\n' "$out" | grep -q -E -e "$1"; then
        echo "gdb.sh: no line like: $1" >&2
        failures=1
    fi
}
want 'hit Breakpoint 1, add .*enclave_none\.c:'
want '^#0 +add \(in=0x[0-9a-f]+, in_size=8.*enclave_none\.c:[0-9]+'
want '^#[0-9]+ .* in ecall_run .*dispatch\.c:[0-9]+'
want '^#[0-9]+ .* in cella_host_run .*host/call\.c:[0-9]+'
want '^#[0-9]+ .* in test_[a-z_]+ .*test_calls\.c:[0-9]+'
want '^#[0-9]+ .* in main .*test_calls\.c:[0-9]+'
want '^.1 = 8$'
want 'exited normally'
exit $failures
