"""A model is diagnosed without being run: its requirements, targets, libraries, and the packages that differ."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import elf, indexes

from .sample_project import SampleProject

MINOR = f"3.{sys.version_info.minor}"
BREAKS, BAD_INPUT = 1, 2
URI = "models:/wine/1"
DANGEROUS = b"raise SystemExit('code of the model was run')\n"


@dataclass(frozen=True)
class Plain:
    """A model that MLflow logged alone, an index on loopback with its packages, and an environment."""

    model: Path
    environment: Path
    variables: dict[str, str]

    def requires(self, *lines: str) -> None:
        """Make these its requirements."""
        (self.model / "requirements.txt").write_text("".join(f"{line}\n" for line in lines))

    def run(self, *flags: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the JSON of doctor, far from any project."""
        argv = (sys.executable, "-I", "-m", "mlflow_uv", "doctor", "--format", "json", "--engine", "none", *flags)
        done = subprocess.run(
            argv, env=self.variables, cwd=self.environment.parent, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout)

    def diagnosed(self, *flags: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """The exit code, the JSON, and the fixes by rule."""
        code, answer = self.run("--model", str(self.model), "--compare-with", str(self.environment), *flags)
        return code, answer, {finding["rule"]: finding["fix"] for finding in answer["findings"]}


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Plain]:
    """See Plain: `viewer` is linked with a library that no machine has, `calm` with none."""
    wheels = [
        elf.wheel(tmp_path / "wheels", "viewer", {"viewer/view.so": elf.library("libc.so.6", "libplanted.so.9")}),
        elf.wheel(tmp_path / "wheels", "calm", {"calm/__init__.py": DANGEROUS}),
        elf.wheel(tmp_path / "wheels", "extra", {"extra/__init__.py": DANGEROUS}),
    ]
    model, environment = tmp_path / "mein Modell é", tmp_path / "environment"
    model.mkdir()
    (model / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: trap\n")
    (model / "trap.py").write_bytes(DANGEROUS)
    (model / "python_env.yaml").write_text(f"python: {MINOR}.1\ndependencies:\n- -r requirements.txt\n")
    subprocess.run(("uv", "venv", "--quiet", "--python", sys.executable, environment), check=True)
    with indexes.served(indexes.index_of(tmp_path / "index", *wheels)) as url:
        variables = {**os.environ, "UV_DEFAULT_INDEX": url, "MLFLOW_UV_HOME": str(tmp_path / "home"), "NO_PROXY": "*"}
        install = ("uv", "pip", "install", "--quiet", "--python", environment, "extra")
        subprocess.run(install, check=True, env=variables)
        yield Plain(model=model, environment=environment, variables=variables)


def test_a_missing_library_of_a_wheel_breaks_the_model(plain: Plain) -> None:
    """
    The exit code says so, nothing is written into the model's folder, and no code of it or of a package is run.
    """
    plain.requires("viewer==1.0", "calm")
    plain.model.chmod(0o555)
    before = sorted(path.name for path in plain.model.iterdir())

    code, answer, fixes = plain.diagnosed()

    assert (BREAKS, ["libplanted.so.9"]) == (code, answer["outputs"]["libraries"]), answer
    assert {"library-missing", "model-without-lock", "environment-differs", "environment-has-more"} == fixes.keys()
    assert before == sorted(path.name for path in plain.model.iterdir())


def test_an_environment_that_differs_is_mended_by_the_fix(plain: Plain) -> None:
    """
    What it lacks is installed by the printed command; what it has in addition is a notice. Nothing breaks.
    """
    plain.requires("calm==1.0")

    code, answer, fixes = plain.diagnosed()
    fix = subprocess.run(fixes["environment-differs"], shell=True, env=plain.variables, check=False)
    again, after, left = plain.diagnosed()

    expected = [
        {"name": "calm", "required": "1.0", "installed": None}, {"name": "extra", "required": None, "installed": "1.0"},
    ]  # fmt: skip
    assert (0, expected, 0) == (code, answer["outputs"]["differing-packages"], fix.returncode)
    assert (0, expected[1:]) == (again, after["outputs"]["differing-packages"])
    assert {"model-without-lock", "environment-has-more"} == left.keys()


@pytest.mark.core_variants(1)
@pytest.mark.parametrize(
    ("lines", "flags", "rule"),
    [
        (("calm==9",), (), "target-cannot-install"),
        (("calm", "-e ./lib"), (), "model-local-requirement"),
        (("calm",), ("--target", "linux-aarch64-py3.9"), "target-other-python"),
    ],
)
def test_what_does_not_install_breaks_the_model(
    plain: Plain, lines: tuple[str, ...], flags: tuple[str, ...], rule: str
) -> None:
    """
    A version that no index has, a folder of another machine, another Python.
    """
    plain.requires(*lines)

    code, _, fixes = plain.diagnosed(*flags)

    assert (BREAKS, True) == (code, rule in fixes), fixes


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (("--model", "wine"), "`wine` is not a model"),
        (("--model", "models:/wine"), "`models:/wine` is not the URI of a version"),
        (("--model", "MODEL", "--target", "amiga"), "'amiga' is not a target"),
        (("--model", "MODEL", "--compare-with", "MODEL"), "`MODEL` is not an environment"),
    ],
)
def test_a_mistake_is_named(plain: Plain, flags: tuple[str, ...], what: str) -> None:
    """
    With a fix, and without a traceback.
    """
    plain.requires("calm")

    code, answer = plain.run(*(str(plain.model) if flag == "MODEL" else flag for flag in flags))

    assert (BAD_INPUT, what.replace("MODEL", str(plain.model))) == (code, answer["error"]["what"])
    assert answer["error"]["fix"]


def test_a_released_model_is_diagnosed_from_its_lock(sample: SampleProject) -> None:
    """
    Here it installs; on a platform that its lock excludes it does not, at the line of the lock.
    """
    here = sample.run("doctor", "--model", URI, "--engine", "none")
    elsewhere = sample.run("doctor", "--model", URI, "--engine", "none", "--target", "linux-x86_64-py3.8")

    assert (0, []) == (here.code, [rule for rule in here.rules if rule.startswith("target")]), here.stderr
    assert (BREAKS, ["target-other-python", "target-not-covered"]) == (elsewhere.code, elsewhere.rules[:2])
