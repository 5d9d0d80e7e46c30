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
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

FILES = ".site-files.json"  # in the folder of a site: what this program wrote there

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "website"), str(ROOT / "src")]

from links import complaints
from pages import Sources, Unfinished, llms
from versions import LATEST, MAIN, listed, of_repository, read_published, refuse_changed, write_documents

from mlflow_uv.surfaces.phrasing import OWNER

REPOSITORY = f"https://github.com/{OWNER}"
ADDRESS = "https://{}.github.io/{}/".format(*OWNER.split("/"))


# Of the site with versions; whoever follows no redirection has the link.
START = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>mlflow-uv</title>
<link rel="canonical" href="latest/">
<meta http-equiv="refresh" content="0; url=latest/">
<a href="latest/">The documentation of the latest release</a>
</html>
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The folder of a version in the site, and the branch or tag of its documents."""

    place: str
    reference: str


def main(argv: list[str]) -> int:
    """Build the site into a folder, which is replaced; 1 if a page is missing or a link is broken."""
    parser = argparse.ArgumentParser(prog="mlflow-uv site", description="Build the documentation as a site.")
    parser.add_argument("folder", type=Path, help="where the site is written; what is there is replaced")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository whose documents are shown")
    parser.add_argument(
        "--versions", action="store_true", help="a folder for each release that is tagged, `main` and `latest`"
    )
    parser.add_argument(
        "--published", type=Path, help="versions.json of the site that is online: none of its versions may change"
    )
    given = parser.parse_args(argv)
    if given.published and not given.versions:
        parser.error("`--published` needs `--versions`")
    if complaint := _kept(given.folder):
        parser.error(complaint)
    try:
        with tempfile.TemporaryDirectory(prefix="mlflow-uv-site-") as scratch:
            root, work = given.root.resolve(), Path(scratch).resolve()
            site = build_versions(root, work, given.published) if given.versions else build(root, work, None)
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


def build_versions(root: Path, scratch: Path, published: Path | None) -> Path:
    """Return the folder of a site with every version of the documents. Raises Unfinished."""
    versions = of_repository(root)
    refuse_changed(versions, read_published(published) if published else {})
    whole = scratch / "versions"
    whole.mkdir()
    latest = next((each for each in versions if each.version != MAIN), versions[0])
    for place, version in (*((each.version, each) for each in versions), (LATEST, latest)):
        work = scratch / f"of-{place}"
        documents = work / "documents"
        write_documents(root, version, documents)
        try:
            site = build(documents, work, Place(place=place, reference=version.reference))
        except Unfinished as error:
            raise Unfinished("\n".join(f"{place}: {line}" for line in str(error).splitlines())) from error
        shutil.move(site, whole / place)
        shutil.rmtree(work)
    (whole / "versions.json").write_text(json.dumps(listed(versions, latest), indent=2) + "\n", encoding="utf-8")
    (whole / "index.html").write_text(START, encoding="utf-8")
    shutil.copy(whole / LATEST / "llms.txt", whole)
    return whole


def build(root: Path, scratch: Path, version: Place | None) -> Path:
    """Return the folder of the site of one version, or of a site without versions. Raises Unfinished."""
    # The sections of a version are its own; documents without any have ours.
    own = next(path for path in (root / "website", ROOT / "website") if (path / "zensical.toml").is_file())
    settings = tomllib.loads((own / "zensical.toml").read_text(encoding="utf-8"))["project"]
    address = f"{ADDRESS}{version.place}/" if version else ADDRESS
    reference = version.reference if version else MAIN
    pages = Sources(root=root, repository=REPOSITORY, reference=reference).write(scratch / "pages")
    shutil.copy(own / "extra.css", scratch / "pages")
    nav = list(_sections(settings["nav"], pages))
    if version:  # the notice of a page that is not of the latest release
        settings["theme"]["custom_dir"] = str(ROOT / "website" / "overrides")
    chooser = {"version": {"provider": "mike", "default": LATEST, "alias": True}} if version else {}
    settings |= {
        "extra": {"homepage": "index.html", **chooser},
        "nav": [{section: places} for section, places in nav],
        "site_url": address,
        "repo_url": REPOSITORY,
    }
    # Zensical reads YAML as well as TOML, and JSON is YAML: nothing has to be written by hand.
    (scratch / "mkdocs.yml").write_text(json.dumps(_flat(settings)), encoding="utf-8")
    _run(scratch)
    site = scratch / "site"
    for place, text in pages.items():
        (site / place).parent.mkdir(parents=True, exist_ok=True)
        (site / place).write_text(text, encoding="utf-8")
    (site / "llms.txt").write_text(llms(settings["site_name"], address, nav, pages), encoding="utf-8")
    if broken := list(complaints(site, address, above=bool(version))):
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
