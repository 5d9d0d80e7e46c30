"""Passes variables to a model by name (`serve-env`), and keeps their values out of output and files."""

import json
import mmap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.wording import Wording, option
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..image.dockerfile import SERVER_VARIABLES
from ..release.digests import canonical, sha256
from .masking import forms_of, is_secret_name, mask

_NAME = lazy_pattern(r"[A-Za-z_][A-Za-z0-9_]*")
# Variables that control the interpreter, the engine's client or the server instead of the model.
_STEERING = frozenset({"HOME", "PATH", "VIRTUAL_ENV", *SERVER_VARIABLES})
_STEERING_PREFIXES = (
    "BUILDAH_", "BUILDKIT_", "BUILDX_", "CONTAINERS_", "CONTAINER_", "DOCKER_", "DYLD_", "LD_", "MLFLOW_UV_", "PYTHON",
    "_MLFLOW_",
)  # fmt: skip
_DIGEST = 8  # characters
_SHORTEST = 6  # characters of a value that is searched for in answers; shorter ones would match by chance


@lazy_dataclass(kw_only=False)
class ServeVariables:
    """The variables that a model gets; their values never appear in a `repr`."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The sorted names, for the record."""
        return tuple(sorted(self.variables))

    @property
    def summary(self) -> str:
        """
        The names and a short digest of the values, `none` without: it differs if a value does.

        For platforms that show the values to others anyway: by a digest, a guess of a value can be confirmed.
        """
        if not self.variables:
            return "none"
        values = sha256(canonical(dict(self.variables)))[:_DIGEST]
        return f"{', '.join(self.names)} (values {values})"

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """Every value in every form, independently of the variable's name."""
        return forms_of(self.variables.values())

    def masked(self, text: str) -> str:
        """The text with all values masked."""
        return mask(text, self.secrets) if self.variables else text

    def found_in_answers(self, answers: object) -> Iterator[str]:
        """Yield the names of variables with a secret name whose value occurs in the answers."""
        text = json.dumps(answers, ensure_ascii=False)
        for name, value in self._of_secrets():
            if value in text or json.dumps(value)[1:-1] in text:
                yield name

    def found_in_files(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Yield the names of variables with a secret name whose value occurs in a file of a folder, and the file."""
        secrets = [(name, value.encode()) for name, value in self._of_secrets()]
        files = sorted(file for file in folder.rglob("*") if file.is_file()) if secrets else []
        for file in files:
            if file.stat().st_size:
                with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    yield from ((name, file) for name, value in secrets if content.find(value) >= 0)

    def _of_secrets(self) -> Iterator[tuple[str, str]]:
        for name, value in sorted(self.variables.items()):
            if (is_secret_name(name) or name.upper().endswith("_KEY")) and len(value) >= _SHORTEST:
                yield name, value


NO_VARIABLES = ServeVariables()


def serve_variables(names: Iterable[str], caller: Mapping[str, str]) -> ServeVariables:
    """Select these variables from the caller's. Raises BadInput for one that is not set, invalid or not allowed."""
    unique_names = tuple(dict.fromkeys(names))
    for name in unique_names:
        if _NAME.fullmatch(name) is None:
            why = "it is a list of names; the values come from the environment of the step"
            raise BadInput(what=f"`serve-env` has `{name.partition('=')[0]}`, which is not a variable's name", why=why)
        if name in _STEERING or name.startswith(_STEERING_PREFIXES):
            why = "it controls the server, its interpreter or the container engine"
            raise BadInput(what=f"`serve-env` cannot name {name}", why=why, fix="use another variable for the model")
    if missing := [name for name in unique_names if not caller.get(name)]:
        raise BadInput(
            what=f"`serve-env` names {', '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not set here",
            why="to predict, the model needs every variable that `serve-env` names",
            fix=Wording("set each in the environment of this step, or remove it from ", option("serve-env")),
        )
    return ServeVariables({name: caller[name] for name in unique_names})


def require_recorded(recorded: Iterable[str], given: ServeVariables) -> None:
    """Raise BadInput if recorded predictions depend on variables that `serve-env` does not name now."""
    recorded = tuple(recorded)
    if lacking := [name for name in recorded if name not in given.names]:
        raise BadInput(
            what=f"the recorded predictions depend on {', '.join(lacking)}, which `serve-env` does not name here",
            why="without it the server's predictions would differ",
            fix=option("serve-env", ",".join(recorded)),
        )
