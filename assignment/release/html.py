"""Convert the notebooks to self-contained HTML pages with nbconvert, with formulas as MathML and without scripts.

nbconvert's own templates load MathJax and RequireJS from the network when a page is opened. Here math-core converts the
formulas to MathML, which browsers show without a script, when the page is made.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bs4 import BeautifulSoup
from jinja2 import pass_context
from math_core import LatexError, LatexToMathML
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from assignment.files import ForeignFileError, sha256, write_atomically
from assignment.release import reference_sample
from assignment.release.archive import NOTEBOOK
from assignment.release.markers import SourceError
from assignment.release.notebook import read_notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import nbformat

    from assignment.release.passes import Cells
    from assignment.release.release import Layout, Release

TEMPLATES = Path(__file__).with_name("pages")
FOLDER, HANDOUT, SOLVED = "html", "handout.html", "handout-solved.html"
FOR_INSTRUCTORS = "With solutions: for instructors, not to be handed out."
_OUTPUTS = {
    "current": "with the outputs of {sample}",
    "old text": "with the outputs of {sample}, whose prose or comments are older (`make refresh` renews it)",
    "old code": "without outputs, since {sample} ran with other code or another kit (`make refresh` runs it again)",
    "missing": "without outputs, since there is no {sample} (`make refresh` makes it)",
}
_SIGNATURE = "<!-- rlhf-lab build --html: {} -->\n"  # the last line of a page: the digest of what is above


@dataclass(frozen=True)
class Page:
    """A page in memory: the name of its file, its HTML, and for whom it is, with or without outputs."""

    name: str
    html: str
    about: str

    def path(self, layout: Layout) -> Path:
        """Return where the page is written: dist/html/."""
        return layout.dist / FOLDER / self.name

    def write(self, layout: Layout) -> Path:
        """Write the page, with its digest in the last line, and return its path. Raises OSError."""
        write_atomically(self.path(layout), self.html + _SIGNATURE.format(sha256(self.html.encode())))
        return self.path(layout)


def build_pages(release: Release, layout: Layout, overwrite: bool = False) -> list[Page]:
    """Make the pages of the blank and of the solved notebook, without writing them.

    overwrite: allow the replacement of pages that were edited since they were written.

    Raises:
        SourceError: a formula is wrong, or a cell loads something from elsewhere.
        ForeignFileError: a page on disk was edited.
    """
    pages = [handout(release), solved_handout(release, layout)]
    paths = [page.path(layout) for page in pages]
    edited = [str(path) for path in paths if os.path.lexists(path) and not _is_unedited(path)]
    if edited and not overwrite:
        raise ForeignFileError(
            f"a build would replace what it did not write: {', '.join(edited)}. Keep what you need elsewhere, then "
            "run `rlhf-lab build --html --overwrite`"
        )
    return pages


def _is_unedited(path: Path) -> bool:
    """Return whether a page is exactly as a build wrote it."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    html = text.rpartition("<!--")[0]
    return text == html + _SIGNATURE.format(sha256(html.encode()))


def handout(release: Release) -> Page:
    """Make the page for students, the notebook with blank slots.

    Raises:
        SourceError: a formula is wrong, or a cell loads something from elsewhere.
    """
    notebook = read_notebook(release.shipped[NOTEBOOK].decode("utf-8"))
    return Page(HANDOUT, to_html(notebook, release), "for students")


def solved_handout(release: Release, layout: Layout) -> Page:
    """Make the page for instructors, the solved notebook, with the outputs of the reference sample if they still apply.

    Raises:
        SourceError: as for `handout`.
    """
    state = reference_sample.state(release, layout)
    if state in ("current", "old text"):
        notebook = reference_sample.with_outputs(release, layout)
    else:
        notebook = read_notebook(release.solved.decode("utf-8"))
    about = _OUTPUTS[state].format(sample=f"{layout.samples.name}/{reference_sample.SAMPLE}")
    return Page(SOLVED, to_html(notebook, release, FOR_INSTRUCTORS), f"for instructors, {about}")


def to_html(notebook: nbformat.NotebookNode, release: Release, note: str = "") -> str:
    """Convert a notebook to a page, with `note` in a box above it.

    Raises:
        SourceError: a formula is wrong, or a cell loads something from elsewhere.
    """
    exporter = _Exporter(  # type: ignore[no-untyped-call]  # nbconvert has no types
        template_name="handout", extra_template_basedirs=[str(TEMPLATES)]
    )
    exporter.formula = lambda latex, block: _formula(latex, block, release.cells)
    resources = {"metadata": {"name": release.spec.title}, "note": note}
    html, _ = exporter.from_notebook_node(notebook, resources)
    addresses = list(loaded_addresses(html))
    if addresses:
        raise SourceError(f"a page must not load anything: embed {addresses[0]} into its cell as a data: address")
    return str(html)


def loaded_addresses(html: str) -> Iterator[str]:
    """Yield the addresses that a browser would load to show this page; links to click on are not among them."""
    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.find_all(True):
        names = ["src", "srcset", "poster", "data", "background", *(["href"] if tag.name != "a" else [])]
        for address in (str(tag[name]) for name in names if tag.has_attr(name)):
            if not address.startswith(("data:", "#")):
                yield address
    styles = [tag.get_text() for tag in soup.find_all("style")] + [tag["style"] for tag in soup.select("[style]")]
    for style in styles:
        for address in re.findall(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]([^'\"]+)", str(style)):
            if not "".join(address).startswith(("data:", "#")):
                yield "".join(address)


class _Renderer(IPythonRenderer):
    """nbconvert's Markdown renderer, except that `formula(latex, block)` converts formulas."""

    formula: Callable[[str, bool], str]

    def block_math(self, body: str) -> str:
        return f'<span class="formula">{self.formula(body, True)}</span>'

    def inline_math(self, body: str) -> str:
        return self.formula(body, False)

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


class _Exporter(HTMLExporter):
    """nbconvert's HTML exporter with `_Renderer` for Markdown cells."""

    formula: Callable[[str, bool], str]

    @pass_context
    def markdown2html(self, _context: Any, source: str) -> str:
        renderer = _Renderer(escape=False, exclude_anchor_links=True)
        renderer.formula = self.formula
        return str(MarkdownWithMath(renderer=renderer).render(source))


_MATHML = LatexToMathML(fancy_error=False)


def _formula(latex: str, block: bool, cells: Cells) -> str:
    """Convert a formula to MathML. SourceError, with its line in the part file, if that fails."""
    try:
        return _MATHML.convert_with_local_state(latex, displaystyle=block)
    except LatexError as error:
        reason = re.sub(r"^\d+: ", "", str(error)).rstrip(".")
        message = f"the formula {' '.join(latex.split())!r} cannot be shown: {reason}"
        for cell in cells:
            if latex in cell.source:
                raise cell.location.error(cell.source[: cell.source.index(latex)].count("\n"), message) from error
        raise SourceError(message) from error
