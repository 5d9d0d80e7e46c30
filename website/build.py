"""Builds the documentation as a site: `bin/mlflow-uv site FOLDER`. It needs no network once its packages are there."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

FILES = ".site-files.json"  # in the folder of a site: what this program wrote there

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "website"), str(ROOT / "src")]

from links import complaints
from pages import Sources, Unfinished, llms

from mlflow_uv.surfaces.phrasing import OWNER


def main(argv: list[str]) -> int:
    """Build the site into a folder, which is replaced; 1 if a page is missing or a link is broken."""
    parser = argparse.ArgumentParser(prog="mlflow-uv site", description="Build the documentation as a site.")
    parser.add_argument("folder", type=Path, help="where the site is written; what is there is replaced")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository whose documents are shown")
    given = parser.parse_args(argv)
    if complaint := _kept(given.folder):
        parser.error(complaint)
    try:
        with tempfile.TemporaryDirectory(prefix="mlflow-uv-site-") as scratch:
            site = build(given.root.resolve(), Path(scratch).resolve())
            if given.folder.exists():
                shutil.rmtree(given.folder)
            shutil.copytree(site, given.folder)
            (given.folder / FILES).write_text(json.dumps(sorted(_files(given.folder))), encoding="utf-8")
    except Unfinished as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _kept(folder: Path) -> str:
    """Why a folder is not replaced; empty if it is none yet, is empty, or has nothing but the files of a site."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        return f"`{folder}` is no folder"
    there = _files(folder)
    try:
        listed = set(map(str, json.loads((folder / FILES).read_text(encoding="utf-8")))) | {FILES}
    except (OSError, ValueError, TypeError):
        listed = set()
    others = sorted(there - listed)
    return f"`{folder}` contains something else than a site: {others[0]}" if others else ""


def _files(folder: Path) -> set[str]:
    """The files and links in a folder, by their paths in it."""
    found = folder.rglob("*")
    return {path.relative_to(folder).as_posix() for path in found if path.is_symlink() or not path.is_dir()}


def build(root: Path, scratch: Path) -> Path:
    """Return the folder of the site. Raises Unfinished."""
    settings = tomllib.loads((ROOT / "website/zensical.toml").read_text(encoding="utf-8"))["project"]
    repository = f"https://github.com/{OWNER}"
    owner, name = OWNER.split("/")
    address = f"https://{owner}.github.io/{name}/"
    pages = Sources(root=root, repository=repository).write(scratch / "pages")
    shutil.copy(ROOT / "website/extra.css", scratch / "pages")
    nav = list(_sections(settings["nav"], pages))
    settings |= {
        "extra": {"homepage": "index.html"},
        "nav": [{section: places} for section, places in nav],
        "site_url": address,
        "repo_url": repository,
    }
    # Zensical reads YAML as well as TOML, and JSON is YAML: nothing has to be written by hand.
    (scratch / "mkdocs.yml").write_text(json.dumps(_flat(settings)), encoding="utf-8")
    _run(scratch)
    site = scratch / "site"
    for place, text in pages.items():
        (site / place).parent.mkdir(parents=True, exist_ok=True)
        (site / place).write_text(text, encoding="utf-8")
    (site / "llms.txt").write_text(llms(settings["site_name"], address, nav, pages), encoding="utf-8")
    if broken := list(complaints(site, address)):
        raise Unfinished("\n".join(broken))
    return site


def _sections(nav: list[dict[str, list[str]]], pages: dict[str, str]) -> list[tuple[str, list[str]]]:
    """Return each section with its pages, the index of a folder first. Raises Unfinished for a name without a page."""
    entries = [(section, pattern) for entry in nav for section, patterns in entry.items() for pattern in patterns]
    sections: dict[str, dict[str, list[str]]] = {section: {} for section, _ in entries}
    left = sorted(pages, key=lambda place: (not place.endswith("index.md"), place))
    for section, pattern in sorted(entries, key=lambda entry: entry[1] == "*"):
        found = [place for place in left if fnmatch(place, pattern)]
        if not found and "*" not in pattern:
            raise Unfinished(f"website/zensical.toml: `nav` names `{pattern}`, which is no page")
        left = [place for place in left if place not in found]
        sections[section][pattern] = found
    return [(section, [place for places in found.values() for place in places]) for section, found in sections.items()]


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings as mkdocs.yml has them: an extension is named with dots."""
    extensions = settings["markdown_extensions"]
    nested = extensions.pop("pymdownx")
    return settings | {"markdown_extensions": {**extensions, **{f"pymdownx.{name}": of for name, of in nested.items()}}}


def _run(folder: Path) -> None:
    argv = [Path(sys.executable).with_name("zensical"), "build", "--strict", "--clean", "-f", "mkdocs.yml"]
    variables = os.environ | {"NO_COLOR": "1"}
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, env=variables)
    if done.returncode:
        said = re.sub(r"\x1b\[[0-9;]*m", "", f"{done.stdout}{done.stderr.partition('Traceback')[0]}")
        raise Unfinished(said)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
