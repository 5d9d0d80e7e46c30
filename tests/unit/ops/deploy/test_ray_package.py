"""What is uploaded of a version to a Ray cluster: its files as they were recorded, by their digests."""

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, ChainBroken
from mlflow_uv.core.deploy.platform_settings import RaySettings
from mlflow_uv.core.release.digests import sha256, tree_digest
from mlflow_uv.core.release.record import Record
from mlflow_uv.ops.deploy.ray_package import UploadedPackages
from mlflow_uv.ops.deploy.target import WantedVersion
from mlflow_uv.tools.system.content import digests_in
from tests.unit.ops.deploy.worlds import wanted_version

from .platforms import options_of

PIN = "six==1.16.0 --hash=sha256:" + "a" * 64 + "\n"


@dataclass
class Uploaded:
    """A cluster that keeps what is uploaded: the files by the digest."""

    packages: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def upload(self, archive: Path, digest: str) -> str:
        """See RayCluster."""
        with zipfile.ZipFile(archive) as packed:
            self.packages[digest] = {name: packed.read(name) for name in packed.namelist()}
        return f"gcs://{digest}"


class Files:
    """A registry with the files of a version."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files
        self.client = self

    def describe_version(self, name: str, version: str) -> tuple[str, str]:
        """See StoreClient."""
        return name, version

    def download_version(self, _: object, folder: Path) -> None:
        """See StoreClient."""
        for name, text in self._files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


def files_of(*, hashed: bool = True) -> dict[str, str]:
    """The files of a small model."""
    own = {"mlflow-uv/requirements.txt": PIN} if hashed else {"requirements.txt": "six==1.16.0\n"}
    return {"MLmodel": "flavors: {}\n", "mlflow-uv/.python-version": "3.12.3\n", **own}


def wanted(folder: Path, files: dict[str, str]) -> WantedVersion:
    """A version whose record has the digest of these files."""
    Files(files).download_version(None, folder)
    digest = tree_digest(digests_in(folder))
    link = SimpleNamespace(sha256=digest, model_id="m-1", run_id="r")
    version = wanted_version("1")
    record = cast("Record", SimpleNamespace(image=version.record.image, model=link))
    return WantedVersion(model="wine", version="1", record=record, address=version.address, serve_env=version.serve_env)


def packages(files: dict[str, str], cluster: Uploaded) -> UploadedPackages:
    """The packages of a run whose registry returns these files."""
    options: Any = options_of(RaySettings(target="ray"))
    options = SimpleNamespace(registry=Files(files), name=options.name)
    return UploadedPackages(options, cast("Any", cluster))


def test_a_package_has_the_files_of_the_version_and_their_digests(tmp_path: Path) -> None:
    """
    The same files are the same package; the requirements have the hashes of the lock.
    """
    cluster, files = Uploaded(), files_of()
    version = wanted(tmp_path / "model", files)

    first, second = (packages(files, cluster).version(version) for _ in range(2))

    (content,) = cluster.packages.values()
    manifest = json.loads(content["manifest.json"])
    assert first == second
    assert sha256(content["manifest.json"]) == first.manifest
    assert {name: sha256(data) for name, data in content.items() if name.split("/")[0] in ("model", "server")} == (
        manifest
    )
    assert PIN.encode() == content[f"model/{first.requirements}"]
    assert "3.12" == first.python
    assert {"server/__main__.py", "mlflow_uv_ray/applications.py", "mlflow_uv_ray/node.py"} <= content.keys()


def test_files_that_are_not_the_recorded_ones_are_not_uploaded(tmp_path: Path) -> None:
    """
    They may have changed after the chain was checked.
    """
    cluster, files = Uploaded(), files_of()
    version = wanted(tmp_path / "model", files)

    with pytest.raises(ChainBroken, match="changed after they were checked"):
        packages({**files, "MLmodel": "flavors: {other: 1}\n"}, cluster).version(version)
    assert {} == cluster.packages


def test_a_version_without_hashes_is_refused(tmp_path: Path) -> None:
    """
    The nodes would install what an index has for a number.
    """
    files = files_of(hashed=False)
    version = wanted(tmp_path / "model", files)

    with pytest.raises(BadInput, match="has no locked requirements"):
        packages(files, Uploaded()).version(version)


def test_the_program_alone_is_a_package_of_its_own() -> None:
    """
    It leads requests, and has no model.
    """
    cluster = Uploaded()

    packages({}, cluster).program()

    (content,) = cluster.packages.values()
    assert {"mlflow_uv_ray"} == {name.partition("/")[0] for name in content}
