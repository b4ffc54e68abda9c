"""Kubernetes' own types and other people's gRPC against the device plugin and the webhook, as processes.

Usage: peers.py go-plugin|node-plugin|go-webhook|manifests|go-kubelet|node|webhook PROGRAM CACHE
The first five are skipped when a registry cannot be reached and CACHE is empty. `node` is the API server's side of the
plugin, as the API's reference has it; cluster.py has a real one. Side: tests.
"""
import base64
import contextlib
import copy
import hashlib
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SKIP = 77

# The part of kubelet's interface that @grpc/grpc-js needs as text; the C side is made from the repository's own file.
PROTO = """syntax = "proto3"; package v1beta1;
service Registration { rpc Register(RegisterRequest) returns (Empty) {} }
service DevicePlugin {
  rpc GetDevicePluginOptions(Empty) returns (DevicePluginOptions) {}
  rpc ListAndWatch(Empty) returns (stream ListAndWatchResponse) {}
  rpc GetPreferredAllocation(PreferredAllocationRequest) returns (PreferredAllocationResponse) {}
  rpc Allocate(AllocateRequest) returns (AllocateResponse) {}
  rpc PreStartContainer(PreStartContainerRequest) returns (Empty) {}
}
message Empty {}
message DevicePluginOptions { bool pre_start_required = 1; bool get_preferred_allocation_available = 2; }
message RegisterRequest { string version = 1; string endpoint = 2; string resource_name = 3; DevicePluginOptions options = 4; }
message NUMANode { int64 ID = 1; }
message TopologyInfo { repeated NUMANode nodes = 1; }
message Device { string ID = 1; string health = 2; TopologyInfo topology = 3; }
message ListAndWatchResponse { repeated Device devices = 1; }
message ContainerPreferredAllocationRequest { repeated string available_deviceIDs = 1; repeated string must_include_deviceIDs = 2; int32 allocation_size = 3; }
message PreferredAllocationRequest { repeated ContainerPreferredAllocationRequest container_requests = 1; }
message ContainerPreferredAllocationResponse { repeated string deviceIDs = 1; }
message PreferredAllocationResponse { repeated ContainerPreferredAllocationResponse container_responses = 1; }
message ContainerAllocateRequest { repeated string devicesIDs = 1; }
message AllocateRequest { repeated ContainerAllocateRequest container_requests = 1; }
message Mount { string container_path = 1; string host_path = 2; bool read_only = 3; }
message DeviceSpec { string container_path = 1; string host_path = 2; string permissions = 3; }
message CDIDevice { string name = 1; }
message ContainerAllocateResponse { map<string, string> envs = 1; repeated Mount mounts = 2; repeated DeviceSpec devices = 3; map<string, string> annotations = 4; repeated CDIDevice cdi_devices = 5; }
message AllocateResponse { repeated ContainerAllocateResponse container_responses = 1; }
message PreStartContainerRequest { repeated string devicesIDs = 1; }
"""


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIP)


def run(command, reason, **options):
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=540, **options)
    except (subprocess.SubprocessError, OSError) as problem:
        detail = getattr(problem, "stderr", b"") or b""
        skip(f"{reason}: {problem} {detail[-300:]!r}")


def go_peer(cache, module="go", *flags):
    """A Go program, built in the cache; modules come by name from the proxy that Go is set to."""
    if not shutil.which("go"):
        skip("go is not installed")
    folder = f"{cache}/{module}"
    source = f"{HERE}/{module}"
    os.makedirs(folder, exist_ok=True)
    environment = dict(os.environ, GOPATH=f"{cache}/gopath", GOFLAGS="-mod=mod -modcacherw", GOTOOLCHAIN="local", CGO_ENABLED="0")
    names = sorted(os.listdir(source))
    stamp = hashlib.sha256(b"".join(open(f"{source}/{name}", "rb").read() for name in names) + "".join(flags).encode()).hexdigest()
    if not os.path.exists(f"{folder}/{stamp}"):
        shutil.rmtree(folder)
        shutil.copytree(source, folder)
        run(["go", "list", "-deps", "."], "the Go module proxy cannot be reached", cwd=folder, env=environment)
        build = subprocess.run(["go", "build", "-p", "2", *flags, "-o", stamp, "."], cwd=folder, env=environment, timeout=1000)
        if build.returncode:
            sys.exit(1)
    return f"{folder}/{stamp}"


