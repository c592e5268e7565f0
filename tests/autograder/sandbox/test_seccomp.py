"""The seccomp filter's decision on each system call, for both architectures, by an interpreter of its BPF program."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from autograder.sandbox.seccomp import DENIED, EXPOSED, SPECIAL, build_filter

# <linux/audit.h>: AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64, and 32-bit calls on an x86 machine.
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
AUDIT_ARCH_I386 = 0x40000003
# The system's own tables of call numbers; aarch64 uses the generic one.
HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}
# Calls that training needs: read, write, mmap, futex, execve, kill, socketpair, exit_group.
NEEDED = {"x86_64": (0, 1, 9, 202, 59, 62, 53, 231), "aarch64": (63, 64, 222, 98, 221, 129, 199, 94)}
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of <linux/sched.h>.
NEW_SPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
THREAD = 0x003D0F00  # the flags with which libc starts a thread
UNIX, INET, INET6, NETLINK, PACKET = 1, 2, 10, 16, 17
HIGH = 1 << 32  # the kernel reads only the low 32 bits of these arguments, so higher bits must not hide them
both = pytest.mark.parametrize("machine", ARCH)
ways = pytest.mark.parametrize("exposed", [False, True])


def run_bpf(program: bytes, data: bytes) -> int:
    """Interpret a classic BPF program (linux/filter.h) on `data`, as far as seccomp needs it, and return its value."""
    instructions, at, value = list(struct.iter_unpack("=HBBI", program)), 0, 0
    while True:
        code, true, false, k = instructions[at]
        at += 1
        if code == 0x06:  # BPF_RET | BPF_K
            return k
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            (value,) = struct.unpack_from("=I", data, k)
            continue
        tests = {0x15: value == k, 0x25: value > k, 0x35: value >= k, 0x45: bool(value & k)}
        at += true if tests[code] else false


def decision(machine: str, number: int, *arguments: int, exposed: bool = False, arch: int | None = None) -> str:
    """Return "allow", "kill" or the name of the error with which the call fails."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, ARCH[machine] if arch is None else arch, 0, *padded)
    value = run_bpf(build_filter(exposed=exposed, machine=machine), data)
    if value & 0xFFFF0000 == 0x00050000:  # SECCOMP_RET_ERRNO
        return errno.errorcode[value & 0xFFFF]
    return {0x7FFF0000: "allow", 0x80000000: "kill"}[value]


def numbers(machine: str, calls: dict) -> dict[str, int]:
    """Map the names of the calls that this architecture has to their numbers."""
    column = list(ARCH).index(machine)
    return {name: pair[column] for name, pair in calls.items() if pair[column] is not None}


@both
@ways
def test_denied_calls_fail_with_eperm(machine: str, exposed: bool) -> None:
    for name, number in numbers(machine, DENIED).items():
        assert decision(machine, number, exposed=exposed) == "EPERM", name


@both
@ways
def test_what_training_needs_is_allowed(machine: str, exposed: bool) -> None:
    assert {decision(machine, number, exposed=exposed) for number in NEEDED[machine]} == {"allow"}


@both
def test_changing_file_attributes_is_denied_without_namespaces(machine: str) -> None:
    for name, number in numbers(machine, EXPOSED).items():
        assert decision(machine, number, UNIX, exposed=True) == "EPERM", name
        assert decision(machine, number, UNIX, exposed=False) == "allow", name


@both
@ways
def test_clone3_fails_with_enosys_so_that_libc_uses_clone(machine: str, exposed: bool) -> None:
    assert decision(machine, numbers(machine, SPECIAL)["clone3"], exposed=exposed) == "ENOSYS"


@both
@ways
def test_threads_are_allowed_and_namespaces_denied(machine: str, exposed: bool) -> None:
    clone = numbers(machine, SPECIAL)["clone"]
    assert decision(machine, clone, THREAD, exposed=exposed) == "allow"
    for flag in NEW_SPACES:
        assert decision(machine, clone, THREAD | flag, exposed=exposed) == "EPERM", hex(flag)


@both
@ways
def test_only_unix_sockets_are_allowed_and_none_without_namespaces(machine: str, exposed: bool) -> None:
    socket = numbers(machine, SPECIAL)["socket"]
    for family in (INET, INET6, NETLINK, PACKET, HIGH | INET):
        assert decision(machine, socket, family, exposed=exposed) == "EPERM", family
    assert decision(machine, socket, UNIX, exposed=exposed) == ("EPERM" if exposed else "allow")


@both
def test_changing_limits_of_others_and_typing_into_the_terminal_are_denied(machine: str) -> None:
    call = numbers(machine, SPECIAL)
    assert decision(machine, call["prlimit64"], 0) == "allow"
    assert decision(machine, call["prlimit64"], 1) == "EPERM"
    for request, expected in ((0x5401, "allow"), (0x5412, "EPERM"), (0x541C, "EPERM"), (HIGH | 0x5412, "EPERM")):
        assert decision(machine, call["ioctl"], 0, request) == expected, hex(request)  # TCGETS, TIOCSTI, TIOCLINUX


@both
def test_calls_of_another_architecture_kill_the_process(machine: str) -> None:
    for arch in {AUDIT_ARCH_I386, *ARCH.values()} - {ARCH[machine]}:
        assert decision(machine, NEEDED[machine][0], arch=arch) == "kill"


@pytest.mark.parametrize("number", [0, 101, 520])  # read, ptrace, and the execve of x32
def test_x32_calls_are_denied(number: int) -> None:
    assert decision("x86_64", 0x40000000 | number) == "EPERM"


@both
def test_call_numbers_match_the_system_headers(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip(f"{header} is not there (linux-libc-dev)")
    found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text(encoding="utf-8"), re.MULTILINE)
    known = {name: int(number) for name, number in found}
    used = numbers(machine, {**SPECIAL, **DENIED, **EXPOSED})
    wrong = {name: number for name, number in used.items() if known.get(name, number) != number}
    assert len(known) > 300
    assert not wrong  # calls newer than the headers are skipped
