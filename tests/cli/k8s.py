#!/usr/bin/env python3
"""
cella k8s manifest: the numbers are those of the enclave, the objects are what was asked for, and the YAML says what the
JSON says, whatever is in the strings.
Side: tests. k8s.py CELLA
"""
import json
import os
import random
import re
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):  # the distribution's has its packages
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    print("skipped: no PyYAML (python3-yaml) to read YAML with")
    sys.exit(77)

CELLA = os.path.realpath(sys.argv[1])
WORK = tempfile.mkdtemp(prefix="cella-k8s-")
os.environ["XDG_STATE_HOME"] = WORK + "/state"
os.environ["CELLA_PLATFORM_DIR"] = WORK + "/platform"
PAGE, MIB = 4096, 1 << 20


def run(*words, status=0):
    done = subprocess.run([CELLA, *[w if isinstance(w, bytes) else str(w) for w in words]], capture_output=True, timeout=120, cwd=WORK)
    assert done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}"
    return (done.stdout if status == 0 else done.stderr).decode(errors="replace")


def manifest(*words):
    """The objects by kind; the YAML is the JSON."""
    text = run("k8s", "manifest", *words)
    at = words.index("--") if "--" in words else len(words)
    listed = json.loads(run("k8s", "manifest", *words[:at], "--json", *words[at:]))
    assert (listed["apiVersion"], listed["kind"]) == ("v1", "List")
    read = list(yaml.safe_load_all(text))
    assert read == listed["items"], text
    assert all(len(line) < 4096 and not line.endswith(" ") for line in text.splitlines())
    assert len({item["kind"] for item in read}) == len(read) or "PersistentVolumeClaim" in text
    return {item["kind"]: item for item in read}


def pod(objects):
    return (objects.get("Deployment") or objects["Job"])["spec"]["template"]["spec"]


def asked(objects):
    resources = pod(objects)["containers"][0]["resources"]
    assert resources["limits"] == resources["requests"], resources
    return resources["limits"]


