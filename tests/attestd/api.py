"""cella-attestd's API: every path, its errors, bindings, policies, signers, keys, administrators, reload.

Usage: api.py ATTESTD MAKE_EVIDENCE CHECK_TOKEN. Side: tests.
"""
import base64
import concurrent.futures
import hashlib
import json
import signal
import subprocess
import sys
import time

from harness import (ADMIN, Folder, Service, b64url, certificate, der64, jws, parts, policy_body, read, unb64url)

V1, V2 = "?api-version=2020-10-01", "?api-version=2022-08-01"
RSA = ("-newkey", "rsa:2048")
CA = ["basicConstraints=critical,CA:TRUE"]


def expect(answer, status, code=None, *words):
    assert answer[0] == status, answer
    if code:
        error = answer[1]["error"]
        assert error["code"] == code, answer
        assert all(word in error["message"] for word in words), answer
    return answer[1]


class Api:
    def __init__(self, service, folder, check_token):
        self.service, self.folder, self.check_token = service, folder, check_token

    def evidence(self, name):
        return b64url(read(f"{self.folder}/evidence/{name}"))

    def held(self, name, kind="JSON"):
        return {"data": self.evidence(name), "dataType": kind}

    def attest(self, kind="SgxEnclave", version=V1, **body):
        return self.service.json("POST", f"/attest/{kind}{version}", body)

    def claims(self, answer):
        return parts(expect(answer, 200)["token"])[1]

    def relying_party(self, token, kind="sgx", issuer=None, nonce=None):
        with open(f"{self.folder}/jwks", "wb") as file:
            file.write(self.service.request("GET", "/certs")[2])
        command = [self.check_token, f"{self.folder}/jwks", issuer or self.service.issuer, kind] + ([nonce] if nonce else [])
        return subprocess.run(command, input=token, capture_output=True, text=True, check=False).stdout.strip()


def test_claims(api):
    quote = api.evidence("good.quote")
    runtime = read(f"{api.folder}/evidence/runtime.json")
    token = expect(api.attest(quote=quote, runtimeData=api.held("runtime.json"), nonce="n-1"), 200)["token"]
    header, claims = parts(token)
    certs = json.loads(api.service.request("GET", "/certs")[2])["keys"]
    assert header == {"alg": "RS256", "jku": f"{api.service.issuer}/certs", "kid": certs[0]["kid"], "typ": "JWT"}, header
    assert {"kty", "kid", "x5c", "n", "e"} <= set(certs[0])
    standard = json.loads(unb64url(parts(api.service.admin("GET", f"/policies/SgxEnclave{V1}")[1]["token"])[1]["x-ms-policy"].split(".")[1]))
    hashed = b64url(hashlib.sha256(standard["AttestationPolicy"].encode()).digest())
    raw = read(f"{api.folder}/evidence/good.quote")
    report_data = hashlib.sha256(runtime).hexdigest() + "00" * 32
    for name, value in {
            "iss": api.service.issuer, "x-ms-ver": "1.0", "x-ms-attestation-type": "sgx", "nonce": "n-1",
            "x-ms-policy-hash": hashed, "x-ms-runtime": json.loads(runtime), "x-ms-sgx-is-debuggable": False,
            "x-ms-sgx-product-id": 1, "x-ms-sgx-svn": 3, "x-ms-sgx-mrsigner": "51" * 32,
            "x-ms-sgx-mrenclave": "e1" * 32, "x-ms-sgx-report-data": report_data,
            # aliases of before
            "is-debuggable": False, "product-id": 1, "svn": 3, "sgx-mrsigner": "51" * 32, "sgx-mrenclave": "e1" * 32,
            "tee": "sgx", "ver": "1.0", "policy_hash": hashed, "maa-policyHash": hashed, "rp_data": "n-1",
            "x-cella-tcb-status": "UpToDate", "x-cella-configured-root": True}.items():
        assert claims.get(name) == value, (name, claims.get(name), value)
    assert set(claims["x-ms-sgx-collateral"]) == {
        "qeidcertshash", "qeidcrlhash", "qeidhash", "quotehash", "tcbinfocertshash", "tcbinfocrlhash", "tcbinfohash"}
    assert claims["x-ms-sgx-collateral"]["quotehash"] == hashlib.sha256(raw).hexdigest()
    assert claims["x-ms-sgx-collateral"]["tcbinfohash"] == hashlib.sha256(read(f"{api.folder}/evidence/collateral/tcb_info.json")).hexdigest()
    assert claims["maa-attestationcollateral"] == claims["x-ms-sgx-collateral"]
    assert claims["exp"] - claims["iat"] == 8 * 3600 and claims["nbf"] == claims["iat"] and len(claims["jti"]) == 64
    assert not {"x-ms-sgx-ehd", "x-ms-sgx-config-id", "x-ms-policy-signer", "x-ms-inittime"} & set(claims)
    again = api.claims(api.attest(quote=quote))
    assert again["jti"] != claims["jti"] and "nonce" not in again and "x-ms-runtime" not in again
    # a relying party
    assert api.relying_party(token) == "good"
    assert api.relying_party(token, nonce="n-1") == "good"
    assert "nonce is" in api.relying_party(token, nonce="n-2")
    assert "iss is" in api.relying_party(token, issuer="https://other")
    assert "x-ms-attestation-type is" in api.relying_party(token, kind="tdxvm")


