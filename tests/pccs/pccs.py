"""cella-pccs: every route of the protocol, modes, tokens, bundles, upstream; and cella-attestd with it as its source.

Usage: pccs.py PCCS ATTESTD MAKE_EVIDENCE. Side: tests.
"""
import hashlib
import json
import os
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "attestd"))
from harness import Folder, Service, b64url, parts, read  # noqa: E402

USER, ADMIN = "user token", "admin token"
V3, V4, TDX = "/sgx/certification/v3", "/sgx/certification/v4", "/tdx/certification/v4"
FMSPC = "00CE11A00000"
TEXTS = {400: "Invalid request parameters.", 401: "Authentication failed.", 404: "No cache data for this platform.",
         460: "The integrity of the data can't be verified.", 461: "The platform was not found in the cache.",
         462: "Certificates are not available for certain TCBs.", 502: "Unable to retrieve the collateral from the Intel SGX PCS.",
         503: "Server is currently unable to process the request.", 200: "Operation successful."}
QE_ID = "AB" * 16
CPU_SVN = "0102" + "00" * 14
TOKENS = [f"user_token_sha512 = {hashlib.sha512(USER.encode()).hexdigest()}",
          f"admin_token_sha512 = {hashlib.sha512(ADMIN.encode()).hexdigest()}"]


def pck_query(qe_id=QE_ID, cpu_svn=CPU_SVN, pce_svn="0D00", pce_id="0000", ppid="00" * 384):
    return f"?qeid={qe_id}&encrypted_ppid={ppid}&cpusvn={cpu_svn}&pcesvn={pce_svn}&pceid={pce_id}"


def get(service, path, expected=200, headers=None, method="GET", body=None):
    status, found, data = service.request(method, path, body, headers)
    assert status == expected, (path, status, data[:200])
    if expected != 200:
        assert data.decode() == TEXTS[expected], data
    assert len(found["Request-ID"]) == 32
    return found, data


def chain(headers, name):
    text = urllib.parse.unquote(headers[name])
    assert text.startswith("-----BEGIN CERTIFICATE-----") and text.count("BEGIN") == 2 and "\n" not in headers[name]
    return text.encode()


