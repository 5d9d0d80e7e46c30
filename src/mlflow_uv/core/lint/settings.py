"""Reads [tool.mlflow-uv.lint]: which rules are checked, and where they are silent."""

from fnmatch import fnmatchcase
from typing import Annotated

from ...command.errors import BadInput
from ...command.step import Doc, refuse_unknown
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..policy.table import PolicyTable
from .catalog import NAMES

_KNOWN = frozenset(NAMES)


@lazy_dataclass
class LintSettings:
    """The settings of `lint`, as they are written."""

    ignore: Annotated[
        tuple[str, ...],
        Doc("Rules that are not checked, as a name, or for some files as a name and a pattern: `tracking-uri:demo/*`."),
    ] = ()
    add: Annotated[tuple[str, ...], Doc("Optional rules to check as well, such as `notebook-outputs`.")] = ()
    warn: Annotated[tuple[str, ...], Doc("Rules whose findings are warnings instead of errors.")] = ()

    def ignores(self, rule: str, path: str) -> bool:
        """Whether a rule is silent for a file, whose path is below the folder of these settings."""
        for entry in self.ignore:
            name, colon, pattern = entry.partition(":")
            if name == rule and (not colon or _matches(path, pattern)):
                return True
        return False


def read_lint_settings(table: PolicyTable) -> LintSettings:
    """Parse the table. Raises BadInput with the key and its line, also for a rule that does not exist."""
    settings = table.parse(LintSettings).policy
    for key, entries in (("ignore", settings.ignore), ("add", settings.add), ("warn", settings.warn)):
        names = (entry.partition(":")[0] if key == "ignore" else entry for entry in entries)
        refuse_unknown(dict.fromkeys(names), _KNOWN, source=table.describe(key))
        for entry in entries:
            if key == "ignore" and entry.endswith(":"):
                raise BadInput(what=f"{table.describe(key)} has {entry!r}", why="there is no pattern after the colon")
    return settings


def _matches(path: str, pattern: str) -> bool:
    """Whether a glob names a file or a folder above it; `*` matches slashes too."""
    parts = path.split("/")
    prefixes = ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
    return any(fnmatchcase(prefix, pattern.strip("/")) for prefix in prefixes)
