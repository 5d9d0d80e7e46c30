#!/usr/bin/env python3
"""
Renews the pins of other people's actions: the list in `.ci/pins.json`, and every `uses:` of this repository.

`pins.py` asks GitHub for the newest release of each action of the list (a tag `vMAJOR.MINOR.PATCH`) and writes its
commit, its version and the day of the commit into the list; then it writes the pins of the list into all files that git
tracks. `pins.py --offline` does only the second. `--server URL` asks another server. A release that is younger than
`--days` (7) is left for later, as by Dependabot. An action whose repository does not answer keeps its pin, and the exit
code is 1; so does one whose tag is another commit than before.
"""

import argparse
import datetime as dt
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

LIST = ".ci/pins.json"
USES = re.compile(
    r"(?P<before>\buses: )(?P<repository>[\w.-]+/[\w.-]+)(?P<path>(?:/[\w.-]+)*)"
    r"@(?P<commit>[0-9a-f]{40})(?: # (?P<version>v[\d.]+))?"
)
RELEASE = re.compile(r"([0-9a-f]{40})\trefs/tags/(v(\d+)\.(\d+)\.(\d+))(\^\{\})?")


@dataclass(frozen=True)
class Pin:
    """A release of an action: its commit, and the day of that commit; None where nobody has looked."""

    version: str
    commit: str
    date: str | None


class Unanswered(Exception):
    """A repository has no answer; the text is what git says."""


def listed(folder: Path) -> dict[str, Pin]:
    """The list, by repository."""
    raw = json.loads((folder / LIST).read_text(encoding="utf-8"))
    return {name: Pin(**pin) for name, pin in raw.items()}


def write_list(folder: Path, pins: Mapping[str, Pin]) -> None:
    """Write the list, sorted."""
    plain = {name: asdict(pin) for name, pin in sorted(pins.items())}
    (folder / LIST).write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def differing(folder: Path, pins: Mapping[str, Pin]) -> list[tuple[str, str]]:
    """Each pin in a tracked file that is not that of the list, with its file."""
    return [
        (name, match[0])
        for name, text in tracked(folder)
        for match in USES.finditer(text)
        if match[0] != as_listed(match, pins.get(match["repository"]))
    ]


def as_listed(match: re.Match[str], pin: Pin | None) -> str:
    """How the list has the pin of a match; empty if it does not."""
    if pin is None:
        return ""
    return f"{match['before']}{match['repository']}{match['path']}@{pin.commit} # {pin.version}"


def write_files(folder: Path, pins: Mapping[str, Pin]) -> list[str]:
    """Write the pins of the list into every tracked file; return the files that changed."""
    changed = []
    for name, text in tracked(folder):
        new = USES.sub(lambda match: as_listed(match, pins.get(match["repository"])) or match[0], text)
        if new != text:
            (folder / name).write_bytes(new.encode())
            changed.append(name)
    return changed


def tracked(folder: Path) -> list[tuple[str, str]]:
    """The files that git tracks and that are text, with their text."""
    found = []
    for name in git(folder, "ls-files", "-z").split("\0"):
        path = folder / name
        if name and path.is_file() and not path.is_symlink():
            try:
                found.append((name, path.read_bytes().decode()))
            except UnicodeDecodeError:
                continue
    return found


def newest(url: str, before: str) -> Pin | None:
    """The newest release of a repository whose commit is not younger than a day. Raises Unanswered."""
    commits: dict[tuple[int, ...], tuple[str, str]] = {}
    for line in git(Path(), "ls-remote", "--tags", url).splitlines():
        if match := RELEASE.fullmatch(line):  # the line of `^{}`, the commit of an annotated tag, is the later one
            commits[int(match[3]), int(match[4]), int(match[5])] = match[2], match[1]
    with tempfile.TemporaryDirectory() as temporary:
        bare = Path(temporary)
        git(bare, "init", "--quiet", "--bare")
        for _, (version, commit) in sorted(commits.items(), reverse=True):
            git(bare, "fetch", "--quiet", "--depth=1", url, f"refs/tags/{version}")
            date = git(bare, "show", "--no-patch", "--format=%cs", commit).strip()
            if date <= before:
                return Pin(version, commit, date)
    return None


def numbers_of(pin: Pin) -> tuple[int, ...]:
    """The numbers of a version, by which releases are sorted."""
    return tuple(map(int, re.findall(r"\d+", pin.version)))


def git(folder: Path, *words: str) -> str:
    """What git prints, without questions. Raises Unanswered if it fails."""
    done = subprocess.run(
        ("git", "-c", "core.askPass=true", "-c", "credential.helper=", "-C", str(folder), *words),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise Unanswered(done.stderr.strip())
    return done.stdout


def main(words: Sequence[str], folder: Path) -> int:
    """Renew the pins; return the exit code."""
    parser = argparse.ArgumentParser(description="Renew the pins of other people's actions.")
    parser.add_argument("--offline", action="store_true", help="only write the pins of the list into the files")
    parser.add_argument("--server", default="https://github.com", help="where the repositories of actions are")
    parser.add_argument("--days", type=int, default=7, help="how old a release is at least")
    given = parser.parse_args(words)
    pins, failed = listed(folder), False
    before = (dt.datetime.now(dt.UTC).date() - dt.timedelta(days=given.days)).isoformat()
    for name, pin in {} if given.offline else pins.copy().items():
        try:
            found = newest(f"{given.server}/{name}", before)
        except Unanswered as error:
            print(f"{name} keeps {pin.version}: {error}", file=sys.stderr)
            failed = True
            continue
        if found is None or numbers_of(found) < numbers_of(pin):
            continue
        if found.version == pin.version and found.commit != pin.commit:
            print(f"{name} {pin.version} is another commit now, {found.commit}: find out why", file=sys.stderr)
            failed = True
            continue
        if found.version != pin.version:
            print(f"{name} {pin.version} -> {found.version}")
        pins[name] = found
    write_list(folder, pins)
    for changed in write_files(folder, pins):
        print(changed)
    for file, uses in differing(folder, pins):
        print(f"{file}: `{uses}` is not in {LIST}: add its repository there", file=sys.stderr)
        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parents[1]))
