#!/usr/bin/env python3
"""
cella image: what is in an image, that it is the same each time, that an enclave's change touches one small layer, what
other tools make of it, and its seccomp profile at work under the runtimes of this machine.
Side: tests. image.py CELLA own|peers [SOURCE_ROOT]
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from reader import Image, sha256

CELLA, PART = os.path.realpath(sys.argv[1]), sys.argv[2]
WORK = tempfile.mkdtemp(prefix="cella-image-")
while "_" in WORK:  # not everywhere in the name of an image
    os.rmdir(WORK)
    WORK = tempfile.mkdtemp(prefix="cella-image-")
os.environ["XDG_STATE_HOME"] = WORK + "/state"
os.environ["CELLA_PLATFORM_DIR"] = WORK + "/platform"
os.environ.pop("SOURCE_DATE_EPOCH", None)
failures = []


def run(*words, status=0, **more):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120, **more)
    assert done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr if status else done.stdout


def image(folder, *options, env=None):
    return json.loads(run(CELLA, "image", folder, "--json", *options, env={**os.environ, **(env or {})}))


def check(function):
    try:
        said = function()
        print(f"{'ok' if said is None else 'skip'} {function.__name__}{'' if said is None else ': ' + said}")
    except (AssertionError, subprocess.TimeoutExpired, KeyError) as error:
        failures.append(function.__name__)
        print(f"not ok {function.__name__}: {error!r}")


def project(name, *options):
    run(CELLA, "new", name, *options, cwd=WORK)
    return f"{WORK}/{name}"


def contents():
    """The image is the program, the enclave, the libraries that a loader finds, and two files of names: nothing else."""
    report = image(HELLO)
    read = Image(report["image"])
    files = {name: member for name, (_, member) in read.files().items() if not member.isdir()}
    libraries = set()
    for line in subprocess.run(["ldd", f"{HELLO}/build/hello"], capture_output=True, text=True).stdout.splitlines():
        words = line.split()
        if "=>" in words:
            libraries.add("/usr/lib/x86_64-linux-gnu/" + words[0])
        elif words[0].startswith("/"):
            libraries.add(words[0])
    libraries.add("/usr/lib/x86_64-linux-gnu/libgcc_s.so.1")  # loaded by libc when a thread is cancelled
    assert set(files) == libraries | {"/app/hello", "/app/hello.signed", "/etc/passwd", "/etc/group"}, files
    assert b"nobody:x:65534" in read.read("/etc/passwd")
    config = read.config["config"]
    assert config["User"] == "65534:65534" and config["WorkingDir"] == "/app"
    assert config["Entrypoint"] == ["/app/hello", "/app/hello.signed"]
    for layer in read.layers:
        names = [member.name for member in layer]
        assert len(names) == len(set(names)), names
        for member in layer:
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, ""), member
    assert report["digest"] == read.digest
    assert report["size"] == sum(len(read.blob(l)) for l in read.manifest["layers"]) + \
        read.manifest["config"]["size"] + read.index["manifests"][0]["size"]
    assert report["size"] < 2 << 20, report["size"]


def quotes():
    """Only hosts whose enclave may ask for quotes can make them, and carry what that takes."""
    def host_makes_them(folder):
        name = os.path.basename(folder)
        return b"cella_quote_local" in subprocess.run(["nm", f"{folder}/build/{name}"], capture_output=True).stdout
    run(CELLA, "build", HELLO)
    assert not host_makes_them(HELLO)
    asking = project("asking")
    with open(f"{asking}/enclave/ask.c", "w", encoding="utf-8") as file:
        file.write('#include "cella/attest.h"\n'
                   "__attribute__((used)) cella_result ask(void *out, size_t room, size_t *size)\n"
                   "{ return cella_quote_create(NULL, out, room, size); }\n")
    with open(f"{asking}/enclave/keep.c", "w", encoding="utf-8") as file:
        file.write("#include <stddef.h>\n#include <stdint.h>\n#include \"cella/result.h\"\n"
                   "cella_result ask(void *out, size_t room, size_t *size);\n"
                   "__attribute__((constructor)) static void keep(void)\n"
                   "{ static void *volatile kept; kept = (void *)(uintptr_t)ask; (void)kept; }\n")
    run(CELLA, "build", asking)
    assert host_makes_them(asking)


def containerfile():
    """The templates have a file for other builders, which names what the build makes."""
    for template in ("c", "cpp", "openenclave", "intel"):
        folder = project(f"file-{template}", "--template", template)
        with open(f"{folder}/Containerfile", encoding="utf-8") as file:
            text = file.read()
        assert "@NAME@" not in text and "USER 65534:65534" in text and "ENTRYPOINT" in text, text


def identity():
    """Annotations and labels are what `cella inspect` says of the signed file, and of the file in the image."""
    read = Image(f"{HELLO}/build/image")
    with open(f"{WORK}/out.signed", "wb") as out:
        out.write(read.read("/app/hello.signed"))
    for path in (f"{HELLO}/build/hello.signed", f"{WORK}/out.signed"):
        seen = json.loads(run(CELLA, "inspect", "--json", path))
        one = seen["identities"][0]
        expected = {"mrenclave": one["mrenclave"], "mrsigner": one["mrsigner"], "svn": str(one["svn"]),
                    "product-id": str(one["product_id"]), "debug": "true" if one["debug"] else "false",
                    "threads": str(seen["threads"]), "enclave": "/app/hello.signed", "kind": "cella",
                    "enclave-size": str(int(seen["enclave_size"], 16)), "epc": str(seen["pages_added"] * 4096),
                    "heap": str(seen["pages_by_kind"]["heap"] * 4096)}
        for place in (read.manifest["annotations"], read.config["config"]["Labels"]):
            for key, value in expected.items():
                assert place["cella.dev/" + key] == value, (key, place["cella.dev/" + key], value)


def reproducible():
    """Two folders, one digest; another time, another digest; the archive has the layout's image."""
    first = image(HELLO)["digest"]
    os.mkdir(f"{WORK}/elsewhere")
    for name in ("host", "enclave", "cella.project", "calls.edl"):
        (shutil.copytree if os.path.isdir(f"{HELLO}/{name}") else shutil.copy)(f"{HELLO}/{name}",
                                                                              f"{WORK}/elsewhere/{name}")
    second = json.loads(run(CELLA, "image", "--json", cwd=f"{WORK}/elsewhere"))
    assert second["digest"] == first
    assert not any(layer["cached"] for layer in second["layers"])
    shutil.rmtree(f"{HELLO}/build")
    done = subprocess.run([CELLA, "build", HELLO, "--verbose"], capture_output=True, text=True, check=True)
    words = (done.stdout + done.stderr).split()
    sdk = next(word[2:] for word in words if word.startswith("-I/") and not word.startswith(f"-I{WORK}"))
    for above in (WORK, os.path.dirname(sdk), sdk):  # the SDK is below, or here
        shutil.rmtree(f"{HELLO}/build")
        assert json.loads(run(CELLA, "image", HELLO, "--json", cwd=above))["digest"] == first, above
    later = image(HELLO, "-o", f"{WORK}/later", env={"SOURCE_DATE_EPOCH": "1700000000"})
    assert later["digest"] != first
    read = Image(f"{WORK}/later")
    assert read.config["created"] == "2023-11-14T22:13:20Z"
    assert {m.mtime for layer in read.layers for m in layer} == {1700000000}
    image(HELLO, "-o", f"{WORK}/one.tar")
    image(HELLO, "-o", f"{WORK}/two.tar")
    with open(f"{WORK}/one.tar", "rb") as one, open(f"{WORK}/two.tar", "rb") as two:
        assert sha256(one.read()) == sha256(two.read())
    assert Image(f"{WORK}/one.tar").digest == first
    run(CELLA, "image", HELLO, status=1, env={**os.environ, "SOURCE_DATE_EPOCH": "yesterday"})


