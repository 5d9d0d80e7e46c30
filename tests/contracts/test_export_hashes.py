"""A list that pip would reject is rejected with a command that makes an installable one; real uv and pip."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, StepError
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.surfaces.cli import main
from mlflow_uv.tools.project.files import read_project
from tests import exports, projects
from tests.contracts.lock_examination import tools_in
from tests.indexes import index_of, served

REQUIREMENTS, PYLOCK = Path("requirements.txt"), Path("pylock.toml")


def carry_out(fix: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command with which a fix begins, in a folder."""
    monkeypatch.chdir(folder)
    program, *words = shlex.split(fix.partition(", ")[0])
    assert "mlflow-uv" == Path(program).name
    return main(words)


@pytest.fixture
def half_hashed(tmp_path: Path):
    """A project locked from an index that has a hash of one of its two files."""
    wheels = tmp_path / "wheels"
    grape = projects.wheel(wheels, "grape", "1.0", ("yeast",))
    index = index_of(tmp_path / "index", grape, projects.wheel(wheels, "yeast", "2.0"))
    page = index / "simple" / "yeast" / "index.html"
    page.write_text(re.sub(r"#sha256=[0-9a-f]+", "", page.read_text()))
    with served(index) as url:
        more = f'[[tool.uv.index]]\nname = "ours"\nurl = "{url}"\ndefault = true\n'
        wine = projects.project(tmp_path / "wine", "grape", more=more)
        subprocess.run(["uv", "lock", "--quiet"], cwd=wine, check=True)
        yield wine


