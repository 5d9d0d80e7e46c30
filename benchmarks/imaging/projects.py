"""Creates one locked project per library, with a logged model, as a user would."""

import json
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli
from race import PYTHON as OURS
from race import UV, WINE

from .workshop import PYTHON, Workshop

# What is changed where "one dependency" changes: small, always there, and nothing depends on its version.
DEPENDENCY = "certifi"
TIMED = Path(__file__).parent / "timed_step.py"
MANIFEST = """\
[project]
name = "wine-{name}"
version = "0.1.0"
requires-python = "=={python}.*"
dependencies = {dependencies}

[tool.uv]
constraint-dependencies = {constraints}

[tool.mlflow-uv]
train = "python train.py {name}"
"""


@dataclass(frozen=True, kw_only=True)
class Library:
    """What trains a model; `system` are Debian's packages that it needs in any image."""

    title: str
    dependencies: tuple[str, ...]
    system: tuple[str, ...] = ()


LIBRARIES = {
    "sklearn": Library(title="scikit-learn", dependencies=("scikit-learn>=1.7",)),
    "lightgbm": Library(title="LightGBM", dependencies=("lightgbm>=4.6",), system=("libgomp1",)),
    "onnx": Library(title="ONNX", dependencies=("onnx>=1.18", "onnxruntime>=1.22")),
}


@dataclass(frozen=True, kw_only=True)
class Logged:
    """A model in the store; `seconds` is what logging took, all of our step."""

    model_id: str
    folder: Path
    seconds: float

    @property
    def case(self) -> tuple[bytes, Any]:
        """A request, and what training answered."""
        cases, answers = (json.loads((self.folder / "mlflow-uv" / f"{name}.json").read_text()) for name in CASE)
        return json.dumps(cases[0]).encode(), answers[0]

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


CASE = ("cases", "answers")


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project in a repository of its own."""

    name: str
    folder: Path
    shop: Workshop
    more: str = ""  # lines of the manifest, and packages that it needs beside those of the library
    packages: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """Where we keep store, records and environments."""
        return self.shop.folder / "home"

    @property
    def store(self) -> str:
        """The address of the embedded store, which all sides read the model from."""
        return f"sqlite:///{self._store}/mlflow.db"

    @property
    def _store(self) -> Path:
        """The folder of the embedded store."""
        (folder,) = (self.home / "state" / "stores").glob(f"{self.folder.name}-*/*")
        return folder

    @property
    def python(self) -> Path:
        """The interpreter of its environment, which has MLflow."""
        (python,) = (self.home / "cache" / "environments").glob(f"wine-{self.name}-*/bin/python")
        return python

    @property
    def lock(self) -> dict[str, Any]:
        """What its lock says."""
        return tomli.loads((self.folder / "uv.lock").read_text())

    def step(self, name: str, *flags: str, **variables: str) -> dict[str, Any]:
        """Run a step of ours as a person would; its outputs."""
        return dict(self.answer(name, *flags, **variables)["outputs"])

    def answer(self, name: str, *flags: str, **variables: str) -> dict[str, Any]:
        """Run a step of ours, or a release; all that it says."""
        argv = (*OURS, "mlflow_uv", name, "--format", "json", *flags)
        return dict(json.loads(self.shop.run(*argv, folder=self.folder, **variables)))

    def import_seconds(self) -> float:
        """Seconds of its interpreter that imports MLflow and ends, as payloads do, the median of three."""
        bytecode = f"pycache_prefix={self.home / 'cache' / 'bytecode'}"
        argv = (self.python, "-I", "-X", bytecode, "-c", "import mlflow")
        return statistics.median(self.shop.timed(*argv) for _ in range(3))

    def timed(self, name: str, *flags: str, **variables: str) -> dict[str, float]:
        """Run a step of ours; the seconds of its parts, see timed_step.py."""
        file = self.shop.fresh("parts") / "parts.json"
        argv = (OURS[0], "-I", TIMED, file, repr(time.time()), name, "--format", "json", *flags)
        self.shop.run(*argv, folder=self.folder, **variables)
        return dict(json.loads(file.read_text()))

    def log(self) -> Logged:
        """Train and log."""
        started = time.perf_counter()
        record = json.loads(Path(self.step("log-model")["record"]).read_text())
        seconds = time.perf_counter() - started
        model_id = record["model"]["model_id"]
        (folder,) = (self._store / "artifacts").glob(f"*/models/{model_id}/artifacts")
        return Logged(model_id=model_id, folder=folder, seconds=seconds)

    def change_model(self) -> None:
        """Train with another seed from now on."""
        seed = self.folder / "SEED"
        seed.write_text(str(int(seed.read_text()) + 1))
        self.commit()

    def change_dependency(self, name: str = DEPENDENCY) -> None:
        """Lock another version of one package; those that were changed before stay as they are."""
        (version,) = (package["version"] for package in self.lock["package"] if package["name"] == name)
        kept = tomli.loads((self.folder / "pyproject.toml").read_text())["tool"]["uv"]["constraint-dependencies"]
        self.write_manifest(*kept, f"{name} != {version}")
        self.commit()

    def write_manifest(self, *constraints: str) -> None:
        """Write pyproject.toml and what follows from it."""
        library = LIBRARIES[self.name]
        text = MANIFEST.format(
            name=self.name,
            python=PYTHON,
            dependencies=json.dumps(["mlflow>=3.17,<4", *library.dependencies, *self.packages]),
            constraints=json.dumps(constraints),
        )
        text += self.more
        (self.folder / "pyproject.toml").write_text(text)
        self.shop.run(UV, "lock", "--quiet", folder=self.folder)

    def commit(self) -> None:
        """Commit everything."""
        git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
        self.shop.run(*git, "add", "--all", folder=self.folder)
        self.shop.run(*git, "commit", "--quiet", "--message", "x", folder=self.folder)


def create_project(name: str, shop: Workshop, *, more: str = "", packages: tuple[str, ...] = ()) -> Project:
    """A project, with the versions of the wine example where it needs the same packages."""
    folder = shop.folder / (f"large-{name}" if more else name)
    folder.mkdir()
    shutil.copy(WINE / "uv.lock", folder)
    shutil.copy(Path(__file__).parent / "train.py", folder)
    (folder / ".python-version").write_text(PYTHON)
    (folder / "SEED").write_text("7")
    project = Project(name=name, folder=folder, shop=shop, more=more, packages=packages)
    project.write_manifest()
    shop.run("git", "init", "--quiet", folder=folder)
    project.commit()
    return project
