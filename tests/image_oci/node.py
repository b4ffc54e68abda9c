#!/usr/bin/env python3
"""
cella image --node and --program: programs without an enclave, whole enough to start, the same each time, and read by the
tools for images that are there.
Side: tests. node.py CELLA
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

from reader import Image

CELLA = os.path.realpath(sys.argv[1])
WORK = tempfile.mkdtemp(prefix="cella-node-")
PROGRAMS = ("cella-device-plugin", "cella-quoted", "cella-webhook")


def run(*words, status=0):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, cwd=WORK)
    assert done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stderr if status else done.stdout


def unpacked(image):
    """The files, in a folder; layers are plain here: no file is replaced by a later one."""
    root = tempfile.mkdtemp(dir=WORK)
    for name, (_, member) in image.files().items():
        place = root + name
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if member.isfile():
            with open(place, "wb") as out:
                out.write(image.read(name))
            os.chmod(place, member.mode)
        elif member.issym():
            os.symlink(member.linkname, place)
    return root


def start(root, program):
    """By the image's own loader with the image's libraries and no others."""
    return run(f"{root}/lib64/ld-linux-x86-64.so.2", "--inhibit-cache", "--library-path", f"{root}/usr/lib/x86_64-linux-gnu",
               f"{root}/usr/bin/{program}", "--help")


def node():
    report = json.loads(run(CELLA, "image", "--node", "--json", "-o", "node"))
    again = json.loads(run(CELLA, "image", "--node", "--json", "-o", "again.tar"))
    assert report["digest"] == again["digest"] and report["name"] == "cella/node", (report["digest"], again["digest"])
    image = Image(f"{WORK}/node")
    names = {name for name, (_, member) in image.files().items() if not member.isdir()}
    rest = {name for name in names if not name.startswith(("/usr/lib/x86_64-linux-gnu/", "/lib64/"))}
    assert rest == {f"/usr/bin/{program}" for program in PROGRAMS} | {
        "/etc/passwd", "/etc/group", "/usr/lib/cella/cella-qe.signed", "/usr/lib/cella/cella-pce.signed",
        "/usr/share/cella/seccomp.json"}, rest
    config = image.config["config"]
    assert config["User"] == "65534:65534" and f"CELLA_QUOTE_ENCLAVES=/usr/lib/cella" in config["Env"], config
    assert config["Entrypoint"] == ["/usr/bin/cella-device-plugin"]
    assert json.loads(image.read("/usr/share/cella/seccomp.json"))["defaultAction"] == "SCMP_ACT_ERRNO"
    root = unpacked(image)
    for program in PROGRAMS:
        assert f"usage: {program}" in start(root, program), program


def program():
    """A program of anybody's; its own libraries beside it."""
    with open(f"{WORK}/part.c", "w", encoding="ascii") as out:
        out.write("int part(void) { return 7; }\n")
    with open(f"{WORK}/whole.c", "w", encoding="ascii") as out:
        out.write("#include <stdio.h>\nint part(void);\nint main(void) { printf(\"part %d\\n\", part()); return 0; }\n")
    run("cc", "-shared", "-fPIC", "-o", "libpart.so", "part.c")
    run("cc", "-o", "whole", "whole.c", "-L.", "-lpart", "-Wl,-rpath,$ORIGIN")
    run(CELLA, "image", "--program", "./whole", "--name", "whole:1", "-o", "whole-image")
    image = Image(f"{WORK}/whole-image")
    assert image.config["config"]["Entrypoint"] == ["/usr/bin/whole"] and image.config["config"]["WorkingDir"] == "/"
    assert start(unpacked(image), "whole") == "part 7\n"


def peers():
    done = []
    for tool, words in (("skopeo", ["skopeo", "inspect", "--raw", "oci:node"]),
                        ("umoci", ["umoci", "stat", "--image", f"node:{json.load(open(f'{WORK}/node/index.json', encoding='utf-8'))['manifests'][0]['annotations']['org.opencontainers.image.ref.name']}"])):
        if shutil.which(tool):
            run(*words)
            done.append(tool)
    print("read by", ", ".join(done) or "nobody: skopeo and umoci are not installed")


def refusals():
    for words, status, text in ((("--node",), 2, "-o"), (("--program", "./whole", "-o", "x"), 2, "--name"), (("--node", "-o", "x", "folder"), 2, "folder"),
                                (("--program", "./gone", "-o", "x", "--name", "x"), 1, "./gone"),
                                (("--program", "cella-gone", "-o", "x", "--name", "x"), 1, "cella-gone"),
                                (("--program", "./part.c", "-o", "x", "--name", "x"), 1, "part.c"),
                                (("--program", "./whole", "-o", "x", "--name", "X"), 1, "lower case")):
        assert text in run(CELLA, "image", *words, status=status), words


def main():
    failures = 0
    for check in (node, program, peers, refusals):
        try:
            check()
            print(f"ok {check.__name__}")
        except (AssertionError, KeyError, OSError, subprocess.TimeoutExpired) as problem:
            failures += 1
            print(f"not ok {check.__name__}: {problem!r}"[:2000])
    shutil.rmtree(WORK)
    return failures != 0


sys.exit(main())