def layers():
    """A change of the enclave changes one layer, the small one; unchanged, nothing is made anew."""
    before = image(HELLO)
    blobs = {name: os.stat(f"{HELLO}/build/image/blobs/sha256/{name}").st_mtime_ns
             for name in os.listdir(f"{HELLO}/build/image/blobs/sha256")}
    again = image(HELLO)
    assert again["digest"] == before["digest"] and all(layer["cached"] for layer in again["layers"])
    assert blobs == {name: os.stat(f"{HELLO}/build/image/blobs/sha256/{name}").st_mtime_ns
                     for name in os.listdir(f"{HELLO}/build/image/blobs/sha256")}
    source = f"{HELLO}/enclave/enclave.c"
    with open(source, encoding="utf-8") as file:
        text = file.read()
    with open(source, "w", encoding="utf-8") as file:
        file.write(text.replace("from inside the enclave", "from within the enclave"))
    after = image(HELLO)
    changed = [new["name"] for old, new in zip(before["layers"], after["layers"]) if old["digest"] != new["digest"]]
    assert changed == ["enclave"], changed
    assert after["layers"][-1]["size"] < after["size"] / 3
    assert len(os.listdir(f"{HELLO}/build/image/blobs/sha256")) == 5  # the old image's parts are gone
    run(CELLA, "image", "verify", f"{HELLO}/build/image", "--mrenclave",
        before["annotations"]["cella.dev/mrenclave"], status=1)
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    assert image(HELLO)["digest"] == before["digest"]


