"""Turn pydantic's errors about a file of the registry into sentences that name the entry as its author wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from assignment.registry.tables import PATTERN_NAMES, Tables

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LISTS = ("slot", "item", "criterion", "claim")  # arrays of tables: [[slot]]
MAX_SHOWN = 60  # characters of a wrong value
# What is expected, by the type of pydantic's error (https://docs.pydantic.dev/latest/errors/validation_errors/).
EXPECTED = {
    "float_type": "a number", "int_type": "a whole number", "int_from_float": "a whole number",
    "string_type": "a text", "bool_type": "true or false", "tuple_type": "a list", "finite_number": "a finite number",
    "model_type": "a table", "mapping_type": "a table", "dict_type": "a table", "int_parsing_size": "a smaller number",
    "model_attributes_type": "a table",
}  # fmt: skip
# The same for bounds: the bound's key in the error's context, and the words before its value.
BOUNDS = {
    "greater_than": ("gt", "more than"), "greater_than_equal": ("ge", "at least"), "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"), "multiple_of": ("multiple_of", "a multiple of"),
}  # fmt: skip
LENGTHS = {"string_too_short": ("min_length", "at least"), "string_too_long": ("max_length", "at most")}


def sentences(error: ValidationError, raw: Mapping[str, Any], model: type[BaseModel] = Tables) -> list[str]:
    """Return one line per problem: the entry, a colon, what is wrong and what is expected. raw: the file's tables.
    model: describes the whole file."""
    return list(dict.fromkeys(_sentence(one, raw, model) for one in error.errors()))


def label(table: str, entry: Any, number: int) -> str:
    """Name an entry of a list: `[[slot]] T07`, or `[[slot]] number 7` if it has no id. number: counted from 0."""
    id_ = entry.get("id") if isinstance(entry, Mapping) else None
    return f"[[{table}]] {_short(id_)}" if isinstance(id_, str) and id_ else f"[[{table}]] number {number + 1}"


def _sentence(error: ErrorDetails, raw: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Write the sentence for one of pydantic's errors."""
    where, field = _place(tuple(error["loc"]), raw, about_entry=error["type"] == "value_error")
    if not where:  # a table is missing, or there is no such table
        return _about_table(field, error, model)
    return f"{where}: {_what(field, error, model)}"


def _place(loc: tuple[Any, ...], raw: Mapping[str, Any], *, about_entry: bool) -> tuple[str, str]:
    """Return (entry, field) of an error's location; the entry is empty if the location is a table's name alone.

    about_entry: the error is about the whole table at this location.
    """
    rest = [str(part) for part in loc if part != "[key]"]
    if loc and loc[0] in LISTS and len(loc) > 1:
        field = str(loc[2]) if len(loc) > 2 else ""
        return label(loc[0], raw[loc[0]][loc[1]], loc[1]), field
    if loc[:2] == ("limits", "reference") and len(loc) > 2:
        return f"[limits.reference] {_short(loc[2])}", ".".join(rest[3:])
    while rest and rest[-1].isdigit() and len(rest) > 1:  # an entry of a list: the list is the field
        rest.pop()
    if about_entry:
        return f"[{'.'.join(rest)}]", ""
    return (f"[{'.'.join(map(_short, rest[:-1]))}]" if len(rest) > 1 else ""), rest[-1] if rest else ""


def _about_table(name: str, error: ErrorDetails, model: type[BaseModel]) -> str:
    """Write the sentence about a whole table of the file."""
    brackets = f"[[{name}]]" if name in LISTS else f"[{_short(name)}]"
    if error["type"] == "extra_forbidden":
        return f"{brackets}: there is no such table; there are {_listed(model.model_fields)}"
    if error["type"] in ("missing", "too_short"):
        return f"{brackets}: is missing"
    return f"{brackets}: {_what('', error, model)}"


def _what(field: str, error: ErrorDetails, model: type[BaseModel]) -> str:
    """Say what is wrong with one field, or with the whole entry if the field is empty."""
    kind, context, found = error["type"], error.get("ctx", {}), _short(error["input"])
    field = _short(field) if field else ""
    if kind == "missing":
        return f"{field} is missing"
    if kind == "extra_forbidden":
        return f"there is no key {field}; there are {_listed(_keys(error['loc'], model))}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        return f"{field} must be {PATTERN_NAMES[context['pattern']]}, not {found}".strip()
    if kind == "literal_error":
        return f"{field} must be {context['expected']}, not {found}"
    if kind == "too_short":
        return f"{field} must not be empty"
    if kind in LENGTHS:
        limit, word = LENGTHS[kind]
        return f"{field} must have {word} {context[limit]} characters, not {len(error['input'])}"
    if kind in BOUNDS:
        limit, word = BOUNDS[kind]
        bound = "positive" if (limit, context[limit]) == ("gt", 0) else f"{word} {context[limit]:g}"
        return f"{field} must be {bound}, not {found}"
    if kind in EXPECTED:
        return f"{field} must be {EXPECTED[kind]}, not {found}".strip()
    return f"{field}: {error['msg']}".removeprefix(": ")


def _keys(loc: Sequence[Any], model: Any) -> Sequence[str]:
    """Return the keys that the table at this location may have."""
    for part in loc[:-1]:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[part].annotation
        else:  # a list or a mapping: go on with the type of its entries
            model = next(one for one in reversed(get_args(model)) if one is not Ellipsis)
    return tuple(model.model_fields)


def _listed(names: Any) -> str:
    return ", ".join(names)


def _short(value: Any) -> str:
    """Write a value on one line, cut after MAX_SHOWN characters."""
    plain = isinstance(value, str) and value.isprintable() and value != "" and " " not in value
    text = value if plain else ("true" if value else "false") if isinstance(value, bool) else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
