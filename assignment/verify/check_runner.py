"""Run the public checks on solved and blank definitions. This file is started as a script, in its own process.

    python -I check_runner.py RELEASE_FOLDER REQUEST.json REPLY.json

REQUEST is {"slots": [...], "solved": code, "blank": code, "one_blank": {slot: code}}. REPLY maps each slot to the
results of its check, {"solved": [errors], "blank": [errors], "one_blank": [errors]}, with one entry per test case,
null where it passed. Of the project, the process imports the kit in RELEASE_FOLDER alone.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any


def main(folder: str, request_path: str, reply_path: str) -> None:
    """Answer one request, and print each slot on stdout when its check is done."""
    sys.path.insert(0, folder)
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    solved, blank = namespace(request["solved"], "solved"), namespace(request["blank"], "blank")
    reply = {}
    for slot in request["slots"]:
        path = Path(folder) / "tests" / f"{slot}.py"
        reply[slot] = {
            "solved": errors(path, solved),
            "blank": errors(path, blank),
            "one_blank": errors(path, namespace(request["one_blank"][slot], f"without_{slot}")),
        }
        print(slot, flush=True)
    Path(reply_path).write_text(json.dumps(reply), encoding="utf-8")


def namespace(code: str, name: str) -> dict[str, Any]:
    """Run code as a module, and return the module's globals."""
    module = types.ModuleType(name)
    sys.modules[name] = module  # dataclasses and pickle look their module up there
    exec(compile(code, f"<{name}>", "exec"), module.__dict__)
    return module.__dict__


def errors(path: Path, names: dict[str, Any]) -> list[str | None]:
    """Run a public check, and return an entry per test case: None, or the error and its causes as "Type: text"."""
    from otter.test_files import ExceptionTestFile

    found: list[str | None] = []
    for case in ExceptionTestFile.from_file(str(path)).test_cases:
        try:
            case.body.call_func(names)
            found.append(None)
        except Exception as error:  # noqa: BLE001 (a slot may raise anything)
            found.append(" <- ".join(f"{type(e).__name__}: {e}" for e in chain(error)))
    return found


def chain(error: BaseException | None) -> list[BaseException]:
    """Return an error and its causes: a check may wrap the error that a slot raised."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        error = error.__cause__ or error.__context__
    return seen


if __name__ == "__main__":
    main(*sys.argv[1:])
