"""Leaves out what a comment or [tool.mlflow-uv.lint] silences."""

from functools import cache, lru_cache
from pathlib import Path

from ...command.errors import BadProject
from ...core.lint.rule import lines_of
from ...core.lint.settings import LintSettings, read_lint_settings
from ...core.lint.silencing import silences
from ...tools.project.files import UnreadableProject, absolute, read_project
from ...tools.project.policy_table import policy_table
from .check import BrokenRule
from .folder import CheckedFolder


class Silenced:
    """The settings of each folder between the checked one and a file, and the comments in files."""

    def __init__(self, folder: Path, files: CheckedFolder, *, where: Path) -> None:
        self._folder = absolute(folder)
        self._files = files
        self._where = where
        self._unreadable: dict[str, UnreadableProject] = {}
        self.settings_of = cache(self._settings_of)
        self._rows_of = lru_cache(maxsize=1)(self._read_rows)  # problems come file by file

    @property
    def unreadable(self) -> tuple[UnreadableProject, ...]:
        """The errors of manifests whose settings were needed, and could not be read."""
        return tuple(self._unreadable.values())

    def silent(self, broken: BrokenRule) -> bool:
        """Whether the project silences a problem. Raises BadInput for settings that are wrong."""
        name = broken.rule.name
        for folder in self._folders(broken.path):
            settings = self.settings_of(folder)
            if settings.ignores(name, broken.path.removeprefix(f"{folder}/") if folder else broken.path):
                return True
        if broken.rule.check is None:
            return False  # the file is no text
        return silences(self._rows_of(broken.path), broken.problem.line, name)

    def warns(self, broken: BrokenRule) -> bool:
        """Whether the project makes the findings of a rule warnings."""
        return any(broken.rule.name in self.settings_of(folder).warn for folder in self._folders(broken.path))

    def _folders(self, path: str) -> list[str]:
        parts = path.split("/")[:-1]
        return ["/".join(parts[:length]) for length in range(len(parts) + 1)]

    def _read_rows(self, path: str) -> list[str]:
        return lines_of(self._files.text(path) or "")

    def _settings_of(self, folder: str) -> LintSettings:
        try:
            project = read_project(self._folder / folder)
        except UnreadableProject as error:
            self._unreadable[folder] = error
            return LintSettings()
        except BadProject:
            return LintSettings()
        if "lint" not in project.settings:
            return LintSettings()
        return read_lint_settings(policy_table(project, "lint", where=self._where))
