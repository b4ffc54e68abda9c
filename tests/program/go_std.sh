#!/bin/bash
# The Go standard library's own tests, compiled with the Go of the machine and run in enclaves on the software processor: what
# passes, what is skipped, and each failure, which go_std_known.txt must explain. Minutes long: only where GO_STD is set, to "all" or
# to packages.
set -u

if [ "${1:-}" = --help ] || [ $# -ne 1 ]; then
    echo "usage: GO_STD=all|\"PACKAGE...\" go_std.sh CELLA"
    exit 2
fi
[ -n "${GO_STD:-}" ] || {
    echo "skipped: GO_STD is not set"
    exit 77
}
cella=$(realpath "$1")
known=$(dirname "$(realpath "$0")")/go_std_known.txt
command -v go >/dev/null || export PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || {
    echo "skipped: no Go"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
export CELLA_PLATFORM_DIR=$work/platform XDG_STATE_HOME=$work/state CELLA_PROCESSOR=software
root=$(go env GOROOT)
packages=$GO_STD
[ "$GO_STD" != all ] || packages="sync time context io bufio strconv encoding/json math/big net/netip internal/poll os os/signal net net/http crypto/tls
    crypto/x509 runtime"
cd "$work" || exit 1
unexplained=0
printf '%-16s %6s %6s %7s\n' package passed failed skipped
for package in $packages; do
    name=${package//\//_}
    CGO_ENABLED=0 go test -c -o "$name.test" "$package" || exit 1
    cat >"$name.toml" <<T
[program]
executable = "$name.test"
arguments_from_host = true
directory = "$root/src/$package"
libraries = false
[enclave]
debug = true
[network]
names = ["*"]
[environment]
HOME = "/tmp"
PATH = "$root/bin:/usr/bin:/bin"
GOROOT = "$root"
[[mount]]
target = "$root"
type = "insecure_host"
source = "$root"
T
    "$cella" go sign "$name.test" --manifest "$name.toml" 2>/dev/null || exit 1
    skip=$(sed -n "s#^skip $package \([^ ]*\).*#\1#p" "$known" | paste -sd '|')
    timeout -s KILL 300 "$cella" run "$name.test" -test.short -test.v -test.timeout 280s ${skip:+-test.skip="^($skip)\$"} \
        >"$name.log" 2>&1
    count() { grep -c "^--- $1" "$name.log"; }
    printf '%-16s %6d %6d %7d\n' "$package" "$(count PASS)" "$(count FAIL)" "$(count SKIP)"
    grep -Eq '^(PASS|FAIL)$' "$name.log" || {
        echo "  did not end: $(tail -1 "$name.log" | cut -c1-150)"
        unexplained=1
    }
    while read -r failed; do
        reason=$(sed -n "s#^fail $package $failed \(.*\)#\1#p" "$known")
        echo "  $failed: ${reason:-NOT EXPLAINED}"
        [ -n "$reason" ] || unexplained=1
    done < <(sed -n 's/^--- FAIL: \([^ ]*\).*/\1/p' "$name.log")
done
exit $unexplained
