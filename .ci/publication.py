#!/usr/bin/env python3
"""
Checks a tag that is to be published as a release of this project, and prints what the release needs.

`publication.py check TAG` ends with an error unless the tag is `vMAJOR.MINOR.PATCH`, names the version of
pyproject.toml and of the package, has a section in CHANGELOG.md, is on the default branch, and is newer than the other
releases of its major version. A tag that breaks another of these rules was refused, and counts as no release. It prints
outputs of a step: `version`, and `major`, the tag that follows these releases.
`publication.py notes TAG` prints the section.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

TAG = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
VERSION_FILES = {"pyproject.toml": r'^version = "(.*)"$', "src/mlflow_uv/__init__.py": r'^__version__ = "(.*)"$'}
CHANGES = "CHANGELOG.md"
BRANCH = "origin/main"


class Refused(Exception):
    """A tag cannot be published; the text says why and what to do."""


def numbers_of(tag: str) -> tuple[int, int, int]:
    """The three numbers of a tag. Raises Refused for another name."""
    match = TAG.fullmatch(tag)
    if match is None:
        raise Refused(f"`{tag}` is no release: a release is `vMAJOR.MINOR.PATCH`")
    major, minor, patch = map(int, match.groups())
    return major, minor, patch


def check(folder: Path, tag: str) -> dict[str, str]:
    """The outputs for a tag that may be published. Raises Refused."""
    major, _, _ = numbers = numbers_of(tag)
    require_consistent(folder, tag, lambda name: (folder / name).read_text(encoding="utf-8"))
    tags = (git(folder, "tag", "--list") or "").split()
    later = [name for name in tags if name != tag and TAG.fullmatch(name) and numbers_of(name) >= numbers]
    for name in sorted(later, key=numbers_of, reverse=True):
        if numbers_of(name)[0] == major and was_published(folder, name):
            raise Refused(f"{name} is published, and newer than {tag}: `v{major}` would go back. Tag a higher version")
    return {"version": tag.removeprefix("v"), "major": f"v{major}"}


def require_consistent(folder: Path, tag: str, read: Callable[[str], str]) -> None:
    """Raise Refused for a tag that differs from the version in its files, or is not on the default branch."""
    version = tag.removeprefix("v")
    for name, pattern in VERSION_FILES.items():
        match = re.search(pattern, read(name), re.MULTILINE)
        if match is None or match[1] != version:
            found = f"the version {match[1]}" if match else "no version"
            raise Refused(f"{name} has {found}, and the tag has {version}: set both")
    section_of(read(CHANGES), tag)
    if git(folder, "merge-base", "--is-ancestor", f"{tag}^{{commit}}", BRANCH) is None:
        raise Refused(f"{tag} is no commit of {BRANCH}: merge it first, and tag it there")


def was_published(folder: Path, tag: str) -> bool:
    """Whether another tag was accepted: it names the version of its own commit, which the default branch has."""
    try:
        require_consistent(folder, tag, lambda name: git(folder, "show", f"{tag}:{name}") or "")
    except Refused:
        return False
    return True


def notes(folder: Path, tag: str) -> str:
    """The section of the changes of a version. Raises Refused if there is none, or nothing in it."""
    return section_of((folder / CHANGES).read_text(encoding="utf-8"), tag)


def section_of(text: str, tag: str) -> str:
    """The section of a version in a document; a line that looks like a heading in a code fence is none."""
    heading = re.compile(rf"## {re.escape(tag.removeprefix('v'))}(?: .*)?")
    found, section, fence = False, list[str](), ""
    for line in text.splitlines(keepends=True):
        # CommonMark 4.5: a fence ends with at least as many of its characters, and nothing behind them.
        mark = re.match(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})", line)
        inside = bool(fence)
        if fence:
            fence = "" if re.fullmatch(rf" {{0,3}}{fence[0]}{{{len(fence)},}}\s*", line) else fence
        elif mark:
            fence = mark[1]
        if not inside and line.startswith("## "):
            if found:
                break
            found = heading.fullmatch(line.rstrip()) is not None
        elif found:
            section.append(line)
    if not "".join(section).strip():
        raise Refused(f"{CHANGES} has nothing below `## {tag.removeprefix('v')}`: rename `## Unreleased`")
    return "".join(section).strip() + "\n"


def git(folder: Path, *words: str) -> str | None:
    """What git prints; None if it fails."""
    done = subprocess.run(("git", "-C", str(folder), *words), capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def main(words: list[str]) -> int:
    """Run a command; return the exit code."""
    folder = Path(__file__).resolve().parents[1]
    try:
        match words:
            case ["check", tag]:
                print(*(f"{name}={value}" for name, value in check(folder, tag).items()), sep="\n")
            case ["notes", tag]:
                print(notes(folder, tag), end="")
            case _:
                raise Refused("say `check TAG` or `notes TAG`")
    except Refused as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
