"""Compares `check-targets` for a lock of 1 MB with one uv dry run per target."""

import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from race import PYTHON, UV, VARIABLES, WINE, Race, Side, program

SIZE = 1_000_000
PLATFORMS = {
    "linux-x86_64": "x86_64-manylinux_2_36",
    "linux-aarch64": "aarch64-manylinux_2_36",
    "macos-arm64": "aarch64-apple-darwin",
    "windows-x86_64": "x86_64-pc-windows-msvc",
}


def races(scratch: Path) -> Iterator[Race]:
    """One target and several, on the wine example grown to 1 MB."""
    project = grown(scratch / "wine")
    size = (project / "uv.lock").stat().st_size
    for names in (("linux-x86_64",), tuple(PLATFORMS)):
        yield Race(
            question=f"check a lock of {size / 1e6:.1f} MB for {len(names)} target(s)",
            sides=(
                Side(name="`uv sync --frozen --dry-run` for each", run=in_a_row(project, names)),
                Side(name="`mlflow-uv check-targets`", run=ours(project, names)),
            ),
            rounds=10,
            aim="under 300 ms",
            reached=lambda ms: f"{ms[-1]:.0f} ms",
        )


def grown(folder: Path) -> Path:
    """The wine example, with packages that it needs a second time under other names until the lock has its size."""
    folder.mkdir()
    shutil.copy(WINE / "pyproject.toml", folder)
    text = (WINE / "uv.lock").read_text()
    again, names, missing = [], [], SIZE - len(text)
    for block in re.findall(r"\[\[package\]\]\n(?:(?!\[\[package\]\]).*\n?)*", text):
        name = re.search(r'^name = "(.+)"', block, re.MULTILINE)
        alone = name and text.count(f'\nname = "{name[1]}"\n') == 1  # not locked at several versions
        if missing > 0 and alone and "source = { registry" in block and "dependencies = " not in block:
            again.append(block.replace(f'name = "{name[1]}"', f'name = "{name[1]}-again"', 1))
            names.append(f'    {{ name = "{name[1]}-again" }},\n')
            missing -= len(again[-1])
    head, root, rest = re.split(r"(\nname = \"wine\"\n(?:.+\n)*?dependencies = \[\n)", text, maxsplit=1)
    (folder / "uv.lock").write_text(f"{head}{root}{''.join(names)}{rest}\n{''.join(again)}")
    return folder


def in_a_row(project: Path, names: tuple[str, ...]) -> Callable[[], float]:
    """What asking uv for one target after the other takes."""
    VARIABLES["UV_PROJECT_ENVIRONMENT"] = str(project / "none")
    argv = (UV, "sync", "--frozen", "--dry-run", "--offline", "--no-default-groups", "--python", sys.executable)
    runs = [program(*argv, "--python-platform", PLATFORMS[name], folder=project) for name in names]
    return lambda: sum(run() for run in runs)


def ours(project: Path, names: tuple[str, ...]) -> Callable[[], float]:
    """What we take for all of them."""
    targets = ",".join(f"{name}-py{platform.python_version()}" for name in names)
    return program(*PYTHON, "mlflow_uv", "check-targets", "--targets", targets, folder=project)
