"""The documentation is built as a site: every page, with the structure of its document, and no broken link."""

import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.house.files import ROOT, ours

COMMAND = ROOT / "bin/mlflow-uv"
COUNTED = {"h1", "h2", "h3", "h4", "li", "pre", "tr", "img"}


def built(folder: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    argv: list[str | Path] = [COMMAND, "site", folder, "--root", root]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own documents as a site."""
    folder = tmp_path_factory.mktemp("site") / "site"
    done = built(folder)
    assert (0, "") == (done.returncode, done.stderr.replace("mlflow-uv: making its environment (once)\n", ""))
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Our documents, to be changed."""
    for path in ours(r"docs/.*|examples/.*|hooks/.*|\.github/.*|[A-Z]+(\.md)?"):
        target = tmp_path / "copy" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path / "copy"


class Structure(HTMLParser):
    """Counts elements of an article; code that is highlighted is one `pre`, and a table needs no class."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.inside = whole

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside |= tag == "article"
        if self.inside and tag in COUNTED:
            self.found[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        self.inside &= tag != "article"


def structure(text: str, *, whole: bool) -> Counter[str]:
    parser = Structure(whole=whole)
    parser.feed(text)
    return parser.found


@pytest.mark.installs
def test_pages_have_the_structure_of_their_documents(site: Path) -> None:
    """
    A page has the headings, list items, blocks, rows and pictures that CommonMark, and so GitHub, shows.
    """
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    differing = {}
    for path in ours(r"docs/.*\.md"):
        place = path.relative_to(ROOT / "docs")
        folder = place.parent if path.name == "README.md" else place.with_suffix("")
        shown = structure((site / folder / "index.html").read_text(), whole=False)
        expected = structure(reader.render(path.read_text()), whole=True)
        if shown != expected:
            differing[place.as_posix()] = (shown - expected, expected - shown)

    assert {} == differing


@pytest.mark.installs
def test_the_site_can_be_searched_and_copied_from(site: Path) -> None:
    """
    It has an index for search, both colour schemes, copy buttons, and llms.txt with each page as Markdown.
    """
    page = (site / "index.html").read_text()
    listed = re.findall(r"\]\(https://[^/]+/[^/]+/(\S+\.md)\)", (site / "llms.txt").read_text())

    assert [] == [word for word in ("content.code.copy", "slate", "prefers-color-scheme: dark") if word not in page]
    assert (site / "search.json").stat().st_size > 100_000
    assert (len(listed), []) == (len(set(listed)), [place for place in listed if not (site / place).is_file()])
    assert len(ours(r"docs/.*\.md")) + 4 == len(listed)


@pytest.mark.installs
@pytest.mark.core_variants(3)
@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("docs/lock.md", "[x](no-such.md)", "docs/lock.md: `no-such.md` does not exist"),
        ("docs/lock.md", "[x](../../outside)", "docs/lock.md: `../../outside` does not exist"),
        ("docs/lock.md", "[x](identity.md#no-such)", "no-such"),
        ("docs/lock.md", '<img src="https://example.org/pixel.png">', "fetches https://example.org/pixel.png"),
        ("docs/lock.md", '<a href="../no-such/">x</a>', "../no-such/"),
    ],
)
def test_a_broken_document_stops_the_build(copy: Path, path: str, text: str, complaint: str) -> None:
    """
    A link to nothing and a request to another host end the build, and no site is written.
    """
    before = (copy / path).read_text() if (copy / path).exists() else ""
    (copy / path).write_text(f"{before}\n{text}\n")

    done = built(copy.parent / "site", copy)

    assert (1, True, False) == (done.returncode, complaint in done.stderr, (copy.parent / "site").exists()), done.stderr


@pytest.mark.installs
def test_a_page_of_the_navigation_has_to_exist(copy: Path) -> None:
    """
    A page that was removed or renamed ends the build.
    """
    (copy / "docs/gaps.md").unlink()
    for path in copy.rglob("*.md"):
        path.write_text(path.read_text().replace("gaps.md", "lock.md"))

    done = built(copy.parent / "site", copy)

    *_, last = done.stderr.splitlines()  # the launcher may say before that it makes its environment
    assert (1, "website/zensical.toml: `nav` names `gaps.md`, which is no page") == (done.returncode, last)


@pytest.mark.installs
def test_a_folder_with_something_else_is_kept(site: Path, tmp_path: Path) -> None:
    """
    The folder of a site is replaced; one that contains other files, a file and a link are refused.
    """
    folder = tmp_path / "site"
    shutil.copytree(site, folder)
    (folder / "notes.txt").write_text("mine")
    single = tmp_path / "file"
    single.write_text("mine")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "llms.txt").write_text("mine")
    (tmp_path / "link").symlink_to(site)

    refused = [built(place) for place in (folder, foreign, single, tmp_path / "link")]
    (folder / "notes.txt").unlink()
    again = built(folder)

    kept = ((folder / "index.html").is_file(), single.read_text(), (foreign / "llms.txt").read_text())
    assert ([2] * 4, 0) == ([done.returncode for done in refused], again.returncode), again.stderr
    assert ["something else than a site: notes.txt", "something else than a site: llms.txt"] == [
        done.stderr.strip().partition("contains ")[2] for done in refused[:2]
    ]
    assert ((True, "mine", "mine"), True) == (kept, site.is_dir())
