"""The notebooks as pages of their own: nbconvert's HTML with formulas as MathML, without a script or a request.

nbconvert's own templates fetch MathJax and RequireJS from the net when a page is opened. Here math-core writes the
formulas when the page is made, and browsers show MathML themselves.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from math_core import LatexError, LatexToMathML
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from assignment.files import ForeignFileError, sha256, write_whole
from assignment.release import sample
from assignment.release.markers import SourceError
from assignment.release.release import NOTEBOOK, Layout, Release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from assignment.release.passes import Cells

TEMPLATES = Path(__file__).with_name("pages")
FOLDER, HANDOUT, SOLVED = "html", "handout.html", "handout-solved.html"
FOR_INSTRUCTORS = "With solutions: for instructors, not to be handed out."
_OUTPUTS = {
    "current": "with the outputs of {sample}",
    "texts": "with the outputs of {sample}, whose prose or comments are older (`make refresh` renews it)",
    "code": "without outputs, since {sample} ran with other code or another kit (`make refresh` runs it again)",
    "missing": "without outputs, since there is no {sample} (`make refresh` makes it)",
}


_SIGNED = "<!-- rlhf-lab build --html: {} -->\n"


@dataclass(frozen=True)
class Page:
    """A page in memory: the name of its file, its text, and a word on what is in it."""

    name: str
    html: str
    about: str

    def write(self, layout: Layout) -> Path:
        """Write the page below dist/, with its digest in the last line; returns where it is. Raises OSError."""
        path = layout.dist / FOLDER / self.name
        write_whole(path, self.html + _SIGNED.format(sha256(self.html.encode())))
        return path


def both_pages(release: Release, layout: Layout, overwrite: bool = False) -> list[Page]:
    """The blank and the solved handout, not yet written.

    overwrite: never mind pages on disk that were edited since they were written.
    Raises:
        SourceError: a formula is wrong, or a cell loads something from elsewhere.
        ForeignFileError: a page on disk was edited.
    """
    pages = [handout(release), solved_handout(release, layout)]
    paths = [layout.dist / FOLDER / page.name for page in pages]
    edited = [str(path) for path in paths if os.path.lexists(path) and not _is_ours(path)]
    if edited and not overwrite:
        raise ForeignFileError(
            f"a build would replace what it did not write: {', '.join(edited)}. Keep what you need elsewhere, then "
            "run `rlhf-lab build --html --overwrite`"
        )
    return pages


def _is_ours(path: Path) -> bool:
    """Whether a page is as a build left it."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    html = text.rpartition("<!--")[0]
    return text == html + _SIGNED.format(sha256(html.encode()))


def handout(release: Release) -> Page:
    """What students read: the notebook with its blank slots.

    Raises:
        SourceError: a formula is wrong, or a cell loads something from elsewhere.
    """
    notebook = nbformat.reads(release.shipped[NOTEBOOK].decode("utf-8"), as_version=4)
    return Page(HANDOUT, to_html(notebook, release), "for students")


def solved_handout(release: Release, layout: Layout) -> Page:
    """What instructors read: the solved notebook, with outputs where the reference sample still has the right ones.

    Raises:
        SourceError: as for `handout`.
    """
    found = sample.state(release, layout)
    if found in ("current", "texts"):
        notebook = sample.renewed(release, layout)
    else:
        notebook = nbformat.reads(release.solved.decode("utf-8"), as_version=4)
    about = _OUTPUTS[found].format(sample=f"{layout.samples.name}/{sample.SAMPLE}")
    return Page(SOLVED, to_html(notebook, release, FOR_INSTRUCTORS), f"for instructors, {about}")


def to_html(notebook: nbformat.NotebookNode, release: Release, note: str = "") -> str:
    """One notebook as a page; `note` stands in a box above it."""
    exporter = _Exporter(template_name="handout", extra_template_basedirs=[str(TEMPLATES)])
    exporter.formula = lambda latex, block: _formula(latex, block, release.cells)
    resources = {"metadata": {"name": release.spec.title}, "note": note}
    html, _ = exporter.from_notebook_node(notebook, resources)
    found = list(loaded(html))
    if found:
        raise SourceError(f"a page must not load anything: embed {found[0]} into its cell as a data: address")
    return str(html)


def loaded(html: str) -> Iterator[str]:
    """Addresses that a browser would fetch to show this page; links that one clicks are not among them."""
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
    """nbconvert's Markdown, with formulas written by `formula(latex, block)`."""

    formula: Callable[[str, bool], str]

    def block_math(self, body: str) -> str:
        return f'<span class="formula">{self.formula(body, True)}</span>'

    def inline_math(self, body: str) -> str:
        return self.formula(body, False)

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


class _Exporter(HTMLExporter):
    formula: Callable[[str, bool], str]

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        renderer = _Renderer(escape=False, exclude_anchor_links=True)
        renderer.formula = self.formula
        return str(MarkdownWithMath(renderer=renderer).render(source))


_MATHML = LatexToMathML(fancy_error=False)


def _formula(latex: str, block: bool, cells: Cells) -> str:
    """MathML of a formula; SourceError with the line in the part file where it stands."""
    try:
        return _MATHML.convert_with_local_state(latex, displaystyle=block)
    except LatexError as error:
        reason = re.sub(r"^\d+: ", "", str(error)).rstrip(".")
        message = f"the formula {' '.join(latex.split())!r} cannot be shown: {reason}"
        for cell in cells:
            if latex in cell.source:
                raise cell.place.error(cell.source[: cell.source.index(latex)].count("\n"), message) from error
        raise SourceError(message) from error
