"""Check that the tables of assignment.toml fit together. A problem is one line: the entry, and what would be right."""

from __future__ import annotations

import keyword
from collections import Counter
from typing import TYPE_CHECKING

from assignment.registry.tables import QUALITY_ITEMS, ItemTable, SlotSpec, Tables
from assignment.registry.thresholds import Thresholds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BONUS = "bonus"  # id of the group of bonus items; no criterion may have it
DECIMALS = 2  # of points, which are summed in hundredths


def problems(tables: Tables) -> list[str]:
    """Return every problem once. Duplicate ids are reported alone, because other problems may follow from them."""
    if found := list(_duplicates(tables)):
        return found
    checks = (_points, _slots, _calls, _items, _training, _written, _sums, _profiles_and_costs)
    return list(dict.fromkeys(line for check in checks for line in check(tables)))


def _name(entry: SlotSpec | ItemTable) -> str:
    """Name an entry as the file does: `[[slot]] T07`."""
    return f"[[{'slot' if isinstance(entry, SlotSpec) else 'item'}]] {entry.id}"


def _repeated(values: Iterable[str]) -> list[str]:
    """Return the values that occur more than once, in order."""
    counts = Counter(values)
    return [value for value, count in counts.items() if count > 1]


def _duplicates(tables: Tables) -> Iterator[str]:
    """Ids, slot names and the entries of each list occur once."""
    for table, entries in (("slot", tables.slot), ("item", tables.item), ("criterion", tables.criterion)):
        for id_ in _repeated(entry.id for entry in entries):
            yield f"[[{table}]] {id_}: duplicate id; each id stands for one entry"
    first: dict[str, str] = {}
    for slot in tables.slot:
        if first.setdefault(slot.name, slot.id) != slot.id:
            yield f"[[slot]] {slot.id}: duplicate name {slot.name}, which {first[slot.name]} has already"
    for field in ("success_criteria", "profiles"):
        for name in _repeated(getattr(tables.assignment, field)):
            yield f"[assignment]: {field} has the duplicate {name}"
    for entry in tables.entries:
        for field in ("calls", "later") if isinstance(entry, SlotSpec) else ("stage_slots", "questions"):
            for name in _repeated(getattr(entry, field)):
                yield f"{_name(entry)}: {field} has the duplicate {name}"


def _points(tables: Tables) -> Iterator[str]:
    """Points have two decimals. An entry belongs to an existing criterion or is a bonus, not both."""
    known = [criterion.id for criterion in tables.criterion]
    if BONUS in known:
        yield f"[[criterion]] {BONUS}: this id is kept for bonus items, which need no criterion"
    for entry in tables.entries:
        if round(entry.points, DECIMALS) != entry.points:
            yield f"{_name(entry)}: points may have {DECIMALS} decimals, not {entry.points!r}"
        if entry.bonus and entry.criterion is not None:
            yield f"{_name(entry)}: a bonus belongs to no criterion; take out criterion or bonus"
        elif not entry.bonus and entry.criterion is None:
            yield f"{_name(entry)}: criterion is missing"
        elif not entry.bonus and entry.criterion not in known:
            yield f"{_name(entry)}: there is no criterion {entry.criterion}; there are {', '.join(known)}"


def _slots(tables: Tables) -> Iterator[str]:
    """A slot's part is the part of its file, its name is no Python keyword, and slots stand in the notebook's order."""
    part = 0
    for slot in tables.slot:
        if slot.file[1] != str(slot.part):
            yield f"[[slot]] {slot.id}: part is {slot.part}, but {slot.file} is a file of part {slot.file[1]}"
        if slot.part < part:
            yield f"[[slot]] {slot.id}: part {slot.part} stands after part {part}; slots stand in the notebook's order"
        if keyword.iskeyword(slot.name):
            yield f"[[slot]] {slot.id}: name {slot.name} is a Python keyword; choose another name"
        part = max(part, slot.part)


def _calls(tables: Tables) -> Iterator[str]:
    """A slot calls other slots that exist; later ones also stand in `later`; no slot calls itself through others."""
    order = {slot.id: number for number, slot in enumerate(tables.slot)}
    for number, slot in enumerate(tables.slot):
        if slot.id in slot.calls:
            yield f"[[slot]] {slot.id}: calls itself; calls may name other slots only"
        yield from _unknown(_name(slot), "calls", slot.calls, tuple(order))
        for other in slot.calls:
            if order.get(other, -1) > number and other not in slot.later:
                yield (
                    f"[[slot]] {slot.id}: calls {other}, which comes later; a slot builds on earlier ones "
                    "(list it in later too, if a student may come back to use it)"
                )
        for other in slot.later:
            if other not in slot.calls or order.get(other, -1) <= number:
                yield f"[[slot]] {slot.id}: later names {other}, which is not one of its calls to a later slot"
    yield from _cycles({slot.id: slot.calls for slot in tables.slot})


