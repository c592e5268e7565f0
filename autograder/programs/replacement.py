"""Replace a slot by the reference solution, wrapped in a function so that its names do not clash with a student's.

The reference's imports, constants and helpers stay local to that function. The slots that it calls are looked up by
name in the student's namespace, as the handout promises.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from assignment.release.source import reference_prelude, reference_source

if TYPE_CHECKING:
    from assignment.registry import Spec

FUTURE = "from __future__ import annotations"


def replacement(spec: Spec, slot: str) -> str:
    """Return source that defines the slot's name. Raises KeyError for an unknown slot."""
    return _wrapped_reference(slot, spec.slot(slot).name)


@lru_cache(maxsize=64)
def _wrapped_reference(slot: str, name: str) -> str:
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
