#!/usr/bin/env python3
"""
The Helm chart: lint, the same objects as deploy/'s plain YAML, what its values do, what its schema refuses, and configurations
that the programs take. Needs helm: the one in PATH, or with CELLA_TEST_HELM=1 one built of its module.
Side: tests. chart.py PLUGIN WEBHOOK QUOTED CACHE
"""
import copy
import glob
import os
import shutil
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

PLUGIN, WEBHOOK, QUOTED, CACHE = sys.argv[1:]
DEPLOY = os.path.realpath(f"{peers.HERE}/../../deploy")
CHART = f"{DEPLOY}/helm/cella-node"
VERSIONS = ("1.25.0", "1.34.0")
OURS = ("helm.sh/chart", "app.kubernetes.io/")  # labels of the chart's that plain YAML does without
HELM = None


def helm(*words, status=0):
    done = subprocess.run([HELM, *words], capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, HOME=CACHE, HELM_CACHE_HOME=CACHE, HELM_CONFIG_HOME=CACHE, HELM_DATA_HOME=CACHE))
    assert done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout if status == 0 else done.stderr


def rendered(*words, version=VERSIONS[-1]):
    text = helm("template", "cella", CHART, "--namespace", "cella-system", "--kube-version", version, *words)
    return text, {(item["kind"], item["metadata"]["name"]): item for item in yaml.safe_load_all(text) if item}


def plain():
    objects = {}
    for path in glob.glob(f"{DEPLOY}/*.yaml"):
        with open(path, encoding="utf-8") as file:
            for item in yaml.safe_load_all(file):
                objects[item["kind"], item["metadata"]["name"]] = item
    return objects


def settings(text):
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def bare(item):
    """An object without what only a chart has: labels of the release, a checksum that restarts pods, no CA yet."""
    item = copy.deepcopy(item)
    labels = item["metadata"].pop("labels", {})
    if item["kind"] in ("DaemonSet", "Deployment"):
        assert labels["app.kubernetes.io/name"] == item["metadata"]["name"], labels
        annotations = item["spec"]["template"]["metadata"].get("annotations", {})
        annotations.pop("checksum/config", None)
        if not annotations:
            item["spec"]["template"]["metadata"].pop("annotations", None)
    for key in list(item.get("data", {})):
        item["data"][key] = settings(item["data"][key])
    for hook in item.get("webhooks", []):
        if not hook["clientConfig"].get("caBundle"):
            hook["clientConfig"].pop("caBundle", None)
        for expression in hook["namespaceSelector"]["matchExpressions"]:
            expression["values"].sort()
    return item


def lint():
    for words in ([], ["--set", "webhook.certificate.mode=certManager"], ["--set", "webhook.enabled=false,devicePlugin.cdi=true"]):
        assert "0 chart(s) failed" in helm("lint", "--strict", CHART, "--kube-version", VERSIONS[-1], *words)


def same():
    """With the certificate of cert-manager, the chart is the plain YAML but for the namespace, which Helm is told."""
    for version in VERSIONS:
        _, chart = rendered("--set", "webhook.certificate.mode=certManager", version=version)
        files = plain()
        assert files.pop(("Namespace", "cella-system"))
        assert set(chart) == set(files), (set(chart) ^ set(files))
        for key, item in files.items():
            assert bare(chart[key]) == bare(item), f"{key}:\n{bare(chart[key])}\n{bare(item)}"


def strict():
    """Decoded strictly into Kubernetes' own types; skipped where Go or its proxy is not there."""
    peer = peers.go_peer(CACHE)
    with tempfile.TemporaryDirectory() as folder:
        for i, words in enumerate(([], ["--set", "webhook.certificate.mode=certManager,devicePlugin.cdi=true"])):
            with open(f"{folder}/{i}.yaml", "w", encoding="utf-8") as out:
                documents = rendered(*words)[0].split("\n---\n")
                out.write("\n---\n".join(part.removeprefix("---\n") for part in documents))
        assert subprocess.run([peer, "manifests", folder], timeout=100).returncode == 0