def test_bindings(api):
    good, kss = api.evidence("good.quote"), api.evidence("kss.quote")
    claims = api.claims(api.attest(quote=good, runtimeData=api.held("runtime.json", "Binary")))
    assert claims["x-ms-sgx-ehd"] == claims["maa-ehd"] == claims["aas-ehd"] == api.evidence("runtime.json")
    assert "x-ms-runtime" not in claims
    # data without a type is binary, a type without data is nothing
    assert "x-ms-sgx-ehd" in api.claims(api.attest(quote=good, runtimeData={"data": api.evidence("runtime.json")}))
    api.claims(api.attest(quote=good, initTimeData={"dataType": "JSON"}))
    claims = api.claims(api.attest(quote=kss, initTimeData=api.held("init.json")))
    assert claims["x-ms-inittime"] == {"image": "v1"} and claims["x-ms-sgx-config-svn"] == 2
    assert len(claims["x-ms-sgx-config-id"]) == 128 and len(claims["x-ms-sgx-isv-family-id"]) == 32
    assert len(claims["x-ms-sgx-isv-extended-product-id"]) == 32
    expect(api.attest(quote=good, runtimeData={"data": b64url(b"{}"), "dataType": "JSON"}), 400, "InvalidParameter", "runtimeData")
    expect(api.attest(quote=good, initTimeData=api.held("init.json")), 400, "InvalidParameter", "CONFIGID")
    expect(api.attest(quote=kss, initTimeData=api.held("runtime.json")), 400, "InvalidParameter", "CONFIGID")
    expect(api.attest(quote=good, runtimeData={"data": b64url(b"[1"), "dataType": "JSON"}), 400, "InvalidParameter", "not a JSON object")
    expect(api.attest(quote=good, runtimeData={"data": "AA", "dataType": "Text"}), 400, "InvalidParameter", "dataType")
    expect(api.attest(quote=good, runtimeData={"data": "A!", "dataType": "JSON"}), 400, "InvalidParameter", "not base64url")
    expect(api.attest(quote=good, nonce=5), 400, "InvalidParameter", "nonce")


