#!/bin/sh
# sgx_sign: every command, option and setting, and what is refused in which words. Called by installed.sh, which has made
# FOLDER (enclave.so, sign.config.xml, key.pem, other.pem, public.pem, refused.txt) and put sgx_sign into PATH.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 2 ]; then
    echo "usage: sign.sh FOLDER CELLA"
    exit 2
fi
cella=$(realpath "$2")
cd "$1"
export SOURCE_DATE_EPOCH=1700000000 # 2023-11-14

fail() {
    echo "sign: $*"
    exit 1
}

# Runs a command that must fail, say `wanted`, and leave nothing named `none`.
refused() {
    wanted=$1
    shift
    if "$@" >refused.log 2>&1; then fail "accepted: $*"; fi
    grep -qF -- "$wanted" refused.log || { cat refused.log; fail "'$*' does not say: $wanted"; }
    [ ! -e none ] || fail "a refused image was written: $*"
}

# field FILE OFFSET SIZE: bytes of a SIGSTRUCT (SDM Vol. 3D, 34.14), in their order.
field() {
    od -An -v -tx1 -j "$2" -N "$3" "$1" | tr -d ' \n'
}

# wanted VALUE FILE OFFSET SIZE WHAT
wanted() {
    [ "$(field "$2" "$3" "$4")" = "$1" ] || fail "$5 is $(field "$2" "$3" "$4"), not $1"
}

# css_of SED: signs with the configuration as SED changes it, gives the SIGSTRUCT in ./css and the image in ./out.
css_of() {
    sed "$1" sign.config.xml >changed.xml
    sgx_sign sign -key key.pem -enclave enclave.so -out out -config changed.xml -cssfile css >sign.log 2>&1 ||
        { cat sign.log; fail "refused: $1"; }
}

# ---------------------------------------------------------------- sign, dump, and what cella says of it
sgx_sign sign -key key.pem -enclave enclave.so -out signed -config sign.config.xml -dumpfile text -cssfile css >sign.log ||
    fail "sign"
grep -qx Succeed. sign.log || fail "sign does not say so"
[ "$(wc -c <css)" -eq 1808 ] || fail "a SIGSTRUCT has 1808 bytes"
wanted 06000000e100000000000100 css 0 12 header
wanted 00000000 css 16 4 vendor
wanted 14112320 css 20 4 date
wanted 00000000 css 40 4 swdefined
wanted 03000000 css 512 4 exponent
wanted 01000000 css 900 4 miscselect
wanted ffffffff css 904 4 miscmask
wanted 0400000000000000 css 928 8 attributes
wanted 0700 css 1024 2 isvprodid
wanted 0300 css 1026 2 isvsvn
"$cella" inspect --json signed >inspect.json || fail "cella inspect"
python3 - css inspect.json <<'END' || fail "cella inspect sees another enclave"
import hashlib, json, sys
css = open(sys.argv[1], "rb").read()
identity = json.load(open(sys.argv[2]))["identities"][0]
assert identity["mrenclave"] == css[960:992].hex(), identity
assert identity["mrsigner"] == hashlib.sha256(css[128:512]).hexdigest(), identity
END
sgx_sign dump -enclave signed -dumpfile text2 -cssfile css2 >/dev/null || fail "dump"
{ cmp -s text text2 && cmp -s css css2; } || fail "dump says otherwise than sign"
for line in "metadata->enclave_css.body.isv_prod_id: 0x7" "metadata->enclave_css.body.isv_svn: 0x3" \
    "metadata->enclave_css.body.misc_select: 0x1" "metadata->tcs_count: 0x8" \
    "metadata->enclave_css.header.date: 0x20231114" "mrsigner->value:"; do
    grep -qxF -- "$line" text || { cat text; fail "the dump has no line: $line"; }
done
python3 - css text <<'END' || fail "the dump's bytes are others"
import hashlib, re, sys
css, text = open(sys.argv[1], "rb").read(), open(sys.argv[2]).read()
def bytes_of(label):
    found = re.search(re.escape(label) + r":\n((?:0x[0-9a-f]{2} \n?)+)", text)
    return bytes(int(word, 16) for word in found.group(1).split())
assert bytes_of("metadata->enclave_css.body.enclave_hash.m") == css[960:992]
assert bytes_of("metadata->enclave_css.key.modulus") == css[128:512]
assert bytes_of("mrsigner->value") == hashlib.sha256(css[128:512]).digest()
END
sgx_sign dump -enclave signed -dumpfile text2 >/dev/null || fail "dump without -cssfile"

# The signature is openssl's own over the two parts of the SIGSTRUCT.
{ head -c 128 css; tail -c +901 css | head -c 128; } >message
python3 -c 'import sys; sys.stdout.buffer.write(open("css","rb").read()[516:900][::-1])' >signature
openssl dgst -sha256 -verify public.pem -signature signature message >/dev/null || fail "the signature is no signature"