def go_program(cache, module, version, package, *flags):
    """A program of a module's, built in the cache."""
    if not shutil.which("go"):
        skip("go is not installed")
    folder = f"{cache}/{package.replace('/', '-')}-{version}"
    if not os.path.exists(f"{folder}/program"):
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/go.mod", "w", encoding="ascii") as out:
            out.write(f"module cella.dev/tests/program\n\ngo 1.22.0\n\nrequire {module} {version}\n")
        environment = dict(os.environ, GOPATH=f"{cache}/gopath", GOFLAGS="-mod=mod -modcacherw", GOTOOLCHAIN="local", CGO_ENABLED="0")
        run(["go", "build", "-p", "2", *flags, "-o", "program", f"{module}/{package}"], f"{module} cannot be built", cwd=folder, env=environment)
    return f"{folder}/program"


def go_kubelet(program, cache):
    """The kubelet's own device plugin server. Opt-in: its module brings hundreds of megabytes."""
    if os.environ.get("CELLA_TEST_KUBELET") != "1":
        skip("k8s.io/kubernetes is large; CELLA_TEST_KUBELET=1 runs this")
    peer = go_peer(cache, "go_kubelet")
    with tempfile.TemporaryDirectory(prefix="cella-k8s-") as folder:
        devices(folder)
        configuration(folder, ["epc_mib = 262144"])
        with open(f"{folder}/log", "w", encoding="utf-8") as log:
            process = subprocess.Popen([program, "--config", f"{folder}/conf"], stderr=log)
        try:
            result = subprocess.run([peer, folder], timeout=100).returncode
        finally:
            status = stop(process)
        if result:
            sys.stderr.write(open(f"{folder}/log", encoding="utf-8").read()[-3000:])
        return result or status


def devices(folder):
    """Device nodes, as links that the kernel's numbers vouch for."""
    for name, number, target in (("sgx_enclave", "1:3", "/dev/null"), ("sgx_provision", "1:5", "/dev/zero")):
        os.makedirs(f"{folder}/sys/class/misc/{name}")
        os.makedirs(f"{folder}/dev", exist_ok=True)
        os.symlink(target, f"{folder}/dev/{name}")
        with open(f"{folder}/sys/class/misc/{name}/dev", "w", encoding="ascii") as out:
            out.write(number + "\n")
    os.makedirs(f"{folder}/plugins")


def configuration(folder, lines):
    common = [f"folder = {folder}/plugins", f"dev_folder = {folder}/dev", f"sys_folder = {folder}/sys", "quote_health = off"]
    with open(f"{folder}/conf", "w", encoding="ascii") as out:
        out.write("\n".join([f"listen = unix:{folder}/http"] + common + lines) + "\n")


def node_plugin(program, cache):
    if not shutil.which("node") or not shutil.which("npm"):
        skip("node and npm are not installed")
    modules = f"{cache}/node"
    os.makedirs(modules, exist_ok=True)
    if not all(os.path.exists(f"{modules}/node_modules/@grpc/{name}/package.json") for name in ("grpc-js", "proto-loader")):
        run(["npm", "install", "--prefix", modules, "--silent", "--no-audit", "--no-fund", "--fetch-timeout=20000", "--fetch-retries=1",
             "--fetch-retry-maxtimeout=3000", "@grpc/grpc-js@1.14", "@grpc/proto-loader@0.8"], "the npm registry cannot be reached")
    shutil.copy(f"{HERE}/node/kubelet.mjs", f"{modules}/kubelet.mjs")
    with tempfile.TemporaryDirectory(prefix="cella-k8s-") as folder:
        devices(folder)
        configuration(folder, ["epc_mib = 262144"])
        with open(f"{folder}/api.proto", "w", encoding="ascii") as out:
            out.write(PROTO)
        return subprocess.run(["node", f"{modules}/kubelet.mjs", program, f"{folder}/api.proto", folder], timeout=100).returncode


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)


def stop(process):
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=20)


def listening(log, process):
    """The port that a service has chosen, from its log."""
    for _ in range(500):
        with open(log, encoding="utf-8") as lines:
            for line in lines:
                event = json.loads(line)
                if event["event"] == "listening":
                    return event["port"]
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError(open(log, encoding="utf-8").read())


