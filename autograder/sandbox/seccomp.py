"""Build a seccomp denylist as a classic BPF program (seccomp(2), linux/seccomp.h), for x86_64 and aarch64.

Denied calls fail with EPERM, so that a program sees an ordinary error. Everything else stays allowed: the filter
shrinks the kernel's attack surface, while namespaces and Landlock decide what is visible.
"""

from __future__ import annotations

import errno
import platform
import struct

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT = 0x40000000
AF_UNIX = 1
CLONE_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, JUMP_EQ, JUMP_GE, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
Instruction = tuple[int, int, int, int]

# name: (number on x86_64, number on aarch64); None where the architecture has no such call.
SPECIAL = {"clone": (56, 220), "clone3": (435, 435), "socket": (41, 198), "ioctl": (16, 29), "prlimit64": (302, 261)}
# fmt: off
DENIED = {
    # other processes' memory, tracing, profiling
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "pidfd_getfd": (438, 438), "kcmp": (312, 272), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "move_pages": (279, 239),
    "migrate_pages": (256, 238), "lookup_dcookie": (212, 18),
    # keys and asynchronous rings
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "open_by_handle_at": (304, 265), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "fanotify_init": (300, 262),
    # the machine
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "acct": (163, 89), "swapon": (167, 224),
    "swapoff": (168, 225), "reboot": (169, 142), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "syslog": (103, 116), "vhangup": (153, 58),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None),
    "nfsservctl": (180, 42),
    # System V IPC and POSIX message queues would carry state from one call to the next
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
}
# fmt: on
# Denied in tier 3 as well, where Landlock does not restrict them and no namespace hides what they reach: attributes of
# files, their length (before Linux 6.2), and services that listen on a Unix socket in the file system. socketpair stays
# allowed.
# fmt: off
EXPOSED = {
    "socket": (41, 198),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "truncate": (76, 45),
}
# fmt: on


def build_filter(*, exposed: bool = False, machine: str | None = None) -> bytes:
    """Compile the program, an array of struct sock_filter.

    exposed: the worker has no namespaces (tier 3). Raises ValueError on a machine other than x86_64 and aarch64.
    """
    machine = machine or platform.machine()
    if machine not in AUDIT_ARCH:
        raise ValueError(f"no seccomp filter for {machine}: only {', '.join(AUDIT_ARCH)}")
    column = list(AUDIT_ARCH).index(machine)
    deny = ERRNO | errno.EPERM
    program = [(LOAD, 0, 0, 4), (JUMP_EQ, 1, 0, AUDIT_ARCH[machine]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    if machine == "x86_64":
        program += [(JUMP_GE, 0, 1, X32_BIT), (RETURN, 0, 0, deny)]
    for numbers in (DENIED | EXPOSED if exposed else DENIED).values():
        if (number := numbers[column]) is not None:
            program += [(JUMP_EQ, 0, 1, number), (RETURN, 0, 0, deny)]
    call = {name: numbers[column] for name, numbers in SPECIAL.items()}
    # libc falls back from clone3 to clone, whose flags can be seen here
    program += [(JUMP_EQ, 0, 1, call["clone3"]), (RETURN, 0, 0, ERRNO | errno.ENOSYS)]
    program += _on_argument(call["clone"], 0, [(JUMP_SET, 0, 1, CLONE_NAMESPACES), (RETURN, 0, 0, deny)])
    program += _on_argument(call["socket"], 0, [(JUMP_EQ, 1, 0, AF_UNIX), (RETURN, 0, 0, deny)])
    this_process = [(JUMP_EQ, 1, 0, 0), (RETURN, 0, 0, deny)]  # pid 0: a process may change only its own limits
    program += _on_argument(call["prlimit64"], 0, this_process)
    tty = [(JUMP_EQ, 1, 0, TIOCSTI), (JUMP_EQ, 0, 1, TIOCLINUX), (RETURN, 0, 0, deny)]
    program += _on_argument(call["ioctl"], 1, tty)
    program.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _on_argument(number: int, index: int, checks: list[Instruction]) -> list[Instruction]:
    """Build instructions for the call `number`: load the low half of argument `index`, run the checks, else allow."""
    body = [(LOAD, 0, 0, 16 + 8 * index), *checks, (RETURN, 0, 0, ALLOW)]
    return [(JUMP_EQ, 0, len(body), number), *body]
