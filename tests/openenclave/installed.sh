#!/bin/sh
# The Open Enclave skin as its users have it: installs into an empty folder, then builds small projects there with a
# Makefile and pkg-config and with CMake, signs with oesign, and runs them on either processor choice.
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

fail() {
    echo "openenclave: $*"
    exit 1
}

# Runs a program that must not end well, and say `wanted`.
refused() {
    wanted=$1
    shift
    if "$@" >refused.log 2>&1; then fail "accepted: $*"; fi
    grep -qF -- "$wanted" refused.log || { cat refused.log; fail "'$*' does not say: $wanted"; }
}

DESTDIR="$work/root" ${MESON:-meson} install -C "$build" --no-rebuild >"$work/install.log" 2>&1 ||
    { cat "$work/install.log"; fail "meson install fails"; }
top=$work/root$prefix
CELLA_QUOTE_ENCLAVES=$(dirname "$(find "$top" -name cella-qe.signed)") # the host programs are elsewhere
export CELLA_QUOTE_ENCLAVES
# shellcheck source=/dev/null
BASH_SOURCE=$top/share/openenclave/openenclaverc . "$top/share/openenclave/openenclaverc"
[ "$(command -v oesign)" = "$top/bin/oesign" ] || fail "openenclaverc does not set PATH"

# EGo's eclient verifies outside through cgo: ego-go says where the headers and the library lie.
if command -v go >/dev/null || [ -x /usr/local/go/bin/go ]; then
    flags=$(cd "$work" && PATH=$PATH:/usr/local/go/bin ego-go env CGO_CFLAGS CGO_LDFLAGS) || fail "ego-go env"
    for place in $(printf '%s\n' "$flags" | tr ' ' '\n' | sed -n 's/^-[IL]//p'); do
        find "$place" -name liboehostverify.a -o -path '*/openenclave/attestation/verifier.h'
    done >"$work/places"
    [ "$(wc -l <"$work/places")" = 2 ] || { echo "$flags"; cat "$work/places"; fail "ego-go does not find what eclient is built from"; }
fi

# Makefile and pkg-config, with both compilers: an unsigned debug image.
for compiler in gcc clang; do
    cp -r "$source/tests/openenclave/api" "$work/$compiler"
    cd "$work/$compiler"
    make COMPILER=$compiler >make.log 2>&1 || { cat make.log; fail "api does not build with $compiler"; }
    mkdir files
    for how in "" --simulate; do
        # shellcheck disable=SC2086 # nothing, or a word
        timeout -s KILL 120 ./host enclave "$PWD/files" $how >run.log 2>&1 ||
            { cat run.log; fail "api ($compiler $how)"; }
        grep -q "^0 failures$" run.log || { cat run.log; fail "api ($compiler $how)"; }
    done
done

# Verifying, in the enclave and outside: nobody trusts this platform's quotes until told to. A debug enclave takes its
# host's word for it, a production one only what was linked into it (ADR 0130).
cp -r "$source/tests/openenclave/verify" "$work/verify"
cd "$work/verify"
make >make.log 2>&1 || { cat make.log; fail "verify does not build"; }
verify() {
    timeout -s KILL 120 ./host "$@" >run.log 2>&1 || { cat run.log; fail "verify $*"; }
    grep -q "^0 failures$" run.log || { cat run.log; fail "verify $*"; }
}
openssl genrsa -out key.pem -3 3072 2>/dev/null
printf 'Debug=0\n' >production.conf
oesign sign -e enclave -c production.conf -k key.pem -o production >/dev/null || fail "oesign verify"
export OE_LOG_LEVEL=NONE
verify enclave debug no no
export CELLA_INSECURE_ROOTS=platform
verify enclave debug yes yes --simulate
grep -q "^openenclave: CELLA_INSECURE_ROOTS is set" run.log || fail "a foreign root is trusted without a word"
verify production production no yes
oeverify -c certificate.der >claims.log 2>/dev/null || fail "oeverify refuses a certificate"
grep -q "^Certificate verification succeeded (0).$" claims.log || fail "oeverify says something else"
grep -q "custom_claims_buffer" claims.log || fail "oeverify prints no claims"
unset CELLA_INSECURE_ROOTS
refused OE_QUOTE_VERIFICATION_ERROR oeverify -c certificate.der
"$top/bin/cella" platform export-root --source roots.c || fail "export-root --source"
make -B enclave ROOTS=roots.c >make.log 2>&1 || { cat make.log; fail "verify does not build with roots"; }
oesign sign -e enclave -c production.conf -k key.pem -o production >/dev/null || fail "oesign verify with roots"
verify production production yes no
unset OE_LOG_LEVEL

# The flags of the other files name what is there; the linker's script chooses glibc for C++.
for name in oeenclave-g++ oeenclave-clang++ oeenclave-gcc-lvi-cfg oehost-g++ oehostverify-clang-lvi-cfg; do
    pkg-config --libs --cflags "$name" >/dev/null || fail "no $name.pc"
done
[ -n "$(pkg-config oeenclave-gcc --variable=mbedtlslibs)" ] || fail "no mbedtlslibs"
for compiler in g++ clang++; do
    # shellcheck disable=SC2046 # flags
    printf '#include <vector>\nstd::runtime_error wrong("size"); std::unique_ptr<int> none;\n' |
        $compiler $(pkg-config --cflags oeenclave-$compiler) -x c++ -fsyntax-only - ||
        fail "$compiler: <vector> does not bring what LLVM's brings"
