#!/bin/sh
# The Go standard library's own tests, compiled by the machine's Go and run in enclaves. Opt-in: they take minutes.
# A failure that go_std.expected does not explain fails the test; so does an explained one that passes after all.
set -eu

usage() {
    cat <<'USAGE'
usage: go_std.sh CELLA KEY KERNEL [PACKAGE...]
  Runs only where CELLA_TEST_GO_STD is set. Prints a line for each package: passed, failed (all explained), skipped.
USAGE
}
if [ "${1:-}" = --help ]; then
    usage
    exit 0
fi
if [ $# -lt 3 ]; then
    usage >&2
    exit 2
fi
if [ -z "${CELLA_TEST_GO_STD:-}" ]; then
    echo "CELLA_TEST_GO_STD is not set: skipped"
    exit 77
fi
cella=$(realpath "$1") key=$(realpath "$2")
CELLA_PROGRAM_KERNEL=$(realpath "$3")
export CELLA_PROGRAM_KERNEL
shift 3
here=$(cd "$(dirname "$0")" && pwd)
go=$(command -v go || echo /usr/local/go/bin/go)
if [ ! -x "$go" ]; then
    echo "no Go toolchain: skipped"
    exit 77
fi
root=$("$go" env GOROOT)
[ $# -gt 0 ] || set -- sync time context io bufio strconv encoding/json math/big net/netip internal/poll os os/signal \
    net net/http crypto/tls crypto/x509 runtime
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

# expected WORD PACKAGE: names after WORD in go_std.expected, as a regular expression or one to a line
expected() {
    awk -v word="$1" -v package="$2" '$1 == word && $2 == package { print $3 }' "$here/go_std.expected"
}

manifest() {
    cat <<TOML
[program]
executable = "test"
path = "/app/test"
arguments = ["test"]
arguments_from_host = true
directory = "$root/src/$1"
[enclave]
debug = true
[limits]
threads = 160
[network]
names = ["*"]
[environment]
HOME = "/tmp"
TMPDIR = "/tmp"
[[mount]]
target = "$root"
type = "insecure_host"
source = "$root"
[[mount]]
target = "/usr/share"
type = "insecure_host"
source = "/usr/share"
TOML
}

for package; do
    CGO_ENABLED=0 "$go" test -c -o test "$package" >log 2>&1 || {
        cat log >&2
        exit 1
    }
    manifest "$package" >cella.toml
    "$cella" sign --manifest cella.toml --key "$key" --out test.cella >log 2>&1 || {
        cat log >&2
        exit 1
    }
    skip=$(expected hang "$package" | tr '\n' '|')
    status=0
    timeout -s KILL 300 "$cella" run test.cella -test.short -test.v -test.skip "^(${skip:-none|}none)\$" >out 2>&1 || status=$?
    grep '^--- FAIL' out | awk '{ print $3 }' | sort >got || true
    expected fail "$package" | sort >wanted
    echo "$package: $(grep -c '^--- PASS' out) passed, $(wc -l <got) failed, $(grep -c '^--- SKIP' out) skipped"
    if ! diff wanted got >difference || [ "$status" -gt 1 ]; then
        echo "$package: status $status; < only expected to fail, > only failed:" >&2
        cat difference >&2
        tail -n 3 out >&2
        failed=1
    fi
done
exit $failed
