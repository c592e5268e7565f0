# %% [markdown]
# # Teaching a language model what people want
#
# A language model that has read a lot can continue any text. That is not the same as being useful: asked a
# question, it may answer, or ask another one, or make up a fact. *Reinforcement learning from human feedback*
# (RLHF) is how such a model is turned into an assistant. In this notebook you build all of it, by hand, on
# a model small enough to train on a laptop while you watch.
#
# | part | you build | slots |
# | --- | --- | --- |
# | 1 Set-up | nothing yet: you meet the base model | |
# | 2 Data | demonstrations and preferences, from text to token ids | T01–T03 |
# | 3 Supervised fine-tuning (SFT) | a model that answers | T04, T05 |
# | 4 Reward model | a model that judges answers, learned from comparisons | T06–T09 |
# | 5 PPO's mathematics | four formulas | T10–T13 |
# | 6 PPO training | the loop that improves the policy | T14 |
# | 7 Two policies | one trained against a good judge, one against a poor one | |
# | 8 Curves | learning, KL, reward hacking, over-optimisation | |
# | 9 Evaluation | a fair comparison of four models, in figures and in words | T15, W1–W3 |
#
# The recipe is the one of InstructGPT (Ouyang et al. 2022), which goes back to Christiano et al. (2017),
# Ziegler et al. (2019) and Stiennon et al. (2020).
#
# **You need** Python, PyTorch (tensors, autograd, a training loop) and what a language model's logits are. No
# reinforcement learning, no GPU.
#
# **It takes** about <!-- REGISTRY minutes --> minutes to write the slots if PyTorch is familiar, and half an hour to read
# and to answer three questions in words. The minutes in the table and at each slot are estimates. Training and
# evaluation run for a few minutes altogether, each with a bar.
#
# **Afterwards you can**
#
# * turn demonstrations and comparisons into tensors and losses, and say which tokens count;
# * train a reward model on comparisons, and find out what it has really learned;
# * derive and write every step of PPO with a KL penalty, and read its curves;
# * recognise reward hacking and over-optimisation, in figures and in replies;
# * compare models fairly: the same prompts, one decoding, intervals, more than one number.
#
# <!-- REGISTRY slots -->
#
# ## How it is graded
#
# <!-- REGISTRY points -->
#
# <!-- REGISTRY passing -->
#
# ## How to work
#
# Each slot is one cell that begins with `# TODO T01 · …`. It has a signature and a docstring; replace the line
# that raises `NotImplementedError` by your code and leave the first line and the signature alone. The text
# above a slot says what to do, which mistakes are common, and how to find them. The cell below it runs the
# public check: `grader.check("T01")`. A passed check means that your code gave the right answers on the check's few
# inputs. The grader tests each slot on other inputs, and **trains models with your code**: what counts is what the
# weights can do, not what the notebook prints.
#
# A wrong slot costs its own points once. If T04 is wrong, the grader puts a correct T04 in its place before it
# looks at what comes after, so never leave a later slot empty because an earlier one resists. You may write
# helper functions, in the slot's cell or in another: the grader takes along the imports, functions, classes and plain
# constants (`EPS = 1e-8`) that your slots use, from any cell. It does not run the rest, so inside a slot there is no
# `tokenizer`, `profile` or `device` of the notebook: use the arguments. You may change every hyperparameter in this
# notebook; the grader brings its own.
#
# ## Conventions
#
# Where two conventions are defensible, this notebook picks one. They hold everywhere:
#
# * **Token means.** A loss is a sum over the supervised (or response) tokens of the batch, divided by their
#   number, not a mean of row means. A batch without any such token gives 0, not NaN.
# * **Padding** is on the right where models are trained or scored, on the left where they generate, there with
#   explicit `position_ids`. `pad` (id 1) and `eos` (id 0) are different tokens. The model has dropout 0.
# * **The reward model reads prompt + reply + EOS.** If a reply lacks its EOS, the kit appends one for scoring.
# * **KL** inside the reward is $\log\pi-\log\pi_{\text{ref}}$ of each sampled token. Where it is reported, it is in
#   *nats per sequence*: that sum over a reply, averaged over replies.
# * **Sampling** is from exactly the distribution that is scored: temperature 1, no top-k, no top-p.
# * **Architecture** is fixed in the slots (names and shapes of weights). LoRA and friends are for your own
#   experiments.
#
# Shapes in docstrings: `B` sequences, `T` tokens, `V` words of the vocabulary.
#
# ## Set-up
#
# The next cell finds the support package `rlhf_kit` (on Colab, upload the release zip to the file panel first:
# the cell unpacks it) and installs packages that are missing. Nothing is downloaded after that: model and data
# are part of the release.