def test_routes(service, folder):
    collateral = f"{folder}/evidence/collateral"
    headers, body = get(service, f"{V4}/pckcert{pck_query()}")
    pck = read(f"{collateral}/pck_certificate_chain.pem")
    assert pck == body + chain(headers, "SGX-PCK-Certificate-Issuer-Chain")
    assert headers["SGX-TCBm"] == CPU_SVN + "0D00" and headers["SGX-FMSPC"] == FMSPC
    assert headers["SGX-PCK-Certificate-CA-Type"] == "PLATFORM" and headers["Content-Type"] == "application/x-pem-file"
    # lower case, other enclaves of the platform, later versions than the certificate's
    get(service, f"{V3}/pckcert{pck_query(qe_id='cd' * 16, cpu_svn='0f' * 16, pce_svn='ffff')}")
    get(service, f"{V4}/pckcert{pck_query(cpu_svn='00' * 16)}", 462)
    get(service, f"{V4}/pckcert{pck_query(pce_svn='0C00')}", 462)
    for bad in (pck_query(cpu_svn="00"), pck_query(pce_svn="xx00"), pck_query(pce_id="0"), pck_query(qe_id=""), pck_query(ppid="00"), "", "?qeid=" + "A" * 300):
        get(service, f"{V4}/pckcert{bad}", 400)
    for ca in ("platform", "PLATFORM"):
        headers, body = get(service, f"{V4}/pckcrl?ca={ca}&encoding=der")
        assert body == read(f"{collateral}/pck_crl.der") and headers["Content-Type"] == "application/pkix-crl"
        assert chain(headers, "SGX-PCK-CRL-Issuer-Chain") == read(f"{collateral}/pck_crl_issuer_chain.pem")
    headers, body = get(service, f"{V3}/pckcrl?ca=platform")
    assert bytes.fromhex(body.decode()) == read(f"{collateral}/pck_crl.der")
    get(service, f"{V4}/pckcrl?ca=processor", 404)
    get(service, f"{V4}/pckcrl?ca=other", 400)
    get(service, f"{V4}/pckcrl", 400)
    for base, name in ((V4, "TCB-Info-Issuer-Chain"), (V3, "SGX-TCB-Info-Issuer-Chain")):
        for update in ("", "&update=early", "&update=STANDARD"):
            headers, body = get(service, f"{base}/tcb?fmspc={FMSPC.lower()}{update}")
            assert body == read(f"{collateral}/tcb_info.json") and headers["Content-Type"].startswith("application/json")
            assert chain(headers, name) == read(f"{collateral}/tcb_info_issuer_chain.pem")
    get(service, f"{V4}/tcb?fmspc=0000", 400)
    get(service, f"{V4}/tcb?fmspc={FMSPC}&update=never", 400)
    get(service, f"{V4}/tcb?fmspc=000000000000", 404)
    get(service, f"{TDX}/tcb?fmspc={FMSPC}", 404)
    for base in (V3, V4):
        headers, body = get(service, f"{base}/qe/identity")
        assert body == read(f"{collateral}/qe_identity.json")
        chain(headers, "SGX-Enclave-Identity-Issuer-Chain")
    get(service, f"{TDX}/qe/identity", 404)
    get(service, f"{V4}/qve/identity", 404)
    headers, body = get(service, f"{V4}/rootcacrl")
    assert bytes.fromhex(body.decode()) == read(f"{collateral}/root_ca_crl.der") and headers["Content-Type"] == "application/pkix-crl"
    headers, body = get(service, f"{V4}/crl?uri=https://certificates.trustedservices.intel.com/IntelSGXRootCA.der")
    assert body == read(f"{collateral}/root_ca_crl.der")
    get(service, f"{V4}/crl?uri=http://169.254.169.254/latest", 400)
    get(service, f"{V4}/crl?uri=file:///IntelSGXRootCA", 400)
    get(service, f"{V4}/crl", 400)
    for path in ("/sgx/certification/v2/rootcacrl", "/tdx/certification/v3/qe/identity", "/sgx/certification/v4/nothing"):
        assert service.request("GET", path)[0] == 404
    assert "cella_pccs_lookups_total" in service.request("GET", "/metrics")[2].decode()


