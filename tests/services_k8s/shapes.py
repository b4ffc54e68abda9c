#!/usr/bin/env python3
"""
Manifests in the shapes that people have, through the webhook as AdmissionReviews: accepted as they are, nothing of theirs
changed, and what they need added. Further files, such as upstreams' own, are reported on.
Side: tests. shapes.py WEBHOOK [FILE...]
"""
import copy
import os
import subprocess
import sys
import tempfile

import peers

try:
    import yaml
except ImportError:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    peers.skip("no PyYAML (python3-yaml) to read YAML with")

KNOWN = ("sgx.intel.com/epc", "sgx.intel.com/enclave", "sgx.intel.com/provision", "kubernetes.azure.com/sgx_epc_mem_in_MiB",
         "alibabacloud.com/sgx_epc_MiB", "cella.dev/soft-enclave")


def pods(path):
    """The pods that a file of manifests would make, by name."""
    with open(path, encoding="utf-8") as file:
        for item in yaml.safe_load_all(file):
            if not item or "spec" not in item:
                continue
            pod = item if item["kind"] == "Pod" else item["spec"].get("template")
            if item["kind"] == "CronJob":
                pod = item["spec"]["jobTemplate"]["spec"]["template"]
            if pod and "containers" in pod.get("spec", {}):
                yield f"{item['kind']}/{item['metadata']['name']}", {"metadata": pod.get("metadata") or {}, "spec": pod["spec"]}


def defaulted(pod):
    """What the API server fills in before it asks a webhook: requests that are not there are the limits."""
    pod = copy.deepcopy(pod)
    for container in pod["spec"]["containers"]:
        resources = container.setdefault("resources", {})
        for name, amount in resources.get("limits", {}).items():
            resources.setdefault("requests", {}).setdefault(name, amount)
    return pod


def within(part, whole, at=""):
    """Every value of `part` is in `whole`, lists as beginnings: only things were added."""
    if isinstance(part, dict):
        for key, value in part.items():
            assert isinstance(whole, dict) and key in whole, f"{at}/{key}: gone"
            within(value, whole[key], f"{at}/{key}")
    elif isinstance(part, list):
        assert isinstance(whole, list) and len(whole) >= len(part), f"{at}: shorter"
        for i, value in enumerate(part):
            within(value, whole[i], f"{at}/{i}")
    else:
        assert part == whole, f"{at}: {part!r} became {whole!r}"


def check_needs(pod, needs):
    """The first container has what the manifest's annotation lists; requests are limits; mounts lead to volumes, once."""
    container = pod["spec"]["containers"][0]
    resources = container.get("resources", {})
    paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
    assert len(paths) == len(set(paths)), paths
    volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
    assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes
    for need in needs.split():
        if need.startswith("/"):
            assert need in paths, (need, paths)
            continue
        name, amount = need.split("=")
        assert str(resources["limits"][name]) == amount, (need, resources)
        assert "/" not in name or str(resources["requests"][name]) == amount, (need, resources)
    asks = [name for name in resources.get("limits", {}) if name in KNOWN and name not in ("sgx.intel.com/enclave", "sgx.intel.com/provision")]
    keys = [toleration.get("key") for toleration in pod["spec"].get("tolerations", [])]
    assert not asks or {"sgx.intel.com/epc", "kubernetes.azure.com/sgx_epc_mem_in_MiB"} <= set(keys), keys
    assert len(keys) == len(set(keys)), keys


def one(api, name, pod):
    before = defaulted(pod)
    after, warnings = api.review(before)
    within(before, after)
    assert api.review(after)[0] == after, "once is enough"
    assert not warnings, warnings
    return after


def main():
    failures = 0
    with tempfile.TemporaryDirectory(prefix="cella-k8s-") as folder:
        peers.certificate(folder)
        with open(f"{folder}/conf", "w", encoding="ascii") as out:
            out.write(f"listen = tls://127.0.0.1:0\ntls_certificate = {folder}/cert.pem\ntls_key = {folder}/key.pem\n")
        with open(f"{folder}/log", "w", encoding="utf-8") as log:
            process = subprocess.Popen([sys.argv[1], "--config", f"{folder}/conf"], stderr=log)
        try:
            api = peers.Reviewer(peers.listening(f"{folder}/log", process), f"{folder}/cert.pem")
            for path in sys.argv[2:] or [f"{peers.HERE}/shapes.yaml"]:
                for name, pod in pods(path):
                    try:
                        after = one(api, name, pod)
                        check_needs(after, pod["metadata"].get("annotations", {}).get("test.cella.dev/needs", ""))
                        limits = after["spec"]["containers"][0].get("resources", {}).get("limits", {})
                        print(f"ok {name}: " + (", ".join(f"{key} {value}" for key, value in limits.items() if key in KNOWN) or "left alone"))
                    except (AssertionError, KeyError) as problem:
                        failures += 1
                        print(f"not ok {os.path.basename(path)} {name}: {problem!r}")
        finally:
            status = peers.stop(process)
    return failures != 0 or status


if __name__ == "__main__":
    sys.exit(main())
