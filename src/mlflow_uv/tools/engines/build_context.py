"""Writes the build context of an image: the Dockerfile and the files that it copies."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import tomli

from ...command.errors import ToolFailed
from ...command.host import Host
from ...core.image import dockerfile
from ...core.image.layers import PACKAGES, PackageLayer, deletes
from ...core.lock.targets import System, machine_name
from ...core.model import model_files
from ...core.release.digests import canonical, sha256
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..mlflow.model_server import SERVING
from ..system.content import digests_in
from ..system.disk_errors import disk_errors
from ..system.tree_copy import copy_tree
from ..uv.uv import EARLIEST, Uv

INSTALLING = Path(__file__).parents[2] / "installing"
INSTALLERS = ("install.py", "libraries.py")
WHEN = int(EARLIEST)
_CONTEXT, _SPACE = "the build context", "free space there, or set TMPDIR to a larger disk"


@lazy_dataclass
class ContextContents:
    """
    The contents of a build context.

    The wheels that the last of the `parts` lists are in the `model` folder. `machines` are the architectures of the
    image, as the engine writes them (`amd64`).
    """

    dockerfile: str
    readme: str
    parts: tuple[PackageLayer, ...]
    model: Path
    machines: tuple[str, ...]


@lazy_dataclass
class ComposedContents:
    """The contents of a build context of layers: archives by their names in it."""

    dockerfile: str
    readme: str
    layers: Mapping[str, Path]


class BuildContexts:
    """Writes build contexts; the same contents give the same bytes."""

    def __init__(self, uv: Uv, *, host: Host) -> None:
        self._uv = uv
        self._host = host

    @property
    def version_probe(self) -> str:
        """A program that prints the version of the Python that runs it."""
        return (INSTALLING / "probe.py").read_text(encoding="utf-8")

    @property
    def libraries(self) -> str:
        """A program that prints the shared libraries which the packages of an image lack."""
        return (INSTALLING / "libraries.py").read_text(encoding="utf-8")

    def digest(self, part: PackageLayer, model: Path) -> str:
        """A digest of everything that determines a package layer: requirements, wheels, and the installer."""
        wheel_digests = digests_in(model / model_files.WHEELS) if part.folder == PACKAGES else ()
        wheels = [(str(path), digest) for path, digest in wheel_digests]
        programs = ((INSTALLING / name).read_text(encoding="utf-8") for name in INSTALLERS)
        ours = (*programs, locked_line(self._host.ours, "uv"))
        return sha256(canonical([part.requirements, wheels, sorted(part.idle), *ours]))

    def write(self, folder: Path, contents: ContextContents) -> None:
        """Write a context to a folder that is empty or missing. Raises NoSpace, ToolFailed."""
        with disk_errors(_CONTEXT, folder, fix=_SPACE):
            self._write(folder, contents)

    def write_layers(self, folder: Path, model: Path) -> None:
        """Write the archives of server and model to an existing folder. Raises NoSpace, ToolFailed."""
        with disk_errors(_CONTEXT, folder, fix=_SPACE):
            self._pack_layers(folder, model)

    def write_composed(self, folder: Path, contents: ComposedContents) -> None:
        """Write a context of layers to a folder that is empty or missing. Raises NoSpace, ToolFailed."""
        with disk_errors(_CONTEXT, folder, fix=_SPACE):
            folder.mkdir(parents=True, exist_ok=True)
            for name, archive in contents.layers.items():
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(archive, folder / name)
            (folder / "README.md").write_text(contents.readme, encoding="utf-8")
            (folder / "Dockerfile").write_text(contents.dockerfile, encoding="utf-8")  # last: without it nothing builds

    def _write(self, folder: Path, contents: ContextContents) -> None:
        installer = folder / dockerfile.INSTALLER
        installer.mkdir(parents=True)
        (folder / "Dockerfile").write_text(contents.dockerfile, encoding="utf-8")
        (folder / "README.md").write_text(contents.readme, encoding="utf-8")
        for part in contents.parts:
            idle = "".join(f"{name}\n" for name in sorted(part.idle))
            (folder / part.folder).mkdir()
            (folder / part.folder / "requirements.txt").write_text(part.requirements, encoding="utf-8")
            (folder / part.folder / "idle.txt").write_text(idle, encoding="utf-8")
        for name in INSTALLERS:
            shutil.copyfile(INSTALLING / name, installer / name)
        wheels = contents.model / model_files.WHEELS
        if wheels.is_dir():
            copy_tree(wheels, folder / PACKAGES / model_files.WHEELS, copy=shutil.copyfile)
        for machine in contents.machines:
            name = machine_name(machine, System.LINUX)
            # Statically linked, it runs on every Linux, with any libc of the base image.
            ours = self._unpacked("uv", platform=f"{name}-unknown-linux-musl")
            shutil.copyfile(ours / "bin" / "uv", installer / f"uv-{name}")
        self._pack_layers(folder, contents.model)
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o755 if path.is_dir() or path.name.startswith("uv-") else 0o644)
            if path.is_file():
                _date_by_content(path)

    def _pack_layers(self, folder: Path, model: Path) -> None:
        with TemporaryDirectory(prefix="mlflow-uv-server-") as scratch:
            server = Path(scratch) / "server"
            copy_tree(SERVING, server, ignore=shutil.ignore_patterns("__pycache__"))
            copy_library(self._unpacked("prometheus-client"), server)
            pack(folder / dockerfile.SERVER_LAYER, server, PurePosixPath(dockerfile.SERVING))
        pack(folder / dockerfile.MODEL_LAYER, model, PurePosixPath(dockerfile.MODEL))

    def _unpacked(self, name: str, *, platform: str | None = None) -> Path:
        """A cached folder with the unpacked wheel of a package of our own lock."""
        line = locked_line(self._host.ours, name)
        folder = self._host.cache / "wheels" / sha256(f"{line} {platform}".encode())[:16]
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=folder.parent) as scratch:
                requirements, unpacked = Path(scratch) / "requirements.txt", Path(scratch) / "unpacked"
                requirements.write_text(line, encoding="utf-8")
                self._uv.unpack(requirements, unpacked, python=self._host.python, platform=platform)
                (unpacked / ".lock").unlink(missing_ok=True)
                with suppress(OSError):  # another process was faster
                    unpacked.rename(folder)
        return folder


def copy_library(unpacked: Path, server: Path) -> None:
    """
    Copy an unpacked wheel to `lib`, and its `*.dist-info` to `metadata`, where scanners find its version and licence.

    Engines write the files of a layer sorted by path or by path component, whichever way they compute the difference
    of two snapshots. The two orders differ for `NAME/` beside `NAME-VERSION.dist-info/`, and so would the digests.
    """
    for entry in sorted(unpacked.iterdir()):
        target = server / ("metadata" if entry.suffix == ".dist-info" else "lib") / entry.name
        target.parent.mkdir(exist_ok=True)
        if entry.is_dir():
            copy_tree(entry, target)
        else:
            shutil.copyfile(entry, target)


def locked_line(ours: Path, name: str) -> str:
    """A package of our own lock as a requirements line, with the hashes of all its wheels."""
    text = (ours / "uv.lock").read_text(encoding="utf-8")
    # Only its table is parsed: all of them take a tenth of a step that composes an image of known layers.
    start = text.index(f'[[package]]\nname = "{name}"\n')
    end = text.find("[[package]]", start + 1)
    (locked,) = tomli.loads(text[start:] if end < 0 else text[start:end])["package"]
    return " ".join((f"{name}=={locked['version']}", *(f"--hash={wheel['hash']}" for wheel in locked["wheels"]))) + "\n"


def _date_by_content(path: Path) -> None:
    """
    Set a file's modification time from a digest of its content.

    BuildKit skips a file whose name, size and time are unchanged: so it does not send uv again, and sends another
    model.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    when = WHEN * 10**9 + int(digest[:14], 16)  # less than two years, in nanoseconds
    os.utime(path, ns=(when, when))