def test_azure(service, folder):
    """The requests of Microsoft's provider library."""
    collateral = f"{folder}/evidence/collateral"
    client, newer, older = "clientid=production_client", "api-version=2020-02-12-preview", "api-version=2018-10-01-preview"
    for prefix in ("", "/metadata/THIM"):
        query = f"?qeid={QE_ID.lower()}&cpusvn={CPU_SVN}&pcesvn=0d00&pceid=0000&{client}&api-version=2021-07-22-preview"
        headers, body = get(service, f"{prefix}{V4}/pckcert{query}", headers={"Metadata": "true"})
        answer = json.loads(body)
        issuers = urllib.parse.unquote(answer["sgx-Pck-Certificate-Issuer-Chain"])
        assert (answer["pckCert"] + issuers).encode() == read(f"{collateral}/pck_certificate_chain.pem")
        assert answer["sgx-Tcbm"] == CPU_SVN + "0D00" and 0 < int(answer["cacheMaxAge"]) <= 86400
        assert headers["Content-Type"] == "application/json" and headers["Cache-Control"] == "max-age=3600"
        # the address of a list is escaped twice
        lists = {"https%3a%2f%2fcertificates.trustedservices.intel.com%2fintelsgxrootca.crl": "root_ca_crl",
                 "https%3a%2f%2fapi.trustedservices.intel.com%2fsgx%2fcertification%2fv3%2fpckcrl%3fca%3dplatform%26encoding%3dpem": "pck_crl"}
        for uri, name in lists.items():
            for escaped in (uri, urllib.parse.quote(uri, safe="")):
                headers, body = get(service, f"{prefix}{V4}/pckcrl?uri={escaped}&{client}&{newer}")
                assert b"-----BEGIN X509 CRL-----" in body and headers["Cache-Control"] == "max-age=3600"
                issuers = urllib.parse.unquote(headers["SGX-PCK-CRL-Issuer-Chain"]).encode()
                whole = read(f"{collateral}/pck_crl_issuer_chain.pem")
                assert whole == issuers if name == "pck_crl" else whole.endswith(issuers) and issuers.count(b"BEGIN") == 1
                headers, body = get(service, f"{prefix}{V4}/pckcrl?uri={escaped}&{client}&{older}")
                assert body == read(f"{collateral}/{name}.der")
        get(service, f"{prefix}{V4}/pckcrl?uri=https%3a%2f%2fcertificates.trustedservices.intel.com%2fintelsgxpckprocessor.crl&{client}&{newer}", 404)
        get(service, f"{prefix}{V4}/pckcrl?uri=http%3a%2f%2f169.254.169.254%2flatest&{client}&{newer}", 400)
        get(service, f"{prefix}{V4}/pckcrl?uri={'A' * 4000}&{client}&{newer}", 400)
        headers, body = get(service, f"{prefix}{V4}/tcb?fmspc={FMSPC.lower()}&{client}&{older}")
        assert body == read(f"{collateral}/tcb_info.json") and headers["Cache-Control"] == "max-age=3600"
        headers, body = get(service, f"{prefix}{V4}/qe/identity?{client}&{older}")
        assert body == read(f"{collateral}/qe_identity.json") and headers["Cache-Control"] == "max-age=3600"
    headers, _ = get(service, f"{V4}/rootcacrl?{client}")  # as for TDX
    assert urllib.parse.unquote(headers["SGX-PCK-CRL-Issuer-Chain"]).count("BEGIN CERTIFICATE") == 1
    headers, _ = get(service, f"{V4}/rootcacrl")
    assert "SGX-PCK-CRL-Issuer-Chain" not in headers and "Cache-Control" not in headers
    status, headers, _ = service.request("GET", f"{V4}/tcb?fmspc=000000000000&{client}&{older}")
    assert status == 404 and "Cache-Control" not in headers


def test_tokens(service):
    platform = json.dumps({"qe_id": QE_ID, "pce_id": "0000", "cpu_svn": CPU_SVN, "pce_svn": "0D00", "enc_ppid": "", "platform_manifest": ""})
    for method, path, body in (("POST", f"{V4}/platforms", platform), ("GET", f"{V4}/platforms", None), ("PUT", f"{V4}/platformcollateral", "{}"),
                               ("POST", f"{V4}/refresh", ""), ("GET", f"{V4}/refresh", None), ("PUT", f"{V4}/appraisalpolicy", "{}"), ("GET", "/cella/bundle", None)):
        get(service, path, 401, method=method, body=body)
        get(service, path, 401, {"user-token": "wrong", "admin-token": "wrong"}, method, body)
    get(service, f"{V4}/platforms", 401, {"user-token": USER})
    get(service, f"{V4}/platforms", 401, {"admin-token": ADMIN}, "POST", platform)


def test_offline(service):
    user, admin = {"user-token": USER}, {"admin-token": ADMIN}
    platform = {"qe_id": QE_ID.lower(), "pce_id": "0000", "cpu_svn": CPU_SVN, "pce_svn": "0d00", "enc_ppid": "ab" * 384, "platform_manifest": ""}
    assert get(service, f"{V4}/platforms", 200, user, "POST", json.dumps(platform))[1].decode() == TEXTS[200]
    for bad in ("{}", "junk", "[]", json.dumps(dict(platform, qe_id="xx")), json.dumps(dict(platform, enc_ppid="00"))):
        get(service, f"{V4}/platforms", 400, user, "POST", bad)
    get(service, f"{V4}/platforms?update=x", 400, user, "POST", json.dumps(platform))
    headers, body = get(service, f"{V4}/platforms?source=reg", 200, admin)
    assert headers["platform-count"] == "1" and json.loads(body)[0]["qe_id"] == QE_ID and json.loads(body)[0]["pce_svn"] == "0D00"
    assert json.loads(get(service, f"{V4}/platforms", 200, admin)[1]) == []  # taken once
    assert json.loads(get(service, f"{V4}/platforms?source=[]", 200, admin)[1]) == []
    get(service, f"{V4}/platforms?source=x", 400, admin)
    get(service, f"{V4}/refresh", 503, admin, "POST", "")
    get(service, f"{V4}/refresh?type=x", 400, admin)
    # appraisal policies
    identifier = get(service, f"{V4}/appraisalpolicy", 200, admin, "PUT", json.dumps({"policy": "the policy", "is_default": True, "fmspc": FMSPC}))[1]
    assert len(identifier) == 32
    assert get(service, f"{V4}/appraisalpolicy?fmspc={FMSPC}")[1] == b"the policy"
    get(service, f"{V4}/appraisalpolicy?fmspc=000000000000", 404)
    get(service, f"{V4}/appraisalpolicy?fmspc=0", 400)


