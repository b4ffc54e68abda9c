#!/bin/sh
# The generated code of sample.edl in the three dialects: compares it, or (make golden-update) writes it anew.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 2 ]; then
    echo "usage: tests/edl_bridge/golden.sh --check | --update CELLA"
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for dialect in cella openenclave intel; do
    mkdir "$work/$dialect"
    "$2" edl --emit "$dialect" --trusted-dir "$work/$dialect" --untrusted-dir "$work/$dialect" "$here/sample.edl" >/dev/null
    for file in "$work/$dialect"/*; do
        mv "$file" "$file.txt" # text to compare, not code of this tree
    done
done
case $1 in
--check) diff -ru "$here/golden" "$work" ;;
--update)
    rm -rf "$here/golden"
    cp -r "$work" "$here/golden"
    ;;
esac
