"""Parses the table of a policy below [tool.mlflow-uv], and finds the line of each of its keys."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Generic, TypeVar

from ...command.errors import BadInput
from ...command.step import ValueLayer, fields_of, refuse_unknown, settle
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.toml_lines import line_at

P = TypeVar("P")


@lazy_dataclass
class PolicySource(Generic[P]):
    """A policy and its place: the manifest, and the 1-based lines of the table and of each of its keys."""

    policy: P
    manifest: PurePath
    line: int
    lines: Mapping[str, int]


@lazy_dataclass
class PolicyTable:
    """
    `[tool.mlflow-uv.NAME]` as TOML, {} where there is none; a table in another one has a name with a dot.

    `lines` are the 1-based lines of the manifest's keys, and `shown` is the manifest's name in messages.
    """

    name: str
    value: Any
    lines: Mapping[tuple[str | int, ...], int]
    manifest: PurePath
    shown: str

    @property
    def heading(self) -> str:
        """The name of the table as in TOML."""
        return f"[{'.'.join(self._path)}]"

    @property
    def _path(self) -> tuple[str, ...]:
        return ("tool", "mlflow-uv", *self.name.split("."))

    def rules(self, record: type) -> Mapping[str, Any]:
        """The keys and values. Raises BadInput for a value that is not a table, an unknown key, and an empty text."""
        if not isinstance(self.value, dict):
            raise BadInput(
                what=f"`{self.name}` in [tool.mlflow-uv] is not a table", why=f"it is {self.value!r}", fix=self.heading
            )
        known = frozenset(field.kebab for field in fields_of(record))
        refuse_unknown(self.value, known, source=f"{self.heading} of {self.shown}")
        for key, value in self.value.items():
            if value == "":
                why = "a rule is turned off by removing it"
                raise BadInput(what=f"{self.describe(key)} is empty", why=why, fix=f"remove `{key}`")
        return self.value

    def describe(self, key: str, *position: int) -> str:
        """A key, or an item of its list, with its place, as the subject of a message."""
        line = line_at(self.lines, (*self._path, key, *position))
        return f"`{key}` in {self.heading} (line {line} of {self.shown})"

    def parse(self, record: type[P]) -> PolicySource[P]:
        """Convert the rules to a record. Raises BadInput with key and line."""
        layers = (
            ValueLayer(self.describe(key).replace("{", "{{").replace("}", "}}"), {key: value})
            for key, value in self.rules(record).items()
        )
        return PolicySource(
            policy=settle(record, tuple(layers)),
            manifest=self.manifest,
            line=line_at(self.lines, self._path),
            lines={key: line_at(self.lines, (*self._path, key)) for key in self.value},
        )
