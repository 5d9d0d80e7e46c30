"""Checks a built site without network: each link of a page leads to a file and an anchor of the site."""

import os
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself when it shows a page.
_FETCHED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("link", "href")}
# Relations of `link` that are only said, and not fetched.
_SAID = {"canonical", "next", "prev", "alternate", "author"}


class _Page(HTMLParser):
    """Anchors and links of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what this tag names or leads to."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        for name in ("href", "src"):
            if (target := given.get(name)) is None or (tag == "link" and given.get("rel") in _SAID):
                continue
            self.links.append(target)
            if (tag, name) in _FETCHED:
                self.fetched.append(target)


def complaints(site: Path, address: str, *, above: bool) -> Iterator[str]:
    """
    Yield what is wrong with the links of a site that will be at `address`.

    With `above` the folder above is the start page of a site with versions, and may be a target.
    """
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    base = urlsplit(address).path
    for path, page in pages.items():
        shown = path.relative_to(site).as_posix()
        yield from (f"{shown}: fetches {target}" for target in page.fetched if urlsplit(target).netloc)
        for target in page.links:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            goal = _goal(site, path, unquote(parts.path), base)
            if above and goal == site.parent:
                continue
            if goal is None or not goal.is_file():
                yield f"{shown}: {target} leads nowhere"
            elif parts.fragment and goal in pages and unquote(parts.fragment) not in pages[goal].anchors:
                yield f"{shown}: {target} has no such anchor"


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _goal(site: Path, page: Path, name: str, base: str) -> Path | None:
    if not name:
        return page
    below = site / name.removeprefix(base) if name.startswith("/") else page.parent / name
    goal = Path(os.path.normpath(below))
    if not goal.is_relative_to(site):
        return goal if goal == site.parent else None
    return goal / "index.html" if goal.is_dir() else goal