def values():
    _, objects = rendered("--set", "devicePlugin.nodeUpdate=false")
    assert not [key for key in objects if key[0].startswith("ClusterRole")], "no rights that are not needed"
    assert objects["ServiceAccount", "cella-device-plugin"]["automountServiceAccountToken"] is False
    _, objects = rendered("--set", "devicePlugin.enabled=false,quoted.hardware.enabled=false,quoted.software.enabled=false,webhook.enabled=false")
    assert not objects
    digest = "sha256:" + "a" * 64
    _, objects = rendered("--set", f"image.repository=r.example:5000/x/node,image.digest={digest},image.pullSecrets={{s}}",
                          "--set", "devicePlugin.nodeSelector.pool=sgx,quoted.clientRate=100")
    for name in ("cella-device-plugin", "cella-quoted", "cella-quoted-software"):
        spec = objects["DaemonSet", name]["spec"]["template"]["spec"]
        assert spec["containers"][0]["image"] == f"r.example:5000/x/node@{digest}" and spec["imagePullSecrets"] == [{"name": "s"}], spec
    assert objects["DaemonSet", "cella-device-plugin"]["spec"]["template"]["spec"]["nodeSelector"]["pool"] == "sgx"
    assert objects["DaemonSet", "cella-quoted"]["spec"]["template"]["spec"]["containers"][0]["command"][-2:] == ["--client-rate", "100"]
    checksum = lambda words: rendered(*words)[1]["DaemonSet", "cella-device-plugin"]["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
    assert checksum([]) != checksum(["--set", "devicePlugin.softEnclaves=3"]), "another configuration restarts the pods"


def configurations():
    """Each value of the chart's becomes a configuration that the program takes."""
    every = ["--set", "devicePlugin.dialects={intel,azure},devicePlugin.softEnclaves=4,devicePlugin.softPlatform=/var/lib/cella/platform",
             "--set", "devicePlugin.quoteMount=true,devicePlugin.quoteHealth=off,devicePlugin.cdi=true,devicePlugin.enclaveLimit=7,devicePlugin.provisionLimit=8",
             "--set-string", "devicePlugin.extraConfig=log_level = debug", "--set", "webhook.quoteProvider=aesmd,webhook.devicesFor=intel,webhook.taints={a/b,c}"]
    for words, lines in (([], 5), (every, 16)):
        _, objects = rendered(*words)
        for name, program, file in (("cella-device-plugin", PLUGIN, "device-plugin.conf"), ("cella-webhook", WEBHOOK, "webhook.conf")):
            text = objects["ConfigMap", name]["data"][file]
            assert name != "cella-device-plugin" or len(settings(text)) == lines, text
            with tempfile.NamedTemporaryFile("w", encoding="utf-8") as config:
                config.write(text)
                config.flush()
                subprocess.run([program, "--config", config.name, "--check"], check=True, timeout=20)
        for name in ("cella-quoted", "cella-quoted-software"):
            command = objects["DaemonSet", name]["spec"]["template"]["spec"]["containers"][0]["command"]
            said = subprocess.run([QUOTED, *command[1:], "--help"], capture_output=True, text=True, timeout=20)
            assert said.returncode == 0 and "usage: cella-quoted" in said.stdout, (command, said)


def certificates():
    """Helm's own certificate is for the service's name and is its own CA."""
    _, objects = rendered()
    secret = objects["Secret", "cella-webhook-tls"]["data"]
    hook = objects["MutatingWebhookConfiguration", "cella-webhook"]["webhooks"][0]["clientConfig"]
    assert hook["caBundle"] == secret["tls.crt"] == secret["ca.crt"]
    text = subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName", "-checkend", str(3000 * 86400)], capture_output=True, text=True,
                          input=__import__("base64").b64decode(secret["tls.crt"]).decode(), timeout=20)
    assert text.returncode == 0 and "DNS:cella-webhook.cella-system.svc" in text.stdout, text
    _, objects = rendered("--set", "webhook.certificate.mode=secret,webhook.certificate.caBundle=AAAA")
    assert objects["MutatingWebhookConfiguration", "cella-webhook"]["webhooks"][0]["clientConfig"]["caBundle"] == "AAAA"
    assert ("Secret", "cella-webhook-tls") not in objects


def schema():
    for wrong in ("typo=1", "image.repository=a b", "image.digest=sha256:12", "devicePlugin.dialects={amd}", "devicePlugin.softEnclaves=-1",
                  "webhook.replicas=0", "webhook.certificate.mode=self", "webhook.certificate.mode=secret", "quoted.folder=relative",
                  "devicePlugin.maxUnavailable=200%", "webhook.quoteProvider=some", "image.pullPolicy=Sometimes"):
        error = helm("template", "cella", CHART, "--kube-version", VERSIONS[-1], "--set", wrong, status=1)
        assert "schema" in error, (wrong, error)


def notes():
    """Only an installation prints NOTES.txt, and that asks a cluster: here it is rendered as part of an object."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(CHART, f"{folder}/chart")
        with open(f"{CHART}/templates/NOTES.txt", encoding="utf-8") as file:
            text = '{{ define "notes" }}' + file.read() + '{{ end }}'
        with open(f"{folder}/chart/templates/notes.yaml", "w", encoding="utf-8") as out:
            out.write(text + 'kind: ConfigMap\nmetadata: {name: notes}\ndata:\n  notes: |\n    {{- include "notes" . | nindent 4 }}\n')
        shown = helm("template", "cella", f"{folder}/chart", "--kube-version", VERSIONS[-1], "--show-only", "templates/notes.yaml",
                     "--set", "devicePlugin.softEnclaves=1")
    said = yaml.safe_load(shown)["data"]["notes"]
    assert "cella k8s manifest" in said and "image.repository is an example" in said and "protects nothing" in said, said
    assert "{{" not in said and "sgx\\.intel\\.com" in said, said


def helm_find():
    found = peers.shutil.which("helm")
    if found:
        return found
    if os.environ.get("CELLA_TEST_HELM") != "1":
        peers.skip("no helm in PATH; CELLA_TEST_HELM=1 builds one of helm.sh/helm/v3")
    known = " ".join(f"-X helm.sh/helm/v3/pkg/chartutil.k8sVersion{name}" for name in ("Major=1", "Minor=34"))  # as in its releases
    return peers.go_program(CACHE, "helm.sh/helm/v3", "v3.19.0", "cmd/helm", "-ldflags", known)


def main():
    global HELM
    os.makedirs(CACHE, exist_ok=True)
    HELM = helm_find()
    print(helm("version", "--short").strip())
    failures = 0
    for check in (lint, same, values, configurations, certificates, schema, notes, strict):
        try:
            check()
            print(f"ok {check.__name__}")
        except SystemExit as skipped:
            if skipped.code != peers.SKIP:
                raise
        except (AssertionError, KeyError, subprocess.SubprocessError) as problem:
            failures += 1
            print(f"not ok {check.__name__}: {problem!r}"[:3000])
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
