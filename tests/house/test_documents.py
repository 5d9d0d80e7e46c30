"""Links in the documents resolve, and embedded examples equal the files that they name."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from tests.house.files import ROOT, ours, shown

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
IMAGE = re.compile(r"!\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")


def prose(path: Path) -> str:
    """A document without its code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^(```|~~~).*?^\1", "", path.read_text(), flags=re.MULTILINE | re.DOTALL))


def anchors(path: Path) -> set[str]:
    """The anchors GitHub gives to a document's headings."""
    text = re.sub(r"^(```|~~~).*?^\1", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", ""))
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number, unique = 0, slug
        while unique in found:
            number += 1
            unique = f"{slug}-{number}"
        found.add(unique)
    return found


def links() -> Iterator[tuple[Path, str]]:
    """Every link and image of every document of ours that is not a web address."""
    for path in ours(r".*\.md"):
        text = prose(path)
        for target in [*(one or other for one, other in LINK.findall(text)), *IMAGE.findall(text)]:
            if not re.match(r"[a-z][a-z0-9+.-]*:", target):
                yield path, unquote(target)


def test_links_resolve() -> None:
    """
    A relative link leads to a file of ours, and an anchor to a heading in it.
    """
    broken = []
    for path, target in links():
        name, _, anchor = target.partition("#")
        goal = (path.parent / name).resolve() if name else path
        if not goal.exists() or (anchor and goal.suffix == ".md" and anchor not in anchors(goal)):
            broken.append((shown(path), target))

    assert [] == broken


def test_examples_are_files_of_ours_as_they_stand() -> None:
    """
    A block below the name of a file is that file, to the letter: the files are what tests run.
    """
    named = re.compile(r"^<!-- (examples/\S+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    root = Path(__file__).resolve().parents[2]
    blocks = [(path, *found) for path in ours(r".*\.md") for found in named.findall(path.read_text())]

    differing = [(shown(path), name) for path, name, text in blocks if (root / name).read_text() != text]

    assert ([], True) == (differing, len(blocks) > 3)


def test_the_walks_through_the_code_lead_through_what_is_there() -> None:
    """
    Each module of a walk in the architecture has the function or class that is named beside it.
    """
    text = (ROOT / "docs/development/architecture.md").read_text()
    walks = text.partition("## Three walks through the code")[2].partition("\n## ")[0]
    stops = [
        (path or other, name or called)
        for path, name, called, other in re.findall(r"`(\S+\.py)` `(\w+)`|`(\w+)` of\s+`(\S+\.py)`", walks)
    ]

    lost = [
        (path, name)
        for path, name in stops
        if not re.search(rf"^\s*(def|class) {name}\b", (ROOT / "src/mlflow_uv" / path).read_text(), re.MULTILINE)
    ]

    assert (18 + 5, []) == (len(stops), lost)


def test_a_test_that_a_document_names_is_there() -> None:
    """
    A renamed or removed test would leave a claim that nothing shows.
    """
    defined = {
        name
        for path in ours(r"tests/.*\.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = {
        (shown(path), name) for path in ours(r"docs/.*\.md") for name in re.findall(r"`(test_\w+)`", path.read_text())
    }

    absent = sorted((path, name) for path, name in named if name not in defined)

    assert ([], True) == (absent, len(named) > 20)
