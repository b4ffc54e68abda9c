#!/usr/bin/env python3
"""
Images that somebody made to mislead or to break a reader: each is refused with a word about why, or read as a container
engine would read it.
Side: tests. hostile.py CELLA
"""
import copy
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

from reader import Image

CELLA = os.path.realpath(sys.argv[1])
WORK = tempfile.mkdtemp(prefix="cella-hostile-")
os.environ["XDG_STATE_HOME"] = WORK + "/state"
failures = []


def tar(*entries, form=tarfile.GNU_FORMAT):
    """(name, bytes), (name, "->", target), (name, "=>", hard link's target), (name, "d") or a TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            if entry[1] == "->":
                info.type, info.linkname = tarfile.SYMTYPE, entry[2]
            elif entry[1] == "=>":
                info.type, info.linkname = tarfile.LNKTYPE, entry[2]
            elif entry[1] == "d":
                info.type = tarfile.DIRTYPE
            if isinstance(entry[1], bytes):
                info.size = len(entry[1])
                archive.addfile(info, io.BytesIO(entry[1]))
            else:
                archive.addfile(info)
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Made:
    """A layout of given layers (tar bytes), as a dictionary of parts that can be damaged before it is written."""

    def __init__(self, *layers, annotations=None, pack=gzip.compress, entrypoint=None):
        self.parts = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
        self.packed = [pack(layer) for layer in layers]
        self.config = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": entrypoint or []},
                       "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}}
        self.manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                         "annotations": annotations or {}}
        self.index = {"schemaVersion": 2, "manifests": [None]}

    def add(self, data):
        self.parts["blobs/sha256/" + digest(data)[7:]] = data
        return {"digest": digest(data), "size": len(data)}

    def finish(self):
        kind = "application/vnd.oci.image."
        self.manifest.setdefault("config", {"mediaType": kind + "config.v1+json",
                                            **self.add(json.dumps(self.config).encode())})
        self.manifest.setdefault("layers", [{"mediaType": kind + "layer.v1.tar+gzip", **self.add(layer)}
                                            for layer in self.packed])
        for number, row in enumerate(self.index["manifests"]):
            if row is None:
                self.index["manifests"][number] = {"mediaType": kind + "manifest.v1+json",
                                                   **self.add(json.dumps(self.manifest).encode())}
        self.parts.setdefault("index.json", json.dumps(self.index).encode())
        return self

    def archive(self, *more):
        return tar(*[(name, data) for name, data in self.parts.items()], *more)

    def write(self, path):
        for name, data in self.parts.items():
            os.makedirs(os.path.dirname(f"{path}/{name}"), exist_ok=True)
            with open(f"{path}/{name}", "wb") as file:
                file.write(data)


count = 0


def look(what, expected, text, *options):
    """Writes an image (Made: a folder, bytes: an archive) and has it verified: exit status and a part of what is said."""
    global count
    count += 1
    path = f"{WORK}/image{count}"
    if isinstance(what, Made):
        what.write(path)
    else:
        with open(path, "wb") as file:
            file.write(what)
    done = subprocess.run(["timeout", "-s", "KILL", "60", CELLA, "image", "verify", path, *options],
                          capture_output=True, text=True, errors="replace")
    said = done.stdout + done.stderr
    if done.returncode != expected or text not in said:
        failures.append((count, expected, text))
        print(f"not ok {count}: status {done.returncode}, expected {expected} and '{text}'\n{said[:600]}")
    shutil.rmtree(path, ignore_errors=True)


def project():
    subprocess.run([CELLA, "new", "hello", "--libc", "none"], cwd=WORK, check=True, capture_output=True)
    subprocess.run([CELLA, "image", WORK + "/hello"], check=True, capture_output=True)
    return Image(WORK + "/hello/build/image")


def names(enclave):
    """Paths and links in layers."""
    good = ("app/x.signed", enclave)
    look(Made(tar(good)).finish(), 0, "good")
    look(Made(tar(("./app/x.signed", enclave))).finish(), 0, "/app/x.signed")
    look(Made(tar(("/app//x.signed", enclave))).finish(), 0, "/app/x.signed")
    for name in ("../x", "a/../../x", "a/..", ".."):
        look(Made(tar(good, (name, b"x"))).finish(), 2, "'..'")
    look(Made(tar(good, good)).finish(), 2, "twice")
    look(Made(tar(good, ("./app/x.signed", b"other"))).finish(), 2, "twice")
    look(Made(tar(("a", b"x"), ("a/b", b"y"))).finish(), 2, "no folder")
    look(Made(tar(("l", "->", "l"), ("l/x", b"x"))).finish(), 2, "loop")
    look(Made(tar(("a", "->", "b"), ("b", "->", "a"), ("a/x", b"x"))).finish(), 2, "loop")
    look(Made(tar(("h", "=>", "nowhere"))).finish(), 2, "hard link")
    look(Made(tar(("h", "=>", "../../etc/passwd"))).finish(), 2, "..")
    look(Made(tar(("h", "=>", "h"))).finish(), 2, "hard link")
    look(Made(tar(("/".join("d" * 200), b"x"))).finish(), 2, "too deep")
    look(Made(tar(("a" * 5000, b"x"), form=tarfile.PAX_FORMAT)).finish(), 2, "too")
    # A link out of the tree leads to the tree's own root, as a container sees it: never to this machine's file.
    look(Made(tar(("app", "->", "/opt"), ("app/x.signed", enclave))).finish(), 0, "/opt/x.signed")
    look(Made(tar(("app", "->", "../../../../opt"), ("app/x.signed", enclave))).finish(), 0, "/opt/x.signed")
    look(Made(tar(("x.signed", "->", WORK + "/hello/build/hello.signed"))).finish(), 1, "no enclave")
    look(Made(tar(good, ("copy", "=>", "app/x.signed"))).finish(), 1, "2 enclaves")
    look(Made(tar(good, ("copy", "=>", "app/x.signed")), entrypoint=["/h", "/copy"]).finish(), 0, "/copy")


def whiteouts(enclave):
    """What a later layer takes away is not there."""
    first = tar(("app", "d"), ("app/x.signed", enclave))
    gone = "no enclave"
    look(Made(first, tar(("app/.wh.x.signed", b""))).finish(), 1, gone)
    look(Made(first, tar((".wh.app", b""))).finish(), 1, gone)
    look(Made(first, tar(("app/.wh..wh..opq", b""))).finish(), 1, gone)
    look(Made(first, tar(("app", b"a file now"))).finish(), 1, gone)
    look(Made(first, tar(("app/x.signed", b"no enclave any more"))).finish(), 1, gone)
    look(Made(first, tar(("app/.wh.x.signed", b"")), first).finish(), 0, "/app/x.signed")
    look(Made(first, tar(("app/y.signed", enclave), ("app/.wh..wh..opq", b""))).finish(), 0, "/app/y.signed")
    look(Made(first, tar(("app/.wh.", b""))).finish(), 2, "layer 1")
    look(Made(first, tar(("app/.wh...", b""))).finish(), 2, "layer 1")


def claims(enclave, annotations):
    """Annotations, measurement and signature must agree."""
    layer = tar(("app/hello.signed", enclave))
    look(Made(layer, annotations=annotations).finish(), 0, "compared")
    for key, value in (("mrenclave", "00" * 32), ("mrsigner", "00" * 32), ("svn", "2"), ("debug", "false"),
                       ("threads", "1"), ("product-id", "9")):
        look(Made(layer, annotations={**annotations, "cella.dev/" + key: value}).finish(), 1, "cella.dev/" + key)
    look(Made(layer, annotations={"cella.dev/enclave": "/app/other"}).finish(), 1, "no enclave")
    look(Made(layer, annotations={"cella.dev/svn": 1}).finish(), 1, "no text")
    other = bytearray(enclave)
    at = enclave.index(b"CellaEexitSite01")
    other[at + 20] ^= 1
    look(Made(tar(("app/hello.signed", bytes(other)))).finish(), 1, "not the one that was signed")
    modulus = bytes.fromhex("06000000e10000000000010000000000")
    other = bytearray(enclave)
    other[enclave.index(modulus) + 128 + 384 + 4 + 100] ^= 1
    look(Made(tar(("app/hello.signed", bytes(other)))).finish(), 1, "signature is not valid")
    look(Made(tar(("app/hello.signed", enclave[:len(enclave) // 2]))).finish(), 1, "")
    two = tar(("app/hello.signed", enclave), ("app/b.signed", enclave))
    look(Made(two, annotations=annotations).finish(), 0, "also there")
    look(Made(two, annotations=annotations).finish(), 1, "another enclave", "--only")


def digests(enclave):
    """Digests and sizes that are not those of the bytes."""
    def damaged(change):
        made = Made(tar(("app/x.signed", enclave)))
        made.finish()
        change(made)
        return made

    def swap(made):  # the layer is another one than the digest says
        name = "blobs/sha256/" + made.manifest["layers"][0]["digest"][7:]
        made.parts[name] = gzip.compress(tar(("app/x.signed", b"evil")))
    look(damaged(swap), 2, "digest")

    def swap_config(made):
        made.parts["blobs/sha256/" + made.manifest["config"]["digest"][7:]] = b"{}"
    look(damaged(swap_config), 2, "digest")

    def swap_manifest(made):
        made.parts["blobs/sha256/" + made.index["manifests"][0]["digest"][7:]] += b" "
    look(damaged(swap_manifest), 2, "digest")

    def longer(made):
        name = "blobs/sha256/" + made.manifest["layers"][0]["digest"][7:]
        made.parts[name] += b"\0" * 100
    look(damaged(longer), 2, "layer 0")

    def missing(made):
        del made.parts["blobs/sha256/" + made.manifest["layers"][0]["digest"][7:]]
    look(damaged(missing), 2, "No such file")
    made = Made(tar(("app/x.signed", enclave)))
    made.config["rootfs"]["diff_ids"] = [digest(b"")]
    look(made.finish(), 2, "unpacked it has digest")
    made = Made(tar(("app/x.signed", enclave)))
    made.config["rootfs"]["diff_ids"] = []
    look(made.finish(), 2, "diff_ids")


def shapes(enclave):
    """JSON of any shape, nesting, and media types."""
    layer = tar(("app/x.signed", enclave))
    for value in (b"", b"[]", b"{}", b"null", b'{"manifests": 1}', b'{"manifests": [1]}', b'{"manifests": [{}]}',
                  b"[" * 100000, b'{"a": 1, "a": 2}', b'\xff\xfe', b'{"manifests": [{"digest": "sha256:../../x", '
                  b'"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1}]}'):
        made = Made(layer).finish()
        made.parts["index.json"] = value
        look(made, 2, "image verify:")
    for text in (b"", b"{}", b'{"imageLayoutVersion": "2.0.0"}', b'{"imageLayoutVersion": 1}'):
        made = Made(layer).finish()
        made.parts["oci-layout"] = text
        look(made, 2, "oci-layout")
    for key, value in (("digest", "sha512:" + "0" * 128), ("digest", "sha256:" + "A" * 64), ("digest", 7),
                       ("size", -1), ("size", "1"), ("size", 1e300), ("mediaType", "text/plain"), ("mediaType", None)):
        made = Made(layer).finish()
        made.index["manifests"][0][key] = value
        made.parts["index.json"] = json.dumps(made.index).encode()
        look(made, 2, "image verify:")
    for kind in ("application/vnd.oci.image.layer.v1.tar+xz", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"):
        made = Made(layer)
        made.manifest["layers"] = [{"mediaType": kind, **made.add(made.packed[0])}]
        look(made.finish(), 2, "layer 0")
    made = Made(layer)
    made.manifest["layers"] = [{"mediaType": "x", "digest": digest(b""), "size": 0}] * 1000
    look(made.finish(), 2, "more than")
    nested = Made(layer).finish()
    for depth in range(6):
        inner = json.dumps(nested.index).encode()
        nested.index = {"manifests": [{"mediaType": "application/vnd.oci.image.index.v1+json", **nested.add(inner)}]}
        nested.parts["index.json"] = json.dumps(nested.index).encode()
        look(copy.deepcopy(nested), 0 if depth < 3 else 2, "good" if depth < 3 else "indexes in indexes")
    made = Made(layer)
    made.index["manifests"] = [None, None]
    look(made.finish(), 2, "2 images")


def layers(enclave):
    """Bytes that are no tar, other compressions, and layers that grow without end."""
    layer = tar(("app/x.signed", enclave))
    look(Made(layer, pack=lambda data: data).finish(), 0, "good")
    look(Made(layer + b"\0" * 10240).finish(), 0, "good")
    look(Made(b"").finish(), 1, "no enclave")
    look(Made(b"no tar at all" * 100).finish(), 2, "layer 0")
    look(Made(layer[:len(layer) // 2]).finish(), 2, "layer 0")
    cut = Made(layer)
    cut.packed = [cut.packed[0][:-20]]
    look(cut.finish(), 2, "layer 0")
    huge = tarfile.TarInfo("huge")
    huge.size = 1 << 60
    out = io.BytesIO()
    out.write(huge.tobuf(tarfile.GNU_FORMAT))
    look(Made(out.getvalue() + b"\x7fELF" + b"\0" * 1020).finish(), 2, "layer 0")
    # A gigabyte of zeros in a megabyte is read, and is nothing; in little memory.
    bomb = tarfile.TarInfo("zeros")
    bomb.size = 1 << 28
    made = Made(bomb.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 28) + bytes(1024), pack=lambda d: gzip.compress(d, 1))
    look(made.finish(), 1, "no enclave")


def header(name, size, kind, magic=b"ustar\x0000", prefix=b""):
    """One header of a tar archive, byte by byte."""
    block = bytearray(512)
    block[:len(name)] = name.encode()
    block[100:124] = b"0000644\0" + 2 * b"0000000\0"
    block[124:148] = b"%011o\0%011o\0" % (size, 0)
    block[156:157], block[257:265], block[345:345 + len(prefix)] = kind, magic, prefix
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def body(data):
    return data + bytes(-len(data) % 512)


def extension(kind, data):
    return header("extension", len(data), kind) + body(data)


def records(**values):
    """Records of a pax header: LENGTH KEY=VALUE."""
    out = b""
    for key, value in values.items():
        text = f" {key}={value}\n".encode()
        length = len(text) + 1
        while len(str(length)) + len(text) != length:
            length = len(str(length)) + len(text)
        out += b"%d" % length + text
    return out


END = bytes(1024)


def readers(enclave):
    """Archives that readers understand in different ways: Go's lays out an evil enclave where libarchive sees a good one."""
    name, evil = "app/hello.signed", b"evil" * 100
    good, entry = tar((name, enclave)), header("q", len(evil), b"0") + body(evil)
    long_name = extension(b"L", name.encode() + b"\0")
    cases = {
        "two names": [extension(b"x", records(path="tmp/z")) + long_name + entry,
                      long_name + extension(b"x", records(path="tmp/z")) + entry,
                      extension(b"x", records(linkpath="z")) + extension(b"K", b"z\0") + header("q", 0, b"2")],
        "of a kind": [extension(b"x", records(path="tmp/z")) + extension(b"x", records(path=name)) + entry,
                      long_name + long_name + entry],
        "extended header": [extension(b"x", records(path="tmp/z") + records(path=name)) + entry,
                            extension(b"x", records(path=name + "\0x")) + entry,
                            extension(b"x", b"7 path=x\n") + entry, extension(b"x", b"99 path=x\n") + entry,
                            extension(b"x", b"10 pathx=\n\n"[:-1] + b"x") + entry, extension(b"x", b"x") + entry,
                            extension(b"x", records(size="0x1")) + entry, extension(b"x", records(size="-1")) + entry,
                            header("x", 1 << 21, b"x") + bytes(1 << 21) + entry],
        "global header": [extension(b"g", records(path=name)) + entry, extension(b"g", records(size="0")) + entry],
        "two sizes": [extension(b"x", records(size="0")) + entry, extension(b"x", records(size="1536")) + entry],
        "with content": [header("tmp/", 1024, b"5") + header(name, 4, b"0") + body(b"evil"),
                         header("l", 1024, b"2") + entry, header("h", 1024, b"1") + entry],
        "ends in '/'": [header(name + "/", len(evil), b"0") + body(evil),
                        extension(b"x", records(path=name + "/")) + entry],
        "unknown kind": [header(name, len(evil), b"7") + body(evil), header(name, len(evil), b"S") + body(evil),
                         header("hello.signed", len(evil), b"0", b"ustar  \0", b"app") + body(evil),
                         header("hello.signed", len(evil), b"0", b"ustarXXX", b"app") + body(evil),
                         header("hello.signed", len(evil), b"0", bytes(8), b"app") + body(evil)],
        "sparse": [extension(b"x", records(**{"GNU.sparse.major": "1"})) + entry],
        "archive's end": [header("a", 0, b"0") + bytes(512) + entry, header("a", 0, b"0") + END + entry],
        "layer 1": [entry[:700], header("a", 0, b"0") + extension(b"x", records(mtime="1")),
                    entry[:300] + b"X" + entry[301:]],
    }
    for text, tails in cases.items():
        for tail in tails:
            look(Made(good, tail + (b"" if text in ("archive's end", "layer 1") else END)).finish(), 2, text)
    # The same in the archive around: docker would read another list than we.
    outer = Made(good).finish().archive()
    look(outer.rstrip(b"\0") + bytes(-len(outer.rstrip(b"\0")) % 512) +
         extension(b"x", records(path="z")) + extension(b"L", b"index.json\0") + entry + END, 2, "two names")
    # What archivers write is understood: each format, long names, names in other scripts, extended headers for all files.
    deep = "app/" + "long/" * 40 + "Főtanúsítvány"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        look(Made(tar((deep, b"x"), ("app", "d"), ("app/l", "->", deep), (name, enclave), ("app/h", "=>", name),
                      form=form)).finish(), 0, "good", "--enclave", "/" + name)
    look(Made(extension(b"g", records(comment="a commit")) + tar((name, enclave))).finish(), 0, "good")
    look(Made(extension(b"x", records(mtime="1.5", **{"SCHILY.xattr.user.x": "a\0b"})) + tar((name, enclave))).finish(), 0,
         "good")
    made_by_tar(name, enclave)


