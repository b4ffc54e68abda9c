#!/bin/sh
# The Intel SGX SDK skin as its users have it: installs into an empty folder, then builds small projects there with
# Makefiles like the samples', signs them with sgx_sign, and runs them in both modes. sign.sh does the signer.
# Called by make check. Never uses anything of the build folder but `meson install`.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 3 ]; then
    echo "usage: installed.sh BUILD SOURCE PREFIX    (PREFIX: what the build was configured with)"
    exit 2
fi
build=$(realpath "$1") source=$(realpath "$2") prefix=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
export CELLA_PLATFORM_DIR="$work/platform"
top=$work/root$prefix
sdk=$top/sgxsdk

fail() {
    echo "intel: $*"
    exit 1
}

into_prefix() {
    DESTDIR="$work/root" ${MESON:-meson} install -C "$build" --no-rebuild >"$work/install.log" 2>&1 ||
        { cat "$work/install.log"; fail "meson install fails"; }
}

# Every file and link below the SDK, with what is in it.
picture() {
    (cd "$sdk" && find . -type l -printf 'l %p %l\n' -o -type f -print | LC_ALL=C sort | while read -r kind rest; do
        if [ "$kind" = l ]; then echo "$kind $rest"; else sha256sum "$kind"; fi
    done)
}

# Installing over an older prefix leaves what installing into an empty one does, whatever the older one had.
into_prefix
picture >"$work/first"
into_prefix
picture >"$work/second"
diff "$work/first" "$work/second" >"$work/diff" || { cat "$work/diff"; fail "installing twice is not installing once"; }
echo '#error old' >"$sdk/include/libcxx/vector"
echo '#error old' >"$sdk/include/tlibc/stdio.h"
echo '#error old' >"$sdk/include/tlibc/no_such_header.h"
echo precious >"$work/precious"
ln -sfn /nowhere "$sdk/include/tlibc/bits"
ln -sfn /nowhere "$sdk/include/cella"
ln -sf "$work/precious" "$sdk/lib64/libsgx_tcxx.a"
ln -sf /nowhere "$sdk/sdk_libs/libsgx_urts.so"
into_prefix
picture >"$work/second"
diff "$work/first" "$work/second" >"$work/diff" || { cat "$work/diff"; fail "an older prefix shines through"; }
[ "$(cat "$work/precious")" = precious ] || fail "installing wrote through a link"

# shellcheck source=/dev/null
BASH_SOURCE=$sdk/environment . "$sdk/environment"
[ "$SGX_SDK" = "$sdk" ] || fail "environment says SGX_SDK=$SGX_SDK"
[ "$(command -v sgx_sign)" = "$sdk/bin/x64/sgx_sign" ] || fail "environment does not set PATH"
for name in libsgx_urts libsgx_urts_sim libsgx_uae_service libsgx_quote_ex_sim libsgx_dcap_quoteverify; do
    pkg-config --libs --cflags "$name" >/dev/null || fail "no $name.pc"
done

cd "$work"
openssl genrsa -out key.pem -3 3072 2>/dev/null
openssl genrsa -out other.pem -3 3072 2>/dev/null
openssl rsa -in key.pem -pubout -out public.pem 2>/dev/null

# The numbers of a key, and what openssl makes with it: test_rsa must come to the same.
hex() {
    od -An -v -tx1 | tr -d ' \n'
    echo
}
openssl rsa -in key.pem -traditional 2>/dev/null | openssl asn1parse | sed -n 's/.*INTEGER *://p' | sed 1d >numbers
printf 'signed by openssl\n' | openssl dgst -sha256 -sign key.pem -binary | hex >>numbers
printf 'a secret' | openssl pkeyutl -encrypt -inkey key.pem -pkeyopt rsa_padding_mode:oaep \
    -pkeyopt rsa_oaep_md:sha256 | hex >>numbers

# sign FOLDER NAME KEY SED: FOLDER/api.so with the configuration as SED changes it.
sign() {
    sed "$4" "$1/api.config.xml" >"$1/$2.xml"
    sgx_sign sign -key "$3" -enclave "$1/api.so" -out "$1/$2.signed.so" -config "$1/$2.xml" >sign.log 2>&1 ||
        { cat sign.log; fail "signing $2"; }
}

