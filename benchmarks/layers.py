"""
Measures what layers of packages cost: each part of the first build of a lock, and what the parts are compared with.

    uv run benchmarks/layers.py [--write]

All times are processor time, which depends less on what else runs: of this process, and of those that it starts. This
needs docker-registry.
"""

import gzip
import hashlib
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

import page
from imaging.registry import registry
from race import UV, VARIABLES, WINE
from zlib_ng import zlib_ng

from mlflow_uv.command.host import Host
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.image.composition import BaseLayers, Compression, LayerBlob, composed
from mlflow_uv.core.image.dockerfile import VENV
from mlflow_uv.core.image.layer_grouping import grouped, sized
from mlflow_uv.core.image.slim import imported_requirements
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.tools.layers.archive import LEVEL, LayerFile, write_layer
from mlflow_uv.tools.layers.compiler import Compiler
from mlflow_uv.tools.layers.recorded_packages import recorded_packages, verified_files
from mlflow_uv.tools.layers.unpacked_layers import environment_path
from mlflow_uv.tools.system.archives import extract
from mlflow_uv.tools.system.compressed import decompressing
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.toolbox import toolbox

PIECE = 1 << 20
SECTION = """
## Layers of packages

The {packages} packages of examples/wine, {files} files, {plain:.0f} MB with their headers in archives, {layers} layers,
bytecode included. Seconds of processor time, of all processes that take part, measured once on {processors} processors
({architecture}), Python {python}, at a load of {load:.1f}.

The parts of a first build, whose downloads are there:

| part | seconds | MB |
|---|---:|---:|
{parts}

So no build of these layers takes less than {bound:.1f} s on {processors} processors, were they busy all the time; the
step also starts MLflow, reads the base and compiles its standard library.

What a part is made of, and what it was compared with:

| what | seconds | MB |
|---|---:|---:|
{rows}
"""


