#!/usr/bin/env python3
"""
Runs a program under Cella's seccomp profile, loaded as container runtimes load it: by libseccomp.
Side: tests. profile.py PROFILE PROGRAM [ARGUMENT...]; the status is the program's; 77 (skipped) without libseccomp.
"""
import ctypes
import json
import os
import sys


class Argument(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


ALLOW, ERRNO = 0x7FFF0000, 0x00050000
OPERATORS = {"SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}


def action(rule):
    return ALLOW if rule["action"] == "SCMP_ACT_ALLOW" else ERRNO | rule.get("errnoRet", 1)


def load(profile):
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO" and profile["architectures"] == ["SCMP_ARCH_X86_64"]
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ERRNO | profile["defaultErrnoRet"])))
    for rule in profile["syscalls"]:
        arguments = [Argument(a["index"], OPERATORS[a["op"]], a["value"], a.get("valueTwo", 0))
                     for a in rule.get("args", [])]
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number == -1:
                continue  # newer than this libseccomp
            array = (Argument * len(arguments))(*arguments)
            added = library.seccomp_rule_add_array(context, ctypes.c_uint32(action(rule)), number, len(arguments), array)
            assert added == 0, (name, added)
    assert library.seccomp_load(context) == 0, "the filter cannot be loaded"


try:
    with open(sys.argv[1], encoding="utf-8") as file:
        load(json.load(file))
except OSError as error:
    print(f"skipped: {error}")
    sys.exit(77)
with open("/proc/self/status", encoding="utf-8") as status:
    assert "Seccomp:\t2" in status.read(), "no filter is active"
os.execv(sys.argv[2], sys.argv[2:])
