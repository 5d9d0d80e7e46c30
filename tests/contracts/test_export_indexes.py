"""How pip and uv install a list whose packages come from several indexes; loopback only."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli

from mlflow_uv.command.report import Severity
from tests import exports, indexes, projects

REQUIREMENTS, PYLOCK, SBOM = Path("requirements.txt"), Path("pylock.toml"), Path("bill.cdx.json")
FILES: dict[str, Any] = {"requirements_file": REQUIREMENTS, "pylock_file": PYLOCK, "sbom_file": SBOM}


@dataclass(frozen=True)
class ShadowedIndex:
    """A project whose grape must come from a private index, and another index that has one of the same version."""

    folder: Path
    public: str
    private: str


@pytest.fixture
def shadowed_index(tmp_path: Path) -> Iterator[ShadowedIndex]:
    """Two indexes on loopback, and a lock that was made from both."""
    own = projects.wheel(tmp_path / "own", "grape", "1.0")
    plant = projects.wheel(tmp_path / "planted", "grape", "1.0", ("yeast",))
    yeast = projects.wheel(tmp_path / "planted", "yeast", "2.0")
    public = indexes.index_of(tmp_path / "public", plant, yeast)
    private = indexes.index_of(tmp_path / "private", own)
    with indexes.served(public) as public_url, indexes.served(private) as private_url:
        sources = '[tool.uv.sources]\ngrape = { index = "private" }\n'
        tables = (
            f'[[tool.uv.index]]\nname = "private"\nurl = "{private_url}"\nexplicit = true\n'
            f'[[tool.uv.index]]\nname = "public"\nurl = "{public_url}"\ndefault = true\n'
        )
        folder = projects.project(tmp_path / "wine", "grape", "yeast", more=sources + tables)
        subprocess.run(
            [exports.PROGRAM, "lock", "--quiet"], cwd=folder, env=exports.offline(exports.AFRESH), check=True
        )
        yield ShadowedIndex(folder, public_url, private_url)


@contextmanager
def lists(folder: Path, text: str) -> Iterator[Path]:
    """A list in a folder of its own."""
    folder.mkdir()
    (folder / REQUIREMENTS).write_text(text)
    yield folder / REQUIREMENTS


def is_the_plant(environment: Path) -> bool:
    """Whether the grape that an environment holds is the one that was planted."""
    (metadata,) = environment.glob("lib/*/site-packages/grape-1.0.dist-info/METADATA")
    return "yeast" in metadata.read_text()


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_without_hashes_a_planted_package_would_be_installed(
    shadowed_index: ShadowedIndex, tmp_path: Path, pip: tuple[str, ...], installer: str
) -> None:
    """
    Why such a list is refused: what uv itself exports says nothing of the index, and the other file is taken.
    """
    argv = pip if installer == "pip" else exports.UV_PIP
    naive = subprocess.run(
        [exports.PROGRAM, "export", "--frozen", "--quiet", "--no-hashes", "--no-emit-project"],
        cwd=shadowed_index.folder, env=exports.offline(), check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip

    with lists(tmp_path / "naive", f"--index-url {shadowed_index.public}\n{naive}") as file:
        exports.installed(file, tmp_path / "environment", *argv, network=exports.AFRESH)
    report = exports.exported(shadowed_index.folder, requirements_file=REQUIREMENTS)

    assert is_the_plant(tmp_path / "environment")
    assert ["export-explicit-index"] == [finding.rule for finding in report.findings]
    assert not (shadowed_index.folder / REQUIREMENTS).exists()


def test_the_finding_names_package_index_and_line(shadowed_index: ShadowedIndex) -> None:
    """
    What has to be known to decide: which package, from where, and where the lock says so.
    """
    report = exports.exported(shadowed_index.folder)

    (finding,) = report.findings
    lines = (shadowed_index.folder / "uv.lock").read_text().splitlines()
    assert (Severity.ERROR, None, 'name = "grape"') == (finding.severity, report.result, lines[finding.line])
    assert f"grape must come from `private` ({shadowed_index.private}) alone" == finding.what
    assert "mlflow-uv export --hashes" == finding.fix


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_with_hashes_only_what_was_locked_is_installed(
    shadowed_index: ShadowedIndex, tmp_path: Path, pip: tuple[str, ...], installer: str
) -> None:
    """
    Both indexes are named, and the hashes decide; where only the plant can be had, nothing is installed.
    """
    argv = pip if installer == "pip" else exports.UV_PIP

    report = exports.exported(shadowed_index.folder, requirements_file=REQUIREMENTS, hashes=True)
    exports.installed(shadowed_index.folder / REQUIREMENTS, tmp_path / "environment", *argv, network=exports.AFRESH)

    text = (shadowed_index.folder / REQUIREMENTS).read_text()
    assert (True, False) == (report.ok, is_the_plant(tmp_path / "environment"))
    assert text.startswith(
        f"--index-url {shadowed_index.public}\n--extra-index-url {shadowed_index.private}\ngrape==1.0 \\\n"
    )
    with lists(tmp_path / "robbed", text.replace(shadowed_index.private, shadowed_index.public)) as file:
        with pytest.raises(subprocess.CalledProcessError) as caught:
            exports.installed(file, tmp_path / "refused", *argv, network=exports.AFRESH)
        assert "hash" in (caught.value.stdout + caught.value.stderr).lower()


def test_a_pylock_names_the_index_of_each_package(shadowed_index: ShadowedIndex, tmp_path: Path) -> None:
    """
    PEP 751 has what requirements lack: each package its index and hashes, so that nothing is left to find.
    """
    report = exports.exported(shadowed_index.folder, pylock_file=PYLOCK)
    exports.installed(shadowed_index.folder / PYLOCK, tmp_path / "environment", *exports.UV_PIP, network=exports.AFRESH)

    packages = tomli.loads((shadowed_index.folder / PYLOCK).read_text())["packages"]
    assert {"grape": shadowed_index.private, "yeast": shadowed_index.public} == {
        one["name"]: one["index"] for one in packages
    }
    assert ((), False) == (report.findings, is_the_plant(tmp_path / "environment"))


def test_credentials_of_an_index_are_in_no_file(shadowed_index: ShadowedIndex) -> None:
    """
    Who may read the list may not read the index.
    """
    manifest = shadowed_index.folder / "pyproject.toml"
    secret = shadowed_index.private.replace("http://", "http://reader:correct-horse@").replace(
        "/simple", "/simple?sig=battery"
    )
    manifest.write_text(manifest.read_text().replace(f'"{shadowed_index.private}"', f'"{secret}"'))
    lock = shadowed_index.folder / "uv.lock"
    lock.write_text(lock.read_text().replace(f'"{shadowed_index.private}"', f'"{shadowed_index.private}?sig=battery"'))

    exports.exported(shadowed_index.folder, **FILES, hashes=True)

    texts = [(shadowed_index.folder / file).read_text() for file in FILES.values()]
    assert [] == [word for word in ("correct-horse", "battery", "reader:") for text in texts if word in text]
    assert all(shadowed_index.private in text for text in texts)
