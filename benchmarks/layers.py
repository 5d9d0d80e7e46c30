"""
Measures what layers of packages cost: verify, compress and compile them, and read them again.

    uv run benchmarks/layers.py [--write]

All times are processor time, which depends less on what else runs: of one process, and of those that compile.
"""

import gzip
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

import page
from race import UV, VARIABLES, WINE

from mlflow_uv.core.image.composition import Compression
from mlflow_uv.core.image.dockerfile import VENV
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.layers.compiler import Compiler
from mlflow_uv.tools.layers.laid_out import laid_out, verified_files
from mlflow_uv.tools.layers.unpacked_layers import environment_path
from mlflow_uv.tools.system.archives import extract
from mlflow_uv.tools.system.compressed import decompressing
from mlflow_uv.tools.system.process import SystemRunner

PIECE = 1 << 20
SECTION = """
## Layers of packages

The {packages} packages of examples/wine, {files} files, {plain:.0f} MB with their headers in an archive, without
bytecode. Seconds of processor time, of all processes that compile, measured once on {processors} processors
({architecture}), Python {python}, at a load of {load:.1f}.

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
        self.rows: list[tuple[str, float, float]] = []
        shutil.copytree(WINE, scratch / "wine", ignore=shutil.ignore_patterns(".venv", "__pycache__"))
        sync = (UV, "sync", "--locked", "--no-install-project", "--quiet", "--link-mode", "copy")
        variables = {**VARIABLES, "UV_PROJECT_ENVIRONMENT": str(self.environment)}
        subprocess.run(sync, cwd=scratch / "wine", env=variables, check=True)
        for name in (*(kind.value for kind in Compression), "plain", "zlib", "unpacked"):
            (scratch / name).mkdir()

    def measure(self, what: str, run: Callable[[], object], *, out: str = "", of_others: bool = False) -> None:
        """Measure the processor time of this process, or of those that it starts, and what a folder gets."""
        who = resource.RUSAGE_CHILDREN if of_others else resource.RUSAGE_SELF
        before = resource.getrusage(who)
        run()
        after = resource.getrusage(who)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.rows.append((what, seconds, megabytes(self.scratch / out) if out else 0))
        print(f"{what}: {seconds:.1f} s", file=sys.stderr)

    def layers(self, kind: Compression) -> list[Path]:
        """The layers that were written with a compression."""
        return sorted((self.scratch / kind.value).iterdir())

    def verify(self) -> None:
        """Compare each file with its RECORD."""
        home = PurePosixPath(VENV)
        for package in laid_out(self.environment):
            files = verified_files(self.environment, package, home)
            self.packages[package.name] = {home / path: file for path, file in files.items()}

    def write(self, kind: Compression) -> None:
        """Write the layer of each package."""
        for name, files in self.packages.items():
            write_layer(name, files, self.scratch / kind.value / name, compression=kind)

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
        """Compile all modules, by a process for each package."""
        modules = {
            name: [(path, file.source) for path, file in sorted(files.items()) if path.suffix == ".py" and file.source]
            for name, files in self.packages.items()
        }
        with Compiler(SystemRunner(), self.environment / "bin" / "python") as compiler:
            compiled = compiler.compile(modules, self.scratch / "compiling")
        (self.scratch / "bytecode").mkdir()
        for name, files in compiled.items():
            (self.scratch / "bytecode" / name).write_bytes(b"".join(file.data for file in files.values()))


def read_all(source: IO[bytes] | gzip.GzipFile) -> None:
    """Read to the end."""
    while source.read(PIECE):
        pass


def megabytes(folder: Path) -> float:
    """The size of the files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def main(*, write: bool) -> None:
    """Measure, print, and perhaps write the page."""
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-bench-") as name:
        bench = Bench(Path(name))
        bench.measure("compare each file with RECORD", bench.verify)
        bench.measure("write the layers with zlib-ng", partial(bench.write, Compression.GZIP), out="gzip")
        bench.measure("… with zstandard", partial(bench.write, Compression.ZSTD), out="zstd")
        bench.decompress()
        bench.measure("only compress them, with the standard library at level 6", bench.compress, out="zlib")
        bench.measure("read the layers of gzip with zlib-ng", partial(bench.read, Compression.GZIP))
        bench.measure("… with the standard library", bench.read_by_gzip)
        bench.measure("read the layers of zstandard", partial(bench.read, Compression.ZSTD))
        bench.measure("unpack the layers of gzip to files", bench.unpack)
        bench.measure("compile all modules", bench.compile, out="bytecode", of_others=True)
        rows = (f"| {what} | {seconds:.1f} | {f'{mb:.0f}' if mb else ''} |" for what, seconds, mb in bench.rows)
        section = SECTION.format(
            packages=len(bench.packages),
            files=f"{sum(map(len, bench.packages.values())):,}",
            plain=megabytes(bench.scratch / "plain"),
            processors=os.cpu_count(),
            architecture=platform.machine(),
            python=platform.python_version(),
            load=os.getloadavg()[0],
            rows="\n".join(rows),
        )
    print(section)
    if write:
        page.write("layers.py", section)


if __name__ == "__main__":
    main(write="--write" in sys.argv[1:])
