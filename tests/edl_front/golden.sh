#!/bin/sh
# Golden diagnostics of the EDL compiler: what it says of golden/*.edl, in each dialect, and the tree of tree.edl.
set -eu

usage() {
    echo "usage: golden.sh --check|--update CELLA"
}

mode=${1:-}
[ $# = 2 ] || { usage >&2; exit 2; }
cella=$(realpath "$2")
cd "$(dirname "$0")/golden"
status=0

# NAME COMMAND...: compares, or writes, its output and status as NAME.txt.
golden() {
    name=$1
    shift
    output=$("$@" 2>&1 && echo "status 0" || echo "status $?")
    case $mode in
    --check) printf '%s\n' "$output" | diff -u "$name.txt" - || status=1 ;;
    --update) printf '%s\n' "$output" >"$name.txt" ;;
    *) usage >&2; exit 2 ;;
    esac
}

for dialect in cella openenclave intel; do
    for file in slips meaning; do
        golden "$file-$dialect" "$cella" edl --check --dialect "$dialect" "$file.edl"
    done
done
golden import_cycle "$cella" edl --check import_cycle.edl
golden json "$cella" edl --check --json slips.edl
golden tree "$cella" edl --dump-ast --search-path parts tree.edl
exit $status
