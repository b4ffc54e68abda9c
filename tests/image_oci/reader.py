"""
A reader of container images that shares no line with the writer: what image.py and hostile.py look with.
Side: tests. Layouts and archives; tar by Python's own module.
"""
import gzip
import hashlib
import io
import json
import os
import tarfile


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Image:
    def __init__(self, path):
        self.parts = {}
        if os.path.isdir(path):
            for root, _, files in os.walk(path):
                for name in files:
                    full = os.path.join(root, name)
                    with open(full, "rb") as data:
                        self.parts[os.path.relpath(full, path)] = data.read()
        else:
            with tarfile.open(path) as archive:
                for member in archive:
                    if member.isfile():
                        assert member.name not in self.parts, member.name
                        self.parts[member.name] = archive.extractfile(member).read()
        assert json.loads(self.parts["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
        self.index = json.loads(self.parts["index.json"])
        assert self.index["schemaVersion"] == 2 and len(self.index["manifests"]) == 1
        self.digest = self.index["manifests"][0]["digest"]
        self.manifest = json.loads(self.blob(self.index["manifests"][0]))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.layers = []
        for number, layer in enumerate(self.manifest["layers"]):
            assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
            plain = gzip.decompress(self.blob(layer))
            assert self.config["rootfs"]["diff_ids"][number] == "sha256:" + sha256(plain)
            self.layers.append(tarfile.open(fileobj=io.BytesIO(plain)))
        assert len(self.config["rootfs"]["diff_ids"]) == len(self.layers)

    def blob(self, descriptor):
        """The bytes of a descriptor, with its two promises kept."""
        data = self.parts["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]
        assert len(data) == descriptor["size"], descriptor
        assert "sha256:" + sha256(data) == descriptor["digest"], descriptor
        return data

    def files(self):
        """Every name of the image to (layer, member)."""
        names = {}
        for number, layer in enumerate(self.layers):
            for member in layer:
                names["/" + member.name.rstrip("/")] = (number, member)
        return names

    def read(self, name):
        number, member = self.files()[name]
        return self.layers[number].extractfile(member).read()