def sbom():
    """SPDX 2.3: each file of the image with its digests, packages from the distribution's database."""
    report = image(HELLO)
    with open(report["sbom"], encoding="utf-8") as file:
        spdx = json.load(file)
    assert (spdx["spdxVersion"], spdx["dataLicense"], spdx["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    assert report["digest"].removeprefix("sha256:") in spdx["documentNamespace"]
    read = Image(report["image"])
    files = {"." + name: read.read(name) for name, (_, m) in read.files().items() if m.isfile()}
    assert {f["fileName"] for f in spdx["files"]} == set(files)
    for file in spdx["files"]:
        sums = {c["algorithm"]: c["checksumValue"] for c in file["checksums"]}
        assert sums["SHA256"] == sha256(files[file["fileName"]]) and len(sums["SHA1"]) == 40
    ids = [p["SPDXID"] for p in spdx["packages"] + spdx["files"]] + ["SPDXRef-DOCUMENT"]
    assert len(ids) == len(set(ids))
    for row in spdx["relationships"]:
        assert row["spdxElementId"] in ids and row["relatedSpdxElement"] in ids
    if shutil.which("dpkg-query"):
        packages = {p["name"]: p.get("versionInfo") for p in spdx["packages"]}
        for name in ("libc6", "libssl-dev", "libc6-dev"):
            version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
            assert packages.get(name) == version.stdout, (name, packages)


def options():
    """What is asked for is there, and only then."""
    with open(f"{WORK}/settings", "w", encoding="utf-8") as file:
        file.write("x")
    image(HELLO, "-o", f"{WORK}/more", "--software", "--name", "example.org/a/b:v1", "--user", "1000",
          "--add", f"{WORK}/settings=/etc/app/settings", "--keep-debug")
    read = Image(f"{WORK}/more")
    assert read.read("/etc/app/settings") == b"x"
    number, member = read.files()["/var/lib/cella/platform"]
    assert (number, member.mode, member.uid) == (0, 0o700, 1000)
    assert "CELLA_PLATFORM_DIR=/var/lib/cella/platform" in read.config["config"]["Env"]
    assert read.config["config"]["User"] == "1000:1000"
    assert read.index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] == "v1"
    with open(f"{HELLO}/build/hello.signed", "rb") as signed:
        assert read.read("/app/hello.signed") == signed.read()
    refused = [
        (["--name", "Upper"], "lower case"), (["--add", f"{WORK}/settings=/../x"], "not a path below"),
        (["--add", f"{WORK}/settings=/app/hello"], "two things"), (["--add", "/nowhere"], "/nowhere"),
        (["--add", f"{WORK}/settings=/app/hello/x"], "/app/hello is no folder"),
        (["--add", f"{WORK}/settings=/tmp"], "two things"),
        (["--user", "0"], "--user"), (["-o", WORK], "is no image"), (["a", "b"], "unexpected"),
    ]
    for words, text in refused:
        done = subprocess.run([CELLA, "image", HELLO, *words], capture_output=True, text=True)
        assert done.returncode in (1, 2) and text in done.stderr, (words, done)


def traps():
    """What lies where an image is written: links lead nowhere, pipes keep nobody waiting, two writers take turns."""
    victim, target = f"{WORK}/victim", f"{WORK}/trap"
    precious = f"{victim}/blobs/sha256/" + "ab" * 32
    for link in ("blobs", "blobs/sha256"):
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(victim, ignore_errors=True)
        os.makedirs(os.path.dirname(precious))
        with open(precious, "w", encoding="utf-8") as file:
            file.write("another image's")
        image(HELLO, "-o", target)
        shutil.rmtree(f"{target}/{link}")
        os.symlink(f"{victim}/{link}", f"{target}/{link}")
        run(CELLA, "image", HELLO, "-o", target, status=1)
        assert os.listdir(os.path.dirname(precious)) == ["ab" * 32], os.listdir(os.path.dirname(precious))
    shutil.rmtree(target)
    image(HELLO, "-o", target)
    digest = image(HELLO)["digest"].removeprefix("sha256:")
    for name in ("index.json", "oci-layout", f"blobs/sha256/{digest}"):
        for make in (lambda path: os.symlink(f"{WORK}/untouched", path), os.mkfifo):
            with open(f"{WORK}/untouched", "w", encoding="utf-8") as file:
                file.write("untouched")
            os.remove(f"{target}/{name}")
            make(f"{target}/{name}")
            done = subprocess.run(["timeout", "-s", "KILL", "30", CELLA, "image", HELLO, "-o", target],
                                  capture_output=True, text=True)
            with open(f"{WORK}/untouched", encoding="utf-8") as file:
                assert file.read() == "untouched", name
            if name == "index.json":
                assert done.returncode == 1 and "no image: choose" in done.stderr, done
                shutil.rmtree(target)
                image(HELLO, "-o", target)
            else:
                assert done.returncode == 0 and Image(target).digest == "sha256:" + digest, done
    writers = [subprocess.Popen([CELLA, "image", HELLO, "-o", target, "--user", str(1000 + i % 2)],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for i in range(6)]
    assert [writer.wait(60) for writer in writers] == [0] * 6, [writer.stdout.read() for writer in writers]
    Image(target)
    assert len(os.listdir(f"{target}/blobs/sha256")) == 5
    for writer in writers:
        writer.stdout.close()


def own_libraries():
    """Libraries by DT_RUNPATH with $ORIGIN, and of the project: found, and in the host's layer."""
    folder = project("withlib", "--libc", "musl")
    os.mkdir(f"{folder}/lib")
    with open(f"{folder}/lib/answer.c", "w", encoding="utf-8") as file:
        file.write("int answer(void) { return 42; }\n")
    run("gcc", "-shared", "-fPIC", "-Wl,-soname,libanswer.so.3", "-o", f"{folder}/lib/libanswer.so.3",
        f"{folder}/lib/answer.c")
    os.symlink("libanswer.so.3", f"{folder}/lib/libanswer.so")
    with open(f"{folder}/cella.project", "a", encoding="utf-8") as file:
        file.write(f"host_libraries = answer\nhost_flags = -DX\n")
    with open(f"{folder}/host/extra.c", "w", encoding="utf-8") as file:
        file.write("int answer(void); int (*keep)(void) = answer;\n")
    env = {**os.environ, "LIBRARY_PATH": f"{folder}/lib", "LD_RUN_PATH": "$ORIGIN/../lib"}
    done = subprocess.run([CELLA, "image", folder, "--json"], capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0, done.stderr
    read = Image(f"{folder}/build/image")
    number, member = read.files()["/usr/lib/x86_64-linux-gnu/libanswer.so.3"]
    assert number == 1 and member.isfile()
    os.remove(f"{folder}/lib/libanswer.so.3")
    done = subprocess.run([CELLA, "image", folder], capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 1 and "needs libanswer.so.3" in done.stderr, done


def verify():
    """The table of what is taken and what is refused."""
    path = f"{HELLO}/build/image"
    report = image(HELLO)
    enclave, signer = (report["annotations"]["cella.dev/" + key] for key in ("mrenclave", "mrsigner"))
    other = "00" * 32
    table = [
        ([], 0), (["--mrenclave", enclave], 0), (["--mrsigner", signer.upper()], 0),
        (["--mrenclave", enclave, "--mrsigner", signer, "--product-id", "1", "--min-svn", "1", "--only"], 0),
        (["--mrenclave", other], 1), (["--mrsigner", other], 1), (["--mrsigner", enclave], 1),
        (["--product-id", "2"], 1), (["--min-svn", "2"], 1), (["--no-debug"], 1),
        (["--enclave", "/app/hello.signed"], 0), (["--enclave", "/app/hello"], 1),
        (["--mrenclave", "12"], 2), (["--mrenclave", enclave + "0"], 2), (["--product-id", "x"], 2),
        (["--product-id", "65536"], 2), (["--enclave", "app"], 2), (["more"], 2), (["--what"], 2),
    ]
    for words, status in table:
        run(CELLA, "image", "verify", path, *words, status=status)
    run(CELLA, "image", "verify", path + ":latest")
    run(CELLA, "image", "verify", path + ":none", status=2)
    run(CELLA, "image", "verify", "/nowhere", status=2)
    told = json.loads(run(CELLA, "image", "verify", path, "--json"))
    assert told["good"] and told["enclave"]["cella.dev/mrenclave"] == enclave and told["format"] == "OCI layout"
    assert told["digest"] == report["digest"]


def skopeo():
    """skopeo reads layout and archive, and what it writes is still verified: other compressions and docker's archive."""
    if not shutil.which("skopeo"):
        return "skopeo is not installed"
    report = image(HELLO)
    image(HELLO, "-o", f"{WORK}/hello.tar")
    signer = report["annotations"]["cella.dev/mrsigner"]
    policy = ["skopeo", "--insecure-policy"]
    assert json.loads(run(*policy, "inspect", "oci:" + report["image"]))["Digest"] == report["digest"]
    assert json.loads(run(*policy, "inspect", f"oci-archive:{WORK}/hello.tar"))["Digest"] == report["digest"]
    copies = [(["--dest-compress-format", "zstd"], f"oci:{WORK}/zstd:x", f"{WORK}/zstd:x"),
              ([], f"docker-archive:{WORK}/docker.tar:hello:v2", f"{WORK}/docker.tar:v2"),
              ([], f"oci-archive:{WORK}/again.tar:y", f"{WORK}/again.tar")]
    for words, target, path in copies:
        run(*policy, "copy", *words, f"docker-archive:{WORK}/hello.tar", target)
        run(CELLA, "image", "verify", path, "--mrsigner", signer)
        run(CELLA, "image", "verify", path, "--mrsigner", "11" * 32, status=1)
    if shutil.which("gpg"):
        return signed_by_skopeo(report)
    return None


def signed_by_skopeo(report):
    """A signature over the image: made and checked by skopeo with GnuPG; a changed manifest fails."""
    home = f"{WORK}/gnupg"
    os.mkdir(home, 0o700)
    env = {**os.environ, "GNUPGHOME": home}
    run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", "test@example.org", "rsa2048", "sign", env=env)
    listed = run("gpg", "--list-keys", "--with-colons", env=env)
    key = [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:")][0]
    manifest = f"{report['image']}/blobs/sha256/{report['digest'].removeprefix('sha256:')}"
    run("skopeo", "standalone-sign", "-o", f"{WORK}/signature", manifest, "example.org/hello:latest", key, env=env)
    run("skopeo", "standalone-verify", manifest, "example.org/hello:latest", key, f"{WORK}/signature", env=env)
    with open(manifest, encoding="utf-8") as file, open(f"{WORK}/other", "w", encoding="utf-8") as out:
        out.write(file.read().replace('"true"', '"false"'))
    run("skopeo", "standalone-verify", f"{WORK}/other", "example.org/hello:latest", key, f"{WORK}/signature",
        status=1, env=env)


def umoci():
    """umoci unpacks it, and adds a layer that removes the enclave: then there is none."""
    if not shutil.which("umoci"):
        return "umoci is not installed"
    copy = f"{WORK}/umoci"
    shutil.copytree(image(HELLO)["image"], copy)
    run("umoci", "unpack", "--rootless", "--image", copy + ":latest", f"{WORK}/bundle")
    with open(f"{WORK}/bundle/rootfs/app/hello.signed", "rb") as file:
        assert file.read() == Image(copy).read("/app/hello.signed")
    os.remove(f"{WORK}/bundle/rootfs/app/hello.signed")
    run("umoci", "repack", "--image", copy + ":without", f"{WORK}/bundle")
    run(CELLA, "image", "verify", copy + ":latest")
    said = run(CELLA, "image", "verify", copy + ":without", status=1)
    assert "there is no enclave" in said, said
    return None


def buildah():
    """buildah takes it as a base and adds a file; the result is verified by content."""
    if not shutil.which("buildah"):
        return "buildah is not installed"
    store = ["--storage-driver", "vfs", "--root", f"{WORK}/buildah", "--runroot", f"{WORK}/buildah-run"]
    with open(f"{WORK}/Containerfile", "w", encoding="utf-8") as file:
        image(HELLO)
        file.write(f"FROM oci:{HELLO}/build/image:latest\nCOPY settings /app/settings\n")
    os.mkdir(f"{WORK}/context")
    with open(f"{WORK}/context/settings", "w", encoding="utf-8") as file:
        file.write("x")
    done = subprocess.run(["buildah", *store, "bud", "--isolation", "chroot", "-f", f"{WORK}/Containerfile", "-t",
                           "derived", WORK + "/context"], capture_output=True, text=True, timeout=120)
    if done.returncode != 0 and ("permission" in done.stderr.lower() or "not permitted" in done.stderr.lower()):
        return "buildah may not work here: " + done.stderr.strip().splitlines()[-1]
    assert done.returncode == 0, done.stderr
    run("buildah", *store, "push", "derived", f"oci-archive:{WORK}/derived.tar:z")
    run(CELLA, "image", "verify", f"{WORK}/derived.tar", "--mrsigner",
        image(HELLO)["annotations"]["cella.dev/mrsigner"])
    return None


def runtimes():
    """The hello container under each runtime that works here, with Cella's profile; what it forbids, is."""
    tried, skipped = [], []
    for name in ("runc", "crun"):
        program = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if not program:
            skipped.append(f"{name} is not installed")
            continue
        words = [CELLA, "run", "--container", "--runtime", program, HELLO, "--", "Ada"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        if done.returncode != 0 and "hybrid mode" in done.stderr and os.geteuid() == 0:
            # Both versions of cgroups are mounted here: only the older in a mount namespace of its own.
            hide = ["unshare", "-m", "sh", "-c", 'umount -l /sys/fs/cgroup/unified && exec "$@"', "sh"]
            words = hide + words
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        if done.returncode != 0 and any(t in done.stderr.lower() for t in ("permitted", "cgroup", "permission denied")):
            skipped.append(f"{name}: {done.stderr.strip().splitlines()[-1]}")
            continue
        assert done.returncode == 0 and "enclave (software processor): Hello Ada" in done.stdout, (name, done)
        tried.append((name, words))
    for name, words in tried:
        forbidden(words)
    print(f"  ran under: {', '.join(name for name, _ in tried) or 'none'}")
    return "; ".join(skipped) if not tried else None


FORBIDDEN = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#define REFUSED(call) do { errno = 0; long got = (long)(call); \
    printf("%s %s\n", got < 0 && (errno == EPERM || errno == EROFS || errno == EACCES || errno == ENOSYS) ? \
        "refused" : "ALLOWED", #call); } while (0)
int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    REFUSED(ptrace(PTRACE_TRACEME, 0, 0, 0));
    REFUSED(unshare(CLONE_NEWUSER));
    REFUSED(mount("none", "/tmp", "tmpfs", 0, ""));
    REFUSED(syscall(SYS_bpf, 0, 0, 0));
    REFUSED(syscall(SYS_keyctl, 0, 0, 0));
    REFUSED(syscall(SYS_io_uring_setup, 1, 0));
    REFUSED(syscall(SYS_userfaultfd, 0));
    REFUSED(syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
    REFUSED(syscall(SYS_setuid, 1));
    REFUSED(syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0));
    REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
    REFUSED(socket(AF_VSOCK, SOCK_STREAM, 0));
    REFUSED(ioctl(0, TIOCSTI, "x"));
    REFUSED(prctl(PR_SET_SECCOMP, 0));
    REFUSED(open("/app/x", O_CREAT | O_WRONLY, 0600));
    REFUSED(mknod("/tmp/null", S_IFCHR | 0666, 0x103));
    printf("uid %d nnp %d\n", (int)getuid(), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    return 0;
}
"""


def forbidden(words, env=None):
    """A host program that tries what a container must not do."""
    folder = f"{WORK}/forbidden"
    if not os.path.isdir(folder):
        project("forbidden", "--libc", "none")
        with open(f"{folder}/host/main.c", "w", encoding="utf-8") as file:
            file.write(FORBIDDEN + "void print_notice(const char *t) { (void)t; }\n")
    words = [folder if word == HELLO else word for word in words[:-2]]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0 and "ALLOWED" not in done.stdout, done
    assert done.stdout.count("refused ") == 16, done.stdout
    expected = "uid 65534 nnp 1" if os.geteuid() == 0 else "uid 0 nnp 1"
    assert expected in done.stdout, done.stdout


def runc():
    """runc, or why not."""
    program = shutil.which("runc", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    return (program, None) if program else (None, "runc is not installed")


def side_by_side():
    """Runs of one project at the same time, from before there is anything built: each is a container of its own."""
    program, why = runc()
    if not program:
        return why
    folder = project("together")
    def start(name):
        return subprocess.Popen(["timeout", "-s", "KILL", "90", CELLA, "run", "--container", "--runtime", program, folder,
                                 "--", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for _ in range(2):
        names = [f"Number{i}" for i in range(6)]
        said = [process.communicate()[0] for process in [start(name) for name in names]]
        for name, text in zip(names, said):
            assert f"Hello {name}, from inside" in text, said
    # Files laid out under any umask can be read in there, by nobody; what lies in the platform's folder is not followed.
    shutil.rmtree(f"{folder}/build/container")
    words = [CELLA, "run", "--container", "--runtime", program, folder, "--", "Umask"]
    assert "Hello Umask" in run("sh", "-c", 'umask 077 && exec "$@"', "sh", *words)
    os.symlink(f"{WORK}/hello", f"{folder}/build/container/platform/link")
    owner = os.stat(f"{WORK}/hello").st_uid
    run(*words)
    assert os.stat(f"{WORK}/hello").st_uid == owner
    # What has ended is cleared away by the next run; what runs stays, though its image is no longer the newest.
    with open(f"{folder}/host/main.c", encoding="utf-8") as file:
        text = file.read()
    with open(f"{folder}/host/main.c", "w", encoding="utf-8") as file:
        file.write(text.replace("int main(", "#include <unistd.h>\n__attribute__((constructor)) static void wait_here(void)\n"
                                "{ char byte; write(1, \"waiting\\n\", 8); read(0, &byte, 1); }\nint main(", 1))
    waiting = subprocess.Popen([CELLA, "run", "--container", "--runtime", program, folder, "--", "Ada"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while (line := waiting.stdout.readline()) != "waiting\n":
        assert line, "it does not wait"
    with open(f"{folder}/host/main.c", "w", encoding="utf-8") as file:
        file.write(text)
    said = start("Eve").communicate()[0]
    assert "Hello Eve" in said, said
    kept = os.listdir(f"{folder}/build/container")
    assert len([name for name in kept if name.startswith("rootfs-")]) == 2, kept
    said = waiting.communicate("\n")[0]
    assert "Hello Ada" in said, said
    said = start("Eve").communicate()[0]
    assert "Hello Eve" in said, said
    kept = os.listdir(f"{folder}/build/container")
    assert len([name for name in kept if name.startswith("run-")]) == 1, kept
    return None


def docker():
    """dockerd loads the archive and runs it, under `cella run --container` too; its containerd imports it and runs it."""
    if not shutil.which("dockerd") or not shutil.which("docker") or os.geteuid() != 0:
        return "dockerd is not installed, or this is not root"
    socket, log = f"{WORK}/docker.socket", f"{WORK}/dockerd.log"
    with open(log, "w", encoding="utf-8") as out:
        daemon = subprocess.Popen(["timeout", "200", "dockerd", "--data-root", f"{WORK}/docker", "--exec-root",
                                   f"{WORK}/docker-exec", "-p", f"{WORK}/docker.pid", "-H", "unix://" + socket,
                                   "--storage-driver", "vfs", "--iptables=false", "--bridge=none"], stdout=out, stderr=out)
    try:
        env = {**os.environ, "DOCKER_HOST": "unix://" + socket}
        for _ in range(150):
            if subprocess.run(["docker", "info"], capture_output=True, env=env).returncode == 0:
                break
            if daemon.poll() is not None:
                with open(log, encoding="utf-8") as file:
                    return "dockerd does not start here: " + file.read().strip().splitlines()[-1]
            time.sleep(0.1)
        report = image(HELLO, "-o", f"{WORK}/docker.tar", "--name", "hello:v3")
        assert "hello:v3" in run("docker", "load", "-i", f"{WORK}/docker.tar", env=env)
        labels = json.loads(run("docker", "inspect", "hello:v3", env=env))[0]["Config"]["Labels"]
        assert labels["cella.dev/mrenclave"] == report["annotations"]["cella.dev/mrenclave"]
        tight = ["--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
        assert "Hello Ada, from inside" in run("docker", "run", *tight, "hello:v3", "Ada", env=env)
        words = [CELLA, "run", "--container", "--runtime", "docker", HELLO, "--", "Eve"]
        assert "Hello Eve, from inside" in run(*words, env=env)
        forbidden(words, env=env)
        ctr = ["ctr", "-a", f"{WORK}/docker-exec/containerd/containerd.sock"]
        if shutil.which("ctr"):
            run(*ctr, "images", "import", f"{WORK}/docker.tar")
            assert report["digest"] in run(*ctr, "images", "ls")
            said = run(*ctr, "run", "--rm", "--snapshotter", "native", "docker.io/library/hello:v3", "one", "/app/hello",
                       "/app/hello.signed", "Bob")
            assert "Hello Bob, from inside" in said, said
            print("  ran under: docker, containerd")
    finally:
        daemon.terminate()
        daemon.wait(30)
    return None


def rootless():
    """The hello container in a user namespace of somebody without any right."""
    program, why = runc()
    if os.geteuid() != 0 or not program or not shutil.which("setpriv"):
        return why or "to become another user, this has to start as root"
    user = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    if subprocess.run([*user, "unshare", "-U", "true"], capture_output=True).returncode != 0:
        return "user namespaces are not for everybody here"
    if subprocess.run([*user, CELLA, "--version"], capture_output=True).returncode != 0:
        return "the build folder is not readable for others"
    os.chmod(WORK, 0o755)
    folder, home = f"{WORK}/rootless/hello", f"{WORK}/rootless"
    shutil.copytree(HELLO, folder)
    shutil.rmtree(f"{folder}/build/container", ignore_errors=True)
    run("chown", "-R", "12345:12345", home)
    env = {**os.environ, "HOME": home, "XDG_STATE_HOME": home + "/state", "XDG_RUNTIME_DIR": home}
    done = subprocess.run([*user, CELLA, "run", "--container", "--runtime", program, folder, "--", "Ada"],
                          capture_output=True, text=True, timeout=60, env=env, cwd=home)
    assert done.returncode == 0 and "enclave (software processor): Hello Ada" in done.stdout, done
    return None


def two_containers():
    """An enclave that serves attested TLS in one container, and a client in another that checks its evidence."""
    program, why = runc()
    if not program or os.geteuid() != 0:
        return why or "this has to start as root"
    folder = f"{WORK}/channel"
    shutil.copytree(f"{sys.argv[3]}/samples/channel", folder, ignore=shutil.ignore_patterns("build"))
    start = [CELLA, "run", "--container", "--runtime", program]
    done = subprocess.run([*start, "--bundle", folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    platform = ["--platform", f"{folder}/build/container/platform"]
    run(CELLA, "platform", "init", *platform)
    run(CELLA, "platform", "export-root", *platform, f"{WORK}/root.pem")
    run(CELLA, "platform", "export-collateral", *platform, f"{WORK}/collateral")
    signer = json.loads(run(CELLA, "inspect", "--json", f"{folder}/build/channel.signed"))["identities"][0]["mrsigner"]
    start += ["--network", "host", "--volume", f"{WORK}/collateral:/collateral", "--volume",
              f"{WORK}/root.pem:/root.pem", folder, "--"]
    trust = ["--collateral", "/collateral", "--root", "/root.pem"]
    server = subprocess.Popen(["timeout", "-s", "KILL", "90", *start, "serve", "28443", *trust, "--connections", "2"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = []
        while not said or "listening" not in said[-1]:
            said.append(server.stdout.readline())
            assert said[-1], said
        for name, status, text in ((signer, 0, "server"), ("07" * 32, 1, "does not know the signer")):
            done = subprocess.run([*start, "ask", "28443", *trust, "--signer", name], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60)
            assert done.returncode == status and text in done.stdout + done.stderr, done
        server.wait(timeout=30)
    finally:
        server.kill()
        server.wait()
    return None


def bundle():
    """The bundle's settings, and refusals in words."""
    folder = run(CELLA, "run", "--container", "--bundle", HELLO).strip()  # which needs no runtime
    with open(f"{folder}/config.json", encoding="utf-8") as file:
        config = json.load(file)
    assert config["root"] == {"path": "rootfs-" + image(HELLO, "-o", f"{WORK}/same", "--software")["digest"][7:23],
                              "readonly": True}, config["root"]
    assert os.listdir(f"{folder}/{config['root']['path']}/app")
    assert config["process"]["noNewPrivileges"] is True
    assert all(config["process"]["capabilities"][key] == [] for key in config["process"]["capabilities"])
    assert config["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    kinds = {row["type"] for row in config["linux"]["namespaces"]}
    assert {"pid", "ipc", "uts", "mount", "network"} <= kinds
    writable = [m["destination"] for m in config["mounts"] if m["type"] == "bind"]
    assert writable == ["/var/lib/cella/platform"]
    os.mkdir(f"{WORK}/bin")
    os.symlink("/bin/false", f"{WORK}/bin/crun")
    crun = ["--runtime", f"{WORK}/bin/crun"]
    none = {**os.environ, "PATH": "/nowhere"}
    for words, text in ((["--runtime", "rkt"], "expected runc, crun"), (["--network", "bridge"], "none or host"),
                        (["--runtime", "/nowhere/crun"], "apt-get install crun"),
                        ([*crun, "--seccomp", "/nowhere"], "/nowhere"), ([*crun, "--volume", "x"], "--volume"),
                        ([*crun, "--volume", "/nowhere:/x"], "/nowhere"), ([*crun, "--volume", "/tmp:x"], "absolute")):
        done = subprocess.run([CELLA, "run", "--container", *words, HELLO], capture_output=True, text=True)
        assert done.returncode == 1 and text in done.stderr, (words, done)
    done = subprocess.run([CELLA, "run", "--runtime", "crun", HELLO], capture_output=True, text=True, env=none)
    assert done.returncode == 2 and "go with --container" in done.stderr, done


try:
    HELLO = project("hello")
    own = (contents, quotes, containerfile, identity, reproducible, layers, sbom, options, traps, own_libraries, verify, bundle)
    peers = (skopeo, umoci, buildah, runtimes, side_by_side, docker, rootless, two_containers)
    for each in {"own": own, "peers": peers}[PART]:
        check(each)
finally:
    subprocess.run(["chmod", "-R", "u+w", WORK], check=False)
    shutil.rmtree(WORK, ignore_errors=True)
sys.exit(1 if failures else 0)