def test_evidence(api):
    assert api.claims(api.attest("OpenEnclave", report=api.evidence("good.oe"), runtimeData=api.held("runtime.json")))["tee"] == "sgx"
    # padded and standard base64 is taken too
    api.claims(api.attest(quote=base64.b64encode(read(f"{api.folder}/evidence/good.quote")).decode()))
    expect(api.attest(quote=api.evidence("forged.quote")), 400, "InvalidParameter", "quote_signature", "byte 436")
    expect(api.attest(quote=api.evidence("truncated.quote")), 400, "InvalidParameter", "evidence_parse")
    expect(api.attest(quote=api.evidence("good.oe")), 400, "InvalidParameter", "needs an SGX quote")
    expect(api.attest("OpenEnclave", report=api.evidence("good.quote")), 400, "InvalidParameter", "needs Open Enclave")
    expect(api.attest("TdxVm", quote=api.evidence("good.quote")), 400, "InvalidParameter", "needs a TDX quote")
    expect(api.attest("SevSnpVm", V2, report=api.evidence("good.quote")), 400, "InvalidParameter", "needs an SEV-SNP report")
    expect(api.attest("SevSnpVm", V2, report=b64url(b'{"SnpReport": 1}')), 400, "InvalidParameter", "SnpReport")
    expect(api.attest(quote=b64url(b"junk")), 400, "InvalidParameter", "evidence_format")
    expect(api.attest(quote=""), 400, "InvalidParameter")
    expect(api.attest(report="AAAA"), 400, "InvalidParameter", "quote is missing")
    expect(api.service.json("POST", f"/attest/SgxEnclave{V1}", "[]"), 400, "InvalidParameter", "not a JSON object")
    expect(api.service.json("POST", f"/attest/SgxEnclave{V1}", '{"quote":"AA","quote":"AA"}'), 400, "InvalidParameter")
    expect(api.service.json("POST", f"/attest/SgxEnclave{V1}", "[" * 5000), 400, "InvalidParameter")
    expect(api.service.json("POST", f"/attest/SgxEnclave{V1}", b""), 400, "InvalidParameter")
    expect(api.attest("AzureGuest", V2, attestationInfo="AA"), 400, "InvalidOperation", "vTPM")
    expect(api.attest("Nothing"), 404, "NotFound")
    tpm = expect(api.attest("Tpm", data=b64url(b'{"payload":{"type":"aikcert"}}')), 200)
    assert set(json.loads(unb64url(tpm["data"]))["payload"]) == {"challenge", "service_context"}
    expect(api.attest("Tpm", data=b64url(b'{"payload":{"request":"x"}}')), 400, "InvalidOperation", "TPM")
    expect(api.attest("Tpm", data="AA"), 400, "InvalidParameter")