def collateral_body(folder):
    """The platform's documents as an administration tool sends them."""
    collateral = f"{folder}/evidence/collateral"
    text = lambda name: read(f"{collateral}/{name}").decode()
    pem = text("pck_certificate_chain.pem").split("-----END CERTIFICATE-----\n")
    leaf, issuers = pem[0] + "-----END CERTIFICATE-----\n", "-----END CERTIFICATE-----\n".join(pem[1:])
    return {"platforms": [{"qe_id": QE_ID, "pce_id": "0000", "cpu_svn": CPU_SVN, "pce_svn": "0D00", "enc_ppid": "", "platform_manifest": ""}],
            "collaterals": {
                "version": 4, "pck_certs": [{"qe_id": QE_ID, "pce_id": "0000", "enc_ppid": "", "platform_manifest": "",
                                             "certs": [{"tcb": {}, "tcbm": CPU_SVN + "0D00", "cert": urllib.parse.quote(leaf)}]}],
                "tcbinfos": [{"fmspc": FMSPC, "sgx_tcbinfo": json.loads(text("tcb_info.json")), "tdx_tcbinfo": {"tcbInfo": {"id": "TDX"}, "signature": ""}}],
                "pckcacrl": {"platformCrl": read(f"{collateral}/pck_crl.der").hex(), "processorCrl": ""},
                "qeidentity": text("qe_identity.json"), "tdqeidentity": '{"enclaveIdentity":{}}', "qveidentity": "{}",
                "certificates": {"SGX-PCK-Certificate-Issuer-Chain": {"PLATFORM": urllib.parse.quote(issuers), "PROCESSOR": ""},
                                 "TCB-Info-Issuer-Chain": urllib.parse.quote(text("tcb_info_issuer_chain.pem")),
                                 "SGX-Enclave-Identity-Issuer-Chain": urllib.parse.quote(text("qe_identity_issuer_chain.pem"))},
                "rootcacrl": read(f"{collateral}/root_ca_crl.der").hex(), "rootcacrl_cdp": ""}}


