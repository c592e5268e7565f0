"""Forms in which honest notebooks arrive: each function turns the clean notebook into the saved one."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

from tests.support.intake_notebooks import code, markdown

Document = dict[str, Any]
Form = Callable[[Document], Document]


def text_of(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def changed(clean: Document, change: Callable[[str], str]) -> Document:
    """Change the text of each code cell."""
    document = copy.deepcopy(clean)
    for cell in document["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = change(text_of(cell))
    return document


def with_cells(clean: Document, *cells: str | dict[str, Any], first: bool = False) -> Document:
    """Add code cells at the beginning or the end."""
    document = copy.deepcopy(clean)
    more = [code(cell) if isinstance(cell, str) else cell for cell in cells]
    document["cells"] = more + document["cells"] if first else document["cells"] + more
    return document


def in_slot(name: str, line: str) -> Callable[[Document], Document]:
    """Return a form that adds a line of code at the beginning of the slot's function."""

    def insert(source: str) -> str:
        head = rf'(def {name}\((?:[^()]|\([^()]*\))*\)[^\n]*:\n)(\s+""".*?"""\n)?'
        return re.sub(head, lambda m: f"{m[1]}{m[2] or ''}    {line}\n", source, count=1, flags=re.DOTALL)

    return lambda clean: changed(clean, insert)


def metadata_stripped(clean: Document) -> Document:
    cells = [{"cell_type": c["cell_type"], "source": text_of(c)} for c in clean["cells"]]
    return {"nbformat": 4, "cells": cells}


def colab(clean: Document) -> Document:
    document = copy.deepcopy(clean)
    document["metadata"] = {"accelerator": "GPU", "colab": {"provenance": [], "gpuType": "T4"}, "kernelspec": {}}
    document["nbformat_minor"] = 0
    for number, cell in enumerate(document["cells"]):
        cell.pop("id", None)
        cell["metadata"] = {"id": f"x{number}Yz", "outputId": "0a1b", "colab": {"base_uri": "https://localhost:8080/"}}
        cell["source"] = text_of(cell).splitlines(keepends=True)
    return with_cells(document, "from google.colab import drive\ndrive.mount('/content/drive')", first=True)


def vs_code(clean: Document) -> Document:
    document = copy.deepcopy(clean)
    document |= {"nbformat_minor": 2, "metadata": {"language_info": {"name": "python"}, "orig_nbformat": 4}}
    for cell in document["cells"]:
        cell.pop("id", None)
        cell["metadata"] = {"vscode": {"languageId": "python"}}
    return document


def jupyterlab(clean: Document) -> Document:
    document = copy.deepcopy(clean)
    for number, cell in enumerate(document["cells"]):
        cell["metadata"] = {"tags": ["todo"], "jupyter": {"source_hidden": True}, "collapsed": True, "editable": True}
        if cell["cell_type"] == "code":
            cell["execution_count"] = number
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["done\n"]}]
    return document


def kaggle(clean: Document) -> Document:
    document = copy.deepcopy(clean)
    document["metadata"]["kaggle"] = {"accelerator": "gpu", "dataSources": [], "isInternetEnabled": True}
    for cell in document["cells"]:
        cell["metadata"] = {"_uuid": "8f2839f2", "trusted": True, "papermill": {"duration": 0.1, "status": "completed"}}
    walk = "import os\nfor folder, _, _ in os.walk('/kaggle/input'):\n    print(folder)\nos.chdir('/kaggle/working')"
    return with_cells(document, walk, first=True)


def cells_merged(clean: Document) -> Document:
    merged = "\n\n".join(text_of(cell) for cell in clean["cells"] if cell["cell_type"] == "code")
    return {**clean, "cells": [markdown("# All in one"), code(merged)]}


def cells_split(clean: Document) -> Document:
    """Start a new cell at every blank line outside a function."""
    cells: list[Any] = []
    for cell in clean["cells"]:
        parts = re.split(r"\n{2,}(?=\S)", text_of(cell)) if cell["cell_type"] == "code" else [text_of(cell)]
        cells += [{**copy.deepcopy(cell), "source": part} for part in parts if part.strip()]
    for cell in cells:
        cell.pop("id", None)
    return {**clean, "cells": cells}


def answered_twice(clean: Document) -> Document:
    first = "# TODO T07 · first\ndef bradley_terry_loss(chosen, rejected, margin=0.0):\n    return chosen - rejected"
    return with_cells(clean, first, first=True)


def magics(clean: Document) -> Document:
    lines = "%matplotlib inline\n%load_ext autoreload\n!pip install -q torch transformers\n!nvidia-smi\n%env X=1\n"
    document = changed(clean, lambda source: f"%%time\n{source}" if "TODO T08" in source else lines + source)
    return with_cells(document, "%%bash\nls -la", "files = !ls\nfiles", "torch.nn?", "%%html\n<b>x</b>")


def asks_at_the_top(clean: Document) -> Document:
    return with_cells(clean, "name = input('your name? ')\nprint('hello', name)", first=True)


def plots(clean: Document) -> Document:
    cell = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot(losses)\nplt.show()\nfig.savefig('a')"
    return with_cells(clean, cell)