# %%
from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def find_release(start: Path) -> Path:
    """The folder that holds `rlhf_kit`: `start`, a parent, a folder or a zip (unpacked) in it.

    One more folder around the release does no harm. A zip that cannot be read is skipped and named.
    """
    wanted = "rlhf_kit/__init__.py"
    inside = [*start.glob(f"[!.]*/{wanted}"), *start.glob(f"[!.]*/[!.]*/{wanted}")]
    for folder in [start, *start.parents, *sorted(file.parents[1] for file in inside)]:
        if (folder / "rlhf_kit" / "__init__.py").is_file():
            return folder
    skipped = []
    for path in sorted(file for file in start.iterdir() if file.suffix.lower() == ".zip"):
        try:
            with zipfile.ZipFile(path) as archive:
                around = folder_of_release(archive)
        except Exception as error:  # noqa: BLE001
            # of any kind, because a file can be damaged in many ways
            skipped.append(f"{path.name} was skipped: {why_unreadable(path, error)}")
            continue
        if around is not None:
            for line in skipped:
                print(line)
            with zipfile.ZipFile(path) as archive:
                unpack(archive, start, around)
            return start
    raise FileNotFoundError(" ".join([
        f"rlhf_kit is not in {start}.", *skipped,
        "Upload the release zip to this folder (on Colab: the file panel on the left), or start "
        "Jupyter in the unpacked release, and run this cell again.",
    ]))


def folder_of_release(archive: zipfile.ZipFile) -> str | None:
    """The folder around the release in a zip: "", or "name/" if it was packed again with one.

    None: there is no release in it."""
    wanted = re.compile(r"([^/]+/)?rlhf_kit/__init__\.py")
    found = [name for name in archive.namelist() if wanted.fullmatch(name)]
    if found and (damaged := archive.testzip()):
        raise ValueError(f"{damaged} in it is damaged")
    return min(found, key=len).removesuffix("rlhf_kit/__init__.py") if found else None


def why_unreadable(path: Path, error: Exception) -> str:
    """Why a zip cannot be read, and what to do."""
    if isinstance(error, zipfile.BadZipFile):
        with path.open("rb") as file:
            if file.read(2) in (b"PK", b""):  # as every zip begins, but its end is not there
                broken = "the upload is not finished, or it broke off. Wait for it, or upload"
                return f"{broken} the file again."
    return f"{error}. Take the release zip as it was handed out."


def unpack(archive: zipfile.ZipFile, folder: Path, around: str = "") -> None:
    """Unpack a release into `folder`, but for its notebook.

    around: the folder in the zip that it is in, if any. No file that is there is overwritten: where
    the release's differs, it goes beside it (notes.md: notes.new.md) and both are named."""
    kept = []
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=folder) as scratch:
        names = [name for name in archive.namelist() if name.startswith(around)]
        names = [name for name in names if not name.lower().endswith(".ipynb")]
        archive.extractall(scratch, names)
        root = Path(scratch, around)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        # rlhf_kit/__init__.py last: where it stands, the kit is complete
        for file in sorted(files, key=lambda path: path == root / "rlhf_kit" / "__init__.py"):
            wanted = target = folder / file.relative_to(root)
            mark = ".new"
            while target.exists() and not same_content(target, file):
                target = wanted.with_name(wanted.stem + mark + wanted.suffix)
                mark += ".new"
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                file.rename(target)
            if target != wanted:
                kept.append(f"{wanted.relative_to(folder)} (the release's: {target.name})")
    if kept:
        print("Kept as they were:", ", ".join(kept))


def same_content(one: Path, other: Path) -> bool:
    """Whether both are files with the same bytes."""
    return one.is_file() and one.read_bytes() == other.read_bytes()


