#!/usr/bin/env python3
"""
A real node: kubelet and control plane of k8s.io/kubernetes, containerd and runc of the distribution, and on it the device plugin,
pods of `cella k8s manifest` that run an enclave on the software processor, devices, a kubelet that is started anew, and a quote
service that comes after the pod that wants it. The quote is verified outside of the cluster.
Opt-in: CELLA_TEST_NODE=1, as root, on a machine that has no kubelet of its own (it writes to /var/lib/kubelet and /var/run/aesmd).
Pods have the node's network: nothing here makes another.
Side: tests. real_node.py PLUGIN QUOTED CELLA CACHE
"""
import glob
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import cluster
import peers
import shapes

yaml = shapes.yaml
PLUGINS = "/var/lib/kubelet/device-plugins"
AESMD = "/var/run/aesmd"
PAUSE = """#include <signal.h>
#include <unistd.h>
static void end(int number) { (void)number; _exit(0); }
int main(void) { signal(SIGTERM, end); signal(SIGINT, end); for (;;) { pause(); } }
"""
CONTAINERD = """version = 2
root = "{0}/containerd/root"
state = "{0}/containerd/state"
[grpc]
  address = "{0}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{0}/cni/bin"
    conf_dir = "{0}/cni/conf"
[plugins."io.containerd.internal.v1.opt"]
  path = "{0}/opt"
"""


class Node(cluster.Cluster):
    """A control plane, and a node that is this machine."""

    def command(self, *words, **more):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=180,
                              env=dict(os.environ, XDG_STATE_HOME=self.path("state"), CELLA_PLATFORM_DIR=self.path("platform")), **more)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def ctr(self, *words):
        return self.command("ctr", "--address", self.path("containerd.sock"), "--namespace", "k8s.io", *words)

    def runtime_up(self):
        os.makedirs(self.path("cni/conf"))
        os.symlink("/usr/lib/cni", self.path("cni/bin"))
        with open(self.path("cni/conf/10-lo.conflist"), "w", encoding="ascii") as out:
            json.dump({"cniVersion": "0.4.0", "name": "lo", "plugins": [{"type": "loopback"}]}, out)
        with open(self.path("containerd.toml"), "w", encoding="ascii") as out:
            out.write(CONTAINERD.format(self.folder))
        with open(self.path("containerd.log"), "w", encoding="utf-8") as log:
            self.processes.append(("containerd", subprocess.Popen(["containerd", "--config", self.path("containerd.toml")], stdout=log, stderr=log)))
        self.wait(lambda: os.path.exists(self.path("containerd.sock")), "containerd")

    def kubelet_up(self):
        with open(self.path("kubelet.json"), "w", encoding="ascii") as out:
            json.dump({"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "cgroupDriver": "cgroupfs", "failSwapOn": False,
                       "containerRuntimeEndpoint": f"unix://{self.path('containerd.sock')}", "address": "127.0.0.1", "port": cluster.free_port(), "readOnlyPort": 0,
                       "healthzPort": 0, "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}}, "authorization": {"mode": "AlwaysAllow"},
                       "localStorageCapacityIsolation": False, "makeIPTablesUtilChains": False, "podLogsDir": self.path("logs"), "resolvConf": "", "failCgroupV1": False,
                       "nodeStatusUpdateFrequency": "2s", "imageGCHighThresholdPercent": 100, "evictionHard": {"memory.available": "16Mi"}}, out)
        self.start("kubelet", "kubelet", f"--config={self.path('kubelet.json')}", f"--kubeconfig={self.path('kubelet.conf')}", f"--root-dir={self.path('kubelet')}",
                   "--hostname-override=real", f"--cert-dir={self.path('pki')}")

    def kubelet_down(self):
        for entry in [entry for entry in self.processes if entry[0] == "kubelet"]:
            entry[1].terminate()
            entry[1].wait(30)
            self.processes.remove(entry)

    def image_in(self, archive, *names):
        self.ctr("images", "import", archive)
        for name in names:
            self.ctr("images", "tag", *name)

    def allocatable(self, name):
        return (self.get("Node", "real") or {}).get("status", {}).get("allocatable", {}).get(name)

    def pod_log(self, pod):
        texts = []
        for path in sorted(glob.glob(self.path(f"logs/default_{pod}*/*/*.log"))):
            with open(path, encoding="utf-8", errors="replace") as file:
                texts += [line.split(" ", 3)[3] for line in file if line.count(" ") >= 3]
        return "".join(texts)


