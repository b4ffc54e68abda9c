#!/usr/bin/env python3
"""
cella image of a whole program: what is in it, that it is the same each time, what is refused, and the container itself:
arguments, exit status, state on a volume, under the runtimes of this machine.
Side: tests. program.py CELLA KEY KERNEL
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from reader import Image, sha256

CELLA, KEY = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2])
WORK = tempfile.mkdtemp(prefix="cella-program-")
os.environ["CELLA_PROGRAM_KERNEL"] = os.path.realpath(sys.argv[3])
os.environ["CELLA_PROCESSOR"] = "software"
os.environ.pop("SOURCE_DATE_EPOCH", None)

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **words)
{
    char text[64] = "";
    int runs = 0;
    FILE *file = fopen("/state/runs", "r");
    if (file) {
        if (fscanf(file, "%d", &runs) != 1) {
            return 90;
        }
        fclose(file);
    }
    file = fopen("/state/runs", "w");
    if (!file || fprintf(file, "%d\n", runs + 1) < 0 || fclose(file)) {
        return 91;
    }
    file = fopen("/data/measured", "r");
    if (!file || !fgets(text, sizeof(text), file)) {
        return 92;
    }
    printf("run %d of %s: %s", runs + 1, count > 1 ? words[1] : "nobody", text);
    return count > 2 ? atoi(words[2]) : 0;
}
"""
MANIFEST = """
[program]
executable = "counter"
arguments_from_host = true
[enclave]
key = "%s"
[memory]
max = "32M"
[[mount]]
target = "/state"
type = "%s"
source = "/var/lib/counter"
read_only = false
[[file]]
path = "/data/measured"
source = "measured"
embed = false
"""


def run(*words, status=0, **more):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120, **more)
    assert done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr if status else done.stdout


def sign(folder, kind="insecure_host"):
    os.makedirs(folder, exist_ok=True)
    for name, text in (("counter.c", PROGRAM), ("cella.toml", MANIFEST % (KEY, kind)), ("measured", "measured text\n")):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    run("gcc", "-O1", "-static", "-o", "counter", "counter.c", cwd=folder)
    run(CELLA, "sign", "--manifest", "cella.toml", "--out", "counter.cella", cwd=folder)
    return f"{folder}/counter.cella"


def contents(program):
    """The runner, what it needs, the program's image, what is measured and lies outside it, a folder to mount at."""
    report = json.loads(run(CELLA, "image", program, "--json"))
    folder = os.path.dirname(program)
    assert report["image"] == f"{folder}/counter.image" and os.path.exists(f"{folder}/counter.image.spdx.json")
    read = Image(report["image"])
    names = read.files()
    files = {name for name, (_, member) in names.items() if not member.isdir()}
    assert {"/usr/bin/cella-run", "/app/counter.cella", "/etc/passwd", "/etc/group", "/app/measured"} <= files, files
    rest = [name for name in files if not name.startswith(("/usr/lib/", "/lib")) and name not in
            ("/usr/bin/cella-run", "/app/counter.cella", "/etc/passwd", "/etc/group", "/app/measured")]
    assert not rest, rest
    with open(program, "rb") as file:
        assert read.read("/app/counter.cella") == file.read()
    layer, member = names["/var/lib/counter"]
    assert layer == 0 and member.isdir() and (member.mode, member.uid) == (0o700, 65534)
    assert names["/app/counter.cella"][0] == len(read.layers) - 1
    config = read.config["config"]
    assert config["Entrypoint"] == ["/usr/bin/cella-run", "/app/counter.cella"] and config["WorkingDir"] == "/app"
    seen = json.loads(run(CELLA, "inspect", "--json", program))["identities"][0]
    for place in (read.manifest["annotations"], config["Labels"]):
        assert place["cella.dev/mrenclave"] == seen["mrenclave"] and place["cella.dev/mrsigner"] == seen["mrsigner"]
        assert place["cella.dev/enclave"] == "/app/counter.cella" and place["cella.dev/program"] == "/counter"
        assert place["cella.dev/mounts"] == "/var/lib/counter:insecure_host:rw", place
    run(CELLA, "image", "verify", report["image"], "--mrenclave", seen["mrenclave"], "--mrsigner", seen["mrsigner"],
        "--only", "--no-debug")
    said = run(CELLA, "image", "verify", report["image"], "--mrenclave", "07" * 32, status=1)
    assert "mrenclave is not the one" in said, said
    again = json.loads(run(CELLA, "image", program, "--json", "-o", f"{WORK}/again"))
    assert again["digest"] == report["digest"]
    run(CELLA, "image", program, "-o", f"{WORK}/one.tar", "--name", "some/counter:v2")
    read = Image(f"{WORK}/one.tar")
    assert read.index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] == "v2"
    kubernetes = run(CELLA, "k8s", "manifest", report["image"], "--image", "registry.example.com/counter:1")
    assert report["digest"] in kubernetes and "name: counter" in kubernetes, kubernetes
    pages = json.loads(run(CELLA, "inspect", "--json", program))["pages_added"]
    asked = re.search(r'sgx.intel.com/epc: "(\d+)Ki"', kubernetes)
    assert (32 << 10) + pages * 4 <= int(asked[1]) < (33 << 10) + pages * 4, (asked[0], pages)


