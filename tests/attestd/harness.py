"""Starts a Cella service for a test: its own folder, certificate and ports; stops it with the test.

Side: tests. Used by the scripts of tests/attestd and tests/pccs. Loopback only.
"""
import base64
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

SKIP = 77
ADMIN = "test-admin-token"


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate(folder, name, subject, extensions, algorithm=("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                signer=None):
    """Makes NAME.pem and NAME.key; self-signed, or signed by (certificate, key)."""
    command = ["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", subject, *algorithm,
               "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"]
    for extension in extensions:
        command += ["-addext", extension]
    if signer:
        command += ["-CA", signer[0], "-CAkey", signer[1]]
    subprocess.run(command, check=True, capture_output=True)
    return f"{folder}/{name}.pem", f"{folder}/{name}.key"


class Folder:
    """A folder that goes away with the test."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="cella-service-")
        return self.path

    def __exit__(self, *unused):
        shutil.rmtree(self.path, ignore_errors=True)


class Service:
    """A running service. `lines` are of its configuration, behind those for listening, TLS and the database."""

    def __init__(self, program, folder, lines, name="service", tls=True, admin=True):
        self.program, self.folder, self.name = program, folder, name
        os.makedirs(folder, exist_ok=True)
        self.port = free_port()
        self.plain_port = free_port()
        self.issuer = f"https://localhost:{self.port}"
        self.ca = f"{folder}/{name}-tls.pem"
        if not os.path.exists(self.ca):
            certificate(folder, f"{name}-tls", "/CN=localhost", ["subjectAltName=DNS:localhost,IP:127.0.0.1"])
        self.config = f"{folder}/{name}.conf"
        token = hashlib.sha256(ADMIN.encode()).hexdigest()
        text = [f"listen = tcp://127.0.0.1:{self.plain_port}", f"database = {folder}/{name}.sqlite"]
        if tls:
            text += [f"listen = tls://127.0.0.1:{self.port}", f"tls_certificate = {self.ca}",
                     f"tls_key = {folder}/{name}-tls.key"]
        if admin:
            text += [f"admin_token_sha256 = {token}"]
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("\n".join(text + [line.replace("@ISSUER@", self.issuer) for line in lines]) + "\n")
        self.process = None

    def start(self):
        self.log_path = f"{self.folder}/{self.name}.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([self.program, "--config", self.config], stderr=log)
        for _ in range(400):
            if self.process.poll() is not None:
                sys.stderr.write(self.log())
                raise SystemExit(f"{self.program} ended with {self.process.returncode}")
            try:
                if self.request("GET", "/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.025)
        raise SystemExit(f"{self.program} is not ready after 10 s")

    def log(self):
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def stop(self, expected=0):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=20)
        assert status == expected, f"{self.program} ended with {status}\n{self.log()[-2000:]}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *unused):
        if self.process and self.process.poll() is None:
            if kind:
                self.kill()
            else:
                self.stop()

    def request(self, method, path, body=None, headers=None, tls=False):
        """(status, headers, body) of one request."""
        if tls:
            context = ssl.create_default_context(cafile=self.ca)
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.plain_port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, headers=None):
        """(status, parsed body); `body` that is no string or bytes is sent as JSON."""
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        status, _, data = self.request(method, path, body, headers)
        return status, json.loads(data)

    def admin(self, method, path, body=None):
        return self.json(method, path, body, {"Authorization": f"Bearer {ADMIN}"})


def parts(token):
    """Header and payload of a JWS, unchecked."""
    header, payload, _ = token.split(".")
    return json.loads(unb64url(header)), json.loads(unb64url(payload) or b"null")


def jws(payload, key=None, header=None):
    """A JWS by the openssl program: RS256 with an RSA key file, `alg: none` without one."""
    header = dict(header or {}, alg="RS256" if key else "none")
    text = b64url(json.dumps(header).encode()) + "." + b64url(payload)
    if not key:
        return text + "."
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text.encode(), check=True,
                               capture_output=True).stdout
    return text + "." + b64url(signature)


def policy_body(text):
    return json.dumps({"AttestationPolicy": b64url(text.encode())}).encode()


def der64(pem):
    """A PEM certificate as an entry of x5c."""
    with open(pem, encoding="ascii") as file:
        lines = file.read().split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]
    return "".join(lines.split())
