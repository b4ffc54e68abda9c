#!/bin/sh
# `cella new`, `build` and `run` for every kind of project, and what they refuse.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 1 ]; then
    echo "usage: projects.sh CELLA"
    exit 2
fi
cella=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
export XDG_STATE_HOME="$work/state"
cd "$work"

fail() {
    echo "projects: $*"
    exit 1
}

# The command must fail with status $1 and say $2.
refused() {
    status=0
    wanted=$1 text=$2
    shift 2
    "$@" >out.log 2>&1 || status=$?
    [ "$status" = "$wanted" ] || { cat out.log; fail "status $status, expected $wanted: $*"; }
    grep -q -e "$text" out.log || { cat out.log; fail "does not say '$text': $*"; }
}

for kind in "none c" "musl c" "glibc c" "glibc c++"; do
    libc=${kind% *} language=${kind#* }
    name="p-$libc-$(echo "$language" | tr + x)"
    "$cella" new "$name" --libc "$libc" --language "$language" >/dev/null
    "$cella" run "$name" -- Ada >run.log 2>build.log || { cat run.log build.log; fail "$name does not run"; }
    grep -q "^enclave (.* processor): Hello Ada, from inside the enclave.$" run.log ||
        { cat run.log; fail "$name answers otherwise"; }
    "$cella" build "$name" | grep -q "up to date" || fail "$name is built twice"
    "$cella" inspect "$name/build/$name.signed" >/dev/null || fail "$name is not well signed"
done

# Parts of the bridge that the interface does not need are not measured: neither followed structs nor the ring of calls.
if nm p-none-c/build/p-none-c.enclave | grep -E "cella_bridge_(enter_deep|leave_deep|ocall_full|deep_)|slice_call_switchless"; then
    fail "an interface without structs has the code that follows them"
fi

# The same sources elsewhere give the same measurement.
mkdir elsewhere
cp -r p-glibc-c elsewhere/ && rm -rf elsewhere/p-glibc-c/build
(cd elsewhere/p-glibc-c && "$cella" build >/dev/null 2>&1)
identity() {
    "$cella" inspect --json "$1" | python3 -c 'import json,sys; print(json.load(sys.stdin)["identities"][0]["mrenclave"])'
}
[ "$(identity p-glibc-c/build/p-glibc-c.signed)" = "$(identity elsewhere/p-glibc-c/build/p-glibc-c.signed)" ] ||
    fail "two folders, two measurements"

refused 1 "p-none-c: File exists" "$cella" new p-none-c
refused 2 "a name is letters" "$cella" new "a/b"
refused 2 "needs --libc glibc" "$cella" new x --libc musl --language c++
refused 2 "unexpected" "$cella" new x --libc diet
refused 1 "cella.project" "$cella" build nowhere
refused 2 "unexpected" "$cella" build --what
echo "libc = glibc" >p-none-c/cella.project
refused 1 "no 'name = NAME'" "$cella" build p-none-c
printf 'name = x\ncolour = red\n' >p-none-c/cella.project
refused 1 "cella.project:2: unknown key 'colour'" "$cella" build p-none-c
printf 'name = x\nlibc = none\nmodules = seal\n' >p-none-c/cella.project
refused 1 "modules need a libc" "$cella" build p-none-c
printf 'name = x\nmodules = teleport\n' >p-none-c/cella.project
refused 1 "'teleport' is none of" "$cella" build p-none-c
echo 'int broken(' >p-musl-c/enclave/broken.c
refused 1 "a step failed" "$cella" build p-musl-c
printf 'heap_size = 1\n' >p-glibc-c/enclave/enclave.conf
touch -d '+2 seconds' p-glibc-c/enclave/enclave.conf
refused 1 "enclave.conf:1" "$cella" build p-glibc-c
echo "projects: all kinds build, run, and refuse what they should"