def test_collateral(service, folder, other_root):
    admin = {"admin-token": ADMIN}
    get(service, f"{V4}/pckcert{pck_query()}", 404)
    body = collateral_body(folder)
    for bad in ("{}", "junk", json.dumps(dict(body, platforms=1))):
        get(service, f"{V4}/platformcollateral", 400, admin, "PUT", bad)
    broken = collateral_body(folder)
    broken["collaterals"]["certificates"]["TCB-Info-Issuer-Chain"] = urllib.parse.quote(other_root)
    get(service, f"{V4}/platformcollateral", 460, admin, "PUT", json.dumps(broken))
    broken = collateral_body(folder)
    broken["collaterals"]["rootcacrl"] = "00"
    get(service, f"{V4}/platformcollateral", 400, admin, "PUT", json.dumps(broken))
    get(service, f"{V4}/pckcert{pck_query()}", 404)  # all of it or nothing
    get(service, f"{V4}/platformcollateral", 200, admin, "PUT", json.dumps(body))
    collateral = f"{folder}/evidence/collateral"
    headers, leaf = get(service, f"{V4}/pckcert{pck_query()}")
    assert leaf + chain(headers, "SGX-PCK-Certificate-Issuer-Chain") == read(f"{collateral}/pck_certificate_chain.pem")
    get(service, f"{V4}/pckcert{pck_query(qe_id='EE' * 16)}", 404)
    # signed JSON comes back byte by byte
    assert get(service, f"{V4}/tcb?fmspc={FMSPC}")[1] == read(f"{collateral}/tcb_info.json")
    assert get(service, f"{V4}/qe/identity")[1] == read(f"{collateral}/qe_identity.json")
    assert get(service, f"{TDX}/tcb?fmspc={FMSPC}")[1] == b'{"tcbInfo":{"id":"TDX"},"signature":""}'
    assert get(service, f"{TDX}/qe/identity")[1] == b'{"enclaveIdentity":{}}'
    assert get(service, f"{V4}/qve/identity")[1] == b"{}"
    assert bytes.fromhex(get(service, f"{V4}/rootcacrl")[1].decode()) == read(f"{collateral}/root_ca_crl.der")
    cached = json.loads(get(service, f"{V4}/platforms?source=[{FMSPC}]", 200, admin)[1])
    assert [one["qe_id"] for one in cached] == [QE_ID]
    assert json.loads(get(service, f"{V4}/platforms?source=[000000000000]", 200, admin)[1]) == []


def test_bundles(program, source, folder):
    """A bundle leaves by HTTP and by command, and enters both ways; the copies answer alike."""
    admin = {"admin-token": ADMIN}
    bundle = get(source, "/cella/bundle", 200, admin)[1]
    with Service(program, f"{folder}/copy", TOKENS + ["mode = offline"], tls=False, admin=False) as copy:
        get(copy, "/cella/bundle", 400, admin, "PUT", "{}")
        get(copy, "/cella/bundle", 200, admin, "PUT", bundle)
        for path in (f"{V4}/pckcert{pck_query()}", f"{V4}/tcb?fmspc={FMSPC}", f"{V4}/rootcacrl"):
            assert get(copy, path)[1] == get(source, path)[1]
        copy.stop()
        subprocess.run([program, "--config", copy.config, "export", f"{folder}/bundle.json"], check=True)
    fresh = Service(program, f"{folder}/fresh", TOKENS + ["mode = offline"], tls=False, admin=False)
    subprocess.run([program, "--config", fresh.config, "import", f"{folder}/bundle.json"], check=True)
    done = subprocess.run([program, "--config", fresh.config, "import", fresh.config], capture_output=True, check=False)
    assert done.returncode == 1 and b"not a bundle" in done.stderr
    with fresh:
        assert get(fresh, "/cella/bundle", 200, admin)[1] == bundle


def test_lazy(program, source, folder):
    """A second cache in front of the first: what it lacks it fetches, keeps, and still has when the first is gone."""
    upstream = f"http://127.0.0.1:{source.plain_port}{V4}"
    admin, user = {"admin-token": ADMIN}, {"user-token": USER}
    paths = [f"{V4}/pckcert{pck_query()}", f"{V4}/tcb?fmspc={FMSPC}", f"{V4}/qe/identity", f"{V4}/pckcrl?ca=platform&encoding=der", f"{V4}/rootcacrl"]
    with Service(program, f"{folder}/lazy", TOKENS + [f"upstream_url = {upstream}"], tls=False, admin=False) as lazy:
        for path in paths:
            assert get(lazy, path)[1] == get(source, path)[1], path
        get(lazy, f"{V4}/tcb?fmspc=000000000000", 404)
        get(lazy, f"{V4}/refresh", 200, admin, "POST", "")
        get(lazy, f"{V4}/refresh?type=certs&fmspc={FMSPC}", 200, admin)
    with Service(program, f"{folder}/req", TOKENS + [f"upstream_url = {upstream}", "mode = req"], tls=False, admin=False) as req:
        get(req, paths[0], 404)  # platforms are told of first
        platform = {"qe_id": QE_ID, "pce_id": "0000", "cpu_svn": CPU_SVN, "pce_svn": "0D00"}
        get(req, f"{V4}/platforms", 200, user, "POST", json.dumps(platform))
        assert get(req, paths[0])[1] == get(source, paths[0])[1]
    with Service(program, f"{folder}/lazy", TOKENS + ["upstream_url = http://127.0.0.1:1/sgx/certification/v4"], tls=False, admin=False) as lazy:
        for path in paths:
            assert get(lazy, path)[1] == get(source, path)[1], path
        get(lazy, f"{V4}/tcb?fmspc=000000000000", 502)
        get(lazy, f"{V4}/refresh", 502, admin, "POST", "")


