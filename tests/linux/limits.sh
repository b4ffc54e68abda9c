#!/bin/sh
# programs/limits.c with small limits: each that runs out says so in its own way, and nothing hangs.
set -eu

usage() {
    echo "usage: limits.sh CELLA KEY KERNEL"
}
if [ "${1:-}" = --help ]; then
    usage
    exit 0
fi
if [ $# -ne 3 ]; then
    usage >&2
    exit 2
fi
cella=$(realpath "$1") key=$(realpath "$2")
CELLA_PROGRAM_KERNEL=$(realpath "$3")
export CELLA_PROGRAM_KERNEL
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    echo "$*" >&2
    exit 1
}

# expect STATUS PATTERN ARGUMENT...: what it prints, and how it ends.
expect() {
    status=$1 pattern=$2
    shift 2
    got=0
    timeout -s KILL 60 "$cella" run limits.cella "$@" >said 2>&1 || got=$?
    [ "$got" = "$status" ] || fail "$1: status $got, not $status: $(cat said)"
    # shellcheck disable=SC2254 # it is a pattern
    case $(cat said) in
    $pattern) echo "$1: as it should be" ;;
    *) fail "$1: printed '$(cat said)', not '$pattern'" ;;
    esac
}

gcc -O1 -pthread -static -w -o limits "$here/programs/limits.c"
cat >limits.toml <<'TOML'
[program]
executable = "limits"
arguments_from_host = true

[memory]
max = "64M"
stack = "1M"

[limits]
threads = 12
descriptors = 64
TOML
"$cella" sign --manifest limits.toml --key "$key" --out limits.cella >log 2>&1 || fail "$(cat log)"

expect 0 '11 threads, then Resource temporarily unavailable
11 threads, then Resource temporarily unavailable' threads
expect 0 '61 descriptors, then Too many open files, then one again' descriptors
expect 0 'all of it, then some' memory
expect 137 '' touch
expect 0 '' addresses
expect 0 'areas' areas
expect 0 'stacks end, and handlers run' stack
expect 139 '' overflow
big=$(head -c 100000 /dev/zero | tr '\0' x)
expect 0 '3 arguments, 300003 bytes' arguments "$big" "$big" "$big"
expect 1 '*: out of memory' arguments "$big" "$big" "$big" "$big" "$big" "$big" "$big" "$big"
set -- "$big" "$big" "$big" "$big" "$big" "$big" "$big" "$big"
expect 1 '*: arguments and environment: a count or nesting limit is exceeded' arguments "$@" "$big" "$big" "$big"