def made_by_tar(name, enclave):
    """GNU tar's formats."""
    folder = f"{WORK}/tree"
    os.makedirs(f"{folder}/app/" + "long/" * 15)
    with open(f"{folder}/{name}", "wb") as file:
        file.write(enclave)
    os.symlink("hello.signed", f"{folder}/app/link")
    os.link(f"{folder}/{name}", f"{folder}/app/hard")
    for form in ("gnu", "oldgnu", "posix", "ustar", "v7"):
        done = subprocess.run(["tar", "-c", f"--format={form}", "-C", folder, "app"], capture_output=True, check=True)
        look(Made(done.stdout).finish(), 0, "good", "--enclave", "/" + name)


def archives(enclave):
    """The archive around: names, links, and two lists that say different things."""
    layer = tar(("app/x.signed", enclave))
    made = Made(layer).finish()
    look(made.archive(), 0, "OCI archive")
    look(gzip.compress(made.archive()), 0, "OCI archive")
    look(made.archive(("../x", b"x")), 2, "leads out")
    look(made.archive(("/x", b"x")), 2, "leads out")
    look(made.archive(("x", "->", "/etc/passwd")), 2, "link out")
    look(made.archive(("x", "->", "../../etc/passwd")), 2, "link out")
    look(made.archive(("index.json", b"{}")), 2, "twice")
    look(made.archive()[:5000], 2, "image verify:")
    many = [(f"blobs/sha256/{i:064x}", b"") for i in range(60000)]  # quickly, too
    look(gzip.compress(made.archive(*many), 1), 0, "OCI archive")
    look(gzip.compress(made.archive(*many, *many), 1), 2, "image verify:")
    look(b"nothing", 2, "not a tar archive")
    look(tar(("a", b"b")), 2, "no container image")

    def docker(layers, config=None, names=None, links=()):
        config = json.dumps(config if config is not None else
                            {"rootfs": {"diff_ids": [digest(data) for data in layers]}}).encode()
        rows = [{"Config": "c.json", "RepoTags": ["hello:v1"],
                 "Layers": names or [f"{i}/layer.tar" for i in range(len(layers))]}]
        return tar(("manifest.json", json.dumps(rows).encode()), ("c.json", config),
                   *[(f"{i}/layer.tar", data) for i, data in enumerate(layers)], *links)
    look(docker([layer]), 0, "docker archive")
    look(docker([layer], names=["l/layer.tar"], links=[("l/layer.tar", "->", "../0/layer.tar")]), 0, "docker archive")
    look(docker([layer], names=["a"], links=[("a", "->", "b"), ("b", "->", "a")]), 2, "no part a")
    look(docker([layer], names=["../0/layer.tar"]), 2, "no part")
    look(docker([layer], config={}), 2, "diff_ids")
    look(docker([layer], config={"rootfs": {"diff_ids": [digest(b"x")]}}), 2, "unpacked it has digest")
    other = tar(("app/x.signed", b"another thing"))
    evil = Made(other)
    row = {"Config": "blobs/sha256/" + evil.add(json.dumps(evil.config).encode())["digest"][7:], "RepoTags": None,
           "Layers": ["blobs/sha256/" + evil.add(evil.packed[0])["digest"][7:]]}
    made = Made(layer).finish()
    made.parts.update(evil.parts)
    look(made.archive(("manifest.json", json.dumps([row]).encode())), 2, "manifest.json names other parts")
    row = {"Config": "blobs/sha256/" + made.manifest["config"]["digest"][7:], "RepoTags": None,
           "Layers": ["blobs/sha256/" + made.manifest["layers"][0]["digest"][7:]]}
    look(made.archive(("manifest.json", json.dumps([row]).encode())), 0, "good")


