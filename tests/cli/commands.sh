#!/bin/sh
# The command line itself: help, versions, unknown words, doctor and soft.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 1 ]; then
    echo "usage: commands.sh CELLA    (golden help texts: scripts/golden)"
    exit 2
fi
cella=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

fail() {
    echo "commands: $*"
    exit 1
}

"$here/../../scripts/golden" --check "$cella"

"$cella" --version | grep -Eq '^cella [0-9]+\.[0-9]+\.[0-9]+$' || fail "--version"
status=0
"$cella" frobnicate 2>"$work/err" || status=$?
{ [ "$status" = 2 ] && grep -q "no command 'frobnicate'" "$work/err"; } || fail "unknown command"
"$cella" doctor --json | python3 -c '
import json, sys
report = json.load(sys.stdin)
assert report["hardware"] or report["software"], report
names = {finding["name"] for finding in report["findings"]}
assert {"cpu", "fsgsbase", "syscall-dispatch", "cpuid-trap", "gcc"} <= names, names
for finding in report["findings"]:
    assert finding["verdict"] in ("ok", "missing", "limited", "absent"), finding
    assert finding["verdict"] != "missing" or finding["mend"], finding
' || fail "doctor --json"

# soft: exit status, arguments and environment pass through; what cannot be preloaded is refused.
status=0
"$cella" soft -- sh -c 'exit 7' || status=$?
[ "$status" = 7 ] || fail "soft: exit status $status"
[ "$("$cella" soft -- printf '%s|' a 'b c')" = "a|b c|" ] || fail "soft: arguments"
"$cella" soft --epc 64M -- env | grep -q '^CELLA_SOFT_EPC=64M$' || fail "soft: --epc"
status=0
"$cella" soft -- /nonexistent/program 2>"$work/err" || status=$?
[ "$status" = 127 ] || fail "soft: missing program, status $status"
printf 'int main(void) { return 0; }\n' >"$work/static.c"
gcc -static -o "$work/static" "$work/static.c"
status=0
"$cella" soft -- "$work/static" 2>"$work/err" || status=$?
{ [ "$status" = 126 ] && grep -q "statically linked" "$work/err"; } || fail "soft: static program"
# From a folder that the loader would cut in two.
mkdir -p "$work/two words/bin" "$work/two words/lib"
cp "$cella" "$work/two words/bin/"
cp "$(dirname "$cella")/../soft/libcella-soft.so" "$work/two words/lib/"
"$work/two words/bin/cella" soft -- cat /proc/self/maps >"$work/maps" 2>&1
grep -q "two words/lib/libcella-soft.so$" "$work/maps" || fail "soft: a blank in its own path"
# Ordinary programs do not notice.
[ "$("$cella" soft -- timeout 5 seq 3 | tr '\n' ' ')" = "1 2 3 " ] || fail "soft: timeout"
"$cella" soft -- python3 -c 'import subprocess; assert subprocess.run(["true"]).returncode == 0' ||
    fail "soft: python"
echo "commands: all as documented"