def test_paths(api):
    service = api.service
    expect(service.json("POST", "/attest/SgxEnclave", {}), 400, "InvalidParameter", "api-version is missing")
    expect(service.json("POST", "/attest/SgxEnclave?api-version=2016-01-01", {}), 400, "InvalidParameter", "not supported")
    for version in ("2020-10-01", "2022-08-01"):
        api.claims(api.attest(version=f"?api-version={version}", quote=api.evidence("good.quote")))
    expect(service.json("GET", "/nothing"), 404, "NotFound")
    status, headers, _ = service.request("GET", f"/attest/SgxEnclave{V1}")
    assert status == 405 and headers["Allow"] == "POST"
    status, headers, body = service.request("POST", f"/attest/SgxEnclave{V1}", "{}")
    assert status == 400 and headers["x-ms-error-code"] == "InvalidParameter" and len(headers["x-ms-request-id"]) == 32
    assert headers["x-ms-maa-service-version"] and headers["Content-Type"].startswith("application/json")
    metadata = expect(service.json("GET", "/.well-known/openid-configuration"), 200)
    assert metadata["issuer"] == service.issuer and metadata["jwks_uri"] == f"{service.issuer}/certs"
    assert metadata["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]
    assert {"response_types_supported", "claims_supported"} <= set(metadata)
    baselines = expect(service.json("GET", f"/tcbbaselines/SgxEnclave{V2}"), 200)["tcbBaselines"]
    issued = json.loads(read(f"{api.folder}/evidence/collateral/tcb_info.json"))["tcbInfo"]["issueDate"].rstrip("Z")
    assert baselines == [{"tcbEvaluationDataNumber": number, "tcbReleaseDate": issued} for number in ("azuredefault (Currently 1)", "1")], baselines
    assert expect(service.json("GET", f"/tcbbaselines/SgxEnclave{V2}&provideCurrentTcbInPolicy=true"), 200)["tcbBaselines"] == baselines[:1]
    assert expect(service.json("GET", f"/tcbbaselines/TdxVm{V2}"), 200)["tcbBaselines"] == []
    expect(service.json("GET", f"/tcbbaselines/Nothing{V2}"), 400, "InvalidParameter")
    assert service.request("GET", "/certs", tls=True)[0] == 200
    text = service.request("GET", "/metrics")[2].decode()
    for line in ('cella_attestd_attestations_total{outcome="token"}', 'cella_http_requests_total{route="POST /attest/{type}",status="200"}',
                 "cella_http_request_seconds_bucket", "process_resident_memory_bytes", "cella_http_connections "):
        assert line in text, line
    status, headers, body = service.request("GET", "/")
    assert status == 200 and "default-src 'none'" in headers["Content-Security-Policy"] and b"<title>cella-attestd" in body
    explained = expect(service.json("POST", "/cella/explain", read(f"{api.folder}/evidence/forged.quote")), 200)
    assert explained["verdict"] == "refused" and explained["failures"][0]["step"] == "quote_signature"
    explained = expect(service.json("POST", "/cella/explain", read(f"{api.folder}/evidence/good.quote")), 200)
    assert explained["verdict"] == "accepted" and explained["claims"]["x-ms-sgx-svn"] == 3
    expect(service.json("POST", "/cella/explain", b"junk"), 400, "InvalidParameter")


def test_administrators(api):
    service = api.service
    for method, path in (("GET", f"/policies/SgxEnclave{V1}"), ("PUT", f"/policies/SgxEnclave{V1}"), ("POST", f"/policies/SgxEnclave:reset{V1}"),
                         ("GET", f"/certificates{V1}"), ("POST", f"/certificates:add{V1}"), ("POST", f"/certificates:remove{V1}"), ("POST", "/cella/keys:rotate")):
        expect(service.json(method, path, "x" if method != "GET" else None), 401, "Unauthorized")
        expect(service.json(method, path, "x" if method != "GET" else None, {"Authorization": "Bearer wrong"}), 401, "Unauthorized")
    status, headers, _ = service.request("GET", f"/certificates{V1}")
    assert status == 401 and headers["WWW-Authenticate"] == "Bearer"


PERMIT = "version=1.0; authorizationrules{=> permit();}; issuancerules{%s};"


def test_policies(api):
    service, path, quote = api.service, f"/policies/SgxEnclave{V1}", api.evidence("good.quote")

    def put(text, kind="SgxEnclave", **options):
        return service.admin("PUT", f"/policies/{kind}{V1}", jws(policy_body(text), **options))

    text = PERMIT % 'c:[type=="x-ms-sgx-svn"] => issue(type="mine", value=c.value); => issue(type="iss", value="evil"); => issue(type="x-ms-sgx-svn", value=9); => issue(type="list", value=1); => issue(type="list", value="b");'
    body = jws(policy_body(text))
    result = parts(expect(service.admin("PUT", path, body), 200)["token"])[1]
    assert result["x-ms-policy-result"] == "Updated"
    assert result["x-ms-policy-token-hash"] == b64url(hashlib.sha256(body.encode()).digest())
    assert parts(expect(service.admin("GET", path), 200)["token"])[1]["x-ms-policy"] == body
    claims = api.claims(api.attest(quote=quote))
    assert claims["mine"] == 3 and claims["iss"] == service.issuer and claims["x-ms-sgx-svn"] == 3 and claims["list"] == [1, "b"]
    assert claims["x-ms-policy-hash"] == b64url(hashlib.sha256(b64url(text.encode()).encode()).digest())
    assert "is-debuggable" not in claims and "maa-ehd" not in claims
    # each type has its own
    assert "is-debuggable" in api.claims(api.attest("OpenEnclave", report=api.evidence("good.oe")))
    # denied, by rule and for want of a permit
    expect(put("version=1.0;\nauthorizationrules{\n=> deny();};"), 200)
    expect(api.attest(quote=quote), 400, "PolicyEvaluationError", "line 3")
    expect(put('version=1.0; authorizationrules{[type=="$svn", value>3] => permit();};'), 200)
    expect(api.attest(quote=quote), 400, "PolicyEvaluationError", "no authorization rule")
    expect(put('version=1.0; authorizationrules{[type=="number", value==7, issuer=="CustomClaim"] => permit();};'), 200)
    api.claims(api.attest(quote=quote, runtimeData=api.held("runtime.json")))
    # what runtime data says under the service's own names counts for nothing
    for name, value in ("x-ms-sgx-mrsigner", '"00"'), ("x-ms-sgx-svn", "9"), ("$svn", "9"), ("x-cella-tcb-status", '"Fine"'):
        expect(put(f'version=1.0; authorizationrules{{[type=="{name}", value=={value}] => permit();}};'), 200)
        expect(api.attest(quote=quote, runtimeData=api.held("runtime.json")), 400, "PolicyEvaluationError", "no authorization rule")
    # baselines
    baseline = 'version=1.1; configurationrules{=> issueproperty(type="x-ms-sgx-tcbidentifier", value="%s");}; authorizationrules{=> permit();};'
    expect(put(baseline % "1"), 200)
    api.claims(api.attest(quote=quote))
    expect(put(baseline % "15"), 200)
    expect(api.attest(quote=quote), 400, "InvalidParameter")
    expect(put(baseline % "x"), 200)
    expect(api.attest(quote=quote), 400, "PolicyEvaluationError", "tcbidentifier")
    # refused ones change nothing
    before = parts(service.admin("GET", path)[1]["token"])[1]["x-ms-policy"]
    expect(put("version=1.0;\n authorizationrules{ => permit() };"), 400, "PolicyParsingError", "line 2, column 34", "expected ';'")
    expect(put(""), 400, "PolicyParsingError", "line 1, column 1")
    expect(service.admin("PUT", path, jws(b'{"Policy": "x"}')), 400, "InvalidParameter", "AttestationPolicy")
    expect(service.admin("PUT", path, "junk"), 400, "InvalidParameter", "JSON Web Signature")
    expect(service.admin("PUT", f"/policies/Nothing{V1}", body), 400, "InvalidParameter")
    assert parts(service.admin("GET", path)[1]["token"])[1]["x-ms-policy"] == before
    # signed: the header's certificate counts, x5c or jwk, RS256 or what the Python client writes for it
    signer = {"x5c": [der64(f"{api.folder}/signer.pem")]}
    key = f"{api.folder}/signer.key"
    result = parts(expect(put(PERMIT % "", key=key, header=signer), 200)["token"])[1]
    assert result["x-ms-policy-signer"]["x5c"] == signer["x5c"]
    assert api.claims(api.attest(quote=quote))["x-ms-policy-signer"]["jwk"]["x5c"] == signer["x5c"]
    expect(put(PERMIT % "", key=key, header={"jwk": signer}), 200)
    expect(put(PERMIT % "", key=f"{api.folder}/second.key", header=signer), 400, "InvalidParameter", "signature")
    expect(put(PERMIT % "", key=key), 400, "InvalidParameter", "x5c nor jwk")
    # reset
    current = parts(service.admin("GET", path)[1]["token"])[1]["x-ms-policy"]
    result = parts(expect(service.admin("POST", f"/policies/SgxEnclave:reset{V1}", "eyJhbGciOiJub25lIn0.."), 200)["token"])[1]
    assert result["x-ms-policy-result"] == "Removed"
    assert result["x-ms-policy-token-hash"] == b64url(hashlib.sha256(current.encode()).digest())
    assert "is-debuggable" in api.claims(api.attest(quote=quote))


def test_drafts(api):
    quote = api.evidence("good.quote")
    draft = PERMIT % '=> issue(type="x", value=1);'
    for body in (draft, jws(policy_body(draft))):
        token = expect(api.attest(quote=quote, draftPolicyForAttestation=body), 200)["token"]
        header, claims = parts(token)
        assert header == {"alg": "none", "typ": "JWT"} and claims["x"] == 1 and token.endswith(".")
        assert api.relying_party(token) == "the token is not signed (alg is none)"
    expect(api.attest(quote=quote, draftPolicyForAttestation="version=1.0;\nx"), 400, "PolicyParsingError", "line 2, column 1")
    expect(api.attest(quote=quote, draftPolicyForAttestation='version=1.0; authorizationrules{};'), 400, "PolicyEvaluationError")
    expect(api.attest(quote=api.evidence("forged.quote"), draftPolicyForAttestation=draft), 400, "InvalidParameter")
    assert "x" not in api.claims(api.attest(quote=quote))


def test_signers_open(api):
    expect(api.service.admin("POST", f"/certificates:add{V1}", json.dumps(jws(b"{}"))), 400, "InvalidOperation", "aad")
    assert parts(expect(api.service.admin("GET", f"/certificates{V1}"), 200)["token"])[1]["x-ms-policy-certificates"] == {"keys": []}


def test_isolated(api):
    service, folder = api.service, api.folder
    path = f"/policies/SgxEnclave{V1}"

    def body(name, member="policyCertificate"):
        return json.dumps({member: {"kty": "RSA", "x5c": [der64(f"{folder}/{name}.pem")]}}).encode()

    def signed(payload, name="signer", chain=()):
        return jws(payload, f"{folder}/{name}.key", {"x5c": [der64(f"{folder}/{one}.pem") for one in (name, *chain)]})

    policy = policy_body(PERMIT % "")
    expect(service.admin("PUT", path, jws(policy)), 400, "InvalidOperation", "registered signer")
    expect(service.admin("PUT", path, signed(policy, "second")), 400, "InvalidOperation", "not registered")
    # a claimed chain to a registered root counts only when the root signed it
    expect(service.admin("PUT", path, signed(policy, "second", ["signer"])), 400, "InvalidOperation", "not registered")
    expect(service.admin("PUT", path, signed(policy)), 200)
    expect(service.admin("PUT", path, signed(policy, "leaf")), 200)
    expect(service.admin("POST", f"/policies/SgxEnclave:reset{V1}", "eyJhbGciOiJub25lIn0.."), 400, "InvalidOperation")
    # the policy in force is there to be read, and its signature is over that policy
    expect(service.admin("POST", f"/policies/SgxEnclave:reset{V1}", signed(policy)), 400, "InvalidParameter", "empty")
    expect(service.admin("POST", f"/policies/SgxEnclave:reset{V1}", signed(b"")), 200)
    expect(service.admin("POST", f"/policies/SgxEnclave:reset{V1}", signed(b"{}")), 200)
    # signers
    expect(service.admin("POST", f"/certificates:add{V1}", json.dumps(jws(body("second")))), 400, "InvalidOperation")
    expect(service.admin("POST", f"/certificates:add{V1}", json.dumps(signed(body("second"), "second"))), 400, "InvalidOperation")
    expect(service.admin("POST", f"/certificates:add{V1}", json.dumps(signed(body("plain")))), 400, "InvalidParameter", "basicConstraints")
    expect(service.admin("POST", f"/certificates:add{V1}", json.dumps(signed(b"{}"))), 400, "InvalidParameter", "policyCertificate")
    expect(service.admin("POST", f"/certificates:remove{V1}", json.dumps(signed(body("signer")))), 400, "InvalidParameter", "last signer")
    for member in ("policyCertificate", "maa-policyCertificate"):
        result = parts(expect(service.admin("POST", f"/certificates:add{V1}", json.dumps(signed(body("second", member)))), 200)["token"])[1]
        der = base64.b64decode(der64(f"{folder}/second.pem"))
        assert result["x-ms-certificate-thumbprint"] == hashlib.sha1(der).hexdigest().upper()
        assert result["x-ms-policycertificates-result"] == "IsPresent"
    listed = parts(service.admin("GET", f"/certificates{V1}")[1]["token"])[1]["x-ms-policy-certificates"]["keys"]
    assert [key["x5c"][0] for key in listed] == [der64(f"{folder}/{name}.pem") for name in ("signer", "second")]
    expect(service.admin("PUT", path, signed(policy, "second")), 200)
    result = parts(expect(service.admin("POST", f"/certificates:remove{V1}", json.dumps(signed(body("second")))), 200)["token"])[1]
    assert result["x-ms-policycertificates-result"] == "IsAbsent"
    expect(service.admin("PUT", path, signed(policy, "second")), 400, "InvalidOperation", "not registered")


def test_keys_and_restart(api):
    service, quote = api.service, api.evidence("good.quote")
    old = expect(api.attest(quote=quote), 200)["token"]
    start = time.monotonic()
    keys = expect(service.admin("POST", "/cella/keys:rotate"), 200)["keys"]
    assert len(keys) == 2 and parts(old)[0]["kid"] == keys[0]["kid"]
    # the new key is published and does not sign yet; what was signed stays good
    token = old
    while parts(token)[0]["kid"] == keys[0]["kid"]:
        token = expect(api.attest(quote=quote), 200)["token"]
        assert time.monotonic() - start < 60
        time.sleep(0.1)
    assert time.monotonic() - start > 1
    assert parts(token)[0]["kid"] == keys[1]["kid"]
    assert api.relying_party(token) == api.relying_party(old) == "good"
    expect(service.admin("PUT", f"/policies/OpenEnclave{V1}", jws(policy_body(PERMIT % '=> issue(type="kept", value=1);'))), 200)
    service.stop()
    service.start()
    assert json.loads(service.request("GET", "/certs")[2])["keys"] == keys
    assert api.relying_party(token) == "good"
    assert api.claims(api.attest("OpenEnclave", report=api.evidence("good.oe")))["kept"] == 1
    # many at a time: as many as are published at most, and one after the other
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.admin("POST", "/cella/keys:rotate")[0], range(20)))
    assert sorted(answers) == [200] * 14 + [400] * 6, answers
    assert len(json.loads(service.request("GET", "/certs")[2])["keys"]) == 16


