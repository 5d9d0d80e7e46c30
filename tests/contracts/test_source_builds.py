"""Source distributions that real uv builds: with what it fetched before, and without the caller's credentials."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.uv.messages import SourceNotBuilt
from tests import indexes
from tests.indexes import guarded

from .test_credentials import tools_in
from .test_package_layers import PLATFORM, digest_of, sdist, wheel

# A backend of the index: it requires something more when it is started, and keeps what it sees of the machine.
BACKEND = """
import json, os, zipfile
from pathlib import Path

DECLARED = %r

def get_requires_for_build_wheel(config_settings=None):
    return DECLARED

def build_wheel(folder, config_settings=None, metadata_directory=None):
    import cork
    seen = {"own": dict(os.environ), "home": sorted(map(str, Path.home().rglob("*")))}
    seen["parent"] = Path(f"/proc/{os.getppid()}/environ").read_text().split(chr(0))
    info = "pear-1.0.dist-info"
    files = {"pear.json": json.dumps(seen), info + "/METADATA": "Metadata-Version: 2.1\\nName: pear\\nVersion: 1.0\\n"}
    files[info + "/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[info + "/RECORD"] = "".join(f"{name},,\\n" for name in [*files, info + "/RECORD"])
    with zipfile.ZipFile(Path(folder, "pear-1.0-py3-none-any.whl"), "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return "pear-1.0-py3-none-any.whl"
"""
PROJECT = '[build-system]\nrequires = ["press"]\nbuild-backend = "press"\n'
SECRET = "correct-horse"
# What a job that pushes an image has, and a build does not need.
JOB = {
    "UV_INDEX_CORP_PI_USERNAME": "robot",
    "UV_INDEX_CORP_PI_PASSWORD": SECRET,
    "GITHUB_TOKEN": f"ghs_{SECRET}",
    "ACTIONS_RUNTIME_TOKEN": SECRET,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "MLFLOW_TRACKING_PASSWORD": SECRET,
    "UV_KEYRING_PROVIDER": "disabled",
    "DOCKER_CONFIG": "/home/runner/.docker",
    "SSH_AUTH_SOCK": "/run/agent",
    "XDG_RUNTIME_DIR": "/run/user/1000",
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """An index with a password, the folder of a home with logins, and requirements of a package without a wheel."""

    folder: Path
    url: str
    requirements: Path

    def lay_out(self, name: str, **variables: Any) -> Path:
        """Install the packages into a new environment, as the layers of an image; return its site-packages."""
        work = self.folder / "work"
        given = {**JOB, "HOME": str(self.folder / "home"), "NETRC": str(self.folder / "home" / ".netrc"), **variables}
        with tools_in(work, **given) as tools:
            python = tools.uv.create(self.folder / name, python=sys.executable, on_line=print)
            tools.uv.lay_out(
                self.requirements,
                python,
                platform=PLATFORM,
                built=("pear",),
                indexes={"UV_DEFAULT_INDEX": self.url, "UV_INDEX": f"corp-pi={self.url}"},
                on_line=print,
            )
        (packages,) = (self.folder / name).glob("lib/python*/site-packages")
        return packages


def made(folder: Path, requires: str) -> Path:
    """The pages of an index; the backend of its source distribution requires something when it is started."""
    wheel(folder / "files", "press", {"press.py": (BACKEND % [requires]).encode()})
    wheel(folder / "files", "cork", {"cork.py": b""})
    wheel(folder / "files", "grape", {"grape.py": b""})
    archive = sdist(folder / "sources", pyproject_toml=PROJECT)
    return indexes.index_of(folder / "index", *(folder / "files").iterdir(), archive)


@pytest.fixture
def place(tmp_path: Path, requires: str) -> Iterator[Place]:
    """The index is served, and nothing was fetched from it."""
    pages = made(tmp_path, requires)
    for file, text in ((".netrc", f"machine x password {SECRET}"), (".docker/config.json", SECRET)):
        (tmp_path / "home" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "home" / file).write_text(text)
    (tmp_path / "work").mkdir()
    requirements = tmp_path / "work" / "requirements.txt"
    files = (tmp_path / "sources" / "pear-1.0.tar.gz", *(tmp_path / "files").glob("grape*"))
    lines = [f"{file.name.split('-')[0]}==1.0 \\\n    --hash={digest_of(file)}\n" for file in files]
    requirements.write_text("".join(lines))
    with guarded(pages) as url:
        yield Place(folder=tmp_path, url=url, requirements=requirements)


@pytest.mark.parametrize("requires", ["cork"])
def test_a_build_has_neither_the_credentials_nor_the_home_of_the_job_that_fetched_for_it(place: Place) -> None:
    """
    Its backend and that one's requirements come from an index with a password, which nothing that they run can read.
    """
    packages = place.lay_out("environment", UV_INDEX=f"other={place.url.replace('//', f'//robot:{SECRET}@')}")

    seen = json.loads((packages / "pear.json").read_text())
    text = json.dumps(seen)
    assert (True, False) == ((packages / "grape.py").is_file(), SECRET in text), text
    assert [[".config", ".config/uv"]] == [[home.partition("/home/")[2] for home in seen["home"]]]
    assert set() == {"DOCKER_CONFIG", "GITHUB_TOKEN", "NETRC", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR"} & set(seen["own"])
    assert not any(str(place.folder / "home") in line for line in (*seen["parent"], *seen["own"].values()))


@pytest.mark.parametrize("requires", ["cork"])
def test_what_was_built_once_needs_no_index(place: Place) -> None:
    """
    Another environment gets it from uv's cache: with a wrong password nothing could be fetched.
    """
    place.lay_out("first")

    packages = place.lay_out("second", UV_INDEX_CORP_PI_PASSWORD="wrong")

    assert (packages / "pear.json").is_file()


@pytest.mark.parametrize("requires", ["cork"])
def test_a_source_that_an_index_denies_names_its_variables(place: Place) -> None:
    """
    It is fetched with the credentials of the caller, so that these are the fix.
    """
    with pytest.raises(ToolFailed) as refused:
        place.lay_out("environment", UV_INDEX_CORP_PI_PASSWORD="wrong")

    assert "UV_INDEX_CORP_PI_PASSWORD" in str(refused.value.fix)


@pytest.mark.parametrize(
    ("requires", "error"),
    [("mortar", ToolFailed), ("cork @ http://127.0.0.1:9/cork-1.0-py3-none-any.whl", SourceNotBuilt)],
    ids=["unknown", "address"],
)
def test_a_requirement_of_a_backend_that_no_index_has_ends_the_build(
    place: Place, requires: str, error: type[ToolFailed]
) -> None:
    """
    An address that a backend names is not fetched either: it could be any that this machine reaches.
    """
    with pytest.raises(ToolFailed) as refused:
        place.lay_out("environment")

    assert requires.rpartition(" ")[2] in str(refused.value.why), refused.value.why
    assert (error, "pear") == (type(refused.value), getattr(refused.value, "package", "pear"))
