"""cella-attestd inside an enclave: its API, and whose its signing keys are.

Usage: enclave.py HOST IMAGE ATTESTD MAKE_EVIDENCE CHECK_TOKEN CHECK_KEY CELLA ENCLAVES. On the software processor, with a
software platform of its own. Side: tests.
"""
import base64
import json
import os
import signal
import subprocess
import sys
import time

from harness import Folder, Service, b64url, parts, read

HERE = os.path.dirname(os.path.abspath(__file__))


def keys(service):
    return json.loads(service.request("GET", "/certs")[2])["keys"]


def stored(folder):
    return b"".join(read(f"{folder}/{name}") for name in os.listdir(folder) if ".sqlite" in name)


def check_key(program, folder, key):
    with open(f"{folder}/key.der", "wb") as file:
        file.write(base64.b64decode(key["x5c"][0]))
    done = subprocess.run([program, f"{folder}/key.der", f"{folder}/platform.pem", f"{folder}/collateral"],
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def measurement(cella, image):
    shown = subprocess.run([cella, "inspect", image], capture_output=True, text=True, check=True, timeout=60).stdout
    return next(word for line in shown.splitlines() if line.startswith("mrenclave") for word in line.split() if len(word) == 64)


def test_keys(service, folder, check, cella, image):
    """Both forms of evidence name the key and this enclave; the key is on the disk sealed only, and opened again."""
    first = keys(service)
    status, said = check_key(check, folder, first[0])
    assert status == 0 and said.splitlines() == [f"form {form} {measurement(cella, image)}" for form in (1, 4)], said
    assert b"PRIVATE KEY" not in stored(service.folder)
    service.kill()
    with service:
        assert keys(service) == first
    print("ok keys")


def test_attest(service, folder, check_token):
    """Evidence of an enclave on this platform becomes a token that a relying party takes."""
    evidence = b64url(read(f"{folder}/enclave.oe"))
    status, answer = service.json("POST", "/attest/OpenEnclave?api-version=2020-10-01", {"report": evidence, "nonce": "n"})
    assert status == 200, answer
    with open(f"{folder}/jwks", "wb") as file:
        file.write(service.request("GET", "/certs")[2])
    said = subprocess.run([check_token, f"{folder}/jwks", service.issuer, "sgx", "n"], input=answer["token"],
                          capture_output=True, text=True, timeout=60, check=False).stdout
    assert said == "good\n" and parts(answer["token"])[0]["kid"] == keys(service)[0]["kid"], said
    service.process.send_signal(signal.SIGHUP)
    for _ in range(200):
        if '"reloaded"' in service.log():
            break
        time.sleep(0.05)
    assert '"reloaded"' in service.log()
    print("ok attest, reload")


def test_foreign(program, attestd, folder, lines, check):
    """Keys that were not made in the enclave are not signed with."""
    with Service(attestd, f"{folder}/foreign", lines) as outside:
        known = keys(outside)[0]
        assert b"PRIVATE KEY" in stored(outside.folder)
        status, said = check_key(check, folder, known)
        assert status == 1 and "refused" in said, said
    inside = Service(program, f"{folder}/foreign", lines)
    with inside:
        found = keys(inside)
        assert known["kid"] not in [key["kid"] for key in found] and '"key_foreign"' in inside.log()
        assert check_key(check, folder, found[0])[0] == 0
    # sealed keys are nothing to an ordinary process
    assert subprocess.run([attestd, "--config", inside.config], capture_output=True, timeout=60, check=False).returncode == 1
    print("ok foreign keys")


def main():
    host, image, attestd, make_evidence, check_token, check, cella, enclaves = sys.argv[1:]
    with Folder() as folder:
        os.environ.update(CELLA_PLATFORM_DIR=f"{folder}/state", CELLA_QUOTE_ENCLAVES=enclaves, CELLA_PROCESSOR="software")
        for arguments in (["platform", "init"], ["platform", "export-root", f"{folder}/platform.pem"],
                          ["platform", "export-collateral", f"{folder}/collateral"],
                          ["evidence", "get", "--out", f"{folder}/enclave.oe", image]):
            subprocess.run([cella, *arguments], check=True, stdout=subprocess.DEVNULL, timeout=120)
        program = f"{folder}/attestd"
        with open(program, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nexec "{host}" --image "{image}" "$@"\n')
        os.chmod(program, 0o755)
        lines = ["issuer = @ISSUER@", f"root = {folder}/platform.pem", f"collateral = {folder}/collateral", "built_in_roots = no"]
        with Service(program, f"{folder}/service", lines) as service:
            test_attest(service, folder, check_token)
            test_keys(service, folder, check, cella, image)
        test_foreign(program, attestd, folder, lines, check)
        # an enclave has 1,024 descriptors; its libcrypto is in enclave memory and, for the software processor, in the host's as well
        for script, *arguments in (("api.py", check_token), ("robustness.py", "850", "48")):
            done = subprocess.run([sys.executable, f"{HERE}/{script}", program, make_evidence, *arguments],
                                  capture_output=True, text=True, timeout=200, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            print(f"ok the whole of {script}")


if __name__ == "__main__":
    main()
