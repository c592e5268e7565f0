"""The recorded run: what the notebook ends in, to be seen before the first slot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded_run"
RUN = "run.json"


def load_recorded_run() -> dict[str, Any]:
    """Load a run of this notebook that the reference solution made, with the release's data and settings.

    Its entries: `date`; `ppo`, for each policy one dict a step with the reward model's `reward`, `kl` and the true
    quality `gold`; `comparison`, rows for `plot_policies`; `prompts`, a row for each kind of question, and
    `replies`, what each model answers to them (sampled).

    Raises:
        FileNotFoundError: the release is not complete.
    """
    path = RECORDED / RUN
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: unpack the release again")
    return dict(json.loads(path.read_text(encoding="utf-8")))
