"""Creates the environments in which a model is verified, each from the model's own files."""

import shutil
from dataclasses import field
from enum import Enum
from pathlib import Path

from ...command.errors import StepError
from ...core.model import model_files
from ...core.release.digests import sha256
from ...core.security.child_environment import for_model
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.mlflow.model_commands import ModelCommands
from ...tools.system.process import Completed
from ..image.environment import Needs, indexes_for, mismatches, needs_in, restored
from ..lineage.registry_client import RegistryClient
from ..versions.evaluation import python_for

PYSPARK = "pyspark>=4,<5"
# How uv, pip and conda begin the line that says what failed.
_COMPLAINTS = ("error", "\N{MULTIPLICATION SIGN} ", "condaerror", "resolvepackagenotfound")


class EnvironmentSource(Enum):
    """
    What creates an environment: this program from the lock in the model, or an env manager of MLflow.

    SPARK is the first one with PySpark added.
    """

    LOCKED = "locked"
    UV = "uv"
    VIRTUALENV = "virtualenv"
    CONDA = "conda"
    SPARK = "spark"


@lazy_dataclass
class ModelEnvironment:
    """
    The interpreter of an environment, or the reason why there is none.

    `unavailable` says that this machine lacks a program, so that nothing is known about the model.
    """

    python: Path | None = None
    why: str = ""
    fix: str = ""
    unavailable: bool = False


@lazy_dataclass(frozen=False)
class ModelEnvironments:
    """Creates each environment of a model once, below `scratch`."""

    registry: RegistryClient
    model: Path
    scratch: Path
    commands: ModelCommands
    _created: dict[EnvironmentSource, ModelEnvironment] = field(default_factory=dict)

    def environment(self, source: EnvironmentSource) -> ModelEnvironment:
        """Return an environment of the model, created on the first call."""
        if source not in self._created:
            try:
                created = self._create(source)
            except StepError as error:
                created = ModelEnvironment(why=": ".join(filter(None, (error.what, error.why))), fix=error.fix)
            self._created[source] = created
        return self._created[source]

    def _create(self, source: EnvironmentSource) -> ModelEnvironment:
        if source is EnvironmentSource.LOCKED:
            return self._locked()
        # MLflow's env managers are called by the MLflow that the model requires.
        locked = self.environment(EnvironmentSource.LOCKED)
        if locked.python is None:
            return locked
        if missing := self._missing(source):
            return missing
        if source is EnvironmentSource.SPARK:
            return self._with_spark(locked.python)
        with self.registry.tools.console.group(f"environment by {source.value}"):
            return self._by_mlflow(source, locked.python)

    def _locked(self) -> ModelEnvironment:
        tools, needs = self.registry.tools, self._needs()
        python, inventory = restored(needs, tools, python=python_for(needs, self.registry))
        if lines := mismatches(needs, inventory):
            return ModelEnvironment(why="; ".join(lines[:5]))
        return ModelEnvironment(python=python)

    def _with_spark(self, locked: Path) -> ModelEnvironment:
        """Add PySpark to a second environment with the same packages, kept in the cache: it has 450 MB."""
        tools, needs = self.registry.tools, self._needs()
        if "pyspark" in _names(needs):
            return ModelEnvironment(python=locked)
        environment = tools.environments.serving(sha256(f"{needs.key(str(locked))} {PYSPARK}".encode()))

        def make(folder: Path) -> None:
            indexes, constraints = indexes_for(needs, tools), needs.model / model_files.REQUIREMENTS
            with tools.console.group("environment with PySpark"):
                python = tools.uv.install(
                    needs.list,
                    folder,
                    python=str(locked),
                    hashed=needs.hashed,
                    resolved=needs.requirements is not None,
                    indexes=indexes,
                    on_line=tools.console.foreign,
                )
                tools.uv.add(python, PYSPARK, constraints=constraints, indexes=indexes, on_line=tools.console.foreign)

        environment.make_once(make)
        return ModelEnvironment(python=environment.python)

    def _by_mlflow(self, source: EnvironmentSource, python: Path) -> ModelEnvironment:
        tools = self.registry.tools
        folder = self.scratch / source.value
        variables = tools.uv.as_installer(folder / "bin", indexes_for(self._needs(), tools))
        interpreter, completed = self.commands.prepare_environment(
            python, self.model, manager=source.value, root=folder / "environments", variables=variables
        )
        if completed.code != 0 or interpreter is None:
            return ModelEnvironment(
                why=f"`mlflow models prepare-env --env-manager {source.value}`: {_reason(completed)}"
            )
        return ModelEnvironment(python=interpreter)

    def _needs(self) -> Needs:
        return needs_in(self.model)

    def _missing(self, source: EnvironmentSource) -> ModelEnvironment | None:
        """Return the reason why MLflow cannot use an env manager on this machine, None if it can."""
        # Without entries of PATH that lead into the current folder, which may be an untrusted checkout.
        variables = for_model(self.registry.tools.host.variables).variables
        path = variables.get("PATH", "")
        if source is EnvironmentSource.CONDA and shutil.which("conda", path=path) is None:
            return ModelEnvironment(why="conda is not installed", fix="install Miniforge", unavailable=True)
        if source is EnvironmentSource.VIRTUALENV:
            return self._missing_python(path)
        if source is EnvironmentSource.SPARK:
            java = variables.get("JAVA_HOME")
            if shutil.which("java", path=f"{java}/bin" if java else path) is None:
                why = "Java is not installed, which Spark runs on"
                return ModelEnvironment(why=why, fix="apt-get install default-jre-headless", unavailable=True)
        return None

    def _missing_python(self, path: str) -> ModelEnvironment | None:
        """MLflow takes Python from pyenv for virtualenv; what pyenv has not installed yet, it would compile."""
        if (pyenv := shutil.which("pyenv", path=path)) is None:
            why = "pyenv is not installed, with which MLflow finds the Python of a virtualenv"
            return ModelEnvironment(why=why, fix="install pyenv", unavailable=True)
        minor = self._needs().minor
        newest = self.commands.newest_pyenv_python(pyenv, minor)
        if newest.installed:
            return None
        why = f"pyenv has no Python {newest.version or minor}, and MLflow would compile it"
        return ModelEnvironment(why=why, fix=f"pyenv install {newest.version or minor}", unavailable=True)


def _names(needs: Needs) -> frozenset[str]:
    return frozenset(pin.name for pin in needs.requirements.pins) if needs.requirements else frozenset()


def _reason(completed: Completed) -> str:
    """The first line with which uv, pip or conda says what failed, else the last line of MLflow's traceback."""
    lines = (line.strip() for line in (*completed.stdout.splitlines(), *completed.stderr.splitlines()))
    return next((line for line in lines if line.lower().startswith(_COMPLAINTS)), completed.last_line)
