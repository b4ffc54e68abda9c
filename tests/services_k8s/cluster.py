#!/usr/bin/env python3
"""
A real control plane on loopback: kube-apiserver, kube-controller-manager and kube-scheduler of k8s.io/kubernetes, with etcd.
All manifests are applied with the server's strict validation, pods go through the real webhook, and nodes get what the real
device plugin says of them, with the rights that its role has and no others. Opt-in: CELLA_TEST_CLUSTER=1; its modules are
hundreds of megabytes, and are built in minutes.
Side: tests. cluster.py PLUGIN WEBHOOK CELLA CACHE
"""
import base64
import contextlib
import copy
import glob
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import peers
import shapes

yaml = shapes.yaml
VERSION = "1.34.2"
MANIFESTS = f"{peers.HERE}/../../deploy"
# resource of the API, by kind: group and version, plural, whether it lives in a namespace
KINDS = {"Namespace": ("api/v1", "namespaces", False), "ServiceAccount": ("api/v1", "serviceaccounts", True), "ConfigMap": ("api/v1", "configmaps", True),
         "Secret": ("api/v1", "secrets", True), "Service": ("api/v1", "services", True), "Pod": ("api/v1", "pods", True), "Node": ("api/v1", "nodes", False),
         "PersistentVolumeClaim": ("api/v1", "persistentvolumeclaims", True), "Deployment": ("apis/apps/v1", "deployments", True),
         "DaemonSet": ("apis/apps/v1", "daemonsets", True), "Job": ("apis/batch/v1", "jobs", True),
         "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets", True),
         "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
         "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
         "MutatingWebhookConfiguration": ("apis/admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", False)}
