"""Fixtures of the hook tests: a repository with the hooks, and a repository of a user."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import checkout, projects
from tests.waiting import CEILING_S

NO_NETWORK = ("unshare", "--user", "--map-root-user", "--net", "--")


@dataclass(frozen=True)
class Ours:
    """Our checkout as a repository with a commit, and the home where pre-commit and prek keep its environments."""

    folder: Path
    commit: str
    home: Path


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Ours:
    """One repository for all of these tests, so that its environments are made once."""
    folder = checkout.materialise(tmp_path_factory.mktemp("ours") / "mlflow-uv-action")
    return Ours(folder, checkout.repository(folder), tmp_path_factory.mktemp("hook-homes"))


@dataclass
class Monorepo:
    """A user's repository with two locked projects, in folders whose names are not easy."""

    folder: Path
    ours: Ours
    variables: dict[str, str] = field(default_factory=dict)
    without_network: bool = False

    @property
    def wine(self) -> Path:
        """A project in a folder with a space."""
        return self.folder / "mein modell"

    @property
    def beer(self) -> Path:
        """A project in a folder outside ASCII."""
        return self.folder / "modèles" / "bière"

    def configure(self, hook: str, *arguments: str) -> None:
        """Write .pre-commit-config.yaml with one of our hooks."""
        (self.folder / ".pre-commit-config.yaml").write_text(
            f"repos:\n- repo: {self.ours.folder}\n  rev: {self.ours.commit}\n  hooks:\n"
            f"  - id: {hook}\n    args: [{', '.join(arguments)}]\n"
        )
        checkout.commit(self.folder)

    def run(self, runner: str, *argv: str) -> "Hooked":
        """
        Run pre-commit or prek, which make our environment the first time, without anything that steers it.

        `without_network` leaves them no interface but a loopback that is down, as on a hosted service.
        """
        homes = {"PRE_COMMIT_HOME": str(self.ours.home / "pre-commit"), "PREK_HOME": str(self.ours.home / "prek")}
        if self.variables or self.without_network:
            self._start(runner, ("install-hooks",), homes)
        done = self._start(runner, argv, homes | self.variables, NO_NETWORK if self.without_network else ())
        return Hooked(done.returncode, done.stdout)

    def _start(
        self, runner: str, argv: tuple[str, ...], variables: dict[str, str], under: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*under, runner, *argv],
            cwd=self.folder,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=CEILING_S,
        )

    def status(self) -> str:
        """`git status`, one changed or new path a line."""
        return checkout.git(self.folder, "-c", "core.quotePath=off", "status", "--porcelain")


@dataclass(frozen=True)
class Hooked:
    """How a run of the hooks ended."""

    code: int
    text: str


@pytest.fixture
def monorepo(tmp_path: Path, ours: Ours) -> Monorepo:
    """Both projects are locked and committed."""
    repo = Monorepo(tmp_path / "repo", ours)
    wheels = tmp_path / "repo" / "wheels"
    projects.wheel(wheels, "grape", "1.0", ("yeast",))
    projects.wheel(wheels, "yeast", "2.0")
    for folder, name in ((repo.wine, "wine"), (repo.beer, "beer")):
        projects.lock(projects.project(folder, "grape" if name == "wine" else "yeast", name=name, wheels=wheels))
    (repo.folder / "README.md").write_text("two models\n")
    checkout.repository(repo.folder)
    return repo