class Bench:
    """The packages of an environment in a folder, their layers, and what was measured: words, seconds, megabytes."""

    def __init__(self, scratch: Path) -> None:
        """Install the packages of examples/wine as copies."""
        self.scratch, self.environment = scratch, scratch / "environment"
        self.packages: dict[str, dict[PurePosixPath, LayerFile]] = {}
        self.parts: list[tuple[str, float, float]] = []
        self.rows: list[tuple[str, float, float]] = []
        self.blobs: dict[Compression, list[LayerBlob]] = {kind: [] for kind in Compression}
        shutil.copytree(WINE, scratch / "wine", ignore=shutil.ignore_patterns(".venv", "__pycache__"))
        self.lock = read_lockfile((scratch / "wine" / "uv.lock").read_bytes())
        self.sync(scratch / "before")
        for name in (*(kind.value for kind in Compression), "plain", "zlib", "unpacked"):
            (scratch / name).mkdir()

    def sync(self, environment: Path) -> None:
        """Install the packages of examples/wine, with what uv has downloaded."""
        sync = (UV, "sync", "--locked", "--no-install-project", "--quiet")
        variables = {**VARIABLES, "UV_PROJECT_ENVIRONMENT": str(environment)}
        subprocess.run(sync, cwd=self.scratch / "wine", env=variables, check=True)

    def measure(self, what: str, run: Callable[[], object], *, out: str = "", part: bool = False) -> None:
        """Measure the processor time of this process and of those that it starts, and what a folder gets."""
        before = processor_s()
        run()
        seconds = processor_s() - before
        rows = self.parts if part else self.rows
        rows.append((what, seconds, megabytes(self.scratch / out) if out else 0))
        print(f"{what}: {seconds:.1f} s", file=sys.stderr)

    def layers(self, kind: Compression) -> list[Path]:
        """The layers that were written with a compression."""
        return sorted((self.scratch / kind.value).iterdir())

    def verify(self) -> None:
        """Compare each file with its RECORD."""
        home = PurePosixPath(VENV)
        for package in recorded_packages(self.environment):
            files = verified_files(self.environment, package, home)
            self.packages[package.name] = {home / path: file for path, file in files.items()}

    def write(self, kind: Compression) -> None:
        """Write the layer of each group of packages."""
        sizes = {package.name: package for package in sized(self.lock.packages)}
        for group in grouped(sizes[name] for name in self.packages):
            files = {path: file for name in group.packages for path, file in self.packages[name].items()}
            out = self.scratch / kind.value / group.name
            self.blobs[kind].append(write_layer(group.name, files, out, compression=kind))

    def send(self) -> None:
        """Send the layers of gzip to a registry on this machine."""
        with registry(self.scratch / "registry") as (address, _):
            base = BaseLayers(config={"os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}, layers=())
            blobs = self.blobs[Compression.GZIP]
            archives = {blob.blob.digest: self.scratch / "gzip" / blob.name for blob in blobs}
            host = Host.of(VARIABLES, folder=self.scratch, python=Path(sys.executable))
            with toolbox(host, console=Silent()) as tools:
                tools.registries.push(f"{address}/wine:1", composed(base, blobs, {}), archives)

    def digest(self) -> None:
        """Digest the layers of gzip, and what is in them."""
        for folder in ("plain", "gzip"):
            for file in (self.scratch / folder).iterdir():
                with file.open("rb") as content:
                    hashlib.file_digest(content, "sha256")

    def compress_again(self) -> None:
        """Compress what is in the layers of gzip with zlib-ng alone."""
        for file in (self.scratch / "plain").iterdir():
            compressor = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, 31)
            with file.open("rb") as source:
                while piece := source.read(PIECE):
                    compressor.compress(piece)
            compressor.flush()

    def read(self, kind: Compression) -> None:
        """Decompress all layers."""
        for layer in self.layers(kind):
            with decompressing(layer) as source:
                read_all(source)

    def read_by_gzip(self) -> None:
        """Decompress the layers of gzip by the standard library."""
        for layer in self.layers(Compression.GZIP):
            with gzip.open(layer) as source:
                read_all(source)

    def decompress(self) -> None:
        """Write what is in the layers to files."""
        for layer in self.layers(Compression.GZIP):
            with decompressing(layer) as source, (self.scratch / "plain" / layer.name).open("wb") as out:
                shutil.copyfileobj(source, out, PIECE)

    def compress(self) -> None:
        """Compress these by the standard library."""
        for file in (self.scratch / "plain").iterdir():
            compressor = zlib.compressobj(6)
            with file.open("rb") as source, (self.scratch / "zlib" / file.name).open("wb") as out:
                while piece := source.read(PIECE):
                    out.write(compressor.compress(piece))
                out.write(compressor.flush())

    def unpack(self) -> None:
        """Unpack the layers to files."""
        for layer in self.layers(Compression.GZIP):
            folder = self.scratch / "unpacked" / layer.name
            folder.mkdir()
            extract(layer, folder, environment_path)

    def compile(self) -> None:
        """Compile the modules that servers import, each package in a process of its own."""
        names = parse_requirements("".join(f"{name}==1 --hash=sha256:0\n" for name in self.packages))
        compiled = {pin.name for pin in imported_requirements(names, self.lock, Selection(), name="wine").pins}
        modules = {
            name: [(path, file.source) for path, file in sorted(files.items()) if path.suffix == ".py" and file.source]
            for name, files in self.packages.items()
            if name in compiled
        }
        with Compiler(SystemRunner(), self.environment / "bin" / "python") as compiler:
            bytecode = compiler.compile(modules, self.scratch / "compiling")
        (self.scratch / "bytecode").mkdir()
        for name, files in bytecode.items():
            (self.scratch / "bytecode" / name).write_bytes(b"".join(file.data for file in files.values()))
            self.packages[name] |= files


class Silent:
    """A console that prints nothing."""

    def say(self, text: str) -> None:
        """See Console."""

    def group(self, title: str, *, folded: bool = True) -> AbstractContextManager[None]:
        """See Console."""
        del title, folded
        return nullcontext()

    def foreign(self, line: str) -> None:
        """See Console."""

    def conceal(self, secret: str) -> None:
        """See Console."""


def read_all(source: IO[bytes] | gzip.GzipFile) -> None:
    """Read to the end."""
    while source.read(PIECE):
        pass


def processor_s() -> float:
    """The processor time of this process, and of those that it started and that ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def table(rows: Iterable[tuple[str, float, float]]) -> str:
    """Rows of a table: words, seconds, and megabytes if there are any."""
    return "\n".join(f"| {what} | {seconds:.1f} | {f'{mb:.0f}' if mb else ''} |" for what, seconds, mb in rows)


def megabytes(folder: Path) -> float:
    """The size of the files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def main(*, write: bool) -> None:
    """Measure, print, and perhaps write the page."""
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-bench-") as name:
        bench = Bench(Path(name))
        bench.measure("lay the packages out, by uv", partial(bench.sync, bench.environment), part=True)
        bench.measure("compare each file with RECORD", bench.verify, part=True)
        bench.measure("compile what servers import", bench.compile, out="bytecode", part=True)
        write_gzip = partial(bench.write, Compression.GZIP)
        bench.measure("write the layers: archive, zlib-ng, digests", write_gzip, out="gzip", part=True)
        bench.measure("send them to a registry here, which takes part", bench.send, part=True)
        seconds = sum(seconds for _, seconds, _ in bench.parts)
        bench.parts.append(("**all**", seconds, 0))
        bench.decompress()
        bench.measure("of writing: zlib-ng alone", bench.compress_again)
        bench.measure("of writing: digests of the archives and of the layers", bench.digest)
        bench.measure("write the layers with zstandard", partial(bench.write, Compression.ZSTD), out="zstd")
        bench.measure("only compress them, with the standard library at level 6", bench.compress, out="zlib")
        bench.measure("read the layers of gzip with zlib-ng", partial(bench.read, Compression.GZIP))
        bench.measure("… with the standard library", bench.read_by_gzip)
        bench.measure("read the layers of zstandard", partial(bench.read, Compression.ZSTD))
        bench.measure("unpack the layers of gzip to files", bench.unpack)
        section = SECTION.format(
            packages=len(bench.packages),
            files=f"{sum(map(len, bench.packages.values())):,}",
            plain=megabytes(bench.scratch / "plain"),
            layers=len(bench.blobs[Compression.GZIP]),
            processors=os.cpu_count(),
            architecture=platform.machine(),
            python=platform.python_version(),
            load=os.getloadavg()[0],
            parts=table(bench.parts),
            bound=seconds / (os.cpu_count() or 1),
            rows=table(bench.rows),
        )
    print(section)
    if write:
        page.write("layers.py", section)


if __name__ == "__main__":
    main(write="--write" in sys.argv[1:])