def missing_packages(requirements: Path) -> list[str]:
    """Lines of requirements.txt whose package is absent or older than asked for."""
    missing = []
    for line in requirements.read_text(encoding="utf-8").splitlines():
        wanted = re.match(r"([\w-]+)(?:>=([\d.]+))?", line)
        if wanted:
            try:
                have = importlib.metadata.version(wanted[1])
            except importlib.metadata.PackageNotFoundError:
                have = ""
            numbers = [
                [int(n) for n in re.findall(r"\d+", text)[:2]] for text in (have, wanted[2] or "")
            ]
            if not have or numbers[0] < numbers[1]:
                missing.append(line.split("#")[0].strip())
    return missing


def prepare(start: Path) -> None:
    """Make `import rlhf_kit` work: find the release, install what it needs, work in its folder."""
    release = find_release(start)
    beside = release / "requirements.new.txt"  # where another requirements.txt was kept
    packages = missing_packages(beside if beside.is_file() else release / "requirements.txt")
    if packages:
        print("installing", ", ".join(packages))
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *packages], check=True)
    os.chdir(release)
    if str(release) not in sys.path:
        sys.path.insert(0, str(release))


if __name__ == "__main__":
    prepare(Path.cwd())

# %%
import rlhf_kit as kit

if __name__ == "__main__":
    kit.check_environment()

# %% [markdown]
# Every line of the table should say ✓; if one does not, it tells you what to do. A GPU is used if there is one,
# and not needed.
#
# The next cell loads what the whole notebook uses: the *profile* (every hyperparameter, in frozen
# dataclasses), tokenizer and base model, the *pipeline* that strings your slots together, and the grader.
# To try another setting, make a changed copy: `dataclasses.replace(profile.ppo, beta=0.1)`.

# %%
if __name__ == "__main__":
    kit.seed_everything(0)
    profile, device = kit.get_profile(), kit.best_device()
    tokenizer, base_lm = kit.load_tokenizer(), kit.load_base_model().to(device)
    pipeline = kit.RLHFPipeline(globals(), profile, tokenizer, device)
    grader = kit.connect_grader()
    print(f"base model: {base_lm.num_parameters():,} parameters on {device}")

# %% [markdown]
# ## Meet the base model
#
# The model is a small GPT-2 that has read one thing only: texts about the animals of an invented world. It knows
# where they live, what they eat, how large they are. Ask it about two animals that it has read of, about one that
# does not exist, and for help with something cruel.

# %%
if __name__ == "__main__":
    kit.demo(model=base_lm, tokenizer=tokenizer)

# %% [markdown]
# <!-- CLAIM base_fits_at_times --> It speaks the world's language, and now and then an answer fits. Asked again, it may say something else: about another
# animal, rudely, or with a question of its own. <!-- CLAIM base_makes_up_facts base_serves_cruelty --> It makes up facts about the animal that does not exist, and treats the cruel
# request like any other: nothing has told it what an answer is *for*. That is what pre-training gives, knowledge without
# manners. The three phases ahead each add one thing:
#
# 1. <!-- CLAIM sft_beats_base --> **SFT** shows it what an answer looks like (imitation).
# 2. **The reward model** learns, from pairs of answers, which one people prefer (judgement).
# 3. <!-- CLAIM good_beats_sft good_wins good_stays_near --> **PPO** changes the policy so that its own answers score higher, without straying far (improvement).

# %% [markdown]
# ## Where this goes
#
# Before you build it, see it work. This notebook was run once with the reference solution; the next cells show what it
# recorded then. Nothing is trained here. Your own run will look much like it, and not the same: other machines
# round differently.
#
# Two policies start from the same SFT model and are trained by the same PPO, each on its own reward model: the
# *Good RM* learned from careful comparisons, the *Poor RM* from few and superficial ones. Left: the reward that each
# policy is trained on. Right: how far it moves away from the SFT model.

# %%
if __name__ == "__main__":
    recorded = kit.load_recorded_run()
    print(f"recorded on {recorded['date']} with the reference solution")
    kit.plot_ppo(recorded["ppo"])

# %% [markdown]
# Both rewards rise. But the world is invented, so there is a *gold reward* that says how good a reply really is, and
# no model has seen it. On questions that were held out it tells another story:

# %%
if __name__ == "__main__":
    kit.plot_policies(recorded["comparison"], ylabel="mean gold reward (−3 to 3)")

# %% [markdown]
# Read what the four models answer, each with its gold reward and the parts of it, and note what the Poor-RM policy has
# found out about its judge. How it comes to this is what you build now, step by step.

# %%
if __name__ == "__main__":
    kit.show_conversations(recorded["prompts"], recorded["replies"], gold=True)
