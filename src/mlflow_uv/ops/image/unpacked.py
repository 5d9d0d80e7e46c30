"""Unpacks the packages of a composed image into an environment of this machine, where no engine can start the image."""

import json
import os
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from ...command.errors import ChainBroken, NoEngine, ToolFailed
from ...command.inputs import EngineChoice
from ...command.report import Finding, Severity
from ...command.wording import local, step_call
from ...core.image.composition import LayerBlob
from ...core.release.digests import canonical, sha256
from ...core.release.record import ImageLink
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.reader import read
from ...tools.layers.cache import CachedLayer
from ...tools.layers.layer_archives import MALFORMED
from ...tools.oci.registries import holds_blob
from ...tools.oci.repository import RegistryUnanswered
from ...tools.project.files import write_atomically
from ...tools.system.partial_folders import new_folder, replace_file
from ...tools.toolbox import Tools
from ...tools.uv.environment_folder import environment_name
from ...tools.uv.environment_uses import RECENT_S
from ...tools.uv.messages import InterpreterMissing
from .composed import ComposedServingImage
from .environment import ServingPlace, read_inventory, stamp_in, stamp_of, write_stamp
from .platforms import require_native

_LIST = ".packages"  # the end of the name of a list, which is beside the environments


@lazy_dataclass
class KeptLayer:
    """A layer of packages, and its archive on this machine."""

    layer: LayerBlob
    archive: str


@lazy_dataclass
class KeptPackages:
    """What the environment of an image is made from: an interpreter, its version, and layers, lowest first."""

    python: str
    version: str
    layers: tuple[KeptLayer, ...]

    @property
    def key(self) -> str:
        """What names the environment, which all images with these layers share."""
        return sha256(canonical([self.python, self.version, [each.layer.blob.digest for each in self.layers]]))


def keep_packages(composed: ComposedServingImage, python: str, tools: Tools) -> None:
    """
    Keep what the packages of an image are unpacked from, by its id. Raises ToolFailed.

    `python` is an interpreter or its version, as uv takes it. That of an environment is kept as the file that it links
    to, since the environment may be removed before this one is made. Lists that are of no use any more are removed.
    """
    packages = KeptPackages(
        python=str(Path(python).resolve()) if Path(python).is_absolute() else python,
        version=composed.packages.python,
        layers=tuple(KeptLayer(layer=each.layer, archive=str(each.archive)) for each in composed.packages.layers),
    )
    described = asdict(packages)
    content = {"packages": described, "sha256": sha256(canonical([composed.image.id, described]))}
    kept = _list_of(composed.image.id, tools)
    write_atomically(kept, json.dumps(content).encode())
    _remove_useless(kept.parent, now_s=time.time())


def _remove_useless(folder: Path, *, now_s: float) -> None:
    """Remove the lists from which no environment can be made, and which name none that is there; never a recent one."""
    for file in folder.glob(f"*{_LIST}"):
        with suppress(OSError):  # removed by another process
            if now_s - file.stat().st_mtime > RECENT_S and not _is_useful(file):
                file.unlink()


def _is_useful(file: Path) -> bool:
    try:
        packages = read(KeptPackages, parse_json(file.read_bytes())["packages"], what="the list of layers")
    except (ValueError, KeyError, TypeError, RecursionError):  # an earlier release wrote the name of an environment
        return False
    return file.with_name(environment_name(packages.key)).is_dir() or all(
        Path(each.archive).is_file() for each in packages.layers
    )


def _kept(image_id: str, tools: Tools) -> KeptPackages | None:
    """What was kept of an image; None if it was not composed on this machine, or if that was changed."""
    try:
        content = parse_json(_list_of(image_id, tools).read_bytes())
        if content["sha256"] == sha256(canonical([image_id, content["packages"]])):
            return read(KeptPackages, content["packages"], what="the list of layers")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _unpacked(image: ImageLink, packages: KeptPackages, tools: Tools) -> tuple[Path, tuple[Finding, ...]]:
    """
    The environment with the files of layers, unpacked unless one is unchanged, and notices about what was changed.

    Its files are those of layers that were unpacked before, if they are unchanged; a notice names the layers that were
    not. Raises ChainBroken without the layers, ToolFailed.
    """
    # Few releases are tested without an engine.
    from ...tools.layers.linked_files import LinkedFiles  # noqa: PLC0415
    from ...tools.layers.unpacked_layers import unpacked_packages  # noqa: PLC0415

    environment = tools.environments.serving(packages.key)
    unpacked = unpacked_packages(tools.host.cache, tools.runner)

    def make(folder: Path) -> None:
        layers = [CachedLayer(layer=each.layer, archive=Path(each.archive), files={}) for each in packages.layers]
        _download(image, layers, tools)
        if lost := [layer.layer.name for layer in layers if not holds_blob(layer.archive, layer.layer.blob)]:
            why = f"layers of the image were changed or removed on this machine: {', '.join(lost)}"
            raise ChainBroken("image", why=why, fix=step_call("build-image"))
        _create(folder, packages, tools)
        try:
            LinkedFiles(folder, tools.runner).write(unpacked.link(layers, folder))
            write_stamp(folder, tools)
        except (OSError, tarfile.TarError) as error:
            raise ToolFailed(what="the layers of the image cannot be unpacked", why=str(error)) from error

    with tools.console.group("environment with the layers of the image"):
        environment.make_once(
            make,
            lambda: stamp_in(environment.folder) == stamp_of(environment.folder, tools),
            lambda: LinkedFiles(environment.folder, tools.runner).unchanged,
        )
    return environment.folder, tuple(_changed(unpacked.changed))