def test_reload(api):
    service, folder = api.service, api.folder
    before = service.request("GET", "/certs", tls=True)[0]
    certificate(f"{folder}/open", "service-tls", "/CN=localhost", ["subjectAltName=DNS:localhost,IP:127.0.0.1"])
    service.process.send_signal(signal.SIGHUP)
    for _ in range(100):
        time.sleep(0.05)
        if '"event":"reloaded"' in service.log():
            break
    assert before == 200 and service.request("GET", "/certs", tls=True)[0] == 200  # by the new certificate
    with open(f"{folder}/open/service-tls.pem", "w", encoding="ascii") as broken:
        broken.write("junk")
    service.process.send_signal(signal.SIGHUP)
    for _ in range(100):
        time.sleep(0.05)
        if '"event":"reload_failed"' in service.log():
            break
    assert "reload_failed" in service.log() and service.request("GET", "/healthz")[0] == 200


def test_configuration(program, folder):
    def check(text):
        with open(f"{folder}/bad.conf", "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([program, "--config", f"{folder}/bad.conf"], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 1
        return done.stderr

    assert "bad.conf:2:1: unknown key lisen" in check("# x\nlisen = tcp://127.0.0.1:0\n")
    assert "bad.conf:1:11: threads: expected a number from 0 to 64" in check("threads = many")
    assert "bad.conf:2:1: mode is given twice" in check("mode = aad\nmode = aad\n")
    assert "bad.conf:1:8: mode: expected aad or isolated" in check("mode = x\n")
    assert "issuer is not set" in check("listen = tcp://127.0.0.1:0\n")
    assert "expected tcp://HOST:PORT" in check(f"issuer = https://x\ndatabase = {folder}/x.sqlite\nlisten = 127.0.0.1:0\n")
    assert "needs tls_certificate" in check(f"issuer = https://x\ndatabase = {folder}/x.sqlite\nlisten = tls://127.0.0.1:0\n")
    assert "needs signer" in check(f"issuer = https://x\ndatabase = {folder}/x.sqlite\nmode = isolated\n")
    assert "expected a TCB status" in check(f"issuer = https://x\ndatabase = {folder}/x.sqlite\naccept_status = Fine\n")
    assert subprocess.run([program, "--help"], capture_output=True, check=True).stdout.startswith(b"usage: cella-attestd")


def main():
    attestd, make_evidence, check_token = sys.argv[1:]
    with Folder() as folder:
        subprocess.run([make_evidence, f"{folder}/evidence"], check=True)
        for name in ("signer", "second"):
            certificate(folder, name, f"/CN={name}", CA, RSA)
        certificate(folder, "plain", "/CN=plain", ["basicConstraints=critical,CA:FALSE"], RSA)
        certificate(folder, "leaf", "/CN=leaf", ["basicConstraints=critical,CA:FALSE"], RSA, (f"{folder}/signer.pem", f"{folder}/signer.key"))
        test_configuration(attestd, folder)
        common = ["issuer = @ISSUER@", f"root = {folder}/evidence/root.pem", f"collateral = {folder}/evidence/collateral",
                  "key_overlap_seconds = 2"]
        with Service(attestd, f"{folder}/open", common) as service:
            api = Api(service, folder, check_token)
            for test in (test_claims, test_bindings, test_evidence, test_paths, test_administrators, test_policies, test_drafts,
                         test_signers_open, test_keys_and_restart, test_reload):
                test(api)
                print(f"ok {test.__name__}")
        with Service(attestd, f"{folder}/isolated", common + ["mode = isolated", f"signer = {folder}/signer.pem", "signing_algorithm = ES256"]) as service:
            api = Api(service, folder, check_token)
            test_isolated(api)
            token = expect(api.attest(quote=api.evidence("good.quote")), 200)["token"]
            assert parts(token)[0]["alg"] == "ES256" and api.relying_party(token) == "good"
            print("ok test_isolated")


if __name__ == "__main__":
    main()
