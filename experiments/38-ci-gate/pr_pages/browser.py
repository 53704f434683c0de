"""Debian's headless Chromium: a picture of a page, and what a page has become when its scripts have run.

- The page is a file; the browser is given no network and a profile of its own, which is thrown away.
- A picture is cut to what is on the page and has at most 256 colours.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

NAMES = ("chromium-headless-shell", "chromium")
SCALE = 2  # pixels of the picture for one of the page
TALL = 4000  # more than any page has
COLOURS = 256
MARGIN = 16
SECONDS = 60
_OPTIONS = (
    "--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=1000", "--font-render-hinting=none",
)  # fmt: skip


def find_browser() -> str:
    """The path of the browser.

    Raises:
        SystemExit: it is not installed.
    """
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise SystemExit("there is no headless Chromium; run `just system`, or install Debian's chromium-headless-shell")


def take_picture(html: str, *, width: int) -> bytes:
    """A PNG of a page that is ``width`` CSS pixels wide."""
    with tempfile.TemporaryDirectory() as scratch:
        picture = Path(scratch, "page.png")
        size = f"--window-size={width},{TALL}"
        _browse(html, Path(scratch), size, f"--force-device-scale-factor={SCALE}", f"--screenshot={picture}")
        with Image.open(picture) as whole:
            return _write_small(_cut(whole.convert("RGB")))


def read_page(html: str) -> str:
    """The page's document when its scripts have run, as HTML."""
    with tempfile.TemporaryDirectory() as scratch:
        return _browse(html, Path(scratch), "--dump-dom")


def _browse(html: str, scratch: Path, *options: str) -> str:
    page = scratch / "page.html"
    page.write_text(html)
    command = [find_browser(), *_OPTIONS, f"--user-data-dir={scratch / 'profile'}", *options]
    if os.geteuid() == 0:
        command.append("--no-sandbox")  # Chromium's own sandbox does not start for root
    done = subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, timeout=SECONDS, check=False, cwd=scratch
    )
    if done.returncode:
        raise SystemExit(f"the browser ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def _cut(whole: Image.Image) -> Image.Image:
    """Without what is empty below: the background is the colour of the last pixel."""
    background = Image.new("RGB", whole.size, whole.getpixel((whole.width - 1, whole.height - 1)))
    box = ImageChops.difference(whole, background).getbbox()
    if box is None:
        raise SystemExit("the page is empty")
    if box[3] == whole.height:
        raise SystemExit(f"the page is taller than {TALL} pixels; raise TALL in browser.py")
    return whole.crop((0, 0, whole.width, box[3] + MARGIN * SCALE))


def _write_small(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    reduced = picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    reduced.save(data, "PNG", optimize=True)
    return data.getvalue()
