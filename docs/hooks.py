"""MkDocs hook: files of the root and the handout become pages of the site, and links work in both places."""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

from assignment.release.html import handout
from assignment.release.release import build

ROOT = Path(__file__).resolve().parent.parent
DOCS = "docs/"
NOTEBOOK = "student_template/rlhf.ipynb"
# Where the site has these files; the notebook is the page of `rlhf-lab build --html`, with blank slots.
PLACES = {
    NOTEBOOK: "handout.html",
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "reporting.md",
    "LICENSE": "LICENSE",
    "CITATION.cff": "CITATION.cff",
}
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_startup(command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
    """Print warnings alone: one line a page hides them, and with --quiet --strict does not see them either."""
    logging.getLogger("mkdocs").setLevel(logging.WARNING)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of the root and the handout to those of docs/."""
    for name, place in PLACES.items():
        if name != NOTEBOOK:
            files.append(File.generated(config, place, abs_src_path=str(ROOT / name)))
    files.append(File.generated(config, PLACES[NOTEBOOK], content=handout(build()).html))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the repository into links to pages; keep only the text of those that have no page.

    A link to a file that does not exist stays as it is: `mkdocs build --strict` refuses it.
    """
    source = page.file.abs_src_path
    if source is None:  # an API page, which no person wrote
        return markdown
    folder, here = Path(source).parent, posixpath.dirname(page.file.src_uri)

    def on_the_site(match: re.Match[str]) -> str:
        text, path, anchor = match.groups(default="")
        target = (folder / path).resolve()
        if not target.is_relative_to(ROOT) or not target.exists():
            return match[0]
        name = target.relative_to(ROOT).as_posix()
        place = PLACES.get(name) or (name.removeprefix(DOCS) if name.startswith(DOCS) and target.is_file() else "")
        return f"[{text}]({posixpath.relpath(place, here or '.')}{anchor})" if place else text

    return LINK.sub(on_the_site, markdown)