# run FOLDER MODE COMPILER DEBUG OPTIMIZE
run() {
    cp -r "$source/tests/intel/api" "$1"
    make -C "$1" -j2 COMPILER="$3" SGX_MODE="$2" OPTIMIZE="$5" >make.log 2>&1 ||
        { cat make.log; fail "api does not build: $*"; }
    sign "$1" api key.pem ''
    sign "$1" older key.pem 's/SVN>3/SVN>2/'
    sign "$1" newer key.pem 's/SVN>3/SVN>4/'
    sign "$1" other other.pem 's/StackMaxSize>0x40000/StackMaxSize>0x50000/'
    sign "$1" kss key.pem 's,</EnclaveC,<EnableKSS>1</EnableKSS><ISVFAMILYID_H>1</ISVFAMILYID_H>&,'
    sign "$1" production key.pem 's/DisableDebug>0/DisableDebug>1/'
    cp numbers "$1"
    mkdir "$1/files"
    echo "no protected file" >"$1/files/plain"
    timeout -s KILL 120 "$1/host" "$1" "$work/$1/files" "$4" >run.log 2>&1 || { cat run.log; fail "api: $*"; }
    grep -q "^0 failures$" run.log || { cat run.log; fail "api: $*"; }
    [ "$(ls "$1/files")" = plain ] || fail "files are left behind"
}
run sim SIM gcc 1 "-O1 -g"
run hw HW clang 0 -O2

# A platform with another CPUSVN: older data opens on a newer one, newer data not on an older one.
svn() {
    sgx_config_cpusvn "-$1" >svn.log 2>&1 || { cat svn.log; fail "sgx_config_cpusvn -$1"; }
    sim/host sim blob 1 open >run.log || { cat run.log; fail "a blob after $1"; }
    grep -qx "open: $2" run.log || { cat run.log; fail "after $1, expected $2"; }
}
sim/host sim blob 1 seal | grep -qx "seal: 0x0" || fail "a blob for another run"
svn reset 0x0
svn upgrade 0x0
svn downgrade 0x3003
svn reset 0x0
if sgx_config_cpusvn -sideways >/dev/null 2>&1; then fail "sgx_config_cpusvn takes anything"; fi

# The first with the mitigations of LVI, which clang 14 does not know.
for row in SIM:g++:1 HW:clang++:0; do
    mode=${row%%:*} compiler=${row#*:} mitigation=
    [ "$mode" = HW ] || mitigation=LOAD
    cp -r "$source/tests/intel/cxx" "cxx$mode"
    make -C "cxx$mode" -j2 COMPILER="${compiler%:*}" SGX_MODE="$mode" \
        MITIGATION-CVE-2020-0551=$mitigation >make.log 2>&1 || { cat make.log; fail "cxx does not build: $row"; }
    sgx_sign sign -key key.pem -enclave "cxx$mode/cxx.so" -out "cxx$mode/cxx.signed.so" \
        -config "cxx$mode/cxx.config.xml" >/dev/null 2>&1 || fail "signing cxx"
    timeout -s KILL 120 "cxx$mode/host" "cxx$mode/cxx.signed.so" "${compiler#*:}" >run.log 2>&1 ||
        { cat run.log; fail "cxx: $row"; }
    grep -q "^0 failures$" run.log || { cat run.log; fail "cxx: $row"; }
done

# The raw loader, found as a library of the whole system is.
cp -r "$source/tests/intel/loader" loader
python3 loader/make_blob.py numbers loader/blob loader/css
gcc -O1 -Wall -Wextra -Werror -I"$sdk/include" -o loader/host loader/host.c -lsgx_enclave_common ||
    fail "the raw loader's host does not build"
timeout -s KILL 60 loader/host loader/blob loader/css >run.log 2>&1 || { cat run.log; fail "the raw loader"; }

[ -e "$sdk/sdk_libs/libsgx_dcap_quoteverify.so.1" ] || fail "no name for programs that were linked with Intel's library"

# Certificates with evidence: nobody trusts this platform's quotes until told to; production enclaves are not told so.
CELLA_QUOTE_ENCLAVES=$(dirname "$(find "$top" -name cella-qe.signed)")
export CELLA_QUOTE_ENCLAVES
cp -r "$source/tests/intel/tls" tls
(cd tls && ./keys.sh && make >../make.log 2>&1) || { cat make.log; fail "tls does not build"; }
sed 's/DisableDebug>0/DisableDebug>1/' tls/tls.config.xml >tls/production.config.xml
for name in tls production; do
    sgx_sign sign -key key.pem -enclave tls/tls.so -out "tls/$name.signed.so" -config "tls/$name.config.xml" \
        >/dev/null 2>&1 || fail "signing tls"
done
certificates() {
    roots=$1
    shift
    CELLA_INSECURE_ROOTS=$roots timeout -s KILL 120 tls/host "$@" >run.log 2>&1 || { cat run.log; fail "tls $*"; }
    grep -q "^0 failures$" run.log || { cat run.log; fail "tls $*"; }
}
certificates "" tls/tls.signed.so 1 0 0
certificates platform tls/tls.signed.so 1 1 1
certificates platform tls/production.signed.so 0 0 1

cp -r "$source/tests/intel/sign" sign
cp key.pem other.pem public.pem sign/
make -C sign >make.log 2>&1 || { cat make.log; fail "the signer's enclave does not build"; }
sign/sign.sh sign "$top/bin/cella"
echo "intel: ok"
