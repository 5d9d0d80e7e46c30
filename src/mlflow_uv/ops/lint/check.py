"""Checks files with rules, without importing what only a finding needs."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ...core.lint.rule import LintProblem, LintRule, SourceFile, joined_path
from ...core.lock.foreign_folders import is_foreign
from .folder import CheckedFolder


class BrokenRule(NamedTuple):
    """A problem with its rule, and the path of its file below the checked folder."""

    rule: LintRule
    path: str
    problem: LintProblem


def broken_rules(
    rules: Sequence[LintRule], paths: Iterable[str], files: CheckedFolder, *, tracked: Iterable[str]
) -> Iterator[BrokenRule]:
    """
    Every place that breaks a rule, file by file.

    `paths` are below the checked folder; a link is not read. `tracked` are those whose names are checked. A place is
    reported once, also if two files lead to it.
    """
    seen = set()
    for broken in _every_broken_rule(rules, paths, files, tracked=tracked):
        place = (broken.rule.name, broken.path, broken.problem.line, broken.problem.what)
        if place not in seen:
            seen.add(place)
            yield broken


def _every_broken_rule(
    rules: Sequence[LintRule], paths: Iterable[str], files: CheckedFolder, *, tracked: Iterable[str]
) -> Iterator[BrokenRule]:
    own = [path for path in dict.fromkeys(paths) if _is_own(path)]
    readers = [(rule, re.compile(rule.files), rule.check) for rule in rules if rule.check is not None]
    for path in own:
        fitting = [(rule, check) for rule, pattern, check in readers if pattern.search(path)]
        if not fitting or os.path.islink(os.path.join(files.folder, path)):  # noqa: PTH114, PTH118  # without pathlib
            continue
        text = files.text(path)
        if text is not None:
            for rule, check in fitting:
                for problem in check(SourceFile(path, text), files):
                    yield BrokenRule(rule, problem.path or path, problem)
    names = tuple(filter(_is_own, dict.fromkeys(tracked)))
    for rule in rules:
        if rule.check_names is not None:
            for problem in rule.check_names(names, files):
                yield BrokenRule(rule, problem.path, problem)


def path_below(folder: str, where: str, word: str) -> str:
    """The path of a file that was named in the folder `where`, below another one; it begins with `..` outside."""
    full = os.path.normpath(os.path.join(where, word))  # noqa: PTH118
    return joined_path("", os.path.relpath(full, folder).replace(os.sep, "/"))


def _is_own(path: str) -> bool:
    return not path.startswith("..") and not is_foreign(path)
