"""The official Azure Attestation clients, unmodified, against cella-attestd; tokens checked by standard JOSE libraries.

Usage: clients.py node|python ATTESTD MAKE_EVIDENCE CACHE CELLA IMAGE ENCLAVES
Beside forged evidence of many kinds, evidence of the enclave IMAGE by the quoting enclave in ENCLAVES is attested.
Skipped when the registry cannot be reached and nothing is in CACHE from before. Side: tests.
"""
import os
import shutil
import subprocess
import sys

from harness import ADMIN, SKIP, Folder, Service, certificate

HERE = os.path.dirname(os.path.abspath(__file__))
RSA = ("-newkey", "rsa:2048")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIP)


def run(command, reason, **options):
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=240, **options)
    except (subprocess.SubprocessError, OSError) as problem:
        detail = getattr(problem, "stderr", b"") or b""
        skip(f"{reason}: {problem} {detail[-200:]!r}")


def node_client(cache):
    if not shutil.which("node") or not shutil.which("npm"):
        skip("node and npm are not installed")
    folder = f"{cache}/node"
    if not os.path.exists(f"{folder}/node_modules/@azure/attestation") or not os.path.exists(f"{folder}/node_modules/jose"):
        os.makedirs(folder, exist_ok=True)
        run(["npm", "install", "--prefix", folder, "--silent", "--no-audit", "--no-fund", "--fetch-timeout=20000", "--fetch-retries=1",
             "--fetch-retry-maxtimeout=3000", "@azure/attestation@1.0.0", "jose@5"], "the npm registry cannot be reached")
    shutil.copy(f"{HERE}/client.mjs", f"{folder}/client.mjs")
    return ["node", f"{folder}/client.mjs"]


def python_client(cache):
    folder = f"{cache}/python"
    python = f"{folder}/bin/python"
    probe = "import azure.security.attestation, jwt"
    if subprocess.run([python, "-c", probe], capture_output=True).returncode if os.path.exists(python) else True:
        run([sys.executable, "-m", "venv", folder], "venv")
        run([python, "-m", "pip", "install", "-q", "azure-security-attestation==1.0.0", "PyJWT", "cryptography", "six"],
            "the Python registry cannot be reached")
    return [python, f"{HERE}/client.py"]


def real_evidence(folder, cella, image, enclaves):
    """A software platform of its own, and evidence of an enclave on it."""
    environment = dict(os.environ, CELLA_PLATFORM_DIR=f"{folder}/platform", CELLA_QUOTE_ENCLAVES=enclaves)
    for arguments in (["platform", "init"], ["platform", "export-root", f"{folder}/platform.pem"],
                      ["platform", "export-collateral", f"{folder}/platform-collateral"],
                      ["evidence", "get", "--out", f"{folder}/enclave.oe", image]):
        subprocess.run([cella, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL, timeout=120)
    return ["issuer = @ISSUER@", f"root = {folder}/platform.pem", f"collateral = {folder}/platform-collateral", "built_in_roots = no"]


def main():
    kind, attestd, make_evidence, cache, cella, image, enclaves = sys.argv[1:]
    os.makedirs(cache, exist_ok=True)
    command = node_client(cache) if kind == "node" else python_client(cache)
    with Folder() as folder:
        subprocess.run([make_evidence, f"{folder}/evidence"], check=True)
        ca = ["basicConstraints=critical,CA:TRUE"]
        for name in ("signer", "second"):
            certificate(folder, name, f"/CN=policy {name}", ca, RSA)
        certificate(folder, "ec", "/CN=policy ec", ca)
        common = ["issuer = @ISSUER@", f"root = {folder}/evidence/root.pem", f"collateral = {folder}/evidence/collateral"]
        with Service(attestd, f"{folder}/real", real_evidence(folder, cella, image, enclaves)) as real, \
             Service(attestd, f"{folder}/open", common) as aad, \
             Service(attestd, f"{folder}/isolated", common + ["mode = isolated", f"signer = {folder}/signer.pem"]) as isolated:
            with open(f"{folder}/ca.pem", "w", encoding="ascii") as bundle:
                for service in (aad, isolated, real):
                    with open(service.ca, encoding="ascii") as one:
                        bundle.write(one.read())
            environment = dict(os.environ, NODE_EXTRA_CA_CERTS=f"{folder}/ca.pem", REQUESTS_CA_BUNDLE=f"{folder}/ca.pem",
                               AAD=aad.issuer, ISOLATED=isolated.issuer, REAL=real.issuer, TOKEN=ADMIN, FOLDER=folder)
            done = subprocess.run(command, env=environment, timeout=120)
            if done.returncode:
                sys.stderr.write(aad.log()[-3000:] + isolated.log()[-3000:] + real.log()[-3000:])
            return done.returncode


if __name__ == "__main__":
    sys.exit(main())