done

# oesign.
cd "$work/gcc"
openssl genrsa -out key.pem -3 3072 2>/dev/null
openssl genrsa -out other.pem -3 3072 2>/dev/null
openssl req -new -x509 -key key.pem -subj /CN=test -days 2 -out cert.pem 2>/dev/null
openssl req -new -x509 -key other.pem -subj /CN=other -days 2 -out other_cert.pem 2>/dev/null
printf '# a comment\n\nDebug=1\nNumHeapPages=1024\n NumStackPages = 64\nNumTCS\t=0x4\nProductID=7\nSecurityVersion=3\n' >good.conf
oesign sign -e enclave -c good.conf -k key.pem >/dev/null || fail "oesign sign"
./host enclave.signed "$PWD/files" >run.log 2>&1 || { cat run.log; fail "the signed image"; }
cp enclave.signed by_key
oesign digest -e enclave -c good.conf -d digest >/dev/null || fail "oesign digest"
[ "$(wc -c <digest)" -eq 32 ] || fail "the digest has not 32 bytes"
openssl pkeyutl -sign -pkeyopt digest:sha256 -in digest -inkey key.pem -out digest.sig
oesign sign -e enclave -c good.conf -x cert.pem -d digest.sig -o by_digest >/dev/null || fail "oesign with a digest"
cmp by_key by_digest || fail "signing with the key and by digest differ"
refused "cannot be validated" oesign sign -e enclave -c good.conf -x other_cert.pem -d digest.sig -o none
sed 's/Version=3/Version=4/' good.conf >newer.conf
refused "cannot be validated" oesign sign -e enclave -c newer.conf -x cert.pem -d digest.sig -o none
oesign dump -e enclave.signed >text || fail "oesign dump"
for line in product_id=7 security_version=3 debug=1 num_tcs=4 isvprodid=7; do
    grep -q "^$line$" text || { cat text; fail "dump has no $line"; }
done

sed 's/Debug=1/Debug=0/' good.conf >production.conf
oesign sign -e enclave -c production.conf -k key.pem -o production >/dev/null || fail "oesign production"
refused "create: OE_DEBUG_DOWNGRADE" ./host production "$PWD/files"

refused "--enclave-image option is missing" oesign sign -c good.conf -k key.pem
refused "One of the SIGN_OPTIONS" oesign sign -e enclave -c good.conf
refused "--digest-signature must be used with --x509" oesign sign -e enclave -x cert.pem
refused "cannot be used with digest signing options" oesign sign -e enclave -k key.pem -x cert.pem
refused "not supported" oesign sign -e enclave -n pkcs11 -i id
refused "--digest-file option is missing" oesign digest -e enclave -c good.conf
refused "no section .oeinfo" oesign sign -e host -k key.pem
refused "filled already" oesign sign -e enclave.signed -k key.pem
while IFS='|' read -r line text; do
    { cat good.conf; printf '%b\n' "$line"; } >bad.conf
    refused "$text" oesign sign -e enclave -c bad.conf -k key.pem -o none
done <<'END'
Debug=1|bad.conf(9): Duplicate 'Debug' value provided
Unknown=1|bad.conf(9): unknown setting: Unknown
debug=1|unknown setting: debug
CapturePFGPExceptions=2|'CapturePFGPExceptions' value must be 0 or 1
CreateZeroBaseEnclave=1|enclaves at address 0 are not supported
FamilyID=12|bad value for 'FamilyID': 12
ExtendedProductID=00000000-0000-0000-0000-00000000000g|bad value for 'ExtendedProductID'
NumStackPages|syntax error
=5|syntax error
END
for bad in NumTCS=0 NumTCS=1025 NumTCS=-1 NumStackPages=0 ProductID=65536 SecurityVersion=x; do
    sed "s/^ *${bad%%=*}.*/$bad/" good.conf >bad.conf
    if oesign sign -e enclave -c bad.conf -k key.pem -o none >/dev/null 2>&1; then fail "accepted $bad"; fi
done
[ ! -e none ] || fail "a refused image was written"
openssl genrsa -out small.pem -3 2048 2>/dev/null
if oesign sign -e enclave -c good.conf -k small.pem -o none 2>/dev/null; then fail "accepted an RSA-2048 key"; fi

# CMake: C++ on glibc, KSS with a config id.
if command -v cmake >/dev/null; then
    mkdir "$work/cmake"
    cd "$work/cmake"
    { cmake "$source/tests/openenclave/cxx" && cmake --build .; } >cmake.log 2>&1 || { cat cmake.log; fail "CMake"; }
    for how in "" --simulate; do
        # shellcheck disable=SC2086 # nothing, or a word
        timeout -s KILL 120 ./cxx_host cxx_enclave $how >run.log 2>&1 || { cat run.log; fail "cxx $how"; }
    done
    printf 'FamilyID=11111111-2222-3333-4444-555555555555\n' >kss.conf
    oesign sign -e cxx_enclave -c kss.conf -k "$work/gcc/key.pem" >/dev/null || fail "oesign with FamilyID"
    oesign dump -e cxx_enclave.signed | grep -q "^kss=1$" || fail "FamilyID does not turn KSS on"
    oesign sign -e cxx_enclave -k "$work/gcc/key.pem" >/dev/null || fail "oesign without a file"
    oesign dump -e cxx_enclave.signed | grep -q "^kss=0$" || fail "KSS of the macro outlives signing"
fi
echo "openenclave: ok"
