"""A new kernel goes on with what the notebook's trainings saved in an earlier one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.support.live_notebook import LiveNotebook

pytestmark = pytest.mark.slow
SAYS = (
    "[pipeline.generate(model, shown, greedy=True) for model in (sft_lm, *trained.values())], "
    "[rm.score.weight.sum().item() for rm in reward_models.values()], sft_losses, rm_losses, gold_curves, "
    "[[row['kl'] for row in rows] for rows in ppo_stats.values()], "
    "[(r.mean, r.std, r.missing_eos_penalty) for r in rewards.values()]"
)


def test_a_new_kernel_has_what_the_old_one_trained(tmp_path: Path) -> None:
    with closing(LiveNotebook(tmp_path)) as old:
        old.define()
        old.trained_until("p4")
        with closing(LiveNotebook(tmp_path)) as part_way:  # somebody goes on after SFT
            part_way.define()
            loading = part_way.run(part_way.find("kit.load_trainings("))
            assert "SFT: language model, saved 20" in "".join(loading.shown)
            assert "Poor RM: not saved yet; its training saves it when it ends" in "".join(loading.shown)
            ran = part_way.run(part_way.find("Watched(rewards"))
            assert ran.error == (
                "NotReadyError",
                "This cell needs `reward_models`, which part 4 makes: run part 4 first.",
            )
        old.trained_until("p9")
        assert old.run(old.find("answers = {name: pipeline.generate")).error is None
        said = old.value(SAYS)
    with closing(LiveNotebook(tmp_path)) as new:
        new.define()
        assert new.run(new.find("kit.load_trainings(")).error is None
        assert new.value(SAYS) == said
        later = [*new.after(new.find("kit.load_trainings("), "p8"), new.find("pipeline.compare(")]
        assert [new.run(name).error for name in later] == [None] * 7
