"""Every operation of Python's azure-security-attestation against cella-attestd; tokens checked with PyJWT. Side: tests.

Called by clients.py, which sets AAD, ISOLATED and REAL (URLs), TOKEN and FOLDER.
"""
import hashlib
import json
import os

import jwt
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.security.attestation import (AttestationAdministrationClient, AttestationClient, AttestationType,
                                        AttestationPolicyToken)

AAD, ISOLATED, REAL, TOKEN, FOLDER = (os.environ[name] for name in ("AAD", "ISOLATED", "REAL", "TOKEN", "FOLDER"))


class Credential:
    def get_token(self, *scopes, **options):
        return AccessToken(TOKEN, 2 ** 32)


def read(name):
    with open(f"{FOLDER}/{name}", "rb") as file:
        return file.read()


def text(name):
    return read(name).decode()


def jose(token, base):
    key = jwt.PyJWKClient(f"{base}/certs", ssl_context=context()).get_signing_key_from_jwt(token)
    return jwt.decode(token, key.key, algorithms=["RS256", "ES256"], issuer=base)


def context():
    import ssl
    return ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])


def refused(call, *words):
    try:
        call()
    except HttpResponseError as problem:
        assert all(word in str(problem) for word in words), str(problem)
    else:
        raise AssertionError(f"not refused: {words}")


def done(name):
    print(f"ok {name}")


client = AttestationClient(AAD, Credential(), validate_issuer=True, issuer=AAD)
quote, runtime = read("evidence/good.quote"), read("evidence/runtime.json")

result, token = client.attest_sgx_enclave(quote, runtime_json=runtime)
assert result.runtime_claims == json.loads(runtime)
assert result.mr_enclave == "e1" * 32 and result.mr_signer == "51" * 32
assert result.product_id == 1 and result.svn == 3 and result.is_debuggable is False
payload = jose(token.to_jwt_string(), AAD)
assert payload["x-ms-attestation-type"] == "sgx" and payload["exp"] - payload["iat"] == 8 * 3600
done("attest_sgx_enclave, JSON")

result, token = client.attest_sgx_enclave(quote, runtime_data=runtime)
assert result.enclave_held_data == runtime
jose(token.to_jwt_string(), AAD)
done("attest_sgx_enclave, binary")

# The client sends a type and no data for JSON of the start.
result, token = client.attest_sgx_enclave(quote, runtime_json=runtime, inittime_json=b"{}")
jose(token.to_jwt_string(), AAD)
done("attest_sgx_enclave, inittime_json")

result, token = client.attest_sgx_enclave(
    quote, draft_policy="version=1.0; authorizationrules{=> permit();}; issuancerules{};")
assert token.algorithm == "none"
done("attest_sgx_enclave, draft policy")

refused(lambda: client.attest_sgx_enclave(read("evidence/forged.quote")), "quote_signature", "byte 436")
refused(lambda: client.attest_sgx_enclave(quote, runtime_data=b"other"), "runtimeData")

result, token = client.attest_open_enclave(read("evidence/good.oe"), runtime_data=runtime)
jose(token.to_jwt_string(), AAD)
done("attest_open_enclave")

challenge = json.loads(client.attest_tpm(json.dumps({"payload": {"type": "aikcert"}})))
assert challenge["payload"]["challenge"] and challenge["payload"]["service_context"]
done("attest_tpm")

assert client.get_signing_certificates()[0].certificates[0].startswith("-----BEGIN CERTIFICATE")
done("get_signing_certificates")
assert client.get_open_id_metadata()["issuer"] == AAD
done("get_open_id_metadata")

policy = ('version=1.0; authorizationrules{ [type=="x-ms-sgx-is-debuggable", value==false] => permit(); }; '
          'issuancerules{ c:[type=="x-ms-sgx-svn"] => issue(type="mine", value=c.value); };')
administration = AttestationAdministrationClient(AAD, Credential())
found, token = administration.get_policy(AttestationType.SGX_ENCLAVE)
assert "is-debuggable" in found
jose(token.to_jwt_string(), AAD)
done("get_policy")
result, token = administration.set_policy(AttestationType.SGX_ENCLAVE, policy)
assert result.policy_resolution == "Updated"
expected = hashlib.sha256(AttestationPolicyToken(policy).to_jwt_string().encode()).digest()
assert result.policy_token_hash == expected, (result.policy_token_hash, expected)
assert administration.get_policy(AttestationType.SGX_ENCLAVE)[0] == policy
assert jose(client.attest_sgx_enclave(quote)[1].to_jwt_string(), AAD)["mine"] == 3
refused(lambda: client.attest_sgx_enclave(read("evidence/debug.quote")), "PolicyEvaluationError")
done("set_policy")
result, token = administration.set_policy(AttestationType.SGX_ENCLAVE, policy, signing_key=text("signer.key"),
                                          signing_certificate=text("signer.pem"))
assert result.policy_resolution == "Updated" and result.policy_signer.certificates
done("set_policy, signed")
result, token = administration.reset_policy(AttestationType.SGX_ENCLAVE)
assert result.policy_resolution == "Removed"
done("reset_policy")

isolated = AttestationAdministrationClient(ISOLATED, Credential(), signing_key=text("signer.key"),
                                           signing_certificate=text("signer.pem"))
certificates, token = isolated.get_policy_management_certificates()
assert len(certificates) == 1
jose(token.to_jwt_string(), ISOLATED)
done("get_policy_management_certificates")
result, token = isolated.add_policy_management_certificate(text("second.pem"))
assert result.certificate_resolution == "IsPresent"
assert len(isolated.get_policy_management_certificates()[0]) == 2
done("add_policy_management_certificate")
result, token = isolated.set_policy(AttestationType.OPEN_ENCLAVE, policy, signing_key=text("second.key"),
                                    signing_certificate=text("second.pem"))
assert result.policy_resolution == "Updated"
result, token = isolated.reset_policy(AttestationType.OPEN_ENCLAVE)
assert result.policy_resolution == "Removed"
done("set_policy and reset_policy, isolated")
result, token = isolated.remove_policy_management_certificate(text("second.pem"))
assert result.certificate_resolution == "IsAbsent"
done("remove_policy_management_certificate")

# Evidence of an enclave that runs, by the quoting enclave.
evidence = read("enclave.oe")
real = AttestationClient(REAL, Credential(), validate_issuer=True, issuer=REAL)
result, token = real.attest_open_enclave(evidence)
assert jose(token.to_jwt_string(), REAL)["x-ms-sgx-mrenclave"] == result.mr_enclave
assert real.attest_sgx_enclave(evidence[32:])[0].mr_enclave == result.mr_enclave
changed = bytearray(evidence)
changed[32 + 48 + 64] ^= 1
refused(lambda: real.attest_open_enclave(bytes(changed)), "quote_signature")
refused(lambda: client.attest_open_enclave(evidence), "does not verify")
done("attest_open_enclave and attest_sgx_enclave of a running enclave")