def listens(path):
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


def pods_of(node, name):
    return [pod for pod in node.pods("default") if pod["metadata"]["name"].startswith(name)]


def phase(node, name):
    return [pod["status"].get("phase") for pod in pods_of(node, name)]


def on_host_network(item):
    """Nothing here makes a network of pods."""
    template = item["spec"]["template"]["spec"] if "template" in item["spec"] else item["spec"]
    template["hostNetwork"] = True
    for container in template["containers"]:
        for port in container.get("ports", []):
            port.pop("hostPort", None)
    return item


def images(node, cella):
    with open(node.path("pause.c"), "w", encoding="ascii") as out:
        out.write(PAUSE)
    node.command("cc", "-static", "-o", node.path("pause"), node.path("pause.c"))
    node.command(cella, "image", "--program", node.path("pause"), "--name", "pause:1", "-o", node.path("pause.tar"))
    node.image_in(node.path("pause.tar"))
    for name in ("hello", "quoting"):
        node.command(cella, "new", name, cwd=node.folder)
    with open(node.path("quoting/cella.project"), "a", encoding="ascii") as out:
        out.write("modules = attest\n")
    for name in ("hello", "quoting"):
        node.command(cella, "image", name, "-o", node.path(f"{name}.tar"), cwd=node.folder)
        digest = json.loads(node.command(cella, "image", name, "--json", cwd=node.folder))["digest"]
        node.image_in(node.path(f"{name}.tar"), (f"docker.io/library/{name}:latest", f"registry.example/{name}@{digest}"))
    node.command(cella, "image", "--program", cella, "--add", node.path("quoting/build/quoting.signed") + "=/app/quoting.signed", "--name", "asking:1",
                 "-o", node.path("asking.tar"))
    node.image_in(node.path("asking.tar"))


def soft(node, cella):
    """From a project to a pod: the manifest as it is printed, but for the network; on the software processor."""
    node.wait(lambda: node.allocatable("cella.dev/soft-enclave") == "4", "kubelet", 60)
    for name, extra in (("hello", []), ("confined", ["--seccomp", "cella.json", "--name", "confined"])):
        text = node.command(cella, "k8s", "manifest", "hello", "--dialect", "soft", "--kind", "job", "--image", "registry.example/hello", "--cpu", "100m", *extra, cwd=node.folder)
        for item in yaml.safe_load_all(text):
            node.apply(on_host_network(item))
        node.wait(lambda: phase(node, name) == ["Succeeded"], "kubelet", 40)
        pod = pods_of(node, name)[0]
        assert pod["spec"]["nodeName"] == "real" and pod["status"]["qosClass"] == "Guaranteed", pod
        said = node.pod_log(name)
        assert "enclave" in said, said
        print(f"  {name}: {said.strip().splitlines()[0]}")


def devices(node):
    """The devices at both of their paths, where the old and the new names ask for them."""
    for name, resources, paths in (
            ("new-name", {"sgx.intel.com/epc": "10Mi", "sgx.intel.com/enclave": "1"}, {"/dev/sgx_enclave", "/dev/sgx/enclave"}),
            ("old-name", {"kubernetes.azure.com/sgx_epc_mem_in_MiB": 5}, {"/dev/sgx_enclave", "/dev/sgx/enclave", "/dev/sgx_provision", "/dev/sgx/provision"}),
            ("in-process", {"sgx.intel.com/epc": "10Mi", "sgx.intel.com/provision": 1, "sgx.intel.com/enclave": 1},
             {"/dev/sgx_enclave", "/dev/sgx/enclave", "/dev/sgx_provision", "/dev/sgx/provision"})):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"hostNetwork": True, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1, "containers": [
            {"name": "c", "image": "docker.io/library/pause:1", "imagePullPolicy": "Never", "resources": {"limits": resources}}]}}
        for key in resources:
            node.wait(lambda: node.allocatable(key) not in (None, "0"), "kubelet", 60)
        node.apply(pod)
        node.wait(lambda: phase(node, name) == ["Running"], "kubelet", 60)
        container = node.get("Pod", name)["status"]["containerStatuses"][0]["containerID"].split("//")[1]
        spec = json.loads(node.ctr("containers", "info", container))["Spec"]
        there = {device["path"]: (device["type"], device["major"], device["minor"]) for device in spec["linux"]["devices"] if "sgx" in device["path"]}
        assert set(there) == paths and there["/dev/sgx_enclave"] == ("c", 1, 3), there


