"""The pages are inert in a real browser, although every place that takes text has hostile text.

These tests are slow, and skipped if no Chromium is installed. Controls show that they can fail: the same strings
without escaping do run and do reach the listener; and the content policy alone, without escaping, still stops scripts
and loads.
"""

from __future__ import annotations

import dataclasses
import html
import io
import os
import re
import signal
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageChops

from autograder.report import page, write_reports
from tests.support.browser import BROWSER
from tests.support.report_fixture import CANARY, HOSTILE, bundle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")]
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--hide-scrollbars",
)


class Listener:
    """A local server that answers nothing and records the requests."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/canary"
        self.requests: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:  # closed
                return
            with connection:
                connection.settimeout(1)
                try:
                    self.requests.append(connection.recv(500))
                    connection.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
                except OSError:
                    self.requests.append(b"connected")


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.socket.close()


def browse(path: Path, profile: Path, *options: str) -> str:
    """Open a file in a headless browser for two seconds of page time. Returns what the browser printed."""
    where = f"--user-data-dir={profile}"
    command = [str(BROWSER), *QUIET, where, "--virtual-time-budget=2000", *options, path.as_uri()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as browser:
        try:
            return browser.communicate(timeout=60)[0]
        finally:
            if browser.poll() is None:  # because of a dialog, for example: end the browser and all that it started
                os.killpg(browser.pid, signal.SIGKILL)


def opened(text: str, listener: Listener, folder: Path) -> str:
    """The DOM after opening `text` with the listener's address in place of the canary's."""
    path = folder / "page.html"
    path.write_text(text.replace(CANARY, listener.url), encoding="utf-8")
    return browse(path, folder / "profile", "--dump-dom")


def title(dom: str) -> str:
    return html.unescape(re.search(r"<title>(.*?)</title>", dom, re.S).group(1))


def bare(policy: str = "") -> str:
    hostile = HOSTILE.replace("\ud800", "").replace("<meta http-equiv=refresh", "<meta name=none")
    return f"<!DOCTYPE html><html><head><meta charset=utf-8>{policy}<title>calm</title></head><body>{hostile}"


@pytest.mark.parametrize("name", ["report.html", "feedback.html"])
def test_nothing_runs_and_no_request_leaves(name: str, listener: Listener, tmp_path: Path) -> None:
    source = write_reports(tmp_path / "out", bundle(hostile=True))[name].read_text(encoding="utf-8")
    dom = opened(source, listener, tmp_path)
    assert listener.requests == []
    assert title(dom) == title(source)
    assert not re.search(r"<(script|img|iframe|object|embed|link|form|a href=.?javascript)", dom)
    assert dom.count("<style") == 1


def test_control_the_same_text_unescaped_runs_and_reaches_the_listener(listener: Listener, tmp_path: Path) -> None:
    dom = opened(bare(), listener, tmp_path)
    assert title(dom) == "pwned"
    assert listener.requests


def test_control_the_content_policy_alone_stops_scripts_and_loads(listener: Listener, tmp_path: Path) -> None:
    policy = f'<meta http-equiv="Content-Security-Policy" content="{page.policy("")}">'
    dom = opened(bare(policy), listener, tmp_path)
    assert title(dom) == "calm"
    assert listener.requests == []


BOTH = pytest.mark.parametrize("name", ["report.html", "feedback.html"])
PLAIN_NAME = "homework.ipynb"
OVERLAY = "<div style='position:fixed;inset:0;background:#fff'>100 / 100</div>"
CONTENT_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def written(name: str, folder: Path, hostile: bool, called: str = "") -> str:
    """The page of a submission. called: its name, if it is not the fixture's."""
    given = bundle(hostile)
    if called:
        given = bundle(hostile, submission=dataclasses.replace(given.submission, name=called))
    return write_reports(folder, given)[name].read_text(encoding="utf-8")


def head(source: str, folder: Path, height: int = 160) -> Image.Image:
    """An image of the top of the page."""
    folder.mkdir(exist_ok=True)
    path, shot = folder / "page.html", folder / "shot.png"
    path.write_text(source, encoding="utf-8")
    browse(path, folder / "profile", f"--screenshot={shot}", "--window-size=1000,800")
    painted = Image.open(io.BytesIO(shot.read_bytes())).convert("RGB").crop((0, 0, 1000, height))
    assert len(painted.getcolors(1 << 20)) > 20  # something was drawn
    return painted


def score(painted: Image.Image) -> Image.Image:
    """The text in the box of the score, wherever it is in it: a long name makes the box higher."""
    left, top, right = 30, 40, 240
    ground = painted.getpixel((left, top))
    bottom = next(y for y in range(top, painted.height) if painted.getpixel((left, y)) != ground)
    box = painted.crop((left, top, right, bottom))
    return box.crop(ImageChops.difference(box, Image.new("RGB", box.size, ground)).getbbox())


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


@BOTH
def test_nothing_is_painted_over_the_head_of_the_page(name: str, tmp_path: Path) -> None:
    """Score and verdict of the hostile page equal those of the plain one, pixel by pixel."""
    plain, hostile = (written(name, tmp_path / str(h), h, PLAIN_NAME) for h in (False, True))
    assert same(head(plain, tmp_path / "a"), head(hostile, tmp_path / "b"))


@BOTH
def test_a_hostile_name_leaves_the_score_as_it_is(name: str, tmp_path: Path) -> None:
    plain, hostile = written(name, tmp_path / "plain", False), written(name, tmp_path / "hostile", True)
    assert same(*(score(head(source, tmp_path / str(i), 400)) for i, source in enumerate((plain, hostile))))


@BOTH
def test_control_only_the_content_policy_stops_an_overlay(name: str, tmp_path: Path) -> None:
    plain = written(name, tmp_path / "plain", False, PLAIN_NAME)
    overlaid = plain.replace("</main>", f"</main>{OVERLAY}")
    unprotected = CONTENT_POLICY.sub("", overlaid)
    assert plain != overlaid != unprotected
    clean = head(plain, tmp_path / "a")
    assert not same(clean, head(unprotected, tmp_path / "b"))
    assert same(clean, head(overlaid, tmp_path / "c"))
