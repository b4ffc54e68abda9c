#!/bin/sh
# Rewrites a static program and runs it as a plain program: same output, same exit status as before.
# usage: native.sh CELLA PROGRAM
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 CELLA PROGRAM" >&2
    exit 2
fi
cella=$1
program=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
key=$(dirname "$0")/test-signing-key.pem

export SOURCE_DATE_EPOCH=1700000000
"$cella" sign "$program" --key "$key" --out "$folder/signed" --json > "$folder/sign.json"
"$cella" inspect "$folder/signed" > "$folder/inspect.txt"

run() {
    status=0
    "$@" > "$folder/out" 2>&1 || status=$?
    echo "exit status $status" >> "$folder/out"
}
run "$program"
mv "$folder/out" "$folder/before"
for round in 1 2 3 4 5; do
    run "$folder/signed" rewritten
    if ! diff -u "$folder/before" "$folder/out"; then
        echo "native.sh: round $round: the rewritten program behaves differently" >&2
        exit 1
    fi
done
grep -q 'exit status 3' "$folder/before"
cat "$folder/before" "$folder/sign.json"