def refusals(program):
    """A program that is another than was signed, a measured file that is, an annotation that lies, words that clash."""
    with open(program, "rb") as file:
        data = bytearray(file.read())
    at = data.index(b"measured text") if b"measured text" in data else data.index(b"/data/measured")
    data[at] ^= 1
    with open(f"{WORK}/bent.cella", "wb") as file:
        file.write(data)
    done = subprocess.run([CELLA, "image", f"{WORK}/bent.cella", "-o", f"{WORK}/bent"], capture_output=True, text=True)
    assert done.returncode == 1 and "not the one that was signed" in done.stderr, done
    measured = f"{os.path.dirname(program)}/measured"
    with open(measured, "a", encoding="utf-8") as file:
        file.write("more")
    done = subprocess.run([CELLA, "image", program, "-o", f"{WORK}/more"], capture_output=True, text=True)
    assert done.returncode == 1 and "not the file that the program was signed with" in done.stderr, done
    os.remove(measured)
    done = subprocess.run([CELLA, "image", program, "-o", f"{WORK}/more"], capture_output=True, text=True)
    assert done.returncode == 1 and measured in done.stderr, done
    with open(measured, "w", encoding="utf-8") as file:
        file.write("measured text\n")
    done = subprocess.run([CELLA, "image", program, "--program", "/bin/true", "-o", f"{WORK}/more", "--name", "x"],
                          capture_output=True, text=True)
    assert done.returncode == 2 and "do not go together" in done.stderr, done
    # An image whose labels name another mount than the program has.
    shutil.copytree(f"{WORK}/again", f"{WORK}/lying")
    read = Image(f"{WORK}/lying")
    old = read.digest.removeprefix("sha256:")
    manifest = read.parts[f"blobs/sha256/{old}"].replace(b":insecure_host:rw", b":encrypted:rw")
    assert manifest != read.parts[f"blobs/sha256/{old}"]
    with open(f"{WORK}/lying/blobs/sha256/{sha256(manifest)}", "wb") as file:
        file.write(manifest)
    read.index["manifests"][0].update(digest="sha256:" + sha256(manifest), size=len(manifest))
    with open(f"{WORK}/lying/index.json", "w", encoding="utf-8") as file:
        json.dump(read.index, file)
    said = run(CELLA, "image", "verify", f"{WORK}/lying", status=1)
    assert "cella.dev/mounts" in said, said


def containers(program):
    """The same program in containers: exit status, arguments, and state that the next one finds."""
    folder, tried, skipped = f"{WORK}/data", [], []
    os.mkdir(folder)
    os.chmod(WORK, 0o755)
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    for name in ("runc", "crun"):
        runtime = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if not runtime:
            skipped.append(f"{name} is not installed")
            continue
        words = [CELLA, "run", "--container", "--runtime", runtime, "--volume", f"{folder}:/var/lib/counter:rw", program,
                 "--", name, "7"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        if done.returncode != 7 and "hybrid mode" in done.stderr and os.geteuid() == 0:
            # Both versions of cgroups are mounted here: only the older in a mount namespace of its own.
            words = ["unshare", "-m", "sh", "-c", 'umount -l /sys/fs/cgroup/unified && exec "$@"', "sh"] + words
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        if done.returncode != 7 and any(t in done.stderr.lower() for t in ("permitted", "cgroup", "permission denied")):
            skipped.append(f"{name}: {done.stderr.strip().splitlines()[-1]}")
            continue
        assert done.returncode == 7, (name, done)
        assert done.stdout == f"run {len(tried) + 1} of {name}: measured text\n", (name, done)
        tried.append(name)
    print(f"  ran under: {', '.join(tried) or 'none'}{'; '.join([''] + skipped)}")


try:
    signed = sign(f"{WORK}/one")
    for each in (contents, refusals, containers):
        each(signed)
        print(f"ok {each.__name__}")
    MANIFEST = MANIFEST.replace('max = "32M"', "")
    if sign(f"{WORK}/two", "encrypted"):
        report = json.loads(run(CELLA, "image", f"{WORK}/two/counter.cella", "--json"))
        assert report["annotations"]["cella.dev/mounts"] == "/var/lib/counter:encrypted:rw"
        words = [CELLA, "k8s", "manifest", report["image"], "--image", "registry.example.com/counter:1"]
        assert "[memory] max" in run(*words, status=1)
        assert 'sgx.intel.com/epc: "1Gi"' in run(*words, "--epc", "1Gi", "--memory", "2Gi")
finally:
    subprocess.run(["chmod", "-R", "u+w", WORK], check=False)
    shutil.rmtree(WORK, ignore_errors=True)
