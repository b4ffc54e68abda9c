"""cella-attestd under bad clients: 1,000 connections, slow, broken and oversized requests, a kill while it writes, a drain.

Usage: robustness.py ATTESTD MAKE_EVIDENCE [CONNECTIONS [IDLE_MIB]]. Side: tests.
"""
import base64
import json
import os
import random
import resource
import select
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time

from harness import Folder, Service, b64url, jws, parts, policy_body, read

CONNECTIONS = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
VERSION = "?api-version=2020-10-01"


def connect(service):
    sock = socket.create_connection(("127.0.0.1", service.plain_port), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def answer(sock, seconds=10):
    """All that comes until the peer closes, or the whole first answer."""
    sock.settimeout(seconds)
    data = b""
    try:
        while True:
            piece = sock.recv(65536)
            if not piece:
                return data
            data += piece
            head, found, body = data.partition(b"\r\n\r\n")
            if found:
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:") and len(body) >= int(line.split(b":")[1]):
                        return data
    except (TimeoutError, ConnectionResetError):
        return data


def raw(service, data):
    with connect(service) as sock:
        sock.sendall(data)
        return answer(sock)


def status_of(data):
    return int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.1 ") else 0


def alive(service):
    assert service.request("GET", "/healthz")[0] == 200


def memory(service):
    with open(f"/proc/{service.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def test_broken(service):
    long = b"x" * 70000
    cases = {
        b"\r\n\r\n": {0, 400}, b"GET\r\n\r\n": {0, 400}, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n": {0, 400},
        b"GET / HTTP/9.9\r\n\r\n": {0, 400, 505, 200}, b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n": {0, 400, 501},
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n": {0, 400},
        b"GET /" + long + b" HTTP/1.1\r\nHost: x\r\n\r\n": {0, 400, 413, 414},
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + long + b"\r\n\r\n": {0, 400, 413, 431},
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20000 + b"\r\n": {0, 400, 413, 431},
        b"POST /attest/SgxEnclave HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n": {0, 400},
        b"POST /attest/SgxEnclave HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n": {0, 400, 413},
        b"POST /attest/SgxEnclave HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x": {400},
        b"POST /attest/SgxEnclave HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": {400},
        b"POST /attest/SgxEnclave HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n": {0, 400},
        b"POST /attest/SgxEnclave HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n": {0, 400, 413},
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n": {400},
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /": {400},
        b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n": {400}, b"GET * HTTP/1.1\r\nHost: x\r\n\r\n": {0, 400, 404},
        b"GET /policies/%2e%2e%2f HTTP/1.1\r\nHost: x\r\n\r\n": {400, 401, 404},
        b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n": {200}, b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n": {404, 405},
    }
    for request, expected in cases.items():
        found = status_of(raw(service, request))
        assert found in expected, (request[:80], found, expected)
    # what follows a request that was refused as ambiguous is not taken for another one
    inner = b"GET /certs HTTP/1.1\r\nHost: x\r\n\r\n"
    data = raw(service, b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner)
    assert data.count(b"HTTP/1.1") == 1 and b"Connection: close" in data
    # pipelined ones are answered in turn
    with connect(service) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        data = b""
        while data.count(b"HTTP/1.1 200") < 3:
            data += sock.recv(65536)
    alive(service)


def test_oversized(service):
    # a body that says it is too long, and one that only becomes so
    with connect(service) as sock:
        sock.sendall(b"POST /attest/SgxEnclave HTTP/1.1\r\nHost: x\r\nContent-Length: 1200000\r\n\r\n" + b"x" * 1200000)
        assert status_of(answer(sock)) == 413
    with connect(service) as sock:
        sock.sendall(b"POST /attest/SgxEnclave HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(400):
                sock.sendall(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert status_of(answer(sock)) in (0, 400, 413)
    deep = b'{"a":' * 20000
    assert status_of(raw(service, b"POST /attest/SgxEnclave" + VERSION.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(deep) + deep)) == 400
    alive(service)


def test_noise(service, seed=7):
    """A good request with bytes changed, cut, and in pieces: an answer or a closed connection, never silence."""
    generator = random.Random(seed)
    good = b'POST /attest/SgxEnclave?api-version=2020-10-01 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"quote":"AAAA"}'
    for _ in range(300):
        changed = bytearray(good)
        for _ in range(generator.randint(1, 6)):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
        with connect(service) as sock:
            at = generator.randrange(len(changed))
            try:
                sock.sendall(changed[:at])
                sock.sendall(changed[at:])
                sock.shutdown(socket.SHUT_WR)
                answer(sock, 5)
            except OSError:  # the service has closed it already
                pass
    alive(service)


def test_slow(service):
    """A byte now and then does not hold a connection longer than request_seconds; nor does silence after a handshake."""
    def drip(sock, seconds):
        start = time.monotonic()
        message = b"POST /attest/SgxEnclave HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n" + b"x" * 10000
        try:
            for byte in message:
                sock.sendall(bytes([byte]))
                if select.select([sock], [], [], 0.05)[0] and not sock.recv(4096):
                    break
                if time.monotonic() - start > seconds:
                    raise AssertionError("a slow request was not cut")
        except (BrokenPipeError, ConnectionResetError):
            pass
        return time.monotonic() - start

    with connect(service) as sock:
        taken = drip(sock, 6)
        assert 1.5 < taken < 5, taken
    with connect(service) as sock:
        start = time.monotonic()
        sock.settimeout(6)
        assert sock.recv(1) == b"" and time.monotonic() - start < 5
    # TLS that never shakes hands
    with socket.create_connection(("127.0.0.1", service.port), timeout=6) as sock:
        start = time.monotonic()
        assert sock.recv(1) == b"" and time.monotonic() - start < 5
    alive(service)


def test_connections(service):
    """1,000 open connections, plain and TLS: others are served, memory stays small, and the next one above the limit is refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard > 0 else 8192, hard))
    before = memory(service)
    socks = []
    for index in range(CONNECTIONS):
        sock = connect(service)
        if index % 2:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        socks.append(sock)
    context = ssl.create_default_context(cafile=service.ca)
    for _ in range(50):
        socks.append(context.wrap_socket(socket.create_connection(("127.0.0.1", service.port)), server_hostname="localhost"))
    start = time.monotonic()
    for _ in range(100):
        alive(service)
    taken = time.monotonic() - start
    text = service.request("GET", "/metrics")[2].decode()
    count = int(next(line.split()[1] for line in text.splitlines() if line.startswith("cella_http_connections ")))
    assert count >= CONNECTIONS + 50, count
    # half of them end their request
    answered = 0
    for sock in socks[1:CONNECTIONS:2]:
        sock.sendall(b"\r\n")
    for sock in socks[1:CONNECTIONS:2]:
        answered += status_of(answer(sock)) == 200
    assert answered == CONNECTIONS // 2, answered
    after = memory(service)
    for sock in socks:
        sock.close()
    print(f"   {count} connections: {before} KiB before, {after} KiB with them, 100 requests in {taken:.2f} s")
    assert after - before < 65536
    alive(service)


def test_limit(program, folder, lines):
    with Service(program, f"{folder}/limit", lines + ["connections_max = 20"]) as service:
        socks = [connect(service) for _ in range(30)]
        time.sleep(0.3)
        closed = 0
        for sock in socks:
            sock.settimeout(0.05)
            try:
                closed += sock.recv(1) == b""
            except TimeoutError:
                pass
        assert 10 <= closed <= 12, closed
        for sock in socks:
            sock.close()
        time.sleep(0.2)
        alive(service)


def test_kill(service, rounds=4):
    """Killed while administrators write: what was answered is there afterwards, and the database opens."""
    for round_number in range(rounds):
        confirmed = [-1]
        started = threading.Event()

        def write():
            try:
                for number in range(10000):
                    text = f'version=1.0; authorizationrules{{=> permit();}}; issuancerules{{=> issue(type="n", value={number});}};'
                    if service.admin("PUT", f"/policies/SgxEnclave{VERSION}", jws(policy_body(text)))[0] == 200:
                        confirmed[0] = number
                    started.set()
            except (OSError, ValueError):
                pass
            except Exception:  # http.client's own: the service went away
                pass

        writer = threading.Thread(target=write)
        writer.start()
        started.wait(10)
        time.sleep(0.05 + 0.05 * round_number)
        service.kill()
        writer.join()
        service.start()
        stored = parts(parts(service.admin("GET", f"/policies/SgxEnclave{VERSION}")[1]["token"])[1]["x-ms-policy"])[1]
        text = base64.urlsafe_b64decode(stored["AttestationPolicy"] + "==").decode()
        number = int(text.split("value=")[1].split(")")[0])
        assert confirmed[0] <= number <= confirmed[0] + 1, (confirmed, number)
    print(f"   killed {rounds} times; the last confirmed write was number {confirmed[0]}")


def test_disk(program, folder, lines):
    """A database that is not one, and one of a later version, are refused with a reason."""
    junk = Service(program, f"{folder}/junk", lines)
    with open(f"{folder}/junk/service.sqlite", "wb") as file:
        file.write(b"not a database" * 100)
    done = subprocess.run([program, "--config", junk.config], capture_output=True, timeout=20, check=False)
    assert done.returncode == 1 and b"service.sqlite" in done.stderr, done.stderr
    later = Service(program, f"{folder}/later", lines)
    later.start()
    # two services do not share a database
    done = subprocess.run([program, "--config", later.config], capture_output=True, timeout=20, check=False)
    assert done.returncode == 1, done.stderr
    later.stop()
    database = sqlite3.connect(f"{folder}/later/service.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.commit()
    database.close()
    done = subprocess.run([program, "--config", later.config], capture_output=True, timeout=20, check=False)
    assert done.returncode == 1 and b"later version" in done.stderr, done.stderr


def test_drain(service, quote):
    """SIGTERM: what is under way is answered, idle connections go, new ones are refused."""
    body = json.dumps({"quote": quote}).encode()
    with connect(service) as busy, connect(service) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status_of(answer(idle)) == 200
        busy.sendall(b"POST /attest/SgxEnclave" + VERSION.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        data = answer(busy)
        assert status_of(data) == 200
        start = time.monotonic()
        service.stop()
        assert time.monotonic() - start < 3
        idle.settimeout(5)
        assert idle.recv(1) == b""
    log = [json.loads(line) for line in service.log().splitlines()]
    assert log[-1]["event"] == "stopped" and {"time", "level", "service"} <= set(log[-1])


def test_descriptors(program, folder, lines):
    """No descriptors for more connections: it waits for some, and does not turn in circles or fill its log."""
    with Service(program, f"{folder}/descriptors", lines, tls=False) as service:
        pid = service.process.pid
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64))

        def seconds():
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        before = seconds()
        held = [connect(service) for _ in range(100)]
        time.sleep(1.5)
        assert seconds() - before < 0.7, seconds() - before
        for sock in held:
            sock.close()
        time.sleep(0.5)
        alive(service)
        assert len(service.log().splitlines()) < 300


def main():
    program, make_evidence = sys.argv[1:3]
    idle_max = int(sys.argv[4]) if len(sys.argv) > 4 else 32
    with Folder() as folder:
        subprocess.run([make_evidence, f"{folder}/evidence"], check=True)
        lines = ["issuer = @ISSUER@", f"root = {folder}/evidence/root.pem", f"collateral = {folder}/evidence/collateral",
                 "request_seconds = 2", "idle_seconds = 20", "drain_seconds = 5", "built_in_roots = no"]
        with Service(program, f"{folder}/main", lines) as service:
            print(f"   idle: {memory(service)} KiB")
            assert memory(service) < idle_max * 1024
            for test in (test_broken, test_oversized, test_noise, test_slow, test_connections, test_kill):
                test(service)
                print(f"ok {test.__name__}")
            test_drain(service, b64url(read(f"{folder}/evidence/good.quote")))
            print("ok test_drain")
        test_limit(program, folder, lines)
        test_disk(program, folder, lines)
        test_descriptors(program, folder, lines)
        print("ok test_limit, test_disk, test_descriptors")


if __name__ == "__main__":
    main()
