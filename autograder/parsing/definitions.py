"""Select the top-level statements of a notebook that define something and so may be run while grading.

These are imports, functions, classes, and assignments whose right side only names, combines or configures things:
`EPS = 1e-8`, `log = math.log`, `DEVICE = torch.device("cuda" if … else "cpu")`. Training, plots and other calls are
left out. Runs in the limited child process.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autograder.parsing.answers.names import needed_names, stored_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from autograder.parsing.answers.statements import Piece

# Calls that create a constant, by full dotted name; a name with a trailing dot stands for everything below it. They are
# cheap and do not train. `kit` resolves to rlhf_kit through the notebook's imports.
# fmt: off
CHEAP_CALLS = frozenset({
    "torch.device", "torch.cuda.is_available", "torch.backends.mps.is_available", "torch.tensor", "torch.finfo",
    "torch.iinfo", "torch.log", "torch.exp", "torch.sqrt", "torch.zeros", "torch.ones", "torch.arange",
    "torch.no_grad", "torch.Generator", "torch.get_default_dtype", "torch.nn.", "numpy.array", "numpy.log",
    "numpy.exp", "numpy.sqrt", "numpy.finfo", "numpy.float32", "numpy.float64", "numpy.random.default_rng", "math.",
    "functools.", "operator.", "itertools.", "collections.", "typing.", "dataclasses.", "enum.", "copy.", "os.path.",
    "os.environ.get", "os.getenv", "re.compile", "string.Template", "logging.getLogger", "types.SimpleNamespace",
    "argparse.Namespace", "random.Random", "pathlib.Path", "rlhf_kit.get_profile", "rlhf_kit.load_tokenizer",
    "rlhf_kit.Profile", "rlhf_kit.SFTConfig", "rlhf_kit.RMConfig", "rlhf_kit.PPOConfig", "rlhf_kit.EvalConfig", "abs",
    "all", "any", "bool", "bytes", "chr", "dict", "divmod", "enumerate", "float", "frozenset", "getattr", "hasattr",
    "hash", "int", "isinstance", "len", "list", "map", "max", "min", "object", "ord", "pow", "range", "repr",
    "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "type", "zip",
})
CHEAP_METHODS = frozenset({
    "split", "strip", "lower", "upper", "join", "format", "replace", "items", "keys", "values", "get", "copy",
    "index", "count", "encode", "startswith", "endswith", "rstrip", "lstrip", "rpartition", "partition",
    "manual_seed", "to", "item",
})
# fmt: on
_SIMPLE = (
    ast.Constant,
    ast.Name,
    ast.Attribute,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.IfExp,
    ast.Tuple,
    ast.List,
    ast.Set,
    ast.Dict,
    ast.Subscript,
    ast.Slice,
    ast.JoinedStr,
    ast.FormattedValue,
    ast.Starred,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.comprehension,
    ast.keyword,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
    ast.expr_context,
)
DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORT = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class KeptStatement:
    """A statement that may go into the prelude, with the names that it binds and those that it uses."""

    text: str
    binds: frozenset[str]
    uses: frozenset[str]
    is_import: bool = False
    is_future: bool = False
    is_star: bool = False


@dataclass(frozen=True)
class NotebookNames:
    """What names stand for in a notebook.

    imports: imported name -> full dotted name. records: classes that are as cheap to create as a constant (see
    _is_record). definitions: functions and classes.
    """

    imports: Mapping[str, str]
    records: frozenset[str]
    definitions: frozenset[str]

    @staticmethod
    def of(pieces: Sequence[Piece]) -> NotebookNames:
        """Collect the names from all statements of the notebook."""
        imports: dict[str, str] = {}
        for piece in pieces:
            for node in ast.walk(piece.node) if isinstance(piece.node, (*IMPORT, ast.Try, ast.If)) else ():
                if isinstance(node, ast.Import):
                    heads = [(alias, alias.name.split(".")[0]) for alias in node.names]
                    imports |= {a.asname or head: a.name if a.asname else head for a, head in heads}
                elif isinstance(node, ast.ImportFrom):
                    imports |= {a.asname or a.name: f"{node.module or ''}.{a.name}" for a in node.names}
        records = frozenset(p.name for p in pieces if isinstance(p.node, ast.ClassDef) and _is_record(p.node))
        return NotebookNames(imports, records, frozenset(p.name for p in pieces if isinstance(p.node, DEFINITION)))

    def full_name(self, function: ast.expr) -> str:
        """Resolve `F.relu` to "torch.nn.functional.relu", and anything that is not a dotted name to ""."""
        parts = []
        while isinstance(function, ast.Attribute):
            parts.append(function.attr)
            function = function.value
        if not isinstance(function, ast.Name):
            return ""
        return ".".join([self.imports.get(function.id, function.id), *reversed(parts)])


def _is_record(node: ast.ClassDef) -> bool:
    """Say whether this is a dataclass, NamedTuple, TypedDict, Enum, or a class without bases and __init__."""
    kinds = [ast.unparse(kind) for kind in (*node.decorator_list, *node.bases)]
    if any(name in kind for kind in kinds for name in ("dataclass", "NamedTuple", "TypedDict", "Enum")):
        return True
    return not kinds and not any(getattr(item, "name", "") in ("__init__", "__new__") for item in node.body)


def keep(piece: Piece, known: NotebookNames) -> KeptStatement | None:
    """Return the statement as it may be run while grading, or None. Of `if` and `try`, only definitions are kept."""
    node = piece.node
    assert node is not None
    text = piece.text
    if isinstance(node, (ast.If, ast.Try)):
        filtered = _filtered(node, known)
        if filtered is None:
            return None
        node, text = filtered, ast.unparse(filtered)
    elif not _is_kept(node, known):
        return None
    return KeptStatement(
        text,
        frozenset(bound_names(node)),
        needed_names(text, node, known.definitions),
        is_import=isinstance(node, IMPORT),
        is_future=isinstance(node, ast.ImportFrom) and node.module == "__future__",
        is_star=isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names),
    )


def _is_kept(node: ast.stmt, known: NotebookNames) -> bool:
    if isinstance(node, (*DEFINITION, *IMPORT)):
        return True
    if isinstance(node, ast.Assign):
        return all(map(_is_name, node.targets)) and is_cheap(node.value, known)
    if isinstance(node, ast.AnnAssign):
        return _is_name(node.target) and node.value is not None and is_cheap(node.value, known)
    if isinstance(node, ast.AugAssign):
        return _is_name(node.target) and is_cheap(node.value, known)
    return False


def _is_name(target: ast.expr) -> bool:
    if isinstance(target, (ast.Tuple, ast.List)):
        return all(map(_is_name, target.elts))
    return isinstance(target, ast.Name)


def is_cheap(value: ast.expr, known: NotebookNames) -> bool:
    """Say whether an expression only names, combines or configures things. Bodies of lambdas may do anything."""
    stack: list[ast.AST] = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Lambda):
            stack.extend([*node.args.defaults, *filter(None, node.args.kw_defaults)])
            continue
        if isinstance(node, ast.Call):
            if not _is_cheap_call(node.func, known):
                return False
        elif not isinstance(node, _SIMPLE):
            return False
        stack.extend(ast.iter_child_nodes(node))
    return True


def _is_cheap_call(function: ast.expr, known: NotebookNames) -> bool:
    name = known.full_name(function)
    if name in known.records:
        return True
    heads = {name[: end + 1] for end, character in enumerate(name) if character == "."}
    if name in CHEAP_CALLS or heads & CHEAP_CALLS:
        return True
    return isinstance(function, ast.Attribute) and function.attr in CHEAP_METHODS


def _filtered(node: ast.If | ast.Try, known: NotebookNames) -> ast.If | ast.Try | None:
    """Reduce the compound statement to its definitions. Return None if none is left or its test is not cheap."""
    if isinstance(node, ast.If):
        if not is_cheap(node.test, known) or "__name__" in ast.unparse(node.test):
            return None
        body, orelse = _kept_of(node.body, known), _kept_of(node.orelse, known)
        if not body and not orelse:
            return None
        return ast.If(test=node.test, body=body or [ast.Pass()], orelse=orelse)
    body = _kept_of(node.body, known)
    if not body:
        return None
    handlers = [
        ast.ExceptHandler(type=h.type, name=h.name, body=_kept_of(h.body, known) or [ast.Pass()]) for h in node.handlers
    ] or [ast.ExceptHandler(type=ast.Name("Exception", ast.Load()), name=None, body=[ast.Pass()])]
    return ast.Try(body=body, handlers=handlers, orelse=_kept_of(node.orelse, known), finalbody=[])


def _kept_of(body: Sequence[ast.stmt], known: NotebookNames) -> list[ast.stmt]:
    kept: list[ast.stmt] = []
    for node in body:
        if isinstance(node, (ast.If, ast.Try)):
            inner = _filtered(node, known)
            kept += [inner] if inner is not None else []
        elif _is_kept(node, known):
            kept.append(node)
    return kept


def bound_names(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a kept statement binds at the top level."""
    for item in ast.walk(node) if isinstance(node, (ast.If, ast.Try)) else [node]:
        if isinstance(item, DEFINITION):
            yield item.name
        elif isinstance(item, IMPORT):
            yield from (alias.asname or alias.name.split(".")[0] for alias in item.names)
        elif isinstance(item, ast.Assign):
            yield from (name for target in item.targets for name in stored_names(target))
        elif isinstance(item, (ast.AnnAssign, ast.AugAssign)):
            yield from stored_names(item.target)