# Twice the same; without a configuration: the defaults.
sgx_sign sign -key key.pem -enclave enclave.so -out again -config sign.config.xml >/dev/null || fail "sign again"
cmp -s signed again || fail "signing twice differs"
sgx_sign sign -enclave enclave.so -key key.pem -ignore-rel-error -ignore-init-sec-error -out plain -cssfile css2 >/dev/null ||
    fail "sign without a configuration"
wanted 00000000 css2 1024 4 "product and version by default"

# ---------------------------------------------------------------- in two steps
sgx_sign gendata -enclave enclave.so -config sign.config.xml -out material >/dev/null || fail "gendata"
cmp -s material message || fail "gendata gives other bytes than are signed"
openssl dgst -sha256 -sign key.pem -out made.sig material
openssl dgst -sha256 -sign other.pem -out foreign.sig material
sgx_sign catsig -enclave enclave.so -config sign.config.xml -key public.pem -sig made.sig -unsigned material -out two \
    -cssfile css2 -dumpfile text2 >/dev/null || fail "catsig"
{ cmp -s two signed && cmp -s css css2 && cmp -s text text2; } || fail "signing in two steps gives another image"
set -- catsig -enclave enclave.so -config sign.config.xml -key public.pem -sig made.sig -unsigned
SOURCE_DATE_EPOCH=1 sgx_sign "$@" material -out two >/dev/null || fail "catsig takes the date of now"
sed 's/SVN>3/SVN>4/' sign.config.xml >newer.xml
refused "does not belong to this enclave" sgx_sign catsig -enclave enclave.so -config newer.xml -key public.pem \
    -sig made.sig -unsigned material -out none
refused "sgx_sign: " sgx_sign catsig -enclave enclave.so -config sign.config.xml -key public.pem -sig foreign.sig \
    -unsigned material -out none
head -c 255 material >short
refused "short: 255 bytes; expected 256" sgx_sign "$@" short -out none
refused "needs a public one" sgx_sign catsig -enclave enclave.so -config sign.config.xml -key key.pem -sig made.sig \
    -unsigned material -out none
head -c 100 made.sig >short.sig
refused "sgx_sign: " sgx_sign catsig -enclave enclave.so -config sign.config.xml -key public.pem -sig short.sig \
    -unsigned material -out none

# ---------------------------------------------------------------- once more over a signed one
refused "signed has been signed already; -resign" sgx_sign sign -key key.pem -enclave signed -out none -config sign.config.xml
sgx_sign sign -resign -key key.pem -enclave signed -out again -config sign.config.xml >/dev/null || fail "-resign"
cmp -s again signed || fail "signing anew with the same differs"
sgx_sign sign -resign -key other.pem -enclave signed -out again -config newer.xml -cssfile css2 >/dev/null ||
    fail "-resign with another key"
wanted 0400 css2 1026 2 "isvsvn of the new signature"
[ "$(field css 128 384)" != "$(field css2 128 384)" ] || fail "-resign keeps the old key"
sgx_sign sign -key other.pem -enclave enclave.so -out direct -config newer.xml >/dev/null || fail "sign newer"
cmp -s again direct || fail "signing anew differs from signing at once"

# ---------------------------------------------------------------- what settings do
css_of 's/MiscSelect>1/MiscSelect>0/; s/0xFFFFFFFF/0xFFFFFFFE/'
wanted 00000000feffffff css 900 8 "miscselect and mask"
css_of 's,</EnclaveC,<EnableKSS>1</EnableKSS><ISVFAMILYID_H>0x1112131415161718</ISVFAMILYID_H>\
<ISVFAMILYID_L>0x2122232425262728</ISVFAMILYID_L><ISVEXTPRODID_H>3</ISVEXTPRODID_H><ISVEXTPRODID_L>4</ISVEXTPRODID_L>&,'
wanted 28272625242322211817161514131211 css 912 16 isvfamilyid
wanted 04000000000000000300000000000000 css 1008 16 isvextprodid
wanted 8400000000000000 css 928 8 "attributes with KSS"
css_of 's,</EnclaveC,<ProvisionKey>1</ProvisionKey><PKRU>1</PKRU><EnableAEXNotify>1</EnableAEXNotify>&,'
wanted 14040000000000000302000000000000 css 928 16 "attributes with the provision key, AEX notify and PKRU"
css_of 's,</EnclaveC,<IntelSigned>1</IntelSigned>&,'
wanted 86800000 css 16 4 "the vendor"
css_of 's/DisableDebug>0/DisableDebug>1/'
case $(field css 944 1) in
*[2367abef]) ;;
*) fail "without debug the mask must hold DEBUG: $(field css 944 1)" ;;
esac
css_of ''
case $(field css 944 1) in
*[014589cd]) ;;
*) fail "with debug the mask must not hold DEBUG: $(field css 944 1)" ;;
esac
css_of ''
first=$(field css 960 32)
for change in 's/HeapMaxSize>0x1000000/HeapMaxSize>0x2000000/' 's/StackMaxSize>0x40000/StackMaxSize>0x80000/' \
    's/TCSNum>8/TCSNum>9/' 's/ReservedMemMaxSize>0x10000/ReservedMemMaxSize>0x20000/' \
    's/ReservedMemExecutable>1/ReservedMemExecutable>0/' 's/UserRegionSize>0x200000/UserRegionSize>0x400000/'; do
    css_of "$change"
    [ "$(field css 960 32)" != "$first" ] || fail "not measured: $change"
