"""Unpacks the packages of a composed image into an environment of this machine, where no engine can start the image."""

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...command.errors import ChainBroken, NoEngine, ToolFailed
from ...command.inputs import EngineChoice
from ...command.report import Finding, Severity
from ...command.wording import step_call
from ...core.release.digests import canonical, sha256
from ...core.release.record import ImageLink
from ...tools.project.files import write_atomically
from ...tools.toolbox import Tools
from .composed import ComposedServingImage
from .environment import stamp_in, stamp_of, write_stamp
from .platforms import require_native


def unpack_packages(composed: ComposedServingImage, python: str, tools: Tools) -> tuple[Finding, ...]:
    """
    Unpack the layers of packages into an environment of an interpreter, which all images with these layers share.

    A file by the id of the image names the environment. Its files are those of layers that were unpacked before, if
    they are unchanged; a notice names the layers that were not. Raises ToolFailed.
    """
    # `smoke-test` unpacks nothing
    from ...tools.layers.linked_files import LinkedFiles  # noqa: PLC0415
    from ...tools.layers.unpacked_layers import unpacked_packages  # noqa: PLC0415

    digests = [layer.layer.blob.digest for layer in composed.packages.layers]
    key = sha256(canonical([python, composed.packages.python, digests]))
    environment = tools.environments.serving(key)
    write_atomically(_pointer(composed.image.id, tools), key.encode())

    unpacked = unpacked_packages(tools.host.cache, tools.runner)

    def make(folder: Path) -> None:
        tools.uv.create_relocatable(folder, python=python, on_line=tools.console.foreign)
        try:
            LinkedFiles(folder, tools.runner).write(unpacked.link(composed.packages.layers, folder))
            write_stamp(folder, tools)
        except (OSError, tarfile.TarError) as error:
            raise ToolFailed(what="the layers of the image cannot be unpacked", why=str(error)) from error

    environment.make_once(
        make,
        lambda: stamp_in(environment.folder) == stamp_of(environment.folder, tools),
        lambda: LinkedFiles(environment.folder, tools.runner).unchanged,
    )
    return tuple(_changed(unpacked.changed))


def _changed(names: Sequence[str]) -> Iterator[Finding]:
    if names:
        yield Finding(
            rule="unpacked-layers-changed",
            severity=Severity.NOTICE,
            what=f"files of unpacked layers were changed, and unpacked again: {', '.join(sorted(names))}",
            why="a model that was served from them may have written into its packages",
        )


def serving_place(image: ImageLink, tools: Tools) -> ImageLink:
    """
    Return what a server of an image is started from: the image, or, where no engine can get it, its unpacked packages.

    The packages are in an environment, whose Python serves the model. Raises ChainBroken if it is not on this machine.
    """
    if image.kind != "image" or image.engine:
        return image
    require_native(image, tools)
    try:
        if image.digest:
            tools.engines.available(EngineChoice.ANY)
            return image
        missing = "the image was composed without an engine, and not pushed"
    except NoEngine as error:
        missing = f"no engine answers ({error.why or error.what})"
    folder = _folder(image.id, tools)
    if not stamp_in(folder):
        why = f"{missing}, and its layers were not composed on this machine"
        raise ChainBroken("image", why=why, fix=step_call("build-image"))
    reason = f"{missing}: the packages are those of the layers of the image, unpacked on this machine"
    return ImageLink(kind="process", id=stamp_in(folder), tag=str(folder), base="", base_digest="", reason=reason)


def _folder(image_id: str, tools: Tools) -> Path:
    """The environment of an image; one that does not exist if the image was not composed on this machine."""
    pointer = _pointer(image_id, tools)
    key = pointer.read_text(encoding="utf-8") if pointer.is_file() else image_id.rpartition(":")[2]
    return tools.environments.serving(key).folder


def _pointer(image_id: str, tools: Tools) -> Path:
    return tools.environments.serving(image_id.rpartition(":")[2]).folder.with_suffix(".packages")
