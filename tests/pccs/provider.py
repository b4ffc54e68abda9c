"""Quote provider libraries of others, Intel's and Microsoft's libdcap_quoteprov, against cella-pccs.

Usage: provider.py PCCS MAKE_EVIDENCE CLIENT. The libraries are $CELLA_QUOTE_PROVIDER (several with colons between), or the
installed one; skipped without.
Side: tests.
"""
import ctypes.util
import json
import os
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "attestd"))
from harness import SKIP, Folder, Service, read  # noqa: E402

FMSPC = "00CE11A00000"


def libraries():
    named = os.environ.get("CELLA_QUOTE_PROVIDER") or ctypes.util.find_library("dcap_quoteprov") or ""
    found = [name for name in named.split(":") if name and (not name.startswith("/") or os.path.exists(name))]
    if not found:
        print("skipped: libdcap_quoteprov.so.1 is not installed, and CELLA_QUOTE_PROVIDER names none")
        sys.exit(SKIP)
    return found


def is_microsofts(provider):
    return provider.startswith("/") and b"AZDCAP_BASE_CERT_URL" in read(provider)


def ask(client, provider, folder, service, version, fmspc=FMSPC):
    """Exit status, what the client said, and the folder of what it got."""
    out = f"{folder}/out-{version}-{fmspc}"
    os.makedirs(out)
    config = {"pccs_url": f"https://localhost:{service.port}/sgx/certification/v4/", "use_secure_cert": False,
              "pccs_api_version": version, "retry_times": 0, "pck_cache_expire_hours": 0,
              "verify_collateral_cache_expire_hours": 0}
    with open(f"{out}/qcnl.conf", "w", encoding="utf-8") as file:
        json.dump(config, file)
    plain = f"http://127.0.0.1:{service.plain_port}"
    environment = dict(os.environ, QCNL_CONF_PATH=f"{out}/qcnl.conf", AZDCAP_CACHE=out, HOME=out,
                       AZDCAP_BASE_CERT_URL=f"{plain}/sgx/certification",
                       AZDCAP_PRIMARY_BASE_CERT_URL=f"{plain}/metadata/THIM/sgx/certification",
                       AZDCAP_SECONDARY_BASE_CERT_URL=f"{plain}/sgx/certification")
    done = subprocess.run([client, provider, fmspc, out], env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr, out


def list_der(form, data):
    """The DER of a list as a version of the interface has it."""
    if form == "1.0":
        return ssl.PEM_cert_to_DER_cert(data.rstrip(b"\0").decode().replace(" X509 CRL-", " CERTIFICATE-"))
    return bytes.fromhex(data.rstrip(b"\0").decode()) if form == "3.0" else data


def check(pccs, make_evidence, client, provider):
    with Folder() as folder:
        subprocess.run([make_evidence, f"{folder}/evidence"], check=True)
        collateral = f"{folder}/evidence/collateral"
        files = {"tcb_info": "tcb_info.json", "qe_identity": "qe_identity.json", "tcb_info_issuer_chain": "tcb_info_issuer_chain.pem",
                 "qe_identity_issuer_chain": "qe_identity_issuer_chain.pem", "pck_crl_issuer_chain": "pck_crl_issuer_chain.pem"}
        with Service(pccs, f"{folder}/pccs", ["mode = offline", f"platform = {collateral}"], admin=False) as service:
            for version in ("1.0",) if is_microsofts(provider) else ("3.0", "3.1"):
                status, said, out = ask(client, provider, folder, service, version)
                assert status == 0, said + service.log()
                assert f"version {version}" in said and "pce_svn 13" in said, said
                assert read(f"{out}/quote_config") == read(f"{collateral}/pck_certificate_chain.pem")
                for name, file in files.items():
                    assert read(f"{out}/{name}").rstrip(b"\0") == read(f"{collateral}/{file}"), name
                for name in ("root_ca_crl", "pck_crl"):
                    der = read(f"{collateral}/{name}.der")
                    assert list_der(version, read(f"{out}/{name}"))[:len(der)] == der, name
                print(f"ok collateral {version}: {said.split()}")
            status, said, out = ask(client, provider, folder, service, "3.1", "000000000000")
            assert status == 1 and "quote_config 0x0" in said and "collateral 0x0" not in said, said
            print(f"ok unknown platform: {said.split()}")


def main():
    pccs, make_evidence, client = sys.argv[1:]
    for provider in libraries():
        print(provider)
        check(pccs, make_evidence, client, provider)


if __name__ == "__main__":
    main()
