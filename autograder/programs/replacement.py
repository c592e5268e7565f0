"""The reference in place of a slot, in a function of its own: none of its names meets a student's.

The reference's imports, constants and helpers stay local; the slots that it calls are looked up by
name in the student's namespace, as the handout promises.
"""

from __future__ import annotations

import ast
from functools import lru_cache

from assignment.registry import Spec
from assignment.release.source import reference_prelude, reference_source

FUTURE = "from __future__ import annotations"


def replacement(spec: Spec, slot: str) -> str:
    """Source that defines the slot's name and nothing else of use; KeyError for an unknown slot."""
    return _made(slot, spec.slot(slot).name)


@lru_cache(maxsize=64)
def _made(slot: str, name: str) -> str:
    body = [
        node
        for text in (reference_prelude([slot]), reference_source(slot))
        for node in ast.parse(text).body
        if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    body.append(ast.Return(ast.Name(name, ast.Load())))
    maker = ast.FunctionDef(
        name=f"_reference_{slot}",
        body=body,
        decorator_list=[],
        args=ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]),
    )
    tree = ast.Module([maker], type_ignores=[])
    return f"{FUTURE}\n\n{ast.unparse(ast.fix_missing_locations(tree))}\n\n{name} = _reference_{slot}()\n"