def _download(image: ImageLink, layers: Sequence[CachedLayer], tools: Tools) -> None:
    """
    Download the layers of a pushed image that are not on this machine, such as those of which only the list was read.

    Raises ChainBroken, also for a layer with other files than its list says.
    """
    absent = {layer.layer.blob: layer for layer in layers if not os.path.lexists(layer.archive)}
    if not image.digest or not absent:
        return
    from ...tools.layers.registry_layers import FOLDER, require_list  # noqa: PLC0415  # few layers are downloaded then

    try:
        folder = tools.host.cache / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with new_folder(folder) as scratch:
            archives = {blob: scratch / blob.digest.replace(":", "-") for blob in absent}
            tools.registries.download(image.tag, archives)
            for blob, layer in absent.items():
                require_list(layer.layer, archives[blob], scratch)
                layer.archive.parent.mkdir(parents=True, exist_ok=True)
                replace_file(archives[blob], layer.archive)
    except (RegistryUnanswered, *MALFORMED) as error:
        why = f"layers of the image are not on this machine, and cannot be downloaded: {error}"
        raise ChainBroken("image", why=why, fix=step_call("build-image")) from error


def _create(folder: Path, packages: KeptPackages, tools: Tools) -> None:
    """
    Create an environment for layers, with the interpreter that compiled them, else with another one of its version.

    Raises ChainBroken without one, ToolFailed.
    """
    problems = []
    for request in (packages.python, packages.version):
        try:
            python = tools.uv.create_relocatable(folder, python=request, on_line=tools.console.foreign)
        except InterpreterMissing as error:
            problems.append(f"`{request}` is not on this machine: {error.why}")
            continue
        version = str(read_inventory(tools.servers.inventory(python)).get("python"))
        if version == packages.version:
            return
        problems.append(f"`{request}` is {version} now")
    raise ChainBroken(
        "image",
        why=f"its packages were compiled with Python {packages.version}; {'; '.join(problems)}",
        fix=local(
            f"uv python install {packages.version}",
            f"actions/setup-python with `python-version: {packages.version}` before this step",
        ),
    )


def _changed(names: Sequence[str]) -> Iterator[Finding]:
    if names:
        yield Finding(
            rule="unpacked-layers-changed",
            severity=Severity.NOTICE,
            what=f"files of unpacked layers were changed, and unpacked again: {', '.join(sorted(names))}",
            why="a model that was served from them may have written into its packages",
        )


def serving_place(image: ImageLink, tools: Tools) -> ServingPlace:
    """
    Return what a server of an image is started from: the image, or, where no engine can get it, its unpacked packages.

    The packages are in an environment, whose Python serves the model. Raises ChainBroken if the layers are not on this
    machine, ToolFailed.
    """
    if image.kind != "image" or image.engine:
        return ServingPlace(image=image)
    require_native(image, tools)
    try:
        if image.digest:
            tools.engines.available(EngineChoice.ANY)
            return ServingPlace(image=image)
        missing = "the image was composed without an engine, and not pushed"
    except NoEngine as error:
        missing = f"no engine answers ({error.why or error.what})"
    packages = _kept(image.id, tools)
    if packages is None:
        why = f"{missing}, and its layers were not composed on this machine"
        raise ChainBroken("image", why=why, fix=step_call("build-image"))
    folder, findings = _unpacked(image, packages, tools)
    reason = f"{missing}: the packages are those of the layers of the image, unpacked on this machine"
    link = ImageLink(kind="process", id=stamp_in(folder), tag=str(folder), base="", base_digest="", reason=reason)
    return ServingPlace(image=link, findings=findings)


def _list_of(image_id: str, tools: Tools) -> Path:
    return tools.environments.serving(image_id.rpartition(":")[2]).folder.with_suffix(_LIST)