def folders(enclave):
    """A layout whose parts are links, or no files at all."""
    for change in ("link", "folder", "fifo"):
        path = f"{WORK}/links-{change}"
        made = Made(tar(("app/x.signed", enclave))).finish()
        made.write(path)
        part = f"{path}/blobs/sha256/" + made.manifest["layers"][0]["digest"][7:]
        os.rename(part, WORK + "/moved")
        if change == "link":
            os.symlink(WORK + "/moved", part)
        elif change == "folder":
            os.mkdir(part)
        else:
            os.mkfifo(part)
        done = subprocess.run(["timeout", "-s", "KILL", "20", CELLA, "image", "verify", path], capture_output=True,
                              text=True)
        if done.returncode != 2:
            failures.append(change)
            print(f"not ok a blob that is a {change}: {done}")


try:
    made_by_us = project()
    ENCLAVE = made_by_us.read("/app/hello.signed")
    names(ENCLAVE)
    whiteouts(ENCLAVE)
    claims(ENCLAVE, made_by_us.manifest["annotations"])
    digests(ENCLAVE)
    shapes(ENCLAVE)
    layers(ENCLAVE)
    readers(ENCLAVE)
    archives(ENCLAVE)
    folders(ENCLAVE)
    print(f"{count} images, {len(failures)} judged wrongly")
finally:
    shutil.rmtree(WORK, ignore_errors=True)
sys.exit(1 if failures else 0)
