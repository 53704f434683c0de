"""Make the pages: run the story, take the pictures, write everything; in about four minutes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pr_pages.browser import find_browser, take_picture
from pr_pages.html import WIDTH, draw_conversation, draw_terminal
from pr_pages.pages import PAGES, conversation, picture_name, write_manifest, write_page
from pr_pages.places import EXPERIMENT, open_places
from pr_pages.story import Gated, tell

MAX_BYTES = 150_000
WINDOW = "lynxgate gate, at the desk"


def main() -> None:
    """Nothing is written before everything is there."""
    find_browser()
    with tempfile.TemporaryDirectory(prefix="pr-pages-") as scratch, open_places(Path(scratch)) as places:
        story = tell(places, say)
    say("pictures")
    pictures = take_pictures(story.clean) | take_pictures(story.degraded)
    files = {PAGES[gated.name]: write_page(gated).encode() for gated in (story.clean, story.degraded)}
    files |= {**pictures, "manifest.json": write_manifest(story, pictures).encode()}
    for name, data in files.items():
        (EXPERIMENT / name).parent.mkdir(exist_ok=True)
        (EXPERIMENT / name).write_bytes(data)
        say(f"wrote {name}, {len(data)} bytes")


def take_pictures(gated: Gated) -> dict[str, bytes]:
    """Both pictures of a candidate, by name."""
    pages = {
        "terminal": draw_terminal(gated.session.lines, WINDOW),
        "pull_request": draw_conversation(conversation(gated)),
    }
    pictures = {picture_name(gated, kind): take_picture(page, width=WIDTH) for kind, page in pages.items()}
    for name, data in pictures.items():
        if len(data) > MAX_BYTES:
            raise SystemExit(f"{name} has {len(data)} bytes, and {MAX_BYTES} are enough; lower COLOURS in browser.py")
    return pictures


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