def epc_bytes(folder):
    """What the driver takes for the enclave with its heap at the largest: its pages, one for itself, and one for each 512."""
    seen = json.loads(run("inspect", "--json", f"{folder}/build/{folder}.signed"))
    said = json.loads(run("image", "verify", f"{folder}/build/image", "--json"))["enclave"]
    pages = seen["pages_added"] - seen["pages_by_kind"]["heap"] + int(said["cella.dev/heap"]) // PAGE + 1
    return seen, (pages + -(-pages // 512)) * PAGE


def quantity(text):
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|m|)", text).groups()
    return int(number) * {"Ki": 1024, "Mi": MIB, "": 1, "m": 1}[unit]


def resources():
    seen, least = epc_bytes("hello")
    limits = asked(manifest("hello"))
    epc = quantity(limits["sgx.intel.com/epc"])
    assert epc == least, (least, epc)
    assert limits["sgx.intel.com/enclave"] == "1" and "sgx.intel.com/provision" not in limits
    assert limits["cpu"] == f"{min(seen['threads'], 8) * 250}m", limits
    files = json.loads(run("image", "verify", "hello/build/image", "--json"))["unpacked"]
    assert quantity(limits["memory"]) >= 32 * MIB + files + least and quantity(limits["memory"]) % (8 * MIB) == 0, limits
    assert asked(manifest("hello", "--quotes", "process"))["sgx.intel.com/provision"] == "1"
    for dialect, name in (("azure", "kubernetes.azure.com/sgx_epc_mem_in_MiB"), ("alibaba", "alibabacloud.com/sgx_epc_MiB")):
        limits = asked(manifest("hello", "--dialect", dialect, "--quotes", "process"))
        assert limits[name] == str(-(-epc // MIB)), (limits, epc)
        assert not [key for key in limits if "intel" in key], limits
    limits = asked(manifest("hello", "--dialect", "soft"))
    assert limits["cella.dev/soft-enclave"] == "1" and set(limits) == {"cpu", "memory", "cella.dev/soft-enclave"}
    limits = asked(manifest("hello", "--epc", "10Mi", "--memory", "1.5Gi", "--cpu", "2"))
    assert (limits["sgx.intel.com/epc"], limits["memory"], limits["cpu"]) == ("10Mi", "1.5Gi", "2")


def heap_counts():
    """A heap that grows counts at its largest; more threads, more processors."""
    run("new", "large")
    run("image", "large")
    assert asked(manifest("large")) == asked(manifest("hello")), "the same configuration, the same needs"
    with open(f"{WORK}/large/enclave/enclave.conf", encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"(?m)^heap_size.*$", "heap_size = 64M", text)
    text = re.sub(r"(?m)^threads.*$", "threads = 3", text)
    with open(f"{WORK}/large/enclave/enclave.conf", "w", encoding="utf-8") as file:
        file.write(text)
    run("image", "large")
    limits = asked(manifest("large"))
    assert quantity(limits["sgx.intel.com/epc"]) > 64 * MIB and limits["cpu"] == "750m", (limits, text)


def posture():
    """No privilege that nobody asked for, and a pod that the restricted standard takes."""
    objects = manifest("hello", "--volume", "data:/var/lib/app:1Gi", "--volume", "scratch:/tmp")
    spec, container = pod(objects), pod(objects)["containers"][0]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}
    assert spec["securityContext"] == {"runAsNonRoot": True, "runAsUser": 65534, "runAsGroup": 65534, "fsGroup": 65534,
                                       "seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["automountServiceAccountToken"] is False and not any("hostPath" in v for v in spec["volumes"])
    assert objects["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert objects["PersistentVolumeClaim"]["spec"]["resources"]["requests"]["storage"] == "1Gi"
    own = pod(manifest("hello", "--seccomp", "cella.json", "--user", "1000"))["securityContext"]
    assert own["seccompProfile"] == {"type": "Localhost", "localhostProfile": "cella.json"} and own["runAsUser"] == 1000
    keys = [t["key"] for t in pod(manifest("hello", "--tolerate", "kubernetes.azure.com/scalesetpriority=spot:NoSchedule"))["tolerations"]]
    assert keys == ["sgx.intel.com/epc", "kubernetes.azure.com/sgx_epc_mem_in_MiB", "kubernetes.azure.com/scalesetpriority"]
    assert "tolerations" not in pod(manifest("hello", "--dialect", "soft"))
    assert pod(manifest("hello", "--node-label", "agentpool=confcompool1"))["nodeSelector"]["agentpool"] == "confcompool1"


def quotes():
    """The node's socket: the folder, so that the service may come later; only where it is asked for or the project quotes."""
    spec = pod(manifest("hello", "--quotes", "socket"))
    assert spec["volumes"] == [{"name": "quote-socket", "hostPath": {"path": "/var/run/aesmd", "type": "DirectoryOrCreate"}}]
    assert spec["containers"][0]["env"] == [{"name": "SGX_AESM_ADDR", "value": "1"}]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "quote-socket", "mountPath": "/var/run/aesmd", "readOnly": True}]
    assert "volumes" not in pod(manifest("hello"))
    with open(f"{WORK}/hello/cella.project", encoding="utf-8") as file:
        text = file.read()
    try:
        with open(f"{WORK}/hello/cella.project", "w", encoding="utf-8") as file:
            file.write(re.sub(r"(?m)^modules *=.*\n", "", text) + "\nmodules = attest\n")
        assert pod(manifest("hello"))["volumes"][0]["name"] == "quote-socket"
        assert "volumes" not in pod(manifest("hello", "--quotes", "none"))
    finally:
        with open(f"{WORK}/hello/cella.project", "w", encoding="utf-8") as file:
            file.write(text)


def network():
    objects = manifest("hello", "--port", "https=443:7443", "--port", "9000", "--service", "LoadBalancer",
                       "--probe", "https:/healthz?a=b:7443", "--replicas", "3", "--namespace", "shop", "--name", "till")
    assert objects["Service"]["spec"] == {
        "type": "LoadBalancer", "selector": {"app.kubernetes.io/name": "till"},
        "ports": [{"name": "https", "port": 443, "targetPort": "https"}, {"name": "port-9000", "port": 9000, "targetPort": "port-9000"}]}
    container = pod(objects)["containers"][0]
    assert container["ports"] == [{"name": "https", "containerPort": 7443}, {"name": "port-9000", "containerPort": 9000}]
    assert objects["Deployment"]["spec"]["replicas"] == 3
    assert {o["metadata"]["namespace"] for o in objects.values()} == {"shop"} and {o["metadata"]["name"] for o in objects.values()} == {"till"}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz?a=b", "port": 7443, "scheme": "HTTPS"}
    container = pod(manifest("hello", "--kind", "job", "--probe", "tcp:7443"))["containers"][0]
    assert container["livenessProbe"]["tcpSocket"] == {"port": 7443} and "readinessProbe" not in container
    assert pod(manifest("hello", "--probe", "grpc:1"))["containers"][0]["startupProbe"]["grpc"] == {"port": 1}
    for probe, words in (("exec:/app/check  now", ["/app/check", "now"]), ('exec:["/app/check","a b"]', ["/app/check", "a b"])):
        assert pod(manifest("hello", "--probe", probe))["containers"][0]["livenessProbe"]["exec"] == {"command": words}


def volumes():
    objects = manifest("hello", "--volume", "data:/a:1Gi", "--volume", "data:/b:ro", "--volume", "secret/data:/c",
                       "--volume", "configmap/" + "n" * 63 + ":/d:ro", "--volume", "claim/other:/e:ro")
    spec = pod(objects)
    mounts = {m["mountPath"]: m for m in spec["containers"][0]["volumeMounts"]}
    names = [v["name"] for v in spec["volumes"]]
    assert len(names) == len(set(names)) == 4 and all(len(name) <= 63 for name in names), names
    assert {m["name"] for m in mounts.values()} == set(names) and mounts["/a"]["name"] == mounts["/b"]["name"]
    assert mounts["/b"]["readOnly"] and "readOnly" not in mounts["/a"]
    kinds = {v["name"]: v for v in spec["volumes"]}
    assert kinds[mounts["/c"]["name"]]["secret"] == {"secretName": "data", "defaultMode": 0o440}


def job():
    objects = manifest("hello", "--kind", "job", "--", "ask", "--json", "7443")
    assert pod(objects)["restartPolicy"] == "Never" and pod(objects)["containers"][0]["args"] == ["ask", "--json", "7443"]
    assert objects["Job"]["spec"]["backoffLimit"] == 3 and set(objects) == {"Job"}


def reference():
    digest = json.loads(run("image", "hello", "--json"))["digest"]
    image = lambda *words: pod(manifest(*words))["containers"][0]["image"]
    assert image("hello") == f"hello@{digest}"
    assert image("hello", "--image", "Registry.example:5000/team/hello:1.0") == f"Registry.example:5000/team/hello:1.0@{digest}"
    assert image("hello", "--image", f"r.example/h@{digest}") == f"r.example/h@{digest}"
    assert image("hello/build/image") == image("hello/build/image:latest") == f"hello@{digest}"
    run("image", "hello", "-o", "hello.tar")
    assert image("hello.tar") == f"hello@{digest}"
    error = run("k8s", "manifest", "hello", "--image", "r.example/h@sha256:" + "0" * 64, status=1)
    assert digest in error, error
    annotations = manifest("hello")["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    identity = json.loads(run("inspect", "--json", "hello/build/hello.signed"))["identities"][0]
    assert annotations["cella.dev/mrenclave"] == identity["mrenclave"] and annotations["cella.dev/mrsigner"] == identity["mrsigner"]


def strings():
    """Whatever is in a string, a reader of YAML gets it back: words, numbers, dates, signs, every kind of character."""
    nasty = ["", " ", "yes", "No", "ON", "y", "null", "~", "NaN", ".inf", "-.Inf", "1", "0x1F", "0o17", "017", "1e3", "1_000", "-1", "+1",
             "12:30:45", "2001-01-01", "=", "<<", "- a", "a: b", "a #b", "#", "&a", "*a", "!a", "!!int 3", "|", ">", "'", '"', "%a",
             "@a", "`a`", "{a}", "[a]", "a,b", "?", ":", "a:", "---", "...", "\\", "\\n", "a\nb", "\n", "\ta", "a\t", "a ", " a", "\r\n",
             "\x01\x7f\x80\x85\xa0\xad", "\u2028\u2029\u200b\ufeff", "\ufffe", "\uffff", "\U0001f512", "\U0010ffff", "é", "日本",
             "http://x/y?z=1", "key: |\n  text", "$(HOME)", "true", "False", "0b1", "1.5", "١"]
    random.seed(5)
    nasty += ["".join(chr(random.choice((random.randrange(1, 0x300), random.randrange(0x2000, 0x2100), random.randrange(0xe000, 0x11000),
                                         random.randrange(0x10000, 0x110000)))) for _ in range(12)) for _ in range(60)]
    for i in range(0, len(nasty), 32):
        part = nasty[i:i + 32]
        options = [word for j, text in enumerate(part) for word in ("--env", f"V{j}={text}")]
        container = pod(manifest("hello", *options, "--", *part))["containers"][0]
        assert container["args"] == part
        assert [variable["value"] for variable in container["env"]] == part


def refusals():
    """What is wrong is named with what would be right, before any cluster sees it."""
    bad = [("--port", w) for w in ("0", "65536", "x", "", "a=", "=1", "UPPER=1", "much-too-long-a-name=1", "1:0", "1:2:3", "a--b=1", "1=1", "-1")]
    bad += [("--volume", w) for w in ("data", "data:", "data:a", "data:/", "Data:/a", "data:/a:b", "data:/../a", "data:/a/./b", "data:/a//b",
                                      "secret/x:/a:1Gi", "scratch:/a:ro", ":/a", "data:/a:0", "d" * 64 + ":/a", "host/x:/a")]
    bad += [("--probe", w) for w in ("http", "http:/a", "http:a:1", "tcp:0", "tcp:", "exec:", "exec:[]", "exec:[1]", "exec:[", "ftp:1", "http:/a b:1")]
    bad += [("--name", w) for w in ("", "A", "a_b", "9a", "a-", "a" * 64, "a.b")] + [("--namespace", "A")]
    bad += [("--env", w) for w in ("", "A", "=b", "1A=b", "A B=c")]
    bad += [("--epc", w) for w in ("", "0", "-1", "1MB", "Mi", "1.2.3", "1e", "0.0Mi")] + [("--cpu", "many")]
    bad += [("--image", w) for w in ("", "a b", "UPPER/lower/Upper", "a@sha256:12", "a:", "a//b", "-a", "a/", "a:b:c")]
    bad += [("--kind", "pod"), ("--dialect", "amd"), ("--quotes", "maybe"), ("--service", "External"), ("--replicas", "0"), ("--user", "0")]
    bad += [("--seccomp", w) for w in ("/a", "../a", "")] + [("--tolerate", w) for w in ("", "a b", "a=b:Never", "/a", "a/")]
    bad += [("--node-label", w) for w in ("a", "=b", "a=b c")] + [("--enclave", "relative"), ("--pull-secret", "A")]
    for option, word in bad:
        error = run("k8s", "manifest", "hello", option, word, status=2)
        assert option in error and "expected" in error, (option, word, error)
    assert "UTF-8" in run("k8s", "manifest", "hello", "--", b"\xff", status=2)
    assert "expected" in run("k8s", "manifest", "hello", "--env", b"A=\xff", status=2)
    for words, mend in ((("hello", "extra"), "behind --"), (("hello", "--service", "NodePort"), "--port"), (("hello", "--port", "1", "--port", "1"), "another"),
                        (("hello", "--volume", "a:/x", "--volume", "b:/x"), "another path")):
        assert mend in run("k8s", "manifest", *words, status=2 if words[1:2] != ("--service",) else 1), words
    for words, mend in ((("nowhere",), "not there"), ((".",), "cella.project"), (("bare",), "cella image bare"), (("hello/cella.project",), ""),
                        (("hello", "--enclave", "/app/other"), "/app/other")):
        if words == ("bare",):
            run("new", "bare")
        assert mend in run("k8s", "manifest", *words, status=1), words
    assert run("k8s", "frobnicate", status=2) and run("k8s", status=2)
    with open(f"{WORK}/hello/build/hello.signed", "rb") as file:
        data = bytearray(file.read())
    at = data.index(b"\x0f\x05") if b"\x0f\x05" in data else len(data) // 2
    data[at] ^= 1
    with open(f"{WORK}/bad.signed", "wb") as file:
        file.write(data)
    run("image", "hello", "--add", f"{WORK}/bad.signed=/app/bad.signed", "-o", "two.tar")
    assert "/app/bad.signed: " in run("k8s", "manifest", "two.tar", "--enclave", "/app/bad.signed", status=1)
    assert pod(manifest("two.tar"))["containers"]


def output():
    assert run("k8s", "manifest", "hello", "-o", "out.yaml") == ""
    with open(f"{WORK}/out.yaml", encoding="utf-8") as file:
        assert file.read() == run("k8s", "manifest", "hello")
    assert run("k8s", "manifest", "hello") == run("k8s", "manifest", "hello"), "the same each time"


def main():
    failures = 0
    run("new", "hello")
    run("image", "hello")
    for check in (resources, heap_counts, posture, quotes, network, volumes, job, reference, strings, refusals, output):
        try:
            check()
            print(f"ok {check.__name__}")
        except (AssertionError, KeyError, subprocess.TimeoutExpired, yaml.YAMLError) as problem:
            failures += 1
            print(f"not ok {check.__name__}: {problem!r}"[:2000])
    return failures != 0


sys.exit(main())
