"""A quote provider library of others, as Intel's libdcap_quoteprov.so.1, against cella-pccs.

Usage: provider.py PCCS MAKE_EVIDENCE CLIENT. The library is $CELLA_QUOTE_PROVIDER, or the installed one; skipped without.
Side: tests.
"""
import ctypes.util
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "attestd"))
from harness import SKIP, Folder, Service, read  # noqa: E402

FMSPC = "00CE11A00000"


def library():
    named = os.environ.get("CELLA_QUOTE_PROVIDER") or ctypes.util.find_library("dcap_quoteprov")
    if not named or (named.startswith("/") and not os.path.exists(named)):
        print("skipped: libdcap_quoteprov.so.1 is not installed, and CELLA_QUOTE_PROVIDER names none")
        sys.exit(SKIP)
    return named


def ask(client, provider, folder, service, version, fmspc=FMSPC):
    """Exit status, what the client said, and the folder of what it got."""
    out = f"{folder}/out-{version}-{fmspc}"
    os.makedirs(out)
    config = {"pccs_url": f"https://localhost:{service.port}/sgx/certification/v4/", "use_secure_cert": False,
              "pccs_api_version": version, "retry_times": 0, "pck_cache_expire_hours": 0,
              "verify_collateral_cache_expire_hours": 0}
    with open(f"{out}/qcnl.conf", "w", encoding="utf-8") as file:
        json.dump(config, file)
    environment = dict(os.environ, QCNL_CONF_PATH=f"{out}/qcnl.conf", AZDCAP_CACHE=out, HOME=out)
    done = subprocess.run([client, provider, fmspc, out], env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr, out


def main():
    pccs, make_evidence, client = sys.argv[1:]
    provider = library()
    with Folder() as folder:
        subprocess.run([make_evidence, f"{folder}/evidence"], check=True)
        collateral = f"{folder}/evidence/collateral"
        files = {"tcb_info": "tcb_info.json", "qe_identity": "qe_identity.json", "tcb_info_issuer_chain": "tcb_info_issuer_chain.pem",
                 "qe_identity_issuer_chain": "qe_identity_issuer_chain.pem", "pck_crl_issuer_chain": "pck_crl_issuer_chain.pem"}
        with Service(pccs, f"{folder}/pccs", ["mode = offline", f"platform = {collateral}"], admin=False) as service:
            for version in ("3.0", "3.1"):
                status, said, out = ask(client, provider, folder, service, version)
                assert status == 0, said + service.log()
                assert f"version {version}" in said and "pce_svn 13" in said, said
                assert read(f"{out}/quote_config") == read(f"{collateral}/pck_certificate_chain.pem")
                for name, file in files.items():
                    assert read(f"{out}/{name}").rstrip(b"\0") == read(f"{collateral}/{file}"), name
                for name in ("root_ca_crl", "pck_crl"):
                    found, der = read(f"{out}/{name}"), read(f"{collateral}/{name}.der")
                    assert (bytes.fromhex(found.rstrip(b"\0").decode()) if version == "3.0" else found[:len(der)]) == der, name
                print(f"ok collateral {version}: {said.split()}")
            status, said, out = ask(client, provider, folder, service, "3.1", "000000000000")
            assert status == 1 and "quote_config 0x0" in said and "collateral 0x0" not in said, said
            print(f"ok unknown platform: {said.split()}")


if __name__ == "__main__":
    main()
