#!/bin/sh
# The Go module: formatted, vetted, and its verifier against the cases of the one in C. Skipped without a Go toolchain.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 2 ]; then
    echo "usage: go.sh MAKE_GO_VECTORS GO_MODULE"
    exit 2
fi
vectors=$(realpath "$1")
module=$(realpath "$2")
go=$(command -v go || echo /usr/local/go/bin/go)
[ -x "$go" ] || {
    echo "skipped: no Go"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir "$work/vectors"
"$vectors" "$work/vectors"
cd "$module"
export GOFLAGS=-buildvcs=false GOTOOLCHAIN=local GOPROXY=off
unformatted=$("$(dirname "$(realpath "$go")")/gofmt" -l .)
[ -z "$unformatted" ] || {
    echo "go: gofmt: $unformatted"
    exit 1
}
"$go" vet ./...
CELLA_GO_VECTORS=$work/vectors "$go" test -count=1 ./...
CGO_ENABLED=0 "$go" build ./...
echo "go: the module's verifier agrees"