def tabs(clean: Document) -> Document:
    def tabbed(source: str) -> str:
        return re.sub(r"^(?: {4})+", lambda m: "\t" * (len(m[0]) // 4), source, flags=re.MULTILINE)

    return changed(clean, lambda source: tabbed(source) if "TODO T08" in source else source)


def other_languages(clean: Document) -> Document:
    def translated(source: str) -> str:
        if "TODO T07" not in source:
            return f"# Комментарий, 注释, تعليق\n{source}"
        return (
            "# TODO T07 · 损失函数\ndef bradley_terry_loss(chosen, rejected, margin=0.0):\n"
            '    """Потери Брэдли–Терри."""\n    разность = chosen - rejected - margin\n'
            "    損失 = F.softplus(-разность)\n    return 損失.mean()  # среднее"
        )

    return changed(clean, translated)


def star_imports(clean: Document) -> Document:
    """Import everything from three modules; from torch it would replace range, sum and int, and break the notebook."""
    cell = "from torch.nn.functional import *\nfrom math import *\nfrom rlhf_kit import *"
    return with_cells(clean, cell, first=True)


def global_state(clean: Document) -> Document:
    """Let several slots share a constant, a cache and a counter."""
    extra = "SCALE = 1.0\nCACHE = {}\nSTEPS = [0]\ndef remember(key, value):\n    CACHE[key] = value\n    return value"
    line = "global SCALE; STEPS[0] += 1; SCALE = SCALE * 1.0; remember('last', STEPS[0])"
    counted = in_slot("preference_accuracy", line)(in_slot("bradley_terry_loss", line)(clean))
    return with_cells(counted, extra, first=True)


def reads_a_file_at_the_top(clean: Document) -> Document:
    cell = "import json\nwith open('results/run1.json') as f:\n    history = json.load(f)\nhistory['loss']"
    return with_cells(clean, cell)


def big_output(clean: Document) -> Document:
    """Save 200 MB of output, as of a loop that prints every step."""
    document = copy.deepcopy(clean)
    target = next(cell for cell in document["cells"] if cell["cell_type"] == "code")
    target["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 200_000_000}]
    return document


def python_312(clean: Document) -> Document:
    def newer(source: str) -> str:
        return source.replace("def bradley_terry_loss(", "def bradley_terry_loss[T](")

    return changed(clean, newer)


def mixed_indentation(clean: Document) -> Document:
    return in_slot("bradley_terry_loss", "if True:\n\tpass\n        x = 1")(clean)


def dumped(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


SAME: dict[str, Form] = {
    "metadata stripped": metadata_stripped, "Colab": colab, "VS Code": vs_code, "JupyterLab": jupyterlab,
    "Kaggle": kaggle, "cells merged": cells_merged, "cells split": cells_split, "answered twice": answered_twice,
    "magics and pip": magics, "input() in a cell": asks_at_the_top, "plots": plots, "tabs": tabs,
    "other languages": other_languages, "star imports": star_imports, "global state": global_state,
    "a file read in a cell": reads_a_file_at_the_top,
    "prints in a slot": in_slot("bradley_terry_loss", "print('x' * 1000)"),
    "a shell line in a slot": in_slot("bradley_terry_loss", "!nvidia-smi"),
}  # fmt: skip
# The slots that a form rewrites; it leaves all others unchanged.
REWRITTEN = {
    "other languages": {"T07"}, "global state": {"T07", "T08"}, "prints in a slot": {"T07"},
    "a shell line in a slot": {"T07"},
}  # fmt: skip
# Forms that cannot be graded unchanged, with the slot whose message says so, and words of that message.
TOLD: dict[str, tuple[Form, str, str]] = {
    "input() in a slot": (in_slot("bradley_terry_loss", "n = input('n? ')"), "T07", "calls input()"),
    "cuda() in a slot": (in_slot("bradley_terry_loss", "chosen = chosen.cuda()"), "T07", "asks for a GPU by name"),
    "cuda as a device": (
        in_slot("bradley_terry_loss", "margin = torch.zeros(1, device='cuda')"), "T07", "device of the arguments",
    ),
    "a relative path in a slot": (
        in_slot("preference_accuracy", "open('data/labels.json').read()"), "T08", "opens a file that is not there",
    ),
    "a computed global": (
        lambda clean: with_cells(
            in_slot("preference_accuracy", "bias = temperature")(clean), "temperature = float(torch.ones(3).mean())"
        ),
        "T08", "uses a name that is not set",
    ),
    "a package of their own": (in_slot("preference_accuracy", "import my_utils"), "T08", "not installed while grading"),
    "a download in a slot": (
        in_slot("preference_accuracy", "import urllib.request; urllib.request.urlopen('http://192.0.2.1', timeout=2)"),
        "T08", "needs the network",
    ),
    "200 MB printed in a slot": (
        in_slot("preference_accuracy", "for _ in range(200): print('x' * 1_000_000)"), "T08", "take the print",
    ),
    "Python 3.12 syntax": (python_312, "T07", "3.12"),
    "tabs and spaces mixed": (mixed_indentation, "T07", "tabs and spaces are mixed"),
}  # fmt: skip
