#!/bin/sh
# cella sign and cella inspect from outside: exit statuses, two-step signing, reproducibility, help texts, refusals.
# usage: cli.sh CELLA PROGRAM GOLDEN-FOLDER
set -eu

if [ $# -ne 3 ]; then
    echo "usage: $0 CELLA PROGRAM GOLDEN-FOLDER" >&2
    exit 2
fi
cella=$1
program=$2
golden=$3
here=$(cd "$(dirname "$0")" && pwd)
key=$here/test-signing-key.pem
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export SOURCE_DATE_EPOCH=1700000000 XDG_STATE_HOME="$folder/state"
failed=0

fail() {
    echo "cli.sh: $*" >&2
    failed=1
}

# expect STATUS WORDS… -- COMMAND…: exit status, and a text in the output
expect() {
    want=$1
    text=$2
    shift 3
    got=0
    "$@" > "$folder/out" 2>&1 || got=$?
    [ "$got" = "$want" ] || fail "exit status $got instead of $want: $*"
    grep -qF -- "$text" "$folder/out" || {
        fail "no '$text' in the output of: $*"
        cat "$folder/out" >&2
    }
}

# Help texts are golden.
for command in sign inspect; do
    "$cella" $command --help > "$folder/$command.help"
    diff -u "$golden/$command.help" "$folder/$command.help" || fail "help of $command changed"
done

# One input, two folders: the same bytes.
mkdir "$folder/a" "$folder/b"
cp "$program" "$folder/a/in"
cp "$program" "$folder/b/other"
printf 'name = cli\nheap_size = 1M\nthreads = 2\nsvn = 5\nproduct_id = 9\n' > "$folder/conf"
expect 0 "svn 5" -- "$cella" sign "$folder/a/in" --config "$folder/conf" --key "$key"
expect 0 "mrenclave" -- "$cella" sign "$folder/b/other" --config "$folder/conf" --key "$key" --out "$folder/b/out"
cmp "$folder/a/in.signed" "$folder/b/out" || fail "two builds differ"
expect 0 "(equal)" -- "$cella" inspect "$folder/b/out"
expect 0 "name         cli" -- "$cella" inspect "$folder/b/out" --pages
"$cella" inspect "$folder/b/out" --json | grep -q '"good": true' || fail "JSON does not say good"

# Without debug information, and with more of it: another file, the same MRENCLAVE.
identity() {
    "$cella" sign "$1" --config "$folder/conf" --key "$key" --out "$folder/out" | grep mrenclave
}
strip -g -o "$folder/stripped" "$program"
cp "$program" "$folder/more"
objcopy --add-section .debug_paths="$key" "$folder/more"
cmp -s "$folder/stripped" "$program" && fail "nothing was stripped"
[ "$(identity "$folder/stripped")" = "$(identity "$program")" ] || fail "debug information is measured"
[ "$(identity "$folder/more")" = "$(identity "$program")" ] || fail "an unloaded section is measured"

# Two steps, signed by openssl: the same file again.
openssl rsa -in "$key" -pubout -out "$folder/pub.pem" 2> "$folder/log"
expect 0 "svn 5" -- "$cella" sign "$folder/a/in" --config "$folder/conf" --digest-out "$folder/tbs" --out "$folder/prepared"
[ "$(wc -c < "$folder/tbs")" = 256 ] || fail "the bytes to be signed are not 256"
expect 1 "signature    none" -- "$cella" inspect "$folder/prepared"
openssl dgst -sha256 -sign "$key" -out "$folder/sig" "$folder/tbs"
expect 0 "mrsigner" -- "$cella" sign "$folder/prepared" --signature "$folder/sig" --public-key "$folder/pub.pem" --out "$folder/c"
cmp "$folder/c" "$folder/b/out" || fail "two steps give another file"
head -c 384 /dev/zero > "$folder/zero"
expect 1 "does not verify" -- "$cella" sign "$folder/prepared" --signature "$folder/zero" --public-key "$folder/pub.pem" --out "$folder/d"
[ ! -e "$folder/d" ] || fail "a refused signature left a file"
expect 1 "no Cella note" -- "$cella" sign "$folder/a/in" --signature "$folder/sig" --public-key "$folder/pub.pem" --out "$folder/d"

# A changed byte of code: the measurement differs. A changed signature: not valid.
cp "$folder/b/out" "$folder/changed"
printf '\001' | dd of="$folder/changed" bs=1 seek=40960 conv=notrunc 2> "$folder/log"
expect 1 "DIFFERS" -- "$cella" inspect "$folder/changed"
cp "$folder/b/out" "$folder/changed"
size=$(wc -c < "$folder/changed")
printf '\001\002' | dd of="$folder/changed" bs=1 seek=$((size - 1808 + 600)) conv=notrunc 2> "$folder/log"
expect 1 "NOT VALID" -- "$cella" inspect "$folder/changed"

# Without a key: a debug key of the machine's own, made once, and the image marked.
expect 0 "made now" -- "$cella" sign "$folder/a/in" --out "$folder/debug"
expect 0 "signed for debugging only" -- "$cella" sign "$folder/a/in" --out "$folder/debug2"
cmp "$folder/debug" "$folder/debug2" || fail "the debug key changed"
[ "$(stat -c %a "$folder/state/cella/debug-key.pem")" = 600 ] || fail "the debug key is readable by others"
expect 0 "DEBUG MODE64BIT" -- "$cella" inspect "$folder/debug"

# Wrong use and unreadable files.
expect 2 "usage" -- "$cella" inspect
expect 2 "not an ELF file" -- "$cella" inspect "$key"
expect 2 "No such file" -- "$cella" inspect "$folder/missing"
expect 2 "no Cella note" -- "$cella" inspect "$program"
expect 2 "not a regular file" -- "$cella" inspect "$folder"
expect 2 "expected one image file" -- "$cella" sign
expect 2 "exclude each other" -- "$cella" sign x --key k --digest-out d
expect 2 "go together" -- "$cella" sign x --signature s
expect 2 "expected YYYYMMDD" -- "$cella" sign x --date 20261301
expect 1 "filled already" -- "$cella" sign "$folder/b/out" --key "$key" --out "$folder/d"
expect 1 "not an ELF file" -- "$cella" sign "$key" --key "$key" --out "$folder/d"
printf 'heap_size = 5\n' > "$folder/bad"
expect 1 "bad:1:13: heap_size is 5" -- "$cella" sign "$folder/a/in" --config "$folder/bad" --key "$key"
openssl genrsa -out "$folder/small.pem" 2048 2> "$folder/log"
expect 1 "RSA-2048 with exponent 65537" -- "$cella" sign "$folder/a/in" --key "$folder/small.pem"

exit $failed
