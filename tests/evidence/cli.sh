#!/bin/sh
# `cella evidence show` and `verify` on evidence made on the spot: verdicts, exit statuses, JSON keys.
# Usage: cli.sh CELLA MAKE_EVIDENCE
set -eu

cella=$1
make_evidence=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
at=2025-06-15T15:06:40Z
failed=0
"$make_evidence" "$work"

# Exit status, then what the output must contain, then the arguments of `cella evidence`.
expect() {
    wanted=$1
    text=$2
    shift 2
    status=0
    "$cella" evidence "$@" >"$work/out" 2>&1 || status=$?
    if [ "$status" != "$wanted" ] || ! grep -q -- "$text" "$work/out"; then
        echo "cella evidence $*: status $status, wanted $wanted and '$text':"
        cat "$work/out"
        failed=1
    fi
}

verify() {
    wanted=$1
    text=$2
    name=$3
    shift 3
    expect "$wanted" "$text" verify --at "$at" --root "$work/$name.root.pem" --collateral "$work/$name" "$@" "$work/$name.quote"
}

verify 0 'ACCEPTED' sgx
verify 0 'ok  *quote_signature' sgx
verify 0 '"verdict": "accepted"' sgx --json
verify 0 '"tdx_module_status": "UpToDate"' tdx --json
verify 0 '"status": "SWHardeningNeeded"' tdx --json
verify 1 '"status": "OutOfDate"' old --json
verify 1 '"failed_step": "tcb_status"' old --json
verify 1 'FAILED  *tcb_status' old

# Roots, times, collateral.
expect 1 'FAILED  *root_ca' verify --at "$at" --collateral "$work/sgx" "$work/sgx.quote"
expect 1 'FAILED  *root_ca' verify --at "$at" --root "$work/tdx.root.pem" --collateral "$work/sgx" "$work/sgx.quote"
expect 1 '"failed_step": "validity"' verify --json --at 2026-01-01T00:00:00Z --root "$work/sgx.root.pem" --collateral "$work/sgx" "$work/sgx.quote"
expect 1 'is missing' verify --at "$at" --root "$work/sgx.root.pem" "$work/sgx.quote"
expect 1 'FAILED' verify --at "$at" --root "$work/sgx.root.pem" --collateral "$work/tdx" "$work/sgx.quote"
expect 0 'ACCEPTED' verify --at "$at" --root "$work/sgx.root.pem" --collateral "$work/tdx" --collateral "$work/sgx" "$work/sgx.quote"

# Policies.
echo '{"accept_status": ["OutOfDate"]}' >"$work/lax"
verify 0 '"verdict": "accepted"' old --json --policy "$work/lax"
verify 1 'FAILED  *tcb_status' sgx --policy "$work/lax"
echo '{"measurement": "00"}' >"$work/other"
verify 1 'FAILED  *measurement' sgx --policy "$work/other"
echo '{"measurment": "00"}' >"$work/wrong"
verify 2 'byte 2' sgx --policy "$work/wrong"
verify 2 'no-such-file' sgx --policy "$work/no-such-file"

# SNP, whose certificates come with the report.
expect 0 '"measurement": "3e3e' verify --json --at "$at" --root "$work/snp.ark.der" "$work/snp.report"
expect 1 'FAILED  *root_ca' verify --at "$at" "$work/snp.report"

# Files that are no evidence, or that are not there.
echo hello >"$work/hello"
expect 2 'no evidence' verify --at "$at" "$work/hello"
expect 2 '"verdict": "refused"' verify --json "$work/hello"
expect 2 'no-such-file' verify "$work/no-such-file"
expect 2 'expected a time' verify --at yesterday "$work/sgx.quote"
expect 2 'no root certificate' verify --root "$work/hello" "$work/sgx.quote"
expect 2 'usage' verify
head -c 700 "$work/sgx.quote" >"$work/short"
expect 1 'byte 4' verify --at "$at" "$work/short"
expect 2 'byte 4' show "$work/short"

# show, of every form.
od -An -v -tx1 "$work/sgx.quote" | tr -d ' \n' >"$work/hex"
base64 "$work/sgx.quote" >"$work/base64"
printf '{"quote": "%s"}' "$(cat "$work/hex")" >"$work/json"
for file in sgx.quote hex base64 json; do
    expect 0 'MRENCLAVE  *e1e1' show "$work/$file"
    expect 0 '"tee": "sgx"' show --json "$work/$file"
done
expect 0 'MRTD  *7d7d' show "$work/tdx.quote"
expect 0 'product  *Genoa' show "$work/snp.report"
expect 2 'no evidence' show "$work/hello"

# The JSON has the keys that programs rely on, whatever the verdict.
if command -v python3 >/dev/null; then
    for name in sgx tdx old; do
        "$cella" evidence verify --json --at "$at" --root "$work/$name.root.pem" --collateral "$work/$name" "$work/$name.quote" >"$work/out" || true
        python3 - "$work/out" <<'EOF' || failed=1
import json, sys
keys = ("verdict tee status platform_status qe_status tdx_module_status advisory_ids debug measurement signer "
        "report_data failed_step reason").split()
result = json.load(open(sys.argv[1], encoding="utf-8"))
missing = [key for key in keys if key not in result]
if missing or (result["verdict"] == "accepted") != (result["failed_step"] is None):
    sys.exit(f"{sys.argv[1]}: {missing}")
EOF
    done
fi

# Evidence by others, where it is: whatever it is, it is read to the end.
vectors=${CELLA_VECTORS:-$(dirname "$0")/../../../shared/vectors}
if [ -d "$vectors" ]; then
    find "$vectors" -type f -size -200k | while read -r file; do
        status=0
        "$cella" evidence show "$file" >/dev/null 2>&1 || status=$?
        [ "$status" = 0 ] || [ "$status" = 2 ] || echo "$file: status $status"
    done >"$work/vectors"
    [ -s "$work/vectors" ] && { cat "$work/vectors"; failed=1; }
else
    echo "SKIPPED: evidence by others: $vectors is not there"
fi
exit $failed
