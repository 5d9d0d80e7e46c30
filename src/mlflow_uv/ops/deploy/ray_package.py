"""Packs the files of a version, its server and the program of replicas, and uploads them to a Ray cluster."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from ...command.errors import BadInput, ChainBroken
from ...command.wording import step_call
from ...core.release.digests import sha256, tree_digest
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.cloud.ray_cluster import RayCluster
from ...tools.mlflow.model_server import SERVING
from ...tools.system.archives import zip_folder
from ...tools.system.content import digests_in
from ...tools.system.tree_copy import copy_tree
from ..image.environment import INSTALLED_LIST, needs_in
from .target import DeploymentOptions, WantedVersion

PROGRAM = Path(__file__).parents[2] / "ray_serve"
_NAME = "mlflow_uv_ray"  # under which replicas import it
_MANIFEST = "manifest.json"


@lazy_dataclass
class UploadedVersion:
    """
    A package with a version that the cluster has.

    `manifest` is the digest of the list of its files, `requirements` the path of the locked requirements in the model,
    and `python` the minor version of Python.
    """

    uri: str
    manifest: str
    requirements: str
    python: str


class UploadedPackages:
    """See ray.Packages."""

    def __init__(self, options: DeploymentOptions, cluster: RayCluster) -> None:
        self._registry = options.registry
        self._cluster = cluster

    def version(self, wanted: WantedVersion) -> UploadedVersion:
        """See ray.Packages; the same files are one package, which is uploaded once."""
        registry = self._registry
        assert registry is not None  # noqa: S101  # a run that changes something has a registry
        with TemporaryDirectory(prefix="mlflow-uv-ray-") as scratch:
            folder = Path(scratch) / "package"
            model = folder / "model"
            folder.mkdir()
            registry.client.download_version(registry.client.describe_version(wanted.model, wanted.version), model)
            if tree_digest(digests_in(model)) != wanted.record.model.sha256:
                why = "its files changed after they were checked"
                raise ChainBroken("model", why=why)
            needs = needs_in(model)
            if not needs.hashed:
                raise BadInput(
                    what=f"{wanted.model} version {wanted.version} has no locked requirements",
                    why="the nodes of the cluster install by the hashes of the lock",
                    fix=step_call("release"),
                )
            copy_tree(SERVING, folder / "server", ignore=shutil.ignore_patterns("__pycache__"))
            manifest = _write_manifest(folder)
            return UploadedVersion(
                uri=self._uploaded(folder, Path(scratch)),
                manifest=manifest,
                requirements=INSTALLED_LIST,
                python=needs.minor,
            )

    def program(self) -> str:
        """See ray.Packages."""
        with TemporaryDirectory(prefix="mlflow-uv-ray-") as scratch:
            folder = Path(scratch) / "package"
            folder.mkdir()
            return self._uploaded(folder, Path(scratch))

    def _uploaded(self, folder: Path, scratch: Path) -> str:
        copy_tree(PROGRAM, folder / _NAME, ignore=shutil.ignore_patterns("__pycache__"))
        archive = scratch / "package.zip"
        zip_folder(archive, folder)
        # What is in it decides, not how this Python compresses.
        return self._cluster.upload(archive, tree_digest(digests_in(folder)))


def _write_manifest(folder: Path) -> str:
    """List the digests of all files in a folder, and return that of the list."""
    listed = {path.as_posix(): digest for path, digest in digests_in(folder)}
    content = json.dumps(listed, sort_keys=True).encode()
    (folder / _MANIFEST).write_bytes(content)
    return sha256(content)
