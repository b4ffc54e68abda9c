#!/bin/sh
# The three command lines of the EDL compiler: options, search paths, exit statuses, and that nothing is written on errors.
set -eu

if [ "${1:-}" = --help ] || [ $# != 1 ]; then
    echo "usage: commands.sh BIN    the folder with cella, oeedger8r and sgx_edger8r"
    exit 2
fi
bin=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0

fail() {
    echo "commands.sh: $*" >&2
    failures=$((failures + 1))
}

# STATUS COMMAND...: output in out, errors in err.
expect() {
    want=$1
    shift
    status=0
    "$@" >out 2>err || status=$?
    [ "$status" = "$want" ] || fail "status $status, not $want: $* ($(cat err))"
}

# WORDS in out or err
says() {
    grep -q -- "$1" out err || fail "no '$1' in: $(cat out err)"
}

exists() {
    for file in "$@"; do
        [ -s "$file" ] || fail "$file is not there"
    done
}

missing() {
    for file in "$@"; do
        [ ! -e "$file" ] || fail "$file is there"
    done
}

good='enclave { trusted { public int f([in, size=n] const void *p, size_t n); }; untrusted { void g(void); }; };'
echo "$good" >good.edl
echo 'enclave { trusted { public int f([in] int p); }; };' >bad.edl

# ---- oeedger8r
oe=$bin/oeedger8r
expect 0 "$oe" good.edl
exists good_t.h good_t.c good_u.h good_u.c good_args.h
expect 0 "$oe" --trusted --trusted-dir a/b good.edl
exists a/b/good_t.h a/b/good_t.c a/b/good_args.h
missing a/b/good_u.h
expect 0 "$oe" --untrusted --untrusted-dir c --header-only good.edl
exists c/good_u.h
missing c/good_u.c c/good_t.h
expect 0 "$oe" --use-prefix --untrusted --untrusted-dir p good.edl
grep -q good_f p/good_u.h || fail "no prefix in p/good_u.h"
expect 1 "$oe" --trusted-dir e --untrusted-dir e bad.edl
missing e
expect 1 "$oe" --trusted-dir e --untrusted-dir e good.edl bad.edl
missing e
expect 1 "$oe" nowhere.edl
says "nowhere.edl: no such file"
expect 1 "$oe" --help
says "usage: oeedger8r"
expect 1 "$oe"
expect 0 "$oe" --version
expect 255 "$oe" --trusted
expect 255 "$oe" -D good.edl
expect 255 "$oe" -Wfrobnicate good.edl
says "no such kind"
expect 255 "$oe" -Werror=all good.edl
expect 1 "$oe" --search-path
expect 0 "$oe" --experimental good.edl

echo 'enclave { trusted { public void f([in, size=n] void *p, int n); }; };' >signed.edl
expect 0 "$oe" signed.edl
says "-Wsigned-size-or-count"
expect 1 "$oe" -Werror signed.edl
says "-Werror=signed-size-or-count"
expect 1 "$oe" -Werror=signed-size-or-count signed.edl
expect 0 "$oe" -Werror -Wno-signed-size-or-count signed.edl
expect 0 "$oe" -Wno-signed-size-or-count -Werror=signed-size-or-count signed.edl
expect 0 "$oe" -Werror -Wno-error signed.edl
expect 0 "$oe" -Werror=return-ptr good.edl

# ---- imports: the working folder, then the search paths in order; each file once
mkdir -p one two deep/er
echo 'enclave { untrusted { void part_one(void); }; struct shared { int x; }; };' >one/part.edl
echo 'enclave { untrusted { void part_two(void); }; struct shared { int x; }; };' >two/part.edl
echo 'enclave { from "part.edl" import *; trusted { public void f(void); }; };' >user.edl
expect 1 "$oe" user.edl
says "user.edl:1:16: error: 'part.edl' is not in the search paths"
expect 0 "$oe" --search-path one --search-path two --header-only user.edl
grep -q part_one user_t.h || fail "the first search path does not come first"
expect 0 "$oe" -DLEFT --search-path two --header-only user.edl
grep -q part_two user_t.h || fail "two/part.edl is not found"
cp user.edl deep/user.edl
cp one/part.edl deep/part.edl
expect 1 "$oe" deep/user.edl
says "add --search-path deep"
echo 'enclave { import "part.edl" }' >one/left.edl
echo 'enclave { import "part.edl" }' >one/right.edl
echo 'enclave { import "left.edl" import "right.edl" trusted { public void f([in] struct shared *s); }; };' >diamond.edl
expect 0 "$oe" --search-path one --header-only diamond.edl
[ "$(grep -c 'part_one(' diamond_t.h)" = 1 ] || fail "a function imported twice"
echo 'enclave { from "one/part.edl" import part_on; };' >slip.edl
expect 1 "$oe" slip.edl
says "did you mean 'part_one'"
echo 'enclave { from "self.edl" import *; };' >self.edl
expect 1 "$oe" self.edl
says "imports itself"
echo 'enclave { import "one/part.edl" import "two/part.edl" };' >clash.edl
expect 1 "$oe" clash.edl
says "type 'shared' is defined twice"
# too many imports of imports are refused by name
i=0
while [ $i -lt 70 ]; do
    echo "enclave { import \"chain$((i + 1)).edl\" };" >chain$i.edl
    i=$((i + 1))
done
echo "enclave { };" >chain70.edl
expect 1 "$oe" chain0.edl
says "imports nested deeper than"

# ---- sgx_edger8r: later search paths go before earlier ones, the working folder comes last
sgx=$bin/sgx_edger8r
expect 0 "$sgx" --trusted-dir s --untrusted-dir s good.edl
exists s/good_t.h s/good_t.c s/good_u.h s/good_u.c
missing s/good_args.h
expect 0 "$sgx" --TRUSTED --trusted-dir S good.edl
exists S/good_t.h
missing S/good_u.h
expect 0 "$sgx" --header-only --search-path one:deep --search-path two:deep user.edl
grep -q part_two user_t.h || fail "the last --search-path does not come first"
expect 1 "$sgx"
expect 1 "$sgx" --help
expect 1 "$sgx" --search-path
expect 1 "$sgx" bad.edl
expect 1 "$sgx" -DNAME good.edl
expect 0 "$sgx" --version
echo 'enclave { trusted { void f(void); }; };' >private.edl
expect 1 "$sgx" private.edl
says "no public ecall"
expect 0 "$sgx" --header-only private.edl

# ---- cella edl
cella=$bin/cella
expect 0 "$cella" edl --trusted-dir n --untrusted-dir n --depfile n.d good.edl
exists n/good_t.h n/good_t.c n/good_u.h n/good_u.c
grep -q 'n/good_t.c .*: good.edl' n.d || fail "n.d: $(cat n.d)"
expect 0 "$cella" edl --dialect openenclave --trusted-dir m --untrusted-dir m good.edl
exists m/good_args.h
expect 0 "$cella" edl --emit intel --trusted-dir i --untrusted-dir i good.edl
grep -q sgx_status_t i/good_u.h || fail "--emit intel has no sgx_status_t"
expect 0 "$cella" edl --check --trusted-dir k good.edl
missing k
expect 1 "$cella" edl --json bad.edl
says '"severity": "error"'
says '"line": 1'
expect 2 "$cella" edl
expect 2 "$cella" edl --dialect klingon good.edl
says "no dialect 'klingon'"
expect 2 "$cella" edl -Wfrobnicate good.edl
expect 2 "$cella" edl --frobnicate good.edl
expect 1 "$cella" edl --check -Werror signed.edl
expect 0 "$cella" edl --check deep/user.edl # beside the importing file
printf 'enclave {\n#ifdef WITH\n#if LEVEL > 2\n trusted { public void f(void); };\n#endif\n#endif\n};\n' >level.edl
expect 0 "$cella" edl --dump-ast -DWITH -DLEVEL=3 level.edl
says "ecall 0 void f"
expect 0 "$cella" edl --dump-ast -D WITH -DLEVEL=2 level.edl
grep -q ecall out && fail "LEVEL=2 is taken for more than 2"

# ---- [cella_service=] only in the SDK's own files, or in Cella's dialect
echo 'enclave { untrusted { [cella_service=files] int f(int x); }; };' >service.edl
expect 1 "$oe" service.edl
says "only for Cella's own EDL files"
expect 0 "$cella" edl --check service.edl

# ---- odd files
expect 1 "$oe" one
expect 1 "$oe" /dev/null
: >empty.edl
expect 1 "$oe" empty.edl
says "expected 'enclave {'"
echo "$good" >7-odd.name.edl
expect 0 "$oe" --trusted-dir odd --untrusted-dir odd 7-odd.name.edl
says "not a C identifier"
exists odd/7-odd.name_t.h
printf 'enclave {\000};' >nul.edl
expect 1 "$cella" edl --check nul.edl
chmod 555 one
[ "$(id -u)" = 0 ] || expect 1 "$oe" --trusted-dir one/x --untrusted-dir one/x good.edl

[ $failures = 0 ] && echo "commands: all as expected"
exit $failures
