"""Makes the pages of the site from the documents of the repository, and llms.txt; links lead where they did."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

# Documents outside docs/ that are pages too.
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
}
_LINK = re.compile(r"(!?\[[^\]]*\]\(\s*)(<[^>\n]+>|[^)\s]+)(?=[^)]*\))|(^\[[^\]]+\]:\s*)(\S+)", re.MULTILINE)
_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LEFT_OUT = re.compile(  # notes for tests, and badges: a page fetches nothing from another host
    r"^<!-- examples/\S+ -->\n|^<!-- badges -->\n.*?^<!-- /badges -->\n\n", re.MULTILINE | re.DOTALL
)


class Unfinished(Exception):  # what it says of the site
    """The site cannot be built as it is; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """The repository, its address for links to what is no page, and the branch or tag that these lead to."""

    root: Path
    repository: str
    reference: str

    def documents(self) -> dict[str, str]:
        """Path in the repository → path among the pages, of every document and picture."""
        shown = sorted(
            path for path in (self.root / "docs").rglob("*") if path.suffix in {".md", ".svg", ".png", ".webp"}
        )
        inside = {path.relative_to(self.root).as_posix(): self._placed(path) for path in shown}
        return OUTSIDE | inside

    def _placed(self, path: Path) -> str:
        place = path.relative_to(self.root / "docs")
        return place.with_name("index.md").as_posix() if path.name == "README.md" else place.as_posix()

    def write(self, folder: Path) -> dict[str, str]:
        """Write every page below a folder; returns path among the pages → Markdown, of the documents."""
        pages, placed = {}, self.documents()
        for source, place in placed.items():
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            if not source.endswith(".md"):
                target.write_bytes((self.root / source).read_bytes())
                continue
            pages[place] = self._page(source, placed)
            target.write_text(pages[place], encoding="utf-8")
        return pages

    def _page(self, source: str, placed: dict[str, str]) -> str:
        """Return a document with its links rewritten; code is left alone. Raises Unfinished."""
        text = _LEFT_OUT.sub("", (self.root / source).read_text(encoding="utf-8"))
        code: list[str] = []

        def hidden(match: re.Match[str]) -> str:
            code.append(match[0])
            return f"\0{len(code) - 1}\0"

        def linked(match: re.Match[str]) -> str:
            before, target = match[1] or match[3], (match[2] or match[4]).strip("<>")
            return before + self._target(source, target, placed)

        text = _LINK.sub(linked, _CODE.sub(hidden, text))
        return re.sub(r"\0(\d+)\0", lambda found: code[int(found[1])], text)

    def _target(self, source: str, target: str, placed: dict[str, str]) -> str:
        if re.match(r"[a-z][a-z0-9+.-]*:|#", target):
            return target
        name, mark, anchor = target.partition("#")
        goal = os.path.normpath(f"{Path(source).parent.as_posix()}/{unquote(name)}")
        if goal in placed:
            return os.path.relpath(placed[goal], Path(placed[source]).parent) + mark + anchor
        if goal.startswith("..") or not (self.root / goal).exists():
            raise Unfinished(f"{source}: `{target}` does not exist")
        kind = "tree" if (self.root / goal).is_dir() else "blob"
        return f"{self.repository}/{kind}/{self.reference}/{goal}{mark}{anchor}"


def title_of(text: str) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def summary_of(text: str) -> str:
    """The first sentence of a page, without Markdown."""
    body = re.sub(r"^(#.*|<!--.*?-->|!\[.*|\|.*|> .*)$", "", _CODE.sub(_words, text), flags=re.MULTILINE)
    paragraph = next((part for part in re.split(r"\n\s*\n", body) if part.strip()), "")
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
    return re.split(r"(?<=[.!?])\s", plain.replace("*", ""))[0].rstrip(":")


def _words(code: re.Match[str]) -> str:
    """Return inline code as text, and nothing of a block."""
    return "" if code[1] else code[0].strip("`")


def llms(name: str, address: str, sections: list[tuple[str, list[str]]], pages: dict[str, str]) -> str:
    """Return llms.txt: each page, as Markdown, with its first sentence (https://llmstxt.org)."""
    lines = [f"# {name}", "", f"> {summary_of(pages['index.md'])}"]
    for section, places in sections:
        lines += ["", f"## {section}", ""]
        lines += [f"- [{title_of(pages[place])}]({address}{place}): {summary_of(pages[place])}" for place in places]
    return "\n".join(lines) + "\n"