def pack(archive: Path, folder: Path, top: PurePosixPath) -> None:
    """
    Write a folder as a tar archive that unpacks at `top`: sorted, with one date, owned by root, readable by all.

    Raises ToolFailed for a name that has another meaning in a layer, OSError.
    """
    import tarfile  # noqa: PLC0415

    entries = dict.fromkeys((top, *top.parents[:-1])) | dict(_below(folder, top))
    if deleting := sorted(filter(deletes, entries)):
        raise ToolFailed(
            what=f"`{deleting[0].relative_to(top)}` cannot be put into an image",
            why="in a layer of an image, a path with such a name deletes other files",
            fix="log the model with another name of that file",
        )
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path, file in sorted(entries.items()):
            entry = tarfile.TarInfo(str(path.relative_to("/")))
            entry.mtime = WHEN
            if file is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
                continue
            entry.size, entry.mode = file.stat().st_size, 0o644
            with file.open("rb") as data:
                tar.addfile(entry, data)


def _below(folder: Path, top: PurePosixPath) -> Iterator[tuple[PurePosixPath, Path | None]]:
    """Every folder (None) and file below `folder`; a link to a file stands for its target."""
    for base, folders, names in os.walk(folder):
        for name in folders:
            yield top / Path(base, name).relative_to(folder).as_posix(), None
        for name in names:
            yield top / Path(base, name).relative_to(folder).as_posix(), Path(base, name)
