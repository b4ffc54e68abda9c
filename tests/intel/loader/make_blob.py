"""The smallest enclave and its SIGSTRUCT, made without any of Cella's code: the loader's test has its own oracle.

usage: make_blob.py NUMBERS BLOB SIGSTRUCT    (NUMBERS: n, e, d of an RSA-3072 key with e = 3, one hexadecimal number a line)
"""
import hashlib
import struct
import sys

PAGE = 4096
SIZE = 4 * PAGE
READ, WRITE, EXECUTE, TCS, REG = 1, 2, 4, 0x100, 0x200

# movl $42, (%rdi); mov %rcx, %rbx; mov $4, %eax; enclu[EEXIT]
CODE = bytes.fromhex("c7072a000000" "4889cb" "b804000000" "0f01d7")


def tcs():
    """SDM Vol. 3D, 34.8: one SSA frame in page 2, entry at page 1."""
    fields = struct.pack("<QQQIIQQQQII", 0, 0, 2 * PAGE, 0, 1, PAGE, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF)
    return fields.ljust(PAGE, b"\0")


def measure(pages):
    digest = hashlib.sha256(b"ECREATE\0" + struct.pack("<IQ", 1, SIZE) + bytes(44))
    for offset, flags, data in pages:
        digest.update(b"EADD\0\0\0\0" + struct.pack("<QQ", offset, flags) + bytes(40))
        for at in range(0, PAGE, 256):
            digest.update(b"EEXTEND\0" + struct.pack("<Q", offset + at) + bytes(48) + data[at:at + 256])
    return digest.digest()


def sigstruct(mrenclave, n, d):
    """SDM Vol. 3D, 34.14."""
    body = bytearray(1808)
    struct.pack_into("<16sII16sI", body, 0, bytes.fromhex("06000000e10000000000010000000000"), 0, 0x20240101,
                     bytes.fromhex("01010000600000006000000001000000"), 0)
    body[128:512] = n.to_bytes(384, "little")
    struct.pack_into("<I", body, 512, 3)
    struct.pack_into("<II", body, 900, 0, 0xFFFFFFFF)
    struct.pack_into("<QQQQ", body, 928, 4, 3, 0xFFFFFFFFFFFFFFFD, 0xFFFFFFFFFFFFFFFC)
    body[960:992] = mrenclave
    message = bytes(body[0:128] + body[900:1028])
    prefix = bytes.fromhex("3031300d060960864801650304020105000420")
    padded = b"\0\1" + b"\xff" * (384 - 3 - len(prefix) - 32) + b"\0" + prefix + hashlib.sha256(message).digest()
    s = pow(int.from_bytes(padded, "big"), d, n)
    q1 = s * s // n
    q2 = (s ** 3 - q1 * s * n) // n
    body[516:900] = s.to_bytes(384, "little")
    body[1040:1424] = q1.to_bytes(384, "little")
    body[1424:1808] = q2.to_bytes(384, "little")
    return bytes(body)


def main():
    n, _, d = (int(line, 16) for line in open(sys.argv[1], encoding="ascii").read().split()[:3])
    code = CODE.ljust(PAGE, b"\0")
    pages = [(0, TCS, tcs()), (PAGE, REG | READ | EXECUTE, code), (2 * PAGE, REG | READ | WRITE, bytes(PAGE))]
    with open(sys.argv[2], "wb") as blob:
        blob.write(tcs() + code)
    with open(sys.argv[3], "wb") as file:
        file.write(sigstruct(measure(pages), n, d))


main()
