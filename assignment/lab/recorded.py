"""Record a run of the whole notebook for students, who see it before they write anything."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import rlhf_kit as kit
from rlhf_kit.recorded import RECORDED, RUN

from .figures import policy_of
from .folders import replaced, write_manifest
from .outcomes import comparison

if TYPE_CHECKING:
    from pathlib import Path

    from .study import Study

DROPPED = ("response_ids", "gold")  # of the rows of the comparison: long, and no figure needs them


def write_recorded(study: Study, folder: Path = RECORDED) -> None:
    """Write the curves, the comparison and some replies of a study, as `kit.load_recorded_run` reads them."""
    with replaced(folder) as fresh:
        (fresh / RUN).write_text(json.dumps(recorded(study), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        write_manifest(fresh, world=study.world.seed, seed=study.seed)


def recorded(study: Study) -> dict[str, Any]:
    """Return what students see of a run, to four digits: see `kit.load_recorded_run`."""
    records, pipeline = study.data.heldout_prompts, study.pipeline
    shown = kit.one_of_each_kind(records)
    rows = []
    for row in comparison(study, greedy=False):
        low, high = kit.mean_interval(row["gold"], pipeline.profile.evaluation.confidence)
        rows.append({k: v for k, v in row.items() if k not in DROPPED} | {"reward_low": low, "reward_high": high})
    return {
        "date": date.today().isoformat(),
        "ppo": {policy_of(name): [_short(step) for step in one.steps] for name, one in reversed(study.judged.items())},
        "comparison": [_short(row) for row in rows],
        "prompts": shown,
        "replies": {name: pipeline.generate(lm, shown) for name, lm in study.policies.items()},
    }


def _short(values: dict[str, Any]) -> dict[str, Any]:
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in values.items()}
