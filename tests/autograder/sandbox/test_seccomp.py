"""What the seccomp filter answers to each call, for both architectures: its program is run by an interpreter of BPF."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from autograder.sandbox.seccomp import DENIED, EXPOSED, SPECIAL, build_filter

# <linux/audit.h>: AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64, and the 32-bit side of an x86 machine.
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
HIGH = 1 << 32  # the kernel reads 32 bits of these arguments: what stands above must not hide them
both = pytest.mark.parametrize("machine", ARCH)
ways = pytest.mark.parametrize("exposed", [False, True])


def run_bpf(program: bytes, data: bytes) -> int:
    """What a classic BPF program returns for `data` (linux/filter.h); the few instructions that seccomp needs."""
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


def answer(machine: str, number: int, *arguments: int, exposed: bool = False, arch: int | None = None) -> str:
    """"allow", "kill" or the name of the error that the call gets."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, ARCH[machine] if arch is None else arch, 0, *padded)
    value = run_bpf(build_filter(exposed=exposed, machine=machine), data)
    if value & 0xFFFF0000 == 0x00050000:  # SECCOMP_RET_ERRNO
        return errno.errorcode[value & 0xFFFF]
    return {0x7FFF0000: "allow", 0x80000000: "kill"}[value]


def numbers(machine: str, calls: dict) -> dict[str, int]:
    """Name -> number of the calls that this architecture has."""
    column = list(ARCH).index(machine)
    return {name: pair[column] for name, pair in calls.items() if pair[column] is not None}


@both
@ways
def test_each_denied_call_is_refused_as_not_permitted(machine: str, exposed: bool) -> None:
    for name, number in numbers(machine, DENIED).items():
        assert answer(machine, number, exposed=exposed) == "EPERM", name


@both
@ways
def test_what_training_needs_is_allowed(machine: str, exposed: bool) -> None:
    assert {answer(machine, number, exposed=exposed) for number in NEEDED[machine]} == {"allow"}


@both
def test_changes_of_files_attributes_are_refused_where_no_namespace_holds_them(machine: str) -> None:
    for name, number in numbers(machine, EXPOSED).items():
        assert answer(machine, number, UNIX, exposed=True) == "EPERM", name
        assert answer(machine, number, UNIX, exposed=False) == "allow", name


@both
@ways
def test_clone3_seems_not_to_exist_so_that_libc_takes_clone(machine: str, exposed: bool) -> None:
    assert answer(machine, numbers(machine, SPECIAL)["clone3"], exposed=exposed) == "ENOSYS"


@both
@ways
def test_threads_may_be_made_and_namespaces_not(machine: str, exposed: bool) -> None:
    clone = numbers(machine, SPECIAL)["clone"]
    assert answer(machine, clone, THREAD, exposed=exposed) == "allow"
    for flag in NEW_SPACES:
        assert answer(machine, clone, THREAD | flag, exposed=exposed) == "EPERM", hex(flag)


@both
@ways
def test_no_socket_but_a_unix_one_and_that_not_where_exposed(machine: str, exposed: bool) -> None:
    socket = numbers(machine, SPECIAL)["socket"]
    for family in (INET, INET6, NETLINK, PACKET, HIGH | INET):
        assert answer(machine, socket, family, exposed=exposed) == "EPERM", family
    assert answer(machine, socket, UNIX, exposed=exposed) == ("EPERM" if exposed else "allow")


@both
def test_limits_of_other_processes_and_typing_into_the_terminal_are_refused(machine: str) -> None:
    call = numbers(machine, SPECIAL)
    assert answer(machine, call["prlimit64"], 0) == "allow"
    assert answer(machine, call["prlimit64"], 1) == "EPERM"
    for request, expected in ((0x5401, "allow"), (0x5412, "EPERM"), (0x541C, "EPERM"), (HIGH | 0x5412, "EPERM")):
        assert answer(machine, call["ioctl"], 0, request) == expected, hex(request)  # TCGETS, TIOCSTI, TIOCLINUX


@both
def test_calls_of_another_architecture_end_the_process(machine: str) -> None:
    for arch in {AUDIT_ARCH_I386, *ARCH.values()} - {ARCH[machine]}:
        assert answer(machine, NEEDED[machine][0], arch=arch) == "kill"


@pytest.mark.parametrize("number", [0, 101, 520])  # read, ptrace, and x32's own execve
def test_the_x32_side_of_an_x86_machine_is_closed(number: int) -> None:
    assert answer("x86_64", 0x40000000 | number) == "EPERM"


@both
def test_the_numbers_are_those_of_the_systems_headers(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip(f"{header} is not there (linux-libc-dev)")
    found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text(encoding="utf-8"), re.MULTILINE)
    known = {name: int(number) for name, number in found}
    ours = numbers(machine, {**SPECIAL, **DENIED, **EXPOSED})
    wrong = {name: number for name, number in ours.items() if known.get(name, number) != number}
    assert len(known) > 300
    assert not wrong  # a call younger than the headers is not in them