def _cycles(calls: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Report the first cycle of calls, once, starting at its smallest id."""
    for start in calls:
        path, queue = {start: [start]}, [start]
        while queue:
            one = queue.pop(0)
            for other in calls[one]:
                if other == start and one != start and start == min(path[one]):
                    yield f"[[slot]] {start}: calls itself through others: {' → '.join([*path[one], start])}"
                    return
                if other in calls and other not in path:
                    path[other] = [*path[one], other]
                    queue.append(other)


def _unknown(where: str, field: str, names: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    """Report each of these names that is not among the known ones."""
    for name in names:
        if name not in known:
            yield f"{where}: {field} names {name}; there are {', '.join(known)}"


def _items(tables: Tables) -> Iterator[str]:
    """The grader has a test for each training and quality item, and an item has exactly the fields of its kind."""
    tests = {"training": tuple(Thresholds.model_fields), "quality": QUALITY_ITEMS}
    fields = {"training": ("loop", "stage_slots"), "written": ("questions",), "quality": ()}
    for item in tables.item:
        if item.kind in tests and item.id not in tests[item.kind]:
            yield f"{_name(item)}: the grader has no {item.kind} item of this id; it has {', '.join(tests[item.kind])}"
        if item.kind == "written" and item.id in (*tests["training"], *tests["quality"]):
            yield f"{_name(item)}: the grader has a test of this id; choose another id for a written item"
        for field in ("loop", "stage_slots", "questions"):
            given = bool(getattr(item, field))
            if given and field not in fields[item.kind]:
                yield f"{_name(item)}: {field} is not for items of kind {item.kind}"
            if not given and field in fields[item.kind]:
                yield f"{_name(item)}: {field} is missing; items of kind {item.kind} need it"


def _training(tables: Tables) -> Iterator[str]:
    """Training items name existing slots, and success criteria name training items that are no bonus."""
    slots = tuple(slot.id for slot in tables.slot)
    training = {item.id: item for item in tables.item if item.kind == "training"}
    for item in training.values():
        yield from _unknown(_name(item), "stage_slots", item.stage_slots, slots)
        if item.loop and item.loop not in item.stage_slots:
            yield f"{_name(item)}: loop {item.loop} is not among its stage_slots"
    for name in tables.assignment.success_criteria:
        if name not in training:
            yield f"[assignment]: success criterion {name} is not a training item; there are {', '.join(training)}"
        elif training[name].bonus:
            yield f"[assignment]: success criterion {name} is a bonus item; nobody has to attempt a bonus"


def _written(tables: Tables) -> Iterator[str]:
    """Exactly one item asks each written question."""
    asked = [(item, question) for item in tables.item for question in item.questions]
    for item, question in asked:
        if question not in tables.written:
            yield f"{_name(item)}: questions names {question}, which [written] does not have"
    for question in tables.written:
        items = list(dict.fromkeys(item.id for item, one in asked if one == question))
        if not items:
            yield f"[written] {question}: no item asks it; name it in the questions of an item of kind written"
        if len(items) > 1:
            yield f"[written] {question}: {' and '.join(items)} ask it; one item grades a question"


def _sums(tables: Tables) -> Iterator[str]:
    """Slots and items sum to their criterion, criteria to max_points, and the pass mark can be reached."""
    for criterion in tables.criterion:
        mine = [entry for entry in tables.entries if entry.criterion == criterion.id]
        total = sum(entry.points for entry in mine)
        if abs(total - criterion.points) > 1e-9:
            yield f"[[criterion]] {criterion.id}: points is {criterion.points:g}, its slots and items sum to {total:g}"
    head, total = tables.assignment, sum(criterion.points for criterion in tables.criterion)
    if abs(total - head.max_points) > 1e-9:
        yield f"[assignment]: max_points is {head.max_points:g}, the criteria sum to {total:g}"
    if head.pass_mark > head.max_points:
        yield f"[assignment]: pass_mark {head.pass_mark:g} is above max_points {head.max_points:g}"


def _profiles_and_costs(tables: Tables) -> Iterator[str]:
    """Every profile has thresholds, every slot and training item has a reference cost, and nothing else has one."""
    for profile in tables.assignment.profiles:
        if profile not in tables.thresholds:
            yield f"[thresholds.{profile}]: is missing; profiles names {profile}"
    for profile in tables.thresholds:
        if profile not in tables.assignment.profiles:
            yield f"[thresholds.{profile}]: {profile} is not among the profiles"
    run = [slot.id for slot in tables.slot] + [item.id for item in tables.item if item.kind == "training"]
    for id_ in run:
        if id_ not in tables.limits.reference:
            yield f"[limits.reference] {id_}: is missing; `python -m benchmarks.reference_cost` measures it"
    for id_ in tables.limits.reference:
        if id_ not in run:
            yield f"[limits.reference] {id_}: there is no slot and no training item of this id"
