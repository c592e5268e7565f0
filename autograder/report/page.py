"""Render HTML pages as self-contained files: they have no script, load nothing, and all text in them is escaped.

The content security policy allows the style sheet by its hash and forbids everything else, so that even a mistake in
escaping cannot run code, load anything, or cover the score.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from autograder.core import messages, text
from autograder.report import plots

TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, **context: Any) -> str:
    """Render a template to valid UTF-8. Raises jinja2.UndefinedError if the context lacks a name that it uses."""
    css = _style()
    page = _environment().get_template(template).render(css=Markup(css), policy=policy(css), **context)
    return text.valid_unicode(page)


def policy(css: str) -> str:
    """The content security policy for a page with this style sheet."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@lru_cache(maxsize=1)
def _style() -> str:
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(known_mistake=messages.KNOWN_MISTAKE)
    env.filters.update(show=text.html, line=text.one_line, num=text.number, pts=text.points, svg=plots.svg)
    return env
