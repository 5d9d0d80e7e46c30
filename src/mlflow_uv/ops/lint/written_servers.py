"""Finds the tracking servers whose addresses are written into a project's code or configuration."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...command.lazy_pattern import lazy_pattern
from ...command.report import Finding, Severity
from ...core.lint.catalog import rule_of
from ...core.security.origins import origin_of
from ...tools.git.git import Git
from ...tools.system.local_server import refuses_connections
from .check import broken_rules
from .folder import CheckedFolder

# Before a comment, which may have another one; a fragment of a URL has no space before it.
_URL = lazy_pattern(r"(?:(?!\s#).)*?(?P<url>https?://[^\s\"'<>]+)")


class WrittenServer(NamedTuple):
    """A server as scheme, host and port, the place (1-based line) that names it, and what lets others choose it."""

    origin: str
    path: Path
    line: int
    fix: str


def written_servers(folder: Path, git: Git) -> Iterator[WrittenServer]:
    """
    Yield those that the lint rule `tracking-uri` finds below a folder, in files that git does not ignore.

    Outside of a repository there are none. An address that is in another line than the call or the key is left out.
    """
    files = CheckedFolder(str(folder))
    names = git.names_below(folder, tracked=False) or ()
    for broken in broken_rules((rule_of("tracking-uri"),), names, files, tracked=()):
        rows = (files.text(broken.path) or "").split("\n")
        number = broken.problem.line
        url = _URL.match(rows[number - 1]) if number <= len(rows) else None
        origin = origin_of(url["url"]) if url else None
        if origin:
            yield WrittenServer(origin=origin, path=folder / broken.path, line=number, fix=broken.problem.fix)


def servers_not_listening(folder: Path, git: Git) -> Iterator[Finding]:
    """Yield a warning for each of these servers that is on this machine and does not listen, at its first place."""
    places: dict[str, list[WrittenServer]] = {}
    for server in written_servers(folder, git):
        places.setdefault(server.origin, []).append(server)
    for origin, (first, *others) in places.items():
        if refuses_connections(origin):
            more = f", and in {len(others)} more {'place' if len(others) == 1 else 'places'}" if others else ""
            yield Finding(
                rule="written-tracking-uri",
                severity=Severity.WARNING,
                what=f"no server listens at `{origin}`, the tracking URI that is written here{more}",
                why="a training that sets it is stopped once it logs, however long that takes",
                fix=first.fix,
                path=first.path,
                line=first.line,
            )
