"""The site has the documents of each release under its version, from the tags of the repository."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import checkout
from tests.house.files import ROOT, ours

ADDRESS = re.compile(r"https://[^/]+\.github\.io/[^/]+/")


@dataclass
class Repository:
    """Our documents in a repository of their own."""

    folder: Path

    def git(self, *argv: str) -> str:
        """Run git in it."""
        return checkout.git(self.folder, *argv)

    def commit(self, text: str) -> None:
        """Commit a sentence of the first page."""
        path = self.folder / "docs/lock.md"
        path.write_text(f"{path.read_text()}\n{text}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", text)

    def site(self, folder: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
        """Build the site with every version."""
        argv: list[str | Path] = [ROOT / "bin/mlflow-uv", "site", folder, "--root", self.folder, "--versions", *options]
        return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Our documents before the first release."""
    for path in ours(r"docs/.*|examples/.*|hooks/.*|website/.*|\.github/.*|[A-Z]+(\.md)?"):
        target = tmp_path / "repository" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    made = Repository(tmp_path / "repository")
    made.git("init", "--quiet", "--initial-branch=main")
    return made


def configuration(page: Path) -> dict[str, Any]:
    """What the theme's script reads in a page."""
    found = re.search(r'<script id="__config" type="application/json">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found, page
    return dict(json.loads(found[1]))


def shown_in(site: Path, texts: tuple[str, ...]) -> dict[str, list[str]]:
    """The folders of a site, each with those texts that its page about locks has."""
    pages = {path.name: (path / "lock/index.html").read_text() for path in site.iterdir() if path.is_dir()}
    return {name: [text for text in texts if text in page] for name, page in pages.items()}


@pytest.mark.installs
def test_each_release_keeps_its_documents(repository: Repository, tmp_path: Path) -> None:
    """
    Two tags are two versions, listed for the chooser from newest to oldest; `latest` is the newest, at the start.
    """
    texts = ("Text of nine.", "Text of ten.", "Text of later.")
    for text, tag in zip(texts, ("v1.9.0", "v1.10.0", "v1"), strict=True):
        repository.commit(text)
        repository.git("tag", tag)
    site = tmp_path / "site"

    done = repository.site(site)

    assert 0 == done.returncode, done.stderr
    expected = {"1.9.0": texts[:1], "1.10.0": texts[:2], "latest": texts[:2], "main": texts}
    assert {name: list(shown) for name, shown in expected.items()} == shown_in(site, texts)
    versions = json.loads((site / "versions.json").read_text())
    assert [("main", []), ("1.10.0", ["latest"]), ("1.9.0", [])] == [
        (each["version"], each["aliases"]) for each in versions
    ]
    assert [repository.git("rev-parse", f"{name}^{{tree}}") for name in ("main", "v1.10.0", "v1.9.0")] == [
        each["properties"]["tree"] for each in versions
    ]
    # The theme's script gets ../versions.json from the base of a page, and the documents of a version from its map.
    page = configuration(site / "1.9.0/lock/index.html")
    assert ({"provider": "mike", "default": "latest", "alias": True}, "..") == (page["version"], page["base"])
    assert "url=latest/" in (site / "index.html").read_text()
    # It is hidden until the theme's script sees that the version is not the latest one.
    notice = (site / "1.9.0/lock/index.html").read_text().partition('data-md-component="outdated" hidden>')[2]
    assert '<a href="../..">' in notice.partition("</aside>")[0]
    for name in expected:
        text, sitemap = (site / name / "llms.txt").read_text(), (site / name / "sitemap.xml").read_text()
        assert {name} == {place.split("/")[0] for place in ADDRESS.split(text)[1:]}
        assert {name} == {place.split("/")[0] for place in ADDRESS.split(sitemap)[1:]}
    assert (site / "llms.txt").read_text() == (site / "latest/llms.txt").read_text()
    links = re.findall(r"/(?:blob|tree)/([^/]+)/", (site / "1.9.0/lock.md").read_text())
    assert {"v1.9.0"} == set(links)


@pytest.mark.installs
def test_before_the_first_release_there_is_main(repository: Repository, tmp_path: Path) -> None:
    """
    The documents of the default branch are `latest`; a tag from before there was a site is none of the versions.
    """
    shutil.move(repository.folder / "website", tmp_path / "website")
    repository.commit("Text of old.")
    repository.git("tag", "v0.1.0")
    shutil.move(tmp_path / "website", repository.folder / "website")
    repository.commit("Text of main.")

    done = repository.site(tmp_path / "site")

    assert 0 == done.returncode, done.stderr
    versions = json.loads((tmp_path / "site/versions.json").read_text())
    assert [("main", ["latest"])] == [(each["version"], each["aliases"]) for each in versions]


@pytest.mark.installs
def test_a_version_is_published_once(repository: Repository, tmp_path: Path) -> None:
    """
    A tag that was moved or removed since its version is online ends the build; with the tag restored it succeeds.
    """
    repository.commit("Text of one.")
    repository.git("tag", "v1.0.0")
    tree = repository.git("rev-parse", "v1.0.0^{tree}")
    online = tmp_path / "published.json"
    online.write_text(json.dumps([{"version": name, "properties": {"tree": tree}} for name in ("main", "1.0.0")]))
    repository.commit("Text of two.")
    now = repository.git("rev-parse", "HEAD^{tree}")
    site = tmp_path / "site"

    repository.git("tag", "--force", "v1.0.0")
    moved = repository.site(site, "--published", online)
    repository.git("tag", "--delete", "v1.0.0")
    removed = repository.site(site, "--published", online)
    absent = site.exists()
    repository.git("tag", "v1.0.0", "HEAD~1")
    restored = repository.site(site, "--published", online)

    said = f"versions.json: 1.0.0 is online with the tree {tree}, and the tag v1.0.0"
    fix = "Restore the tag: a version is published once"
    assert [(1, f"{said} is {now} now. {fix}"), (1, f"{said} is gone. {fix}")] == [
        (done.returncode, done.stderr.splitlines()[-1]) for done in (moved, removed)
    ]
    assert (False, 0) == (absent, restored.returncode), restored.stderr


@pytest.mark.installs
def test_a_broken_version_is_named(repository: Repository, tmp_path: Path) -> None:
    """
    A link to nothing in the documents of a release ends the build, with the version; so does a list that is none.
    """
    repository.commit("Text of before.")
    repository.commit("[x](no-such.md)")
    repository.git("tag", "v1.0.0")
    repository.git("revert", "--no-edit", "HEAD")
    (tmp_path / "page.html").write_text("<html>")

    done = repository.site(tmp_path / "site")
    unread = repository.site(tmp_path / "site", "--published", tmp_path / "page.html")

    last = done.stderr.splitlines()[-1]
    assert (1, "1.0.0: docs/lock.md: `no-such.md` does not exist") == (done.returncode, last)
    assert (1, True) == (unread.returncode, "page.html` is no versions.json of a site" in unread.stderr)
