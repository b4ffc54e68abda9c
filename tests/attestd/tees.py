"""cella-attestd and evidence of virtual machines: TDX quotes of versions 4 and 5, SEV-SNP reports.

Usage: tees.py ATTESTD MAKE_TEES. Side: tests.
"""
import json
import subprocess
import sys

from harness import Folder, Service, b64url, jws, parts, policy_body, read

VERSION = "?api-version=2022-08-01"


def attest(service, kind, body, status=200, *words):
    found, answer = service.json("POST", f"/attest/{kind}{VERSION}", body)
    assert found == status, answer
    if status == 200:
        return parts(answer["token"])[1]
    assert all(word in answer["error"]["message"] for word in words), answer
    return answer


def test_tdx(service, folder, name):
    quote = read(f"{folder}/{name}.quote")
    runtime = {"data": b64url(read(f"{folder}/runtime.json")), "dataType": "JSON"}
    claims = attest(service, "TdxVm", {"quote": b64url(quote), "runtimeData": runtime, "nonce": "n"})
    assert claims["x-ms-attestation-type"] == "tdxvm" and claims["attester_tcb_status"] == "UpToDate"
    assert claims["eat_profile"] == "https://aka.ms/maa-eat-profile-tdxvm" and claims["intuse"] == "generic"
    assert claims["x-ms-runtime"] == {"vm": "one"} and claims["nonce"] == "n" and claims["x-ms-ver"] == "1.0"
    body = 48 if quote[0] == 4 else 54  # behind the header; version 5 has type and size before the report
    for claim, offset, size in (("tdx_tee_tcb_svn", 0, 16), ("tdx_mrseam", 16, 48), ("tdx_mrsignerseam", 64, 48), ("tdx_seam_attributes", 112, 8),
                                ("tdx_td_attributes", 120, 8), ("tdx_xfam", 128, 8), ("tdx_mrtd", 136, 48), ("tdx_mrconfigid", 184, 48), ("tdx_mrowner", 232, 48),
                                ("tdx_mrownerconfig", 280, 48), ("tdx_rtmr0", 328, 48), ("tdx_rtmr1", 376, 48), ("tdx_rtmr2", 424, 48), ("tdx_rtmr3", 472, 48),
                                ("tdx_report_data", 520, 64)):
        assert claims[claim] == quote[body + offset:body + offset + size].hex(), claim
    attributes = int.from_bytes(quote[body + 120:body + 128], "little")
    for claim, bit in (("debug", 0), ("septve_disable", 28), ("protection_keys", 30), ("key_locker", 31), ("perfmon", 63)):
        assert claims[f"tdx_td_attributes_{claim}"] is bool(attributes >> bit & 1), claim
    assert claims["dbgstat"] == ("enabled" if attributes & 1 else "disabled")
    assert not [claim for claim in claims if claim.startswith("x-ms-sgx")] and "tee" not in claims and "ver" not in claims
    assert claims["x-ms-compliance-status"] == "compliant-here"
    attest(service, "TdxVm", {"quote": b64url(quote), "runtimeData": {"data": b64url(b"{}"), "dataType": "JSON"}}, 400, "runtimeData")
    attest(service, "SgxEnclave", {"quote": b64url(quote)}, 400, "needs an SGX quote")
    changed = bytearray(quote)
    changed[body + 136] ^= 1
    attest(service, "TdxVm", {"quote": b64url(bytes(changed))}, 400, "quote_signature")


def test_snp(service, folder):
    raw = read(f"{folder}/snp.report")
    report = {"SnpReport": b64url(raw), "VcekCertChain": b64url(read(f"{folder}/snp.chain")), "Endorsements": b64url(b"{}")}

    def body(**changes):
        return {"report": b64url(json.dumps(dict(report, **changes)).encode())}

    claims = attest(service, "SevSnpVm", body())
    assert claims["x-ms-attestation-type"] == "sevsnpvm" and claims["x-ms-compliance-status"] == "compliant-here"
    for claim, offset, size in (("familyId", 0x10, 16), ("imageId", 0x20, 16), ("reportdata", 0x50, 64), ("launchmeasurement", 0x90, 48), ("hostdata", 0xC0, 32),
                                ("idkeydigest", 0xE0, 48), ("authorkeydigest", 0x110, 48), ("reportid", 0x140, 32)):
        assert claims[f"x-ms-sevsnpvm-{claim}"] == raw[offset:offset + size].hex(), claim
    tcb = raw[0x180:0x188]  # reported
    for claim, value in (("guestsvn", int.from_bytes(raw[4:8], "little")), ("vmpl", int.from_bytes(raw[0x30:0x34], "little")), ("bootloader-svn", tcb[0]),
                         ("tee-svn", tcb[1]), ("snpfw-svn", tcb[6]), ("microcode-svn", tcb[7])):
        assert claims[f"x-ms-sevsnpvm-{claim}"] == value, claim
    policy = int.from_bytes(raw[8:16], "little")
    for claim, bit in (("smt-allowed", 16), ("migration-allowed", 18), ("is-debuggable", 19)):
        assert claims[f"x-ms-sevsnpvm-{claim}"] is bool(policy >> bit & 1), claim
    changed = bytearray(raw)
    changed[0x90] ^= 1
    attest(service, "SevSnpVm", body(SnpReport=b64url(bytes(changed))), 400, "report_signature")
    attest(service, "SevSnpVm", body(VcekCertChain=b64url(b"junk")), 400)
    attest(service, "SevSnpVm", body(VcekCertChain="!"), 400, "VcekCertChain is not base64url")
    attest(service, "SevSnpVm", {"report": b64url(raw)}, 400)  # without its certificates
    attest(service, "TdxVm", {"quote": b64url(raw)}, 400, "needs a TDX quote")
    # a policy of one type says nothing of others
    text = 'version=1.0; authorizationrules{[type=="x-ms-sevsnpvm-vmpl", value>3] => permit();};'
    assert service.admin("PUT", f"/policies/SevSnpVm{VERSION}", jws(policy_body(text)))[0] == 200
    attest(service, "SevSnpVm", body(), 400, "does not permit")


def main():
    program, make_tees = sys.argv[1:]
    with Folder() as folder:
        subprocess.run([make_tees, folder], check=True)
        for name in ("tdx4", "tdx5"):
            lines = ["issuer = @ISSUER@", f"root = {folder}/{name}.pem", f"root = {folder}/snp.pem", f"collateral = {folder}/{name}",
                     "built_in_roots = no", "compliance_status = compliant-here"]
            with Service(program, f"{folder}/service-{name}", lines) as service:
                test_tdx(service, folder, name)
                print(f"ok {name}")
                if name == "tdx4":
                    test_snp(service, folder)
                    print("ok snp")


if __name__ == "__main__":
    main()
