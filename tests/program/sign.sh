#!/bin/sh
# `cella sign --program` and `--manifest`, `cella inspect` of the result: identity, reproducibility, two steps, refusals.
set -eu

if [ "${1:-}" = --help ]; then
    echo "usage: sign.sh CELLA KEY KERNEL"
    exit 0
fi
if [ $# -ne 3 ]; then
    echo "usage: sign.sh CELLA KEY KERNEL" >&2
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
    echo "sign.sh: $*" >&2
    exit 1
}
# field FILE PYTHON-EXPRESSION: of a JSON document d
field() {
    python3 -c 'import json,sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"
}
# refused WORDS COMMAND...: fails with status 1, and says so
refused() {
    words=$1
    shift
    if "$@" >out 2>err; then fail "not refused: $*"; fi
    grep -q -- "$words" err || fail "$* said '$(cat err)', not '$words'"
}

gcc -O2 -pthread -o dynamic "$here/native/program.c"
gcc -O2 -pthread -static -o static "$here/native/program.c"

# The same bytes twice, valid, with what the program is.
"$cella" sign --program static --key "$key" --date 20260101 --json >sign.json
"$cella" sign --program static --key "$key" --date 20260101 --out again.cella >/dev/null
cmp static.cella again.cella || fail "two images of one program differ"
"$cella" inspect --json static.cella >inspect.json || fail "not valid"
[ "$(field sign.json 'd["mrenclave"]')" = "$(field inspect.json 'd["identities"][0]["mrenclave"]')" ] ||
    fail "the measurements differ"
[ "$(field sign.json 'd["syscall_sites"]["left"]')" = 0 ] || fail "sites were left"
[ "$(field inspect.json 'd["program"]["executable"], d["program"]["arguments"], [f["path"] for f in d["program"]["files"]]')" = \
    "('/static', ['/static'], ['/static'])" ] || fail "the description is another"
"$cella" inspect static.cella | grep -q '^program      /static$' || fail "inspect does not show the program"

# The libraries of a dynamic one, changed where they are code.
"$cella" sign --program ./dynamic --key "$key" --out dynamic.cella >/dev/null
"$cella" inspect --json dynamic.cella >inspect.json
field inspect.json '[f["path"] for f in d["program"]["files"]]' | grep -q 'libc.so.6' || fail "libc.so.6 is missing"
[ "$(field inspect.json 'd["program"]["entry"] != d["program"]["program_entry"]')" = True ] || fail "no interpreter"

# A manifest.
cat >cella.toml <<'TOML'
[program]
executable = "static"
arguments = ["app", "x"]
[enclave]
product_id = 7
[memory]
stack = "1M"
TOML
"$cella" sign --manifest cella.toml --key "$key" --out app.cella >/dev/null
"$cella" inspect --json app.cella >inspect.json
[ "$(field inspect.json 'd["program"]["arguments"], d["program"]["flags"], d["program"]["stack_size"]')" = \
    "(['app', 'x'], [], 1048576)" ] || fail "the manifest was not heard"

# Two steps give what one gives.
"$cella" sign --program static --digest-out digest --date 20260101 --out prepared >/dev/null
openssl dgst -sha256 -sign "$key" -out signature digest
openssl rsa -in "$key" -pubout -out public.pem 2>/dev/null
"$cella" sign prepared --signature signature --public-key public.pem --out two.cella >/dev/null
cmp static.cella two.cella || fail "two steps differ from one"

# Refusals.
echo text >text
refused 'not a program for x86-64\|not an ELF file' "$cella" sign --program text --key "$key"
printf '#!/bin/sh\n' >script
refused 'a script; name its interpreter' "$cella" sign --program script --key "$key"
refused 'an enclave image already' "$cella" sign --program static.cella --key "$key"
refused 'No such file' "$cella" sign --program absent --key "$key"
gcc -O2 -pthread -static -z execstack -o stack "$here/native/program.c" 2>/dev/null
refused 'executable stack' "$cella" sign --program stack --key "$key"
refused 'expected one of an image file' "$cella" sign --program static --manifest cella.toml
refused 'are for enclaves' "$cella" sign --program static --keep-syscalls
CELLA_PROGRAM_KERNEL=$work/static refused 'program kernel: ' "$cella" sign --program static --key "$key"
# An image whose program was changed afterwards is no longer what was signed.
python3 - <<'PY'
data = bytearray(open("static.cella", "rb").read())
at = data.rfind(b"/proc/self/status")
data[at + 1] ^= 1
open("changed.cella", "wb").write(data)
PY
if "$cella" inspect changed.cella >out; then fail "a changed image is valid"; fi
grep -q DIFFERS out || fail "the measurement of a changed image is the signed one"