def test_a_list_with_some_hashes_is_refused_as_pip_refuses_it(
    half_hashed: Path, tmp_path: Path, pip: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Nothing is written, and the command that is named makes a list of the same packages that installs.
    """
    plain = subprocess.run(
        ["uv", "export", "--frozen", "--quiet", "--no-emit-project"], cwd=half_hashed, capture_output=True, check=True
    )
    (tmp_path / "plain.txt").write_bytes(plain.stdout)
    (url,) = re.findall(r'url = "([^"]+)"', (half_hashed / "pyproject.toml").read_text())
    dry = [sys.executable if word == "PYTHON" else word for word in pip[:-1]]
    argv = [*dry, "--dry-run", "--index-url", url, "-r", tmp_path / "plain.txt"]
    refused = subprocess.run(argv, env=exports.offline(), capture_output=True, text=True, check=False)
    report = exports.exported(half_hashed, requirements_file=REQUIREMENTS, hashes=True)

    (finding,) = report.findings
    assert "require-hashes" in refused.stderr
    assert (False, "export-unhashed", False) == (report.ok, finding.rule, (half_hashed / REQUIREMENTS).exists())
    assert 0 == carry_out(finding.fix, half_hashed, monkeypatch)
    installed = exports.installed(
        half_hashed / PYLOCK, tmp_path / "installed", *exports.UV_PIP, network={"UV_OFFLINE": "0"}
    )
    assert {"grape": "1.0", "yeast": "2.0"} == installed


def test_a_pylock_of_files_without_hashes_says_that_they_have_to_be_fetched(
    half_hashed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without a network there is none, and the command that is named needs none.
    """
    monkeypatch.setenv("UV_OFFLINE", "1")

    with pytest.raises(StepError, match="pylock") as caught:
        exports.exported(half_hashed, pylock_file=PYLOCK)

    assert "the lock has no hash of some files" in caught.value.why
    assert 0 == carry_out(caught.value.fix, half_hashed, monkeypatch)
    assert "yeast==2.0\n" in (half_hashed / REQUIREMENTS).read_text()


@pytest.mark.parametrize("file", [REQUIREMENTS, PYLOCK, Path("x.cdx.json")])
def test_what_no_editor_shows_is_told(tmp_path: Path, file: Path) -> None:
    """
    A file that differs in its line ends alone says so, and is right once it was written.
    """
    projects.wheel(tmp_path / "wheels", "grape", "1.0")
    wine = projects.project(tmp_path / "wine", "grape", wheels=tmp_path / "wheels")
    projects.lock(wine)
    key = {".txt": "requirements_file", ".toml": "pylock_file", ".json": "sbom_file"}[file.suffix]
    named: dict[str, Any] = {key: file}
    exports.exported(wine, **named)
    path = wine / file
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    (finding,) = exports.exported(wine, **named, check=True).findings

    assert ("its lines end with CRLF, and are written with LF", 1) == (finding.why, finding.line)
    exports.exported(wine, **named)
    assert () == exports.exported(wine, **named, check=True).findings


BACKEND = """\
import os, zipfile
def build_wheel(folder, settings=None, metadata=None):
    info = "must-1.0.dist-info"
    with zipfile.ZipFile(os.path.join(folder, "must-1.0-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("must.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: must\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return "must-1.0-py3-none-any.whl"
"""


@pytest.fixture
def below(tmp_path: Path):
    """A project whose requirement is a folder in an archive at a URL, its pylock.toml written."""
    source = tmp_path / "index" / "must-1.0" / "python"
    source.mkdir(parents=True)
    (source / "pyproject.toml").write_text(
        '[project]\nname = "must"\nversion = "1.0"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (source / "backend.py").write_text(BACKEND)
    subprocess.run(["tar", "-czf", "must.tar.gz", "must-1.0"], cwd=tmp_path / "index", check=True)
    with served(tmp_path / "index") as url:
        address = url.replace("/simple", "/must.tar.gz")
        more = f'[tool.uv.sources]\nmust = {{ url = "{address}", subdirectory = "python" }}\n'
        wine = projects.project(tmp_path / "wine", "must", more=more)
        subprocess.run(["uv", "lock", "--quiet"], cwd=wine, check=True)
        exports.exported(wine, variables={"UV_OFFLINE": "0"}, pylock_file=PYLOCK)
        yield wine


def test_a_folder_of_an_archive_stands_in_a_pylock_as_pep_751_has_it(below: Path, tmp_path: Path) -> None:
    """
    As a key, and not in the address too, where uv writes it; uv installs it from there.
    """
    (line,) = (line for line in (below / PYLOCK).read_text().splitlines() if line.startswith("archive"))

    installed = exports.installed(below / PYLOCK, tmp_path / "new", *exports.UV_PIP, network={"UV_OFFLINE": "0"})

    assert ('must.tar.gz", subdirectory = "python"' in line, {"must": "1.0"}) == (True, installed), line


@pytest.mark.extended
def test_pip_installs_a_folder_of_an_archive_from_a_pylock(below: Path, tmp_path: Path) -> None:
    """
    A pip that reads pylock.toml, which refuses what uv writes.
    """
    environment = tmp_path / "pip"
    subprocess.run(["uv", "venv", "--quiet", "--seed", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    variables = {name: value for name, value in os.environ.items() if name != "UV_OFFLINE"}
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, "pip>=26.1"], check=True, env=variables)
    (below / "pylock.uv.toml").write_bytes(
        subprocess.run(
            ["uv", "export", "--frozen", "--quiet", "--format", "pylock.toml"],
            cwd=below, capture_output=True, check=True,
        ).stdout
    )  # fmt: skip
    install = (python, "-m", "pip", "install", "--quiet", "--no-build-isolation", "-r")

    refused = subprocess.run([*install, below / "pylock.uv.toml"], capture_output=True, text=True, check=False)
    taken = subprocess.run([*install, below / PYLOCK], capture_output=True, text=True, check=False)

    assert (1, True, 0) == (refused.returncode, "fragments" in refused.stderr, taken.returncode), taken.stderr


def test_extras_that_exclude_each_other_are_a_wrong_input_wherever_they_are_selected(tmp_path: Path) -> None:
    """
    The list and the environment of a training say the same, with the same exit code.
    """
    for version in ("1.0", "2.0"):
        projects.wheel(tmp_path / "wheels", "grape", version)
    more = '[project.optional-dependencies]\nold = ["grape==1.0"]\nnew = ["grape==2.0"]\n'
    more += '[tool.uv]\nconflicts = [[{ extra = "old" }, { extra = "new" }]]\n'
    wine = projects.project(tmp_path / "wine", wheels=tmp_path / "wheels", more=more)
    projects.lock(wine)
    both = Selection(package=None, extras=("old", "new"), groups=())

    with pytest.raises(BadInput) as listed:
        exports.exported(wine, extras=both.extras)
    with tools_in(wine) as tools, pytest.raises(BadInput) as synced:
        tools.uv.sync(read_project(wine), both, tmp_path / "environment", on_line=lambda _: None)

    why = "`wine[new]`, `wine[old]` are declared as `conflicts` in [tool.uv]"
    assert {("the selection cannot be served together", why, "select one of them")} == {
        (error.value.what, error.value.why, error.value.fix) for error in (listed, synced)
    }
    assert exports.exported(wine, extras=("old",)).ok
