#!/bin/sh
# cella platform: one platform made and kept, its root and collateral exported, forgotten only when told so.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 1 ]; then
    echo "usage: platform.sh CELLA"
    exit 2
fi
cella=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
unset CELLA_PLATFORM_DIR
directory="$work/the platform"

fail() {
    echo "platform: $*"
    exit 1
}
field() {
    "$cella" platform --platform "$directory" --json show | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

! "$cella" platform --platform "$directory" show >/dev/null 2>"$work/err" || fail "shows one that is not there"
grep -q "cella platform init" "$work/err" || fail "does not say how to make one"
[ ! -e "$directory" ] || fail "show made one"

# Several at once agree on one root.
for i in 1 2 3 4; do
    "$cella" platform --platform "$directory" --json init >"$work/init.$i" &
done
wait
for i in 2 3 4; do
    cmp "$work/init.1" "$work/init.$i" || fail "two roots of one platform"
done

"$cella" platform --platform "$directory" export-root "$work/root.pem"
"$cella" platform --platform "$directory" export-root | cmp - "$work/root.pem" || fail "export-root"
key=$(openssl x509 -in "$work/root.pem" -pubkey -noout | openssl pkey -pubin -outform DER |
    openssl dgst -sha256 -binary | od -An -v -tx1 | tr -d '\n' | sed 's/ /, 0x/g; s/^, //')
"$cella" platform --platform "$directory" export-root --source | grep -qF "{.spki_sha256 = {$key}}" || fail "export-root --source"
[ "$(openssl x509 -in "$work/root.pem" -outform der | sha256sum | cut -d' ' -f1)" = "$(field root_sha256)" ] ||
    fail "root_sha256"

"$cella" platform --platform "$directory" export-collateral "$work/collateral"
cmp "$work/root.pem" "$work/collateral/root_ca.pem" || fail "root of the collateral"
cd "$work/collateral"
cat root_ca.pem root_ca_crl.pem pck_crl.pem >../trusted.pem
for chain in pck_certificate_chain.pem tcb_info_issuer_chain.pem pck_crl_issuer_chain.pem; do
    openssl verify -x509_strict -crl_check_all -CAfile ../trusted.pem -untrusted $chain $chain >/dev/null ||
        fail "$chain does not verify"
done
python3 - <<'PYTHON' || fail "documents"
import json
info = json.load(open("tcb_info.json"))["tcbInfo"]
identity = json.load(open("qe_identity.json"))["enclaveIdentity"]
assert (info["id"], info["version"], info["fmspc"]) == ("SGX", 3, "00CE11A00000"), info
assert (identity["id"], identity["version"], identity["isvprodid"]) == ("QE", 2, 1), identity
PYTHON
cd "$work"

# The enclaves' keys are the processor's: another CPUSVN has another certificate under the same root.
before=$(sha256sum <"$directory/provisioning/root_ca.der")
printf '02000000000000000000000000000000\n' >"$directory/cpusvn"
[ "$(field cpu_svn)" = 02000000000000000000000000000000 ] || fail "cpu_svn"
[ "$(find "$directory/provisioning" -name 'pck-*' | wc -l)" = 2 ] || fail "certificate of the new CPUSVN"
[ "$before" = "$(sha256sum <"$directory/provisioning/root_ca.der")" ] || fail "the root changed"

! "$cella" platform --platform "$directory" reset >/dev/null 2>&1 || fail "reset without --yes"
[ -e "$directory/root.key" ] || fail "reset without --yes did it"
"$cella" platform --platform "$directory" reset --yes
[ -z "$(find "$directory" -type f)" ] || fail "reset left $(find "$directory" -type f)"
"$cella" platform --platform "$directory" --json init >"$work/init.new"
! cmp -s "$work/init.1" "$work/init.new" || fail "the same platform after reset"

status=0
"$cella" platform frobnicate >/dev/null 2>&1 || status=$?
[ "$status" = 2 ] || fail "wrong use: $status"