def restart(node):
    """The kubelet is started anew: resources are back, the pods that run go on, a new one gets its device."""
    node.kubelet_down()
    for name in os.listdir(PLUGINS):  # as some upgrades of nodes do
        os.remove(f"{PLUGINS}/{name}")
    node.kubelet_up()
    begin = time.time()
    node.wait(lambda: "kubelet.sock" in os.listdir(PLUGINS) and len(os.listdir(PLUGINS)) > 4, "kubelet", 60)
    node.wait(lambda: node.allocatable("sgx.intel.com/enclave") == "110" and node.allocatable("cella.dev/soft-enclave") == "4", "kubelet", 60)
    print(f"  resources are back {time.time() - begin:.1f} s after the kubelet's start")
    assert phase(node, "new-name") == ["Running"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "after"}, "spec": {"hostNetwork": True, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1, "containers": [
        {"name": "c", "image": "docker.io/library/pause:1", "imagePullPolicy": "Never", "resources": {"limits": {"sgx.intel.com/enclave": "1"}}}]}}
    node.apply(pod)
    node.wait(lambda: phase(node, "after") == ["Running"], "kubelet", 60)


def quotes(node, cella, quoted):
    """The pod is there before the quote service: it fails, and with the service it gets a quote, which is good outside."""
    text = node.command(cella, "k8s", "manifest", "quoting", "--dialect", "soft", "--kind", "job", "--name", "asking", "--cpu", "100m", cwd=node.folder)
    item = on_host_network(next(iter(yaml.safe_load_all(text))))
    spec = item["spec"]["template"]["spec"]
    spec["restartPolicy"] = "OnFailure"
    os.mkdir(node.path("out"))
    os.chmod(node.path("out"), 0o777)
    os.chmod(node.folder, 0o755)
    spec["volumes"].append({"name": "out", "hostPath": {"path": node.path("out")}})
    container = spec["containers"][0]
    container["volumeMounts"].append({"name": "out", "mountPath": "/out"})
    container.update(image="docker.io/library/asking:1", imagePullPolicy="Never",
                     command=["/usr/bin/cella", "evidence", "get", "--nonce", "c0ffee", "--out", "/out/evidence", "/app/quoting.signed"])
    node.apply(item)
    node.wait(lambda: "nobody listens" in node.pod_log("asking"), "kubelet", 60)
    with open(node.path("quoted.log"), "w", encoding="utf-8") as log:
        service = subprocess.Popen([quoted, "--processor", "software", "--platform", node.path("platform")], stdout=log, stderr=log)
    try:
        node.wait(lambda: phase(node, "asking") == ["Succeeded"], "kubelet", 120)
    finally:
        service.terminate()
        service.wait(20)
    node.command(cella, "platform", "export-root", "--platform", node.path("platform"), node.path("root.pem"))
    node.command(cella, "platform", "export-collateral", "--platform", node.path("platform"), node.path("collateral"))
    verdict = node.command(cella, "evidence", "verify", "--root", node.path("root.pem"), "--collateral", node.path("collateral"), node.path("out/evidence"))
    identity = json.loads(node.command(cella, "inspect", "--json", node.path("quoting/build/quoting.signed")))["identities"][0]
    with open(node.path("out/evidence"), "rb") as file:
        assert b"\xc0\xff\xee" in file.read(), "the nonce is in it"
    assert verdict.startswith("ACCEPTED") and identity["mrenclave"] in verdict, verdict
    print(f"  {verdict.splitlines()[0]}: {identity['mrenclave'][:16]}..., after {pods_of(node, 'asking')[0]['status']['containerStatuses'][0]['restartCount']} failures")


