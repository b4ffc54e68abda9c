// Every operation of npm @azure/attestation against cella-attestd; tokens checked with npm jose. Side: tests.
// Called by clients.py, which sets AAD, ISOLATED and REAL (URLs), TOKEN and FOLDER.
import assert from "node:assert";
import fs from "node:fs";
import { AttestationAdministrationClient, AttestationClient } from "@azure/attestation";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";

const { AAD, ISOLATED, REAL, TOKEN, FOLDER } = process.env;
const credential = { getToken: async () => ({ token: TOKEN, expiresOnTimestamp: Date.now() + 3600e3 }) };
const read = (name) => fs.readFileSync(`${FOLDER}/${name}`);
const text = (name) => read(name).toString();
const validationOptions = { validateToken: true, validateIssuer: true, expectedIssuer: AAD };
let operations = 0;
const done = (name) => { operations++; console.log(`ok ${name}`); };

async function jose(token, base) {
  const keys = createRemoteJWKSet(new URL(`${base}/certs`));
  const { payload } = await jwtVerify(token, keys, { issuer: base, algorithms: ["RS256", "ES256"] });
  return payload;
}

const client = new AttestationClient(AAD, { validationOptions });
const quote = read("evidence/good.quote");
const runtime = text("evidence/runtime.json");

let answer = await client.attestSgxEnclave(quote, { runTimeJson: Buffer.from(runtime) });
assert.deepStrictEqual(answer.body.runTimeClaims, JSON.parse(runtime));
assert.strictEqual(answer.body.mrEnclave, "e1".repeat(32));
assert.strictEqual(answer.body.mrSigner, "51".repeat(32));
assert.strictEqual(answer.body.productId, 1);
assert.strictEqual(answer.body.svn, 3);
assert.strictEqual(answer.body.isDebuggable, false);
assert.strictEqual(answer.body.verifierType, "sgx");
assert.ok(answer.body.sgxCollateral);
let payload = await jose(answer.token.serialize(), AAD);
assert.strictEqual(payload["x-ms-sgx-mrenclave"], "e1".repeat(32));
assert.strictEqual(payload.exp - payload.iat, 8 * 3600);
done("attestSgxEnclave, JSON");

answer = await client.attestSgxEnclave(quote, { runTimeData: read("evidence/runtime.json") });
assert.strictEqual(Buffer.from(answer.body.enclaveHeldData).toString(), runtime);
await jose(answer.token.serialize(), AAD);
done("attestSgxEnclave, binary");

answer = await client.attestSgxEnclave(quote, {
  draftPolicyForAttestation: "version=1.0; authorizationrules{=> permit();}; issuancerules{=> issue(type=\"x\", value=1);};",
  validationOptions: { validateToken: false },
});
assert.strictEqual(decodeProtectedHeader(answer.token.serialize()).alg, "none");
await assert.rejects(jose(answer.token.serialize(), AAD));
done("attestSgxEnclave, draft policy");

await assert.rejects(client.attestSgxEnclave(read("evidence/forged.quote")), /quote_signature/);
await assert.rejects(client.attestSgxEnclave(quote, { runTimeData: Buffer.from("other") }), /runtimeData/);
await assert.rejects(client.attestSgxEnclave(quote, { draftPolicyForAttestation: "version=1.0" }), /line 1, column 12/);
done("attestSgxEnclave, refusals");

answer = await client.attestSgxEnclave(read("evidence/kss.quote"), { initTimeData: read("evidence/init.json") });
payload = await jose(answer.token.serialize(), AAD);
assert.strictEqual(payload["x-ms-sgx-config-svn"], 2);
done("attestSgxEnclave, init time data");

answer = await client.attestOpenEnclave(read("evidence/good.oe"), { runTimeJson: Buffer.from(runtime) });
assert.strictEqual((await jose(answer.token.serialize(), AAD))["x-ms-attestation-type"], "sgx");
done("attestOpenEnclave");

const tpm = JSON.parse(await client.attestTpm(JSON.stringify({ payload: { type: "aikcert" } })));
assert.ok(tpm.payload.challenge && tpm.payload.service_context);
done("attestTpm");

assert.ok((await client.getAttestationSigners())[0].certificates[0].startsWith("-----BEGIN CERTIFICATE"));
done("getAttestationSigners");
const metadata = await client.getOpenIdMetadata();
assert.strictEqual(metadata.issuer, AAD);
assert.strictEqual(metadata.jwks_uri, `${AAD}/certs`);
done("getOpenIdMetadata");