def test_attestd(attestd, source, folder):
    """The attestation service without collateral of its own, over TLS from the cache."""
    lines = ["issuer = @ISSUER@", f"root = {folder}/evidence/root.pem", f"collateral_ca = {source.ca}", "built_in_roots = no"]
    quote = b64url(read(f"{folder}/evidence/good.quote"))
    with Service(attestd, f"{folder}/attestd", lines + [f"collateral_url = https://localhost:{source.port}{V4}"]) as service:
        # nobody is asked for the sake of a quote that is not signed
        forged = bytearray(read(f"{folder}/evidence/good.quote"))
        forged[48] ^= 1
        status, answer = service.json("POST", "/attest/SgxEnclave?api-version=2020-10-01", {"quote": b64url(bytes(forged))})
        assert status == 400 and "quote_signature" in answer["error"]["message"], answer
        assert "cella_attestd_collateral_fetches_total 0" in service.request("GET", "/metrics")[2].decode()
        for _ in range(2):
            status, answer = service.json("POST", "/attest/SgxEnclave?api-version=2020-10-01", {"quote": quote})
            assert status == 200, answer
        assert parts(answer["token"])[1]["x-cella-tcb-status"] == "UpToDate"
        assert len(parts(answer["token"])[1]["x-ms-sgx-collateral"]) == 7
        text = service.request("GET", "/metrics")[2].decode()
        assert "cella_attestd_collateral_fetches_total 4" in text, text
    with Service(attestd, f"{folder}/nowhere", lines + ["collateral_url = https://localhost:1/sgx/certification/v4"]) as service:
        status, answer = service.json("POST", "/attest/SgxEnclave?api-version=2020-10-01", {"quote": quote})
        assert status == 503 and answer["error"]["code"] == "ServiceUnavailable", answer
        # whoever sends evidence does not decide how often others are asked
        for _ in range(3):
            status, answer = service.json("POST", "/attest/SgxEnclave?api-version=2020-10-01", {"quote": quote})
            assert status == 503 and "a moment ago" in answer["error"]["message"], answer
        assert "cella_attestd_collateral_fetches_total 1" in service.request("GET", "/metrics")[2].decode()
    # the cache's certificate is checked
    lines[2] = f"collateral_ca = {folder}/evidence/root.pem"
    with Service(attestd, f"{folder}/untrusted", lines + [f"collateral_url = https://localhost:{source.port}{V4}"]) as service:
        status, answer = service.json("POST", "/attest/SgxEnclave?api-version=2020-10-01", {"quote": quote})
        assert status == 503, answer


def main():
    pccs, attestd, make_evidence = sys.argv[1:]
    with Folder() as folder:
        subprocess.run([make_evidence, f"{folder}/evidence"], check=True)
        with Service(pccs, f"{folder}/platform", TOKENS + ["mode = offline", f"platform = {folder}/evidence/collateral"], admin=False) as service:
            other_root = read(service.ca).decode()
            test_routes(service, folder)
            test_azure(service, folder)
            test_tokens(service)
            test_offline(service)
            print("ok routes, azure, tokens, offline")
            test_attestd(attestd, service, folder)
            print("ok attestd")
        with Service(pccs, f"{folder}/admin", TOKENS + ["mode = offline"], tls=False, admin=False) as service:
            test_collateral(service, folder, other_root)
            print("ok collateral")
            test_bundles(pccs, service, folder)
            test_lazy(pccs, service, folder)
            print("ok bundles, lazy, req")


if __name__ == "__main__":
    main()