def go_webhook(program, cache):
    peer = go_peer(cache)
    with tempfile.TemporaryDirectory(prefix="cella-k8s-") as folder:
        certificate(folder)
        with open(f"{folder}/conf", "w", encoding="ascii") as out:
            out.write(f"listen = tls://127.0.0.1:0\ntls_certificate = {folder}/cert.pem\ntls_key = {folder}/key.pem\n")
        with open(f"{folder}/log", "w", encoding="utf-8") as log:
            process = subprocess.Popen([program, "--config", f"{folder}/conf"], stderr=log)
        try:
            port = listening(f"{folder}/log", process)
            result = subprocess.run([peer, "webhook", f"https://127.0.0.1:{port}", f"{folder}/cert.pem"], timeout=100).returncode
        finally:
            status = stop(process)
        return result or status


class Api(http.server.BaseHTTPRequestHandler):
    """GET a node, PATCH it and its status with application/json-patch+json; refuses whoever has no token."""
    node = {}
    patches = []
    broken = 0

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def allowed(self):
        if Api.broken:
            Api.broken -= 1
            self.answer(500, {"kind": "Status", "message": "etcd is busy"})
        elif self.headers["Authorization"] != "Bearer secret-2":
            self.answer(401, {"kind": "Status", "message": "Unauthorized"})
        else:
            return True
        return False

    def do_GET(self):
        if self.allowed():
            self.answer(*((200, Api.node) if self.path == "/api/v1/nodes/node-1" else (404, {"kind": "Status"})))

    def do_PATCH(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        assert self.headers["Content-Type"] == "application/json-patch+json", self.headers
        for operation in body:
            assert operation["op"] == "add"
            at = Api.node
            *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
            for part in path:
                at = at[part]
            # As apimachinery writes an amount back: the largest suffix without a fraction.
            at[last] = f"{int(operation['value']) // 1000}k" if last == "sgx.intel.com/epc" and operation["value"].endswith("000") else operation["value"]
        Api.patches.append((self.path, body))
        self.answer(200, Api.node)

    def log_message(self, *_):
        pass


def until(condition, what, seconds=8):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, what
        time.sleep(0.02)


def figures(folder):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{folder}/http")
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b""
        while part := client.recv(65536):
            text += part
    return text.decode()


def pod_figures(folder):
    """Enclave memory by pod, as control groups show it: both drivers' names, and what is no pod's."""
    assert "cella_plugin_pod_epc_bytes" not in figures(folder)
    one, two = "1b2c3d4e-0000-4000-8000-00000000000a", "deadbeef-0000-4000-8000-00000000000b"
    for place, text in ((f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{one.replace('-', '_')}.slice", "res_a 7\nsgx_epc 4096\n"),
                        (f"kubepods/pod{two}", "sgx_epc 8192\n"), ("kubepods.slice", "sgx_epc 99\n"), ("system.slice/podman.service", "sgx_epc 5\n"),
                        ("kubepods/besteffort/podx\"} 1", "sgx_epc 3\n"), (f"kubepods/pod{one[:-1]}c", "res_a 1\n")):
        os.makedirs(f"{folder}/sys/fs/cgroup/{place}", exist_ok=True)
        with open(f"{folder}/sys/fs/cgroup/{place}/misc.current", "w", encoding="ascii") as out:
            out.write(text)
    rows = sorted(line for line in figures(folder).splitlines() if line.startswith("cella_plugin_pod_epc_bytes"))
    assert rows == [f'cella_plugin_pod_epc_bytes{{pod_uid="{one}"}} 4096', f'cella_plugin_pod_epc_bytes{{pod_uid="{two}"}} 8192'], rows


def bad_profile(program):
    """A file that is no seccomp profile never gets to where containers' profiles are."""
    for text in ("", "{", "[]", '{"defaultAction": 1, "syscalls": []}', '{"defaultAction": "SCMP_ACT_ERRNO"}'):
        with tempfile.TemporaryDirectory(prefix="cella-k8s-") as folder:
            os.mkdir(f"{folder}/plugins")
            with open(f"{folder}/profile", "w", encoding="ascii") as out:
                out.write(text)
            configuration(folder, [f"seccomp_profile = {folder}/profile", f"seccomp_folder = {folder}/seccomp"])
            done = subprocess.run([program, "--config", f"{folder}/conf"], capture_output=True, text=True, timeout=20)
            assert done.returncode == 1 and f"seccomp_profile = {folder}/profile: " in done.stderr, done
            assert not os.path.exists(f"{folder}/seccomp"), text


def node(program, _):
    """Capacity and labels; a token that is renewed; an API server that is away; a kubelet that forgets."""
    bad_profile(program)
    with tempfile.TemporaryDirectory(prefix="cella-k8s-") as folder:
        certificate(folder)
        devices(folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Api.node = {"metadata": {"name": "node-1", "labels": {"a": "b"}}, "status": {"capacity": {"cpu": "2"}}}
        Api.broken = 2
        with open(f"{folder}/token", "w", encoding="ascii") as out:
            out.write("secret-1\n")
        configuration(folder, ["epc_mib = 1000", "soft_enclaves = 2", "node_update = yes", "cdi = yes", f"cdi_folder = {folder}/cdi",
                               f"api_server = https://127.0.0.1:{server.server_address[1]}", f"api_ca = {folder}/cert.pem",
                               f"api_token = {folder}/token",
                               f"seccomp_profile = {HERE}/../../oci/seccomp.json", f"seccomp_folder = {folder}/seccomp"])
        with open(f"{folder}/log", "w", encoding="utf-8") as log:
            process = subprocess.Popen([program, "--config", f"{folder}/conf"], stderr=log, env=dict(os.environ, NODE_NAME="node-1"))
        text = lambda: open(f"{folder}/log", encoding="utf-8").read()
        try:
            until(lambda: "etcd is busy" in text() and "401" in text(), "failures are said")
            assert os.path.exists(f"{folder}/plugins/cella-sgx.intel.com_enclave.sock"), "devices do not wait for the API server"
            with open(f"{folder}/token", "w", encoding="ascii") as out:
                out.write("secret-2\n")
            until(lambda: len(Api.patches) == 2, text())
            assert Api.node["status"]["capacity"] == {"cpu": "2", "sgx.intel.com/epc": "1048576k"}, Api.node
            assert Api.node["metadata"]["labels"] == {"a": "b", "sgx.intel.com/capable": "true", "cella.dev/soft-enclave": "true"}
            assert [path for path, _ in Api.patches] == ["/api/v1/nodes/node-1/status", "/api/v1/nodes/node-1"], Api.patches
            Api.node["status"]["capacity"]["sgx.intel.com/epc"] = "0"  # what a kubelet does when it starts
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as kubelet:
                kubelet.bind(f"{folder}/plugins/kubelet.sock")
                until(lambda: Api.node["status"]["capacity"]["sgx.intel.com/epc"] == "1048576k", text(), 3)
            with open(f"{folder}/cdi/cella.dev-sgx.json", encoding="utf-8") as file:
                spec = json.load(file)
            assert (spec["cdiVersion"], spec["kind"]) == ("0.5.0", "cella.dev/sgx"), spec
            nodes = {device["name"]: device["containerEdits"]["deviceNodes"] for device in spec["devices"]}
            assert nodes["enclave"][0] == {"path": "/dev/sgx_enclave", "hostPath": "/dev/null", "type": "c", "major": 1, "minor": 3,
                                           "permissions": "rw"}, nodes
            assert [entry["path"] for entry in nodes["provision"]] == ["/dev/sgx_provision", "/dev/sgx/provision"], nodes
            with open(f"{folder}/seccomp/cella.json", encoding="utf-8") as file, open(f"{HERE}/../../oci/seccomp.json", encoding="utf-8") as source:
                assert json.load(file) == json.load(source), "the profile is on the node"
            assert os.listdir(f"{folder}/seccomp") == ["cella.json"]
            before = len(Api.patches)
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as kubelet:  # another kubelet, and the node as it should be
                os.remove(f"{folder}/plugins/kubelet.sock")
                kubelet.bind(f"{folder}/plugins/kubelet.sock")
                time.sleep(1.5)
            assert len(Api.patches) == before, "the same amount, written differently"
            pod_figures(folder)
            os.remove(f"{folder}/dev/sgx_provision")
            until(lambda: "provision" not in open(f"{folder}/cdi/cella.dev-sgx.json", encoding="utf-8").read(), "the file follows", 3)
        finally:
            status = stop(process)
            server.shutdown()
        assert "secret" not in text(), "no token in the log"
        return status


class Reviewer:
    """The API server's side of the webhook."""

    def __init__(self, port, ca):
        self.port = port
        self.context = ssl.create_default_context(cafile=ca)

    def post(self, body, path="/mutate?timeout=10s"):
        connection = http.client.HTTPSConnection("127.0.0.1", int(self.port), context=self.context, timeout=10)
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, None if answer.status == 413 else json.loads(text)  # which the HTTP library answers

    def review(self, pod, **more):
        request = {"uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "object": pod, **more}
        status, answer = self.post(json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}))
        response = answer["response"]
        assert status == 200 and answer["kind"] == "AdmissionReview" and response["uid"] == "u-1" and response["allowed"] is True
        patch = json.loads(base64.b64decode(response["patch"])) if "patch" in response else []
        assert ("patch" in response) == (response.get("patchType") == "JSONPatch")
        return apply(patch, copy.deepcopy(pod)), response.get("warnings", [])


def apply(patch, document):
    """RFC 6902's `add`, strictly: what it adds to must be there."""
    for operation in patch:
        assert set(operation) == {"op", "path", "value"} and operation["op"] == "add", operation
        *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        at = document
        for part in path:
            at = at[int(part)] if isinstance(at, list) else at[part]
        if isinstance(at, list):
            assert last == "-", operation
            at.append(operation["value"])
        else:
            assert isinstance(at, dict), operation
            at[last] = operation["value"]
    return document


def asking(name, amount, **more):
    return {"metadata": {"name": "p"}, "spec": {"containers": [
        {"name": "app", "resources": {"limits": {name: amount}, "requests": {name: amount}}}, {"name": "plain"}], **more}}


def webhook_pods(api):
    one = {"sgx.intel.com/enclave": "1"}
    for name, amount in (("sgx.intel.com/epc", "10Mi"), ("kubernetes.azure.com/sgx_epc_mem_in_MiB", 10), ("alibabacloud.com/sgx_epc_MiB", "10")):
        out, warnings = api.review(asking(name, amount))
        app, plain = out["spec"]["containers"]
        assert app["resources"] == {"limits": {name: amount, **one}, "requests": {name: amount, **one}} and not warnings, out
        assert plain == {"name": "plain"} and "volumes" not in out["spec"], out
        assert [entry["key"] for entry in out["spec"]["tolerations"]] == ["sgx.intel.com/epc", "kubernetes.azure.com/sgx_epc_mem_in_MiB"]
        assert out["metadata"]["annotations"] == {"sgx.intel.com/epc": "10485760"}, out
        assert api.review(out)[0] == out, "once is enough"
        assert api.review(asking(name, amount), operation="UPDATE")[0] == asking(name, amount)
        assert api.review(asking(name, amount), subResource="ephemeralcontainers")[0] == asking(name, amount)
    for pod in ({}, None, {"spec": None}, {"spec": {"containers": None}}, asking("cpu", "1"), asking("sgx.intel.com/epc", "0"),
                {"spec": {"containers": [None, 1, [], {"resources": {"limits": [], "requests": 1}}]}}):
        assert api.review(pod) == (pod, []), pod
    pod = asking("sgx.intel.com/epc", "1Mi", volumes=None, tolerations=[{"operator": "Exists"}])
    pod["metadata"]["annotations"] = {"sgx.intel.com/quote-provider": "aesmd"}
    out, _ = api.review(pod)
    app = out["spec"]["containers"][0]
    assert app["env"] == [{"name": "SGX_AESM_ADDR", "value": "1"}] and out["spec"]["tolerations"] == [{"operator": "Exists"}], out
    assert app["volumeMounts"] == [{"name": out["spec"]["volumes"][0]["name"], "mountPath": "/var/run/aesmd"}], out
    assert out["spec"]["volumes"][0]["hostPath"] == {"path": "/var/run/aesmd", "type": "DirectoryOrCreate"}, out
    pod["metadata"]["annotations"] = {"sgx.intel.com/quote-provider": "app"}
    assert api.review(pod)[0]["spec"]["containers"][0]["resources"]["limits"]["sgx.intel.com/provision"] == "1"


def webhook_warnings(api):
    for name, meant in (("sgx.intel.com/sgx_epc_mem_in_MiB", "sgx.intel.com/epc"), ("sgx.intel.com/encalve", "sgx.intel.com/enclave"),
                        ("kubernetes.azure.com/sgx_epc_mem_in_MB", "kubernetes.azure.com/sgx_epc_mem_in_MiB"),
                        ("alibabacloud.com/sgx_epc_mib", "alibabacloud.com/sgx_epc_MiB")):
        out, warnings = api.review(asking(name, 1))
        assert out == asking(name, 1) and len(warnings) == 1 and f'"{meant}"' in warnings[0] and name in warnings[0], warnings
    assert "10Mi" in api.review(asking("sgx.intel.com/epc", "10"))[1][0]
    assert api.review(asking("nvidia.com/gpu", 1))[1] == []


def webhook_bounds(api):
    """What anybody could make it do with one pod of a megabyte is bounded: it answers (within the client's ten seconds), says so, and goes on."""
    names = {f"sgx.intel.con/{'eppc' * 20}{i}": 1 for i in range(8000)}
    out, warnings = api.review(asking("sgx.intel.com/epc", "1Mi"))
    assert out["spec"]["tolerations"] and not warnings
    many = {"spec": {"containers": [{"resources": {"limits": {"sgx.intel.com/epc": 1}}}] * 18000}}
    out, warnings = api.review(many)
    assert out == many and any("get nothing added" in text for text in warnings), warnings
    pod = asking("sgx.intel.com/epc", "1Mi", volumes=[{"name": f"cella-quote-socket{f'-{i}' if i else ''}"} for i in range(26000)])
    pod["metadata"]["annotations"] = {"sgx.intel.com/quote-provider": "aesmd"}
    out, warnings = api.review(pod)
    assert len(out["spec"]["volumes"]) == 26000 and any("no quote socket" in text for text in warnings), warnings
    pod["spec"]["volumes"] = pod["spec"]["volumes"][:3]
    assert len(api.review(pod)[0]["spec"]["volumes"]) == 4
    pod = {"spec": {"containers": [{"name": "app", "resources": {"limits": names}}]}}
    assert api.review(pod)[0] == pod


def webhook(program, _):
    """Pods of all shapes, bodies that are none, a certificate that is renewed."""
    with tempfile.TemporaryDirectory(prefix="cella-k8s-") as folder:
        certificate(folder)
        with open(f"{folder}/conf", "w", encoding="ascii") as out:
            out.write(f"listen = tls://127.0.0.1:0\ntls_certificate = {folder}/cert.pem\ntls_key = {folder}/key.pem\n")
        with open(f"{folder}/log", "w", encoding="utf-8") as log:
            process = subprocess.Popen([program, "--config", f"{folder}/conf"], stderr=log)
        try:
            port = listening(f"{folder}/log", process)
            api = Reviewer(port, f"{folder}/cert.pem")
            webhook_pods(api)
            webhook_warnings(api)
            webhook_bounds(api)
            for body in (b"", b"{", b"[]", b"{}", b'{"kind":"AdmissionReview"}', b"[" * 100000, b"\xff", b'{"kind":"AdmissionReview",'
                         b'"apiVersion":"admission.k8s.io/v9","request":{"uid":"u"}}'):
                status, answer = api.post(body)
                assert status == 400 and answer["error"], (body[:40], status, answer)
            assert api.post(b" " * (2 << 20))[0] == 413
            assert api.post(b"{}", "/mutate--v1-pod")[0] == 400 and api.post(b"{}", "/other")[0] == 404
            before = os.stat(f"{folder}/cert.pem").st_mtime_ns
            certificate(folder)  # the old one is no longer trusted
            assert os.stat(f"{folder}/cert.pem").st_mtime_ns != before

            def renewed():
                with contextlib.suppress(ssl.SSLError):
                    return Reviewer(port, f"{folder}/cert.pem").review({}) == ({}, [])
            until(renewed, "the new certificate is taken up", 5)
        finally:
            status = stop(process)
        return status


def manifests(program, cache):
    """deploy/, decoded strictly into Kubernetes' types; the configurations in it, read by the program."""
    deploy = f"{HERE}/../../deploy"
    for name in ("device-plugin", "webhook"):
        with open(f"{deploy}/{name}.yaml", encoding="utf-8") as file:
            text = file.read()
        begin = text.index(f"  {name}.conf: |\n") + len(f"  {name}.conf: |\n")
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as config:
            config.write(text[begin:text.index("---", begin)].replace("\n    ", "\n").strip() + "\n")
            config.flush()
            daemon = program if name == "device-plugin" else program.replace("device-plugin", "webhook")
            subprocess.run([daemon, "--config", config.name, "--check"], check=True)
    return subprocess.run([go_peer(cache), "manifests", deploy], timeout=100).returncode


def main():
    kind, program, cache = sys.argv[1:]
    os.makedirs(cache, exist_ok=True)
    if kind == "go-plugin":
        return subprocess.run([go_peer(cache), "plugin", program], timeout=100).returncode
    return {"node-plugin": node_plugin, "go-webhook": go_webhook, "node": node, "webhook": webhook, "manifests": manifests, "go-kubelet": go_kubelet}[kind](program, cache)


if __name__ == "__main__":
    sys.exit(main())
