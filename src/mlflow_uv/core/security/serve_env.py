"""Variables that a model is given by their names (`serve-env`): their values are the caller's, and never shown."""

import json
import mmap
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ...command.errors import BadInput
from ...command.wording import Wording, option
from ..image.dockerfile import SERVER_VARIABLES
from .masking import is_secret_name, mask, secrets_in

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What would steer the interpreter, the engine's client or the server instead of the model.
_STEERING = frozenset({"HOME", "PATH", "VIRTUAL_ENV", *SERVER_VARIABLES})
_STEERING_PREFIXES = (
    "BUILDAH_", "BUILDKIT_", "BUILDX_", "CONTAINERS_", "CONTAINER_", "DOCKER_", "DYLD_", "LD_", "MLFLOW_UV_", "PYTHON",
    "_MLFLOW_",
)  # fmt: skip
_SHORTEST = 6  # characters of a value that is looked for in answers; a shorter one stands in many by chance


@dataclass(frozen=True)  # no slots: what is hidden is computed once
class Handed:
    """What a model is given; `variables` are never part of a `repr`."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """In order, to be recorded."""
        return tuple(sorted(self.variables))

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """Every value in every form, whatever its variable is called."""
        return secrets_in({f"{name}_SECRET": value for name, value in self.variables.items()})

    def masked(self, text: str) -> str:
        """The text without any of the values."""
        return mask(text, self.secrets) if self.variables else text

    def shown_by(self, answers: object) -> Iterator[str]:
        """Names of the variables that hold a secret, by their names, which stands in the answers."""
        text = json.dumps(answers, ensure_ascii=False)
        for name, value in self._of_secrets():
            if value in text or json.dumps(value)[1:-1] in text:
                yield name

    def kept_in(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Names of such variables whose value stands in a file of a folder, and that file."""
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


NOTHING = Handed()


def handed(names: Iterable[str], caller: Mapping[str, str]) -> Handed:
    """What the caller has of these variables. Raises BadInput for one that is not set, or is no model's to have."""
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if _NAME.fullmatch(name) is None:
            why = "it holds names alone; the values come from the environment of the step"
            raise BadInput(what=f"`serve-env` names `{name.partition('=')[0]}`, which is no variable's name", why=why)
        if name in _STEERING or name.startswith(_STEERING_PREFIXES):
            why = "it would steer the server, its interpreter or the container engine"
            raise BadInput(what=f"`serve-env` cannot name {name}", why=why, fix="give the model a variable of its own")
    if missing := [name for name in wanted if not caller.get(name)]:
        raise BadInput(
            what=f"`serve-env` names {', '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not set here",
            why="the model is asked with it when it is proved, tested and evaluated",
            fix=Wording("set it in the environment of this step, or take it out of ", option("serve-env")),
        )
    return Handed({name: caller[name] for name in wanted})