const policy = 'version=1.0; authorizationrules{ [type=="x-ms-sgx-is-debuggable", value==false] => permit(); }; issuancerules{ c:[type=="x-ms-sgx-svn"] => issue(type="mine", value=c.value); };';
const administration = new AttestationAdministrationClient(AAD, credential, { validationOptions });
assert.match((await administration.getPolicy("SgxEnclave")).body, /is-debuggable/);
done("getPolicy");
answer = await administration.setPolicy("SgxEnclave", policy);
assert.strictEqual(answer.body.policyResolution, "Updated");
assert.strictEqual((await administration.getPolicy("SgxEnclave")).body, policy);
await jose(answer.token.serialize(), AAD);
done("setPolicy");
answer = await client.attestSgxEnclave(quote);
assert.strictEqual((await jose(answer.token.serialize(), AAD)).mine, 3);
await assert.rejects(client.attestSgxEnclave(read("evidence/debug.quote")), /PolicyEvaluationError|policy does not permit/);
for (const name of ["signer", "ec"]) {
  const signed = { privateKey: text(`${name}.key`), certificate: text(`${name}.pem`) };
  answer = await administration.setPolicy("SgxEnclave", policy, signed);
  assert.strictEqual(answer.body.policyResolution, "Updated");
  assert.ok(answer.body.policySigner.certificates.length);
  answer = await client.attestSgxEnclave(quote);
  assert.ok((await jose(answer.token.serialize(), AAD))["x-ms-policy-signer"].jwk);
  done(`setPolicy signed by ${name}`);
}
await assert.rejects(administration.setPolicy("SgxEnclave", "version=1.0;\nauthorizationrules{ [type=\"x\"] => permit(); };"), /line 2, column 26/);
answer = await administration.resetPolicy("SgxEnclave");
assert.strictEqual(answer.body.policyResolution, "Removed");
assert.match((await administration.getPolicy("SgxEnclave")).body, /is-debuggable/);
done("resetPolicy");

const isolated = new AttestationAdministrationClient(ISOLATED, credential);
const signer = { privateKey: text("signer.key"), certificate: text("signer.pem") };
assert.strictEqual((await isolated.getPolicyManagementCertificates()).body.length, 1);
done("getPolicyManagementCertificates");
await assert.rejects(isolated.setPolicy("SgxEnclave", policy), /registered signer/);
await assert.rejects(isolated.setPolicy("SgxEnclave", policy, { privateKey: text("second.key"), certificate: text("second.pem") }), /not registered/);
answer = await isolated.addPolicyManagementCertificate(text("second.pem"), signer.privateKey, signer.certificate);
assert.strictEqual(answer.body.certificateResolution, "IsPresent");
assert.strictEqual((await isolated.getPolicyManagementCertificates()).body.length, 2);
done("addPolicyManagementCertificate");
answer = await isolated.setPolicy("SgxEnclave", policy, { privateKey: text("second.key"), certificate: text("second.pem") });
assert.strictEqual(answer.body.policyResolution, "Updated");
await jose(answer.token.serialize(), ISOLATED);
answer = await isolated.resetPolicy("SgxEnclave", signer);
assert.strictEqual(answer.body.policyResolution, "Removed");
done("setPolicy and resetPolicy, isolated");
answer = await isolated.removePolicyManagementCertificate(text("second.pem"), signer.privateKey, signer.certificate);
assert.strictEqual(answer.body.certificateResolution, "IsAbsent");
assert.strictEqual((await isolated.getPolicyManagementCertificates()).body.length, 1);
await assert.rejects(isolated.removePolicyManagementCertificate(text("signer.pem"), signer.privateKey, signer.certificate), /last signer/);
done("removePolicyManagementCertificate");
// Evidence of an enclave that runs, by the quoting enclave.
const evidence = read("enclave.oe");
const real = new AttestationClient(REAL, { validationOptions: { validateToken: true, validateIssuer: true, expectedIssuer: REAL } });
answer = await real.attestOpenEnclave(evidence);
payload = await jose(answer.token.serialize(), REAL);
assert.match(payload["x-ms-sgx-mrenclave"], /^[0-9a-f]{64}$/);
assert.strictEqual(answer.body.mrEnclave, payload["x-ms-sgx-mrenclave"]);
answer = await real.attestSgxEnclave(evidence.subarray(32));
assert.strictEqual(answer.body.mrEnclave, payload["x-ms-sgx-mrenclave"]);
const changed = Buffer.from(evidence);
changed[32 + 48 + 64] ^= 1;
await assert.rejects(real.attestOpenEnclave(changed), /quote_signature/);
await assert.rejects(client.attestOpenEnclave(evidence), /root_ca|does not verify/);
done("attestOpenEnclave and attestSgxEnclave of a running enclave");
console.log(`${operations} done`);
