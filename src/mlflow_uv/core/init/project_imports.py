"""Finds which files of a project import which others, from their texts."""

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property

from ...command.lazy_pattern import lazy_pattern

_FROM = lazy_pattern(r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]{0,4000}|[^\n#(]{1,4000})", re.MULTILINE)
_IMPORT = lazy_pattern(r"^[ \t]*import[ \t]+([\w., \t]{1,4000})", re.MULTILINE)
_COMMENT = lazy_pattern(r"#[^\n]*")
_MOST_ROOTS = 30
SOURCE = "src"  # the folder of the packages of a project


class ProjectImports:
    """
    The imports of a project's files, resolved as Python does for any file that is run there.

    A module is looked for in the folder of the file and those above it, in `src`, and in every other folder of that
    name, which has the package of a member of a workspace.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        sources = {path[: path.index(f"/{SOURCE}/") + 4] for path in texts if f"/{SOURCE}/" in path}
        self._sources = (SOURCE, *sorted(sources)[:_MOST_ROOTS])

    @cached_property
    def _importers(self) -> dict[str, set[str]]:
        importers: dict[str, set[str]] = {}
        for path in self._texts:
            for place in self.imported(path):
                importers.setdefault(place, set()).add(path)
        return importers

    def reaching(self, targets: Collection[str]) -> frozenset[str]:
        """The files that import one of these, also through others and in circles, without the targets themselves."""
        seen, pending = set(targets), list(targets)
        while pending:
            for path in self._importers.get(pending.pop(), ()):
                if path not in seen:
                    seen.add(path)
                    pending.append(path)
        return frozenset(seen - set(targets))

    def reached(self, path: str) -> frozenset[str]:
        """The files that one imports, also through others."""
        seen, pending = {path}, [path]
        while pending:
            for place in self.imported(pending.pop()):
                if place not in seen:
                    seen.add(place)
                    pending.append(place)
        return frozenset(seen - {path})

    def imported(self, path: str) -> frozenset[str]:
        """The files of the project that one imports itself."""
        folder = posixpath.dirname(path)
        roots = tuple(dict.fromkeys((*_folders(folder), *self._sources)))
        places: set[str] = set()
        for name in self._names(path):
            if name.startswith("."):
                places.update(self._relative(folder, name))
            else:
                places.update(place for root in roots for place in self._at(root, name))
        return frozenset(places - {path})

    def needs(self, path: str, root: str) -> bool:
        """Whether a file imports a module that is found in a folder, and neither beside the file nor in `src`."""
        beside = (posixpath.dirname(path), SOURCE)
        return any(
            any(self._at(root, name)) and not any(any(self._at(folder, name)) for folder in beside)
            for name in self._names(path)
        )

    def needs_source(self, path: str) -> bool:
        """Whether a file imports a module that is found in `src` and not beside the file."""
        folder = posixpath.dirname(path)
        return folder != SOURCE and any(
            any(self._at(SOURCE, name)) and not any(self._at(folder, name)) for name in self._names(path)
        )

    def _names(self, path: str) -> Iterator[str]:
        """The dotted names that a file imports; of `from a import b` both `a` and `a.b`; relative ones with dots."""
        text = self._texts[path]
        for match in _IMPORT.finditer(text):
            yield from _first_words(match[1])
        for match in _FROM.finditer(text):
            module = match[1]
            yield module
            joint = "" if module.endswith(".") else "."
            yield from (f"{module}{joint}{name}" for name in _first_words(_COMMENT.sub("", match[2]).lstrip("(")))

    def _at(self, root: str, name: str) -> Iterator[str]:
        stem = posixpath.join(root, name.replace(".", "/")).rstrip("/")
        yield from (place for place in (f"{stem}.py", f"{stem}/__init__.py") if place in self._texts)

    def _relative(self, folder: str, name: str) -> Iterator[str]:
        """The files of a name with leading dots: one is the folder itself, each further one the folder above."""
        rest = name.lstrip(".")
        above = len(name) - len(rest) - 1
        parts = folder.split("/") if folder else []
        if above <= len(parts):
            yield from self._at("/".join(parts[: len(parts) - above]), rest)


def _first_words(names: str) -> Iterator[str]:
    """`a` and `b` of `a as x, b`."""
    yield from (part.split()[0] for part in names.split(",") if part.split())


def _folders(folder: str) -> Iterator[str]:
    """A folder and all above it, the root of the project last."""
    while folder:
        yield folder
        folder = posixpath.dirname(folder)
    yield ""