done
css_of 's/0xFFFFFFFF/037777777777/; s/TCSNum>8/TCSNum> 0x8 /; s/<TCSPolicy>/<!-- a comment -->&/'
[ "$(field css 960 32)" = "$first" ] || fail "numbers are read otherwise"

# ---------------------------------------------------------------- configurations that are refused
count=0
while IFS='|' read -r change text; do
    case $change in '#'* | '') continue ;; esac
    sed "$change" sign.config.xml >bad.xml
    refused "$text" sgx_sign sign -key key.pem -enclave enclave.so -out none -config bad.xml
    count=$((count + 1))
done <refused.txt
[ "$count" -gt 60 ] || fail "only $count configurations"
head -c 1100000 /dev/zero | tr '\0' ' ' >bad.xml
refused "bad.xml: " sgx_sign sign -key key.pem -enclave enclave.so -out none -config bad.xml
refused "missing.xml" sgx_sign sign -key key.pem -enclave enclave.so -out none -config missing.xml

# ---------------------------------------------------------------- keys and inputs
openssl genrsa -out small.pem -3 2048 2>/dev/null
openssl genrsa -out exponent.pem 3072 2>/dev/null
echo "no key" >text.pem
refused "needs a private one" sgx_sign sign -key public.pem -enclave enclave.so -out none
refused "small.pem" sgx_sign sign -key small.pem -enclave enclave.so -out none
refused "exponent.pem" sgx_sign sign -key exponent.pem -enclave enclave.so -out none
refused "text.pem" sgx_sign sign -key text.pem -enclave enclave.so -out none
refused "missing.pem" sgx_sign sign -key missing.pem -enclave enclave.so -out none
refused "missing.so" sgx_sign sign -key key.pem -enclave missing.so -out none
refused "sgx_sign: " sgx_sign sign -key key.pem -enclave text.pem -out none
refused "sgx_sign: " sgx_sign sign -key key.pem -enclave "$cella" -out none
refused "sgx_sign: " sgx_sign dump -enclave enclave.so -dumpfile none
refused "/no/such/folder/x" sgx_sign sign -key key.pem -enclave enclave.so -out /no/such/folder/x
refused "SOURCE_DATE_EPOCH is 'yesterday'" env SOURCE_DATE_EPOCH=yesterday sgx_sign sign -key key.pem -enclave enclave.so -out none
cp enclave.so same.so
refused "name the same file" sgx_sign sign -key key.pem -enclave same.so -out same.so
refused "the same file" sgx_sign sign -key text.pem -enclave same.so -out ./same.so
cmp -s same.so enclave.so || fail "the input was written or removed"

# ---------------------------------------------------------------- options
refused "a command is missing" sgx_sign
refused "resign: no such command" sgx_sign resign
refused "-enclave: expected a file name" sgx_sign sign -enclave
refused "-enclave: expected a file name" sgx_sign sign -enclave -key key.pem
refused "-key is given twice" sgx_sign sign -key key.pem -key key.pem
refused "-resign is given twice" sgx_sign sign -resign -resign
refused "-what: no such option" sgx_sign sign -what x
while read -r command missing options; do
    # shellcheck disable=SC2086 # words
    refused "-$missing is required for \"$command\"" sgx_sign "$command" $options
done <<'END'
sign enclave -key key.pem -out none
sign key -enclave enclave.so -out none
sign out -enclave enclave.so -key key.pem
gendata enclave -out none
gendata out -enclave enclave.so
catsig key -enclave enclave.so -out none -sig made.sig -unsigned material
catsig sig -enclave enclave.so -out none -key public.pem -unsigned material
catsig unsigned -enclave enclave.so -out none -key public.pem -sig made.sig
dump dumpfile -enclave signed
dump enclave -dumpfile none
END
while read -r command option options; do
    # shellcheck disable=SC2086 # words
    refused "-$option is invalid for \"$command\"" sgx_sign "$command" $options
done <<'END'
sign sig -enclave enclave.so -key key.pem -out none -sig made.sig
sign unsigned -enclave enclave.so -key key.pem -out none -unsigned material
gendata key -enclave enclave.so -out none -key key.pem
gendata cssfile -enclave enclave.so -out none -cssfile x
dump out -enclave signed -dumpfile text2 -out none
dump config -enclave signed -dumpfile text2 -config sign.config.xml
dump resign -enclave signed -dumpfile text2 -resign
END
sgx_sign -help | grep -q "^Usage: sgx_sign" || fail "-help"
sgx_sign -version | grep -q "2.29" || fail "-version"
echo "sign: ok"
