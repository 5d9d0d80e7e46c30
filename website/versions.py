"""Finds the versions of the documents in the tags of the repository, and lists them for the theme's chooser."""

import io
import json
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pages import Unfinished

MAIN, LATEST = "main", "latest"  # folders of the site
_TAG = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """A version of the documents: its folder in the site, the branch or tag, the commit, and what that contains."""

    version: str
    reference: str
    commit: str
    tree: str


def of_repository(root: Path) -> list[Released]:
    """What is checked out as `main`, and each tag of a release that has a site, the newest first. Raises Unfinished."""
    found = sorted(_numbers(tag) for tag in _git(root, "tag", "--list", "v*").decode().split() if _TAG.fullmatch(tag))
    releases = [_released(root, ".".join(map(str, numbers))) for numbers in reversed(found)]
    with_site = [each for each in releases if _git(root, "ls-tree", each.commit, "website/zensical.toml")]
    return [_version(root, MAIN, reference=MAIN, revision="HEAD"), *with_site]


def refuse_changed(versions: list[Released], published: dict[str, str]) -> None:
    """Raise Unfinished if a release that is online has other content now, or no tag."""
    trees = {each.version: each.tree for each in versions}
    for version, online in published.items():
        if version == MAIN or trees.get(version) == online:
            continue
        why = f"is {trees[version]} now" if version in trees else "is gone"
        what = f"versions.json: {version} is online with the tree {online}, and the tag v{version} {why}"
        raise Unfinished(f"{what}. Restore the tag: a version is published once")


def read_published(path: Path) -> dict[str, str]:
    """Return the versions of a site that is online, each with its tree. Raises Unfinished."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {str(entry["version"]): str(entry["properties"]["tree"]) for entry in entries}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Unfinished(f"`{path}` is no versions.json of a site: {error!r}") from error


def listed(versions: list[Released], latest: Released) -> list[dict[str, Any]]:
    """Return versions.json as mike writes it, which the theme's chooser reads."""
    return [
        {
            "version": each.version,
            "title": each.version,
            "aliases": [LATEST] if each == latest else [],
            "properties": {"commit": each.commit, "tree": each.tree},
        }
        for each in versions
    ]


def write_documents(root: Path, version: Released, folder: Path) -> None:
    """Write what the commit of a version contains into a folder."""
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(_git(root, "archive", "--format=tar", version.commit))) as archive:
        archive.extractall(folder, filter="data")


def _numbers(tag: str) -> tuple[int, ...]:
    return tuple(map(int, tag.removeprefix("v").split(".")))


def _released(root: Path, version: str) -> Released:
    return _version(root, version, reference=f"v{version}", revision=f"refs/tags/v{version}")


def _version(root: Path, version: str, *, reference: str, revision: str) -> Released:
    commit, tree = _git(root, "rev-parse", f"{revision}^{{commit}}", f"{revision}^{{tree}}").decode().split()
    return Released(version=version, reference=reference, commit=commit, tree=tree)


def _git(root: Path, *argv: str) -> bytes:
    done = subprocess.run(("git", "-C", root, *argv), capture_output=True, check=False)
    if done.returncode:
        raise Unfinished(f"git {argv[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
