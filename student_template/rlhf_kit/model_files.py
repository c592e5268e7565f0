"""Keep trained models in a folder beside the notebook, so that a new kernel can go on with them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from .environment import best_device
from .files import replacing
from .models import Policy, RewardModelBase
from .needs import NotReadyError
from .packed import PackedGPT2LMHeadModel

FOLDER = Path("saved_models")  # in the folder where the notebook works; an export leaves it out
LANGUAGE_MODEL, POLICY, REWARD_MODEL = "language model", "policy", "reward model"


def save(model: nn.Module, name: str, **values: Any) -> Path:
    """Save a model's weights as `saved_models/<name>.safetensors`, in place of those saved under this name before.

    model: a language model, a `kit.Policy` or a reward model. values: what belongs to it, such as the losses of its
    training: anything that JSON can hold. Returns the file. An interrupt leaves the file as it was.

    Raises:
        TypeError: the model is none of these, or a value is nothing that JSON can hold.
        ValueError: the name has other characters than letters, digits, blanks, "-" and "_".
    """
    path, kind = _file(name), _kind(model)
    body: Any = (model.lm if isinstance(model, Policy) else model).transformer
    about = {
        "kind": kind,
        "config": body.config.to_json_string(),
        "values": json.dumps(values),
        "saved": datetime.now().isoformat(" ", "minutes"),
    }
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as partial:
        save_model(model, str(partial), about)
    return path


def load(name: str, reward_model: type[RewardModelBase] | None = None) -> Any:
    """Load the model that was saved under this name, in eval mode, on the GPU if there is one.

    reward_model: the class of T06, which a reward model needs: `kit.load("Good RM", RewardModel)`.

    Raises:
        NotReadyError: no model was saved under this name, or its file is damaged.
        TypeError: the file holds a reward model, and the class is missing.
        ValueError: its weights do not fit the class.
    """
    about = _about(name)
    if about["kind"] == REWARD_MODEL and reward_model is None:
        raise TypeError(
            f"{name!r} is a reward model: run the cell of T06 and pass its class, kit.load({name!r}, RewardModel)"
        )
    config = GPT2Config.from_dict(json.loads(about["config"]))
    model: nn.Module = PackedGPT2LMHeadModel(config)
    if about["kind"] == POLICY:
        model = Policy(model)
    elif reward_model is not None and about["kind"] == REWARD_MODEL:
        model = reward_model.from_lm(model)
    try:
        load_model(model, _file(name))
    except RuntimeError as error:
        raise ValueError(
            f"the weights saved as {name!r} do not fit this {type(model).__name__}, which has changed since: "
            f"train and save it again ({error})"
        ) from None
    return model.to(best_device()).eval()


def load_values(name: str) -> dict[str, Any]:
    """Return the values that were saved with a model. NotReadyError if none was saved under this name."""
    values: dict[str, Any] = json.loads(_about(name)["values"])
    return values


def saved_models() -> dict[str, str]:
    """Return the names of the models that can be loaded, each with what it is and when it was saved."""
    found = {}
    for path in sorted(FOLDER.glob("*.safetensors")):
        about = _about(path.stem)
        found[path.stem] = f"{about['kind']}, saved {about['saved']}"
    return found


def _kind(model: nn.Module) -> str:
    for kind, cls in (
        (POLICY, Policy),
        (LANGUAGE_MODEL, GPT2LMHeadModel),
        (REWARD_MODEL, RewardModelBase),
    ):
        if isinstance(model, cls):
            return kind
    raise TypeError(
        f"a {type(model).__name__} cannot be saved: pass a language model such as sft_lm, a kit.Policy or a RewardModel"
    )


def _file(name: str) -> Path:
    if not re.fullmatch(r"[\w-]([\w -]*[\w-])?", name):
        raise ValueError(f"{name!r} is no name for a model: use letters, digits, blanks, - and _")
    return FOLDER / f"{name}.safetensors"


def _about(name: str) -> Mapping[str, str]:
    path = _file(name)
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in FOLDER.glob("*.safetensors"))) or "none"
        raise NotReadyError(
            f"No model was saved as {name!r} in {path.parent.resolve()} (saved there: {there}). "
            "Its training saves it when it ends: run that first."
        )
    try:
        with safe_open(str(path), "pt") as file:
            return dict(file.metadata())
    except (SafetensorError, TypeError):
        raise NotReadyError(
            f"{path} is damaged: delete it, and train and save the model again."
        ) from None