def clean(folder):
    """Shims of containers that outlived containerd, and what they have mounted: all of it names the folder."""
    for _ in range(3):
        for place in glob.glob("/proc/[0-9]*"):
            try:
                with open(f"{place}/cmdline", "rb") as file:
                    if folder.encode() in file.read() and int(place[6:]) != os.getpid():
                        os.kill(int(place[6:]), 9)
            except OSError:
                continue
        with open("/proc/mounts", encoding="utf-8") as file:
            mounts = sorted((line.split()[1] for line in file if folder in line.split()[1]), reverse=True)
        for mount in mounts:
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            break
        time.sleep(1)


def main():
    if os.environ.get("CELLA_TEST_NODE") != "1":
        peers.skip("a kubelet and containerd of its own; CELLA_TEST_NODE=1 runs this, as root")
    for tool in ("containerd", "ctr", "runc", "cc"):
        if not shutil.which(tool) and not os.path.exists(f"/usr/sbin/{tool}"):
            peers.skip(f"{tool} is not installed")
    if os.geteuid() != 0 or listens(f"{PLUGINS}/kubelet.sock"):
        peers.skip("needs root, and a machine without a kubelet")
    plugin, quoted, cella, cache = (os.path.realpath(word) for word in sys.argv[1:])
    cluster.USERS += (("kubelet", "system:node:real", "system:masters"),)
    folder = tempfile.mkdtemp(prefix="cella-node-")
    node = Node(cluster.program_make(cache), folder)
    failures = 0
    started = None
    try:
        os.makedirs(PLUGINS, exist_ok=True)
        os.makedirs(node.path("kubelet/seccomp"))
        node.up()
        node.runtime_up()
        images(node, cella)
        node.kubelet_up()
        node.command(cella, "platform", "init", "--platform", node.path("platform"))
        node.command("chmod", "-R", "a+rX", node.path("platform"))  # pods are nobody
        peers.devices(folder)
        with open(node.path("plugin.conf"), "w", encoding="ascii") as out:
            out.write("\n".join([f"listen = unix:{folder}/http", f"dev_folder = {folder}/dev", f"sys_folder = {folder}/sys", "epc_mib = 64", "soft_enclaves = 4",
                                 f"soft_platform = {node.path('platform')}", "node_update = yes", "node_name = real", f"api_server = https://127.0.0.1:{node.port}",
                                 f"api_ca = {node.path('cert.pem')}", f"api_token = {node.path('token')}", f"seccomp_folder = {node.path('kubelet/seccomp')}", f"seccomp_profile = {peers.HERE}/../../oci/seccomp.json"]) + "\n")
        with open(node.path("token"), "w", encoding="ascii") as out:
            out.write("token-admin")
        with open(node.path("plugin.log"), "w", encoding="utf-8") as log:
            started = subprocess.Popen([plugin, "--config", node.path("plugin.conf")], stderr=log)
        node.wait(lambda: any(c["type"] == "Ready" and c["status"] == "True" for c in (node.get("Node", "real") or {"status": {}})["status"].get("conditions", [])), "kubelet", 60)
        # What the node lifecycle controller does, which would also look after the nodes of cluster.py that nobody runs.
        node.call("PATCH", "/api/v1/nodes/real", {"spec": {"taints": None}}, "application/merge-patch+json")
        info = node.get("Node", "real")["status"]["nodeInfo"]
        print(f"kubelet {info['kubeletVersion']}, {info['containerRuntimeVersion']}, {info['kernelVersion']}")
        for check, words in ((soft, (cella,)), (devices, ()), (restart, ()), (quotes, (cella, quoted))):
            begin = time.time()
            try:
                check(node, *words)
                print(f"ok {check.__name__} ({time.time() - begin:.1f} s)")
            except (AssertionError, KeyError, IndexError, subprocess.SubprocessError) as problem:
                failures += 1
                print(f"not ok {check.__name__}: {problem!r}"[:5000])
                for pod in node.pods("default"):
                    print("   ", pod["metadata"]["name"], json.dumps(pod["status"].get("containerStatuses"))[:700], node.pod_log(pod["metadata"]["name"])[-800:])
    finally:
        if started:
            started.terminate()
            started.wait(20)
        for pod in node.pods("default") if node.processes else []:
            node.call("DELETE", f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}?gracePeriodSeconds=0")
        time.sleep(3)
        node.stop()
        if os.environ.get("CELLA_TEST_KEEP") != "1":
            clean(folder)
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
