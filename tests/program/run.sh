#!/bin/sh
# `cella run` of whole programs: arguments, input and output, exit statuses, signals, what --trace and --stats print.
set -eu

if [ "${1:-}" = --help ]; then
    echo "usage: run.sh CELLA KEY KERNEL"
    exit 0
fi
if [ $# -ne 3 ]; then
    echo "usage: run.sh CELLA KEY KERNEL" >&2
    exit 2
fi
cella=$(realpath "$1") key=$(realpath "$2")
CELLA_PROGRAM_KERNEL=$(realpath "$3")
CELLA_PROCESSOR=software
export CELLA_PROGRAM_KERNEL CELLA_PROCESSOR
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    echo "run.sh: $*" >&2
    exit 1
}
# expect STATUS WORDS ARGUMENT...: of program.cella
expect() {
    status=$1 words=$2
    shift 2
    got=0
    timeout -s KILL 60 "$cella" run program.cella "$@" >out 2>err </dev/null || got=$?
    [ "$got" = "$status" ] || fail "$*: status $got, not $status: $(cat err)"
    [ -z "$words" ] || grep -q -- "$words" out || fail "$*: '$(cat out)', not '$words'"
}
# signalled STATUS SIGNAL WORDS ARGUMENT: the signal once it is ready
signalled() {
    mkfifo pipe
    timeout -s KILL 60 "$cella" run program.cella "$4" >pipe 2>err &
    pid=$!
    exec 3<pipe
    rm pipe
    read -r line <&3
    [ "$line" = ready ] || fail "$4: '$line', not ready"
    kill -s "$2" "$(pgrep -P $pid)"
    cat <&3 >out
    exec 3<&-
    got=0
    wait $pid || got=$?
    [ "$got" = "$1" ] || fail "$4, $2: status $got, not $1: $(cat err)"
    [ -z "$3" ] || grep -q -- "$3" out || fail "$4, $2: '$(cat out)', not '$3'"
}

gcc -O2 -static -o program "$here/run.c"
"$cella" sign --program program --key "$key" --out program.cella >/dev/null
expect 7 '^1 arguments, the last is /program$'
expect 7 '^4 arguments, the last is --stats$' a 'b c' --stats
expect 132 '' abort
printf 'one\ntwo\n' | timeout -s KILL 60 "$cella" run program.cella copy >out
printf 'one\ntwo\n' | cmp - out || fail "its input was not copied"

signalled 143 TERM '' wait
signalled 130 INT '' spin
signalled 138 USR1 '' wait
signalled 3 USR1 '^signal 10$' handle-wait
signalled 3 USR1 '^signal 10$' handle-spin

# What is ignored stays ignored.
mkfifo pipe
(trap '' HUP && exec "$cella" run program.cella wait) >pipe 2>err &
pid=$!
read -r line <pipe
kill -s HUP $pid
sleep 0.2
kill -s TERM $pid
got=0
wait $pid || got=$?
[ "$got" = 143 ] || fail "SIGHUP was to be ignored: status $got"

timeout -s KILL 60 "$cella" run --stats program.cella >out 2>err || true
grep -q '^cella run: loaded in [0-9.]* ms, ran [0-9.]* s, [0-9]* calls' err || fail "--stats: $(cat err)"
if timeout -s KILL 60 "$cella" run --trace=syscalls program.cella >out 2>err; then fail "traced"; fi
grep -q 'not signed for debugging' err || fail "--trace of an image that is not for debugging: $(cat err)"
XDG_STATE_HOME=$work/state "$cella" sign --program program --out debug.cella >/dev/null 2>&1
timeout -s KILL 60 "$cella" run --trace=syscalls debug.cella >out 2>err || true
grep -q '^\[1\] write(0x1, ' err || fail "no write in the trace"
if "$cella" run --trace=syscalls nothing.cella >out 2>err; then fail "runs nothing"; fi
grep -q 'go with an image of a program, not with nothing.cella' err || fail "$(cat err)"