USERS = (("admin", "admin", "system:masters"), ("controllers", "system:kube-controller-manager", "system:masters"), ("scheduler", "system:kube-scheduler", ""))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Cluster:
    """The control plane's processes, and a client of the API server."""

    def __init__(self, program, folder):
        self.program, self.folder, self.processes = program, folder, []
        self.port, self.etcd, self.etcd_peer = free_port(), free_port(), free_port()
        self.warnings = []

    def path(self, name):
        return f"{self.folder}/{name}"

    def start(self, name, *words):
        with open(self.path(f"{name}.log"), "w", encoding="utf-8") as log:
            self.processes.append((name, subprocess.Popen([self.program, *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL)))

    def stop(self):
        for _, process in reversed(self.processes):
            process.terminate()
        for _, process in reversed(self.processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self, name, size=3000):
        with open(self.path(f"{name}.log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-size:]

    def up(self):
        peers.certificate(self.folder)
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.path("sa.key")], check=True, capture_output=True)
        with open(self.path("users"), "w", encoding="ascii") as out:
            out.writelines(f'token-{token},{user},{user},"{groups}"\n' for token, user, groups in USERS)
        for token, user, _ in USERS:
            with open(self.path(f"{token}.conf"), "w", encoding="ascii") as out:
                json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                           "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": self.path("cert.pem")}}],
                           "users": [{"name": "u", "user": {"token": f"token-{token}"}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}, out)
        with open(self.path("etcd.yaml"), "w", encoding="ascii") as out:
            out.write(f"name: one\ndata-dir: {self.path('etcd')}\nlisten-client-urls: http://127.0.0.1:{self.etcd}\n"
                      f"advertise-client-urls: http://127.0.0.1:{self.etcd}\nlisten-peer-urls: http://127.0.0.1:{self.etcd_peer}\n"
                      f"initial-advertise-peer-urls: http://127.0.0.1:{self.etcd_peer}\ninitial-cluster: one=http://127.0.0.1:{self.etcd_peer}\n"
                      "unsafe-no-fsync: true\nlog-level: error\n")
        self.start("etcd", "etcd", self.path("etcd.yaml"))
        self.start("apiserver", "apiserver", f"--etcd-servers=http://127.0.0.1:{self.etcd}", f"--secure-port={self.port}", "--bind-address=127.0.0.1",
                   f"--tls-cert-file={self.path('cert.pem')}", f"--tls-private-key-file={self.path('key.pem')}", "--service-account-issuer=https://cluster.test",
                   f"--service-account-key-file={self.path('sa.key')}", f"--service-account-signing-key-file={self.path('sa.key')}",
                   "--authorization-mode=RBAC", f"--token-auth-file={self.path('users')}", "--service-cluster-ip-range=10.96.0.0/24",
                   "--endpoint-reconciler-type=none", "--allow-privileged=true", "--profiling=false", "--advertise-address=192.0.2.1")
        self.wait(lambda: self.call("GET", "/readyz")[0] == 200, "apiserver", 120)
        self.start("controllers", "controllers", f"--kubeconfig={self.path('controllers.conf')}", "--leader-elect=false", "--secure-port=0",
                   "--controllers=deployment-controller,replicaset-controller,job-controller,daemonset-controller,serviceaccount-controller")
        self.start("scheduler", "scheduler", f"--kubeconfig={self.path('scheduler.conf')}", "--leader-elect=false", "--secure-port=0")

    def wait(self, condition, name, seconds=60):
        end = time.time() + seconds
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if condition():
                    return
            dead = [other for other, process in self.processes if process.poll() is not None]
            assert not dead and time.time() < end, f"{name}: {dead}\n" + self.log((dead or [name])[0] if os.path.exists(self.path(f"{(dead or [name])[0]}.log")) else "apiserver")
            time.sleep(0.2)

    def call(self, method, path, body=None, kind="application/json", token="token-admin"):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=ssl.create_default_context(cafile=self.path("cert.pem")), timeout=30)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind, "Accept": "application/json"}
        connection.request(method, path, None if body is None else body if isinstance(body, str) else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        self.warnings = answer.headers.get_all("Warning") or []
        connection.close()
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(text)
        return answer.status, text.decode()

    def place(self, item, name=True, namespace="default"):
        group, plural, spaced = KINDS[item["kind"]]
        space = f"/namespaces/{item['metadata'].get('namespace', namespace)}" if spaced else ""
        return f"/{group}{space}/{plural}" + (f"/{item['metadata']['name']}" if name else "")

    def apply(self, item, namespace="default"):
        """Server-side apply, every unknown or repeated field an error. The object as the server has it."""
        status, answer = self.call("PATCH", self.place(item, True, namespace) + "?fieldManager=test&fieldValidation=Strict&force=true",
                                   json.dumps(item), "application/apply-patch+yaml")
        assert status in (200, 201), f"{item['kind']} {item['metadata']['name']}: {status} {answer}"
        return answer

    def create(self, item, namespace="default", token="token-admin"):
        return self.call("POST", self.place(item, False, namespace) + "?fieldValidation=Strict", item, token=token)

    def get(self, kind, name, namespace="default"):
        status, answer = self.call("GET", self.place({"kind": kind, "metadata": {"name": name}}, True, namespace))
        return answer if status == 200 else None

    def pods(self, namespace):
        return self.call("GET", f"/api/v1/namespaces/{namespace}/pods")[1]["items"]

    def namespace(self, name, **labels):
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        self.wait(lambda: self.get("ServiceAccount", "default", name), "controllers")

    def node(self, name, **capacity):
        """A node that nobody runs: the scheduler asks no more of one than that it says it is ready."""
        self.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {
            "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name}}})
        amounts = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi", **capacity}
        status, answer = self.call("PATCH", f"/api/v1/nodes/{name}/status", {"status": {
            "capacity": amounts, "allocatable": amounts, "conditions": [{"type": "Ready", "status": "True", "reason": "Test", "message": "",
                                                                         "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}, "application/merge-patch+json")
        assert status == 200, answer
        self.call("PATCH", f"/api/v1/nodes/{name}", {"spec": {"taints": None}}, "application/merge-patch+json")


def documents(path):
    with open(path, encoding="utf-8") as file:
        return [item for item in yaml.safe_load_all(file) if item and not item["apiVersion"].startswith("cert-manager.io/")]


# ---------------------------------------------------------------------------- what is checked


def components(cluster, _):
    """deploy/: every object taken by the server, pod security and all; its pods are those of the controllers."""
    items = documents(f"{MANIFESTS}/namespace.yaml")
    items += [item for path in sorted(glob.glob(f"{MANIFESTS}/*.yaml")) if not path.endswith("namespace.yaml") for item in documents(path)]
    for item in items:
        if item["kind"] != "MutatingWebhookConfiguration":  # which has a certificate first
            cluster.apply(item)
            assert not [w for w in cluster.warnings if "PodSecurity" in w], cluster.warnings
    for kind in ("DaemonSet", "Deployment"):
        for item in items:
            if item["kind"] == kind:
                cluster.wait(lambda: cluster.get(kind, item["metadata"]["name"], "cella-system")["status"].get("observedGeneration") == 1, "controllers")
    cluster.wait(lambda: len([pod for pod in cluster.pods("cella-system") if "cella-webhook" in pod["metadata"]["name"]]) == 2, "controllers")
    if shutil.which("kubectl"):
        done = subprocess.run(["kubectl", f"--kubeconfig={cluster.path('admin.conf')}", "apply", "--dry-run=client", "-o", "name", "-f", MANIFESTS],
                              capture_output=True, text=True, timeout=60)
        lines = [line for line in done.stderr.splitlines() if "cert-manager" not in line and line.strip()]
        assert len(done.stdout.splitlines()) >= len(items) and not [l for l in lines if "ensure CRDs" not in l and "last-applied" not in l], done
        done = subprocess.run(["kubectl", f"--kubeconfig={cluster.path('admin.conf')}", "apply", "--dry-run=server", "--validate=strict", "-o", "name",
                               "-f", f"{MANIFESTS}/device-plugin.yaml", "-f", f"{MANIFESTS}/quoted.yaml", "-f", f"{MANIFESTS}/webhook.yaml"],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done


def chart(cluster, cache):
    """Helm installs the chart with its own certificate, which an upgrade keeps, and prints the notes."""
    found = shutil.which("helm") or next(iter(glob.glob(f"{cache}/cmd-helm-*/program")), None)
    if not found:
        return "no helm"
    words = [found, "--kubeconfig", cluster.path("admin.conf"), "-n", "charted"]
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        cluster.call("DELETE", cluster.place({"kind": kind, "metadata": {"name": "cella-device-plugin"}}))
    secrets = []
    for verb in (["install", "cella"], ["upgrade", "cella"]):
        done = subprocess.run([*words, *verb, f"{MANIFESTS}/helm/cella-node", "--set", "devicePlugin.softEnclaves=2", "--create-namespace"][: -1 if verb[0] == "upgrade" else None], capture_output=True,
                              text=True, timeout=120, env=dict(os.environ, HOME=cluster.folder))
        assert done.returncode == 0 and "cella k8s manifest" in done.stdout, done
        secrets.append(cluster.get("Secret", "cella-webhook-tls", "charted")["data"])
    assert secrets[0] == secrets[1], "the certificate outlives an upgrade"
    assert cluster.get("MutatingWebhookConfiguration", "cella-webhook")["webhooks"][0]["clientConfig"]["caBundle"] == secrets[0]["ca.crt"]
    done = subprocess.run([*words, "uninstall", "cella", "--wait"], capture_output=True, text=True, timeout=120, env=dict(os.environ, HOME=cluster.folder))
    assert done.returncode == 0, done
    components(cluster, cache)


@contextlib.contextmanager
def webhook_running(cluster, program, configuration=()):
    folder = tempfile.mkdtemp(dir=cluster.folder)
    peers.certificate(folder)
    with open(f"{folder}/conf", "w", encoding="ascii") as out:
        out.write("\n".join(["listen = tls://127.0.0.1:0", f"tls_certificate = {folder}/cert.pem", f"tls_key = {folder}/key.pem", *configuration]) + "\n")
    with open(f"{folder}/log", "w", encoding="utf-8") as log:
        process = subprocess.Popen([program, "--config", f"{folder}/conf"], stderr=log)
    try:
        port = peers.listening(f"{folder}/log", process)
        config = next(item for item in documents(f"{MANIFESTS}/webhook.yaml") if item["kind"] == "MutatingWebhookConfiguration")
        with open(f"{folder}/cert.pem", "rb") as file:  # by address: there is no network of Services here
            config["webhooks"][0]["clientConfig"] = {"url": f"https://127.0.0.1:{port}/mutate", "caBundle": base64.b64encode(file.read()).decode()}
        cluster.call("DELETE", cluster.place(config))
        cluster.apply(config)
        yield process
    finally:
        cluster.call("DELETE", cluster.place({"kind": "MutatingWebhookConfiguration", "metadata": {"name": "cella-webhook"}}))
        if process.poll() is None:
            assert peers.stop(process) == 0


def webhook(cluster, program):
    """Pods of people's shapes through API server and webhook; those of controllers too; others untouched; nothing waits for us."""
    cluster.namespace("shapes")
    cluster.namespace("left-out", **{"cella.dev/webhook": "off"})
    plain = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "probe-", "annotations": {"test.cella.dev/needs": ""}},
             "spec": {"containers": [{"name": "c", "image": "x.example/x", "resources": {"limits": {"sgx.intel.com/epc": "1Mi"}}}]}}
    with webhook_running(cluster, program) as process:
        asks = lambda: "sgx.intel.com/enclave" in cluster.create(plain, "shapes")[1]["spec"]["containers"][0]["resources"]["limits"]
        cluster.wait(asks, "apiserver")  # until the API server knows the configuration
        for item in documents(f"{peers.HERE}/shapes.yaml"):
            cluster.apply(item)
        wanted = {}
        for name, pod in shapes.pods(f"{peers.HERE}/shapes.yaml"):
            wanted[name] = pod
        for name, pod in wanted.items():
            base = name.split("/")[1]
            cluster.wait(lambda: [p for p in cluster.pods("shapes") if p["metadata"]["name"].startswith(base)], "controllers")
            made = next(p for p in cluster.pods("shapes") if p["metadata"]["name"].startswith(base))
            shapes.check_needs({"metadata": made["metadata"], "spec": made["spec"]}, pod["metadata"].get("annotations", {}).get("test.cella.dev/needs", ""))
        others(cluster, os.environ.get("CELLA_TEST_MANIFESTS"))
        status, left = cluster.create(plain, "left-out")
        assert status == 201 and "sgx.intel.com/enclave" not in left["spec"]["containers"][0]["resources"]["limits"]
        wrong = copy.deepcopy(plain)
        wrong["spec"]["containers"][0]["resources"]["limits"] = {"sgx.intel.com/sgx_epc_mem_in_MiB": "5"}
        status, _ = cluster.create(wrong, "shapes")
        assert status == 201 and any("sgx.intel.com/epc" in warning for warning in cluster.warnings), cluster.warnings
        assert peers.stop(process) == 0
        begin = time.time()
        status, made = cluster.create(plain, "shapes")
        assert status == 201 and time.time() - begin < 5 and "sgx.intel.com/enclave" not in made["spec"]["containers"][0]["resources"]["limits"], "no pod waits"


def others(cluster, folder):
    """Manifests of anybody's in a folder, as they are: what the server says, and what their pods got."""
    if not folder:
        return
    cluster.namespace("others")
    for path in sorted(glob.glob(f"{folder}/*.yaml")):
        for item in documents(path):
            if item["kind"] not in KINDS or item["kind"] == "Namespace":
                continue
            item["metadata"]["namespace"] = "others"
            status, answer = cluster.create(item, "others")
            print(f"  {os.path.basename(path)} {item['kind']}/{item['metadata']['name']}: {status}" + (f" {answer['message'][:200]}" if status != 201 else ""))
    time.sleep(3)
    for pod in cluster.pods("others"):
        asks = {name: amount for c in pod["spec"]["containers"] for name, amount in c.get("resources", {}).get("limits", {}).items() if name in shapes.KNOWN}
        print(f"  pod {pod['metadata']['name']}: {asks}")


def applications(cluster, cella):
    """cella k8s manifest in every dialect and kind: taken strictly, and by namespaces with the restricted standard."""
    folder = tempfile.mkdtemp(dir=cluster.folder)
    environment = dict(os.environ, XDG_STATE_HOME=folder, CELLA_PLATFORM_DIR=f"{folder}/platform")
    for words in (["new", "hello"], ["image", "hello"]):
        subprocess.run([cella, *words], check=True, capture_output=True, cwd=folder, timeout=120, env=environment)
    cluster.namespace("restricted", **{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"})
    cluster.namespace("baseline", **{"pod-security.kubernetes.io/enforce": "baseline"})
    cluster.namespace("apps")
    more = ["--port", "https=443:7443", "--port", "9000", "--service", "NodePort", "--probe", "https:/healthz:7443", "--volume", "data:/data:1Gi", "--volume", "data:/again:ro",
            "--volume", "configmap/settings:/settings:ro", "--volume", "secret/keys:/keys", "--volume", "scratch:/tmp:1Mi", "--env", "A=b: #c", "--replicas", "2",
            "--image", "registry.example:5000/team/hello:1", "--pull-secret", "regcred", "--tolerate", "a.b/c=d:NoExecute", "--node-label", "pool=sgx", "--seccomp", "cella.json",
            "--epc", "32Mi", "--memory", "128Mi", "--cpu", "0.5", "--user", "1000"]
    count = 0
    for dialect in ("intel", "azure", "alibaba", "soft"):
        for kind in ("deployment", "job"):
            for i, (options, quotes, arguments) in enumerate(((more, "none", ["--", "serve", "yes"]), ([], "none", []), (["--probe", "exec:/app/hello --check"], "process", []),
                                                              (["--probe", "grpc:50051"], "socket", []))):
                name = f"{dialect}-{kind}-{i}"
                space = "apps" if quotes == "socket" else "restricted"
                text = subprocess.run([cella, "k8s", "manifest", "hello", "--dialect", dialect, "--kind", kind, "--name", name, "--namespace", space, "--quotes", quotes,
                                       *options, *arguments], check=True, capture_output=True, text=True, cwd=folder, timeout=60, env=environment).stdout
                for item in yaml.safe_load_all(text):
                    taken = cluster.apply(item)
                    count += 1
                    assert not cluster.warnings, (name, cluster.warnings)
                    if item["kind"] in ("Deployment", "Job"):
                        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**item["spec"]["template"]["metadata"], "name": f"{name}-pod", "namespace": space},
                               "spec": item["spec"]["template"]["spec"]}
                        status, made = cluster.create(pod)
                        assert status == 201 and made["status"]["qosClass"] == "Guaranteed", (name, made)
                        assert taken["spec"]["template"]["spec"]["containers"][0]["image"] == item["spec"]["template"]["spec"]["containers"][0]["image"]
                    if quotes == "socket" and item["kind"] == "Deployment":
                        refused = copy.deepcopy(pod)
                        refused["metadata"].update(name=f"{name}-refused", namespace="baseline")
                        assert cluster.create(refused)[0] == 403, "a folder of the node, as the manual says"
    print(f"  {count} objects of cella k8s manifest taken strictly")
    for path in sorted(glob.glob(f"{peers.HERE}/../../samples/*/*.yaml")):
        for item in documents(path):
            if item["kind"] in KINDS:
                cluster.apply(item, "apps")
                assert not cluster.warnings, (path, cluster.warnings)


def scheduling(cluster, program, cella_program):
    """The device plugin's figure in the node's status, put there with its role; the scheduler goes by it."""
    folder = tempfile.mkdtemp(dir=cluster.folder)
    cluster.node("with-sgx", **{"sgx.intel.com/enclave": "110"})
    cluster.node("without")
    status, answer = cluster.call("POST", "/api/v1/namespaces/cella-system/serviceaccounts/cella-device-plugin/token",
                                  {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}})
    assert status == 201, answer
    token = answer["status"]["token"]
    with open(f"{folder}/token", "w", encoding="ascii") as out:
        out.write(token)
    for method, path, body in (("GET", "/api/v1/nodes", None), ("GET", "/api/v1/secrets", None), ("DELETE", "/api/v1/nodes/without", None),
                               ("GET", "/api/v1/namespaces/cella-system/pods", None), ("POST", "/api/v1/namespaces/default/pods", {}), ("PUT", "/api/v1/nodes/without", {})):
        assert cluster.call(method, path, body, token=token)[0] == 403, (method, path)
    peers.devices(folder)
    peers.configuration(folder, ["epc_mib = 1000", "node_update = yes", f"api_server = https://127.0.0.1:{cluster.port}", f"api_ca = {cluster.path('cert.pem')}",
                                 f"api_token = {folder}/token"])
    with open(f"{folder}/log", "w", encoding="utf-8") as log:
        plugin = subprocess.Popen([program, "--config", f"{folder}/conf"], stderr=log, env=dict(os.environ, NODE_NAME="with-sgx"))
    try:
        cluster.wait(lambda: cluster.get("Node", "with-sgx")["status"]["capacity"].get("sgx.intel.com/epc") == "1048576k", "apiserver", 30)
        node = cluster.get("Node", "with-sgx")
        assert node["metadata"]["labels"]["sgx.intel.com/capable"] == "true", node["metadata"]
        assert cluster.get("Node", "without")["metadata"]["labels"].get("sgx.intel.com/capable") is None
        # Kubelets copy capacity to allocatable within their sync; this node has none.
        cluster.call("PATCH", "/api/v1/nodes/with-sgx/status", {"status": {"allocatable": node["status"]["capacity"]}}, "application/merge-patch+json")
        cluster.call("PATCH", "/api/v1/nodes/with-sgx", {"spec": {"taints": [{"key": "sgx.intel.com/epc", "effect": "NoSchedule"}]}}, "application/merge-patch+json")
        cluster.namespace("placed")
        work = tempfile.mkdtemp(dir=cluster.folder)
        environment = dict(os.environ, XDG_STATE_HOME=work, CELLA_PLATFORM_DIR=f"{work}/platform")
        for words in (["new", "hello"], ["image", "hello"]):
            subprocess.run([cella_program, *words], check=True, capture_output=True, cwd=work, timeout=120, env=environment)
        text = subprocess.run([cella_program, "k8s", "manifest", "hello", "--epc", "400Mi", "--cpu", "100m", "--replicas", "3", "--namespace", "placed"], check=True,
                              capture_output=True, text=True, cwd=work, timeout=60, env=environment).stdout
        for item in yaml.safe_load_all(text):
            cluster.apply(item)
        placed = lambda: sorted(pod["spec"].get("nodeName", "-") for pod in cluster.pods("placed"))
        cluster.wait(lambda: placed() == ["-", "with-sgx", "with-sgx"], "scheduler", 60)
        waiting = next(pod for pod in cluster.pods("placed") if "nodeName" not in pod["spec"])
        cluster.wait(lambda: any("Insufficient sgx.intel.com/epc" in c.get("message", "") for c in
                                 cluster.get("Pod", waiting["metadata"]["name"], "placed")["status"].get("conditions", [])), "scheduler", 30)
    finally:
        assert peers.stop(plugin) == 0, open(f"{folder}/log", encoding="utf-8").read()[-2000:]


def program_make(cache):
    """Kubernetes' programs, which say what version they are as in its releases."""
    known = {"gitVersion": f"v{VERSION}", "gitMajor": VERSION.split(".")[0], "gitMinor": VERSION.split(".")[1]}
    return peers.go_peer(cache, "go_cluster", "-ldflags", " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in known.items()))


def main():
    if os.environ.get("CELLA_TEST_CLUSTER") != "1":
        peers.skip("k8s.io/kubernetes is large and takes minutes to build; CELLA_TEST_CLUSTER=1 runs this")
    plugin, hook, cella, cache = (os.path.realpath(word) for word in sys.argv[1:])
    program = program_make(cache)
    failures = 0
    with tempfile.TemporaryDirectory(prefix="cella-cluster-") as folder:
        cluster = Cluster(program, folder)
        try:
            cluster.up()
            print(f"kube-apiserver, kube-controller-manager, kube-scheduler; etcd; {cluster.call('GET', '/version')[1]['gitVersion']}")
            for check, words in ((components, (None,)), (chart, (cache,)), (webhook, (hook,)), (applications, (cella,)), (scheduling, (plugin, cella))):
                begin = time.time()
                try:
                    said = check(cluster, *words)
                    print(f"ok {check.__name__} ({time.time() - begin:.1f} s)" + (f", skipped: {said}" if said else ""))
                except (AssertionError, KeyError, StopIteration, subprocess.SubprocessError) as problem:
                    failures += 1
                    print(f"not ok {check.__name__}: {problem!r}"[:4000])
        finally:
            cluster.stop()
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
