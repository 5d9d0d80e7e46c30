"""
Measures the way to an image in a registry: stock MLflow, this project with an engine, and composed from wheels.

    uv run benchmarks/pushed_image.py [--from FILE] [--write]

Each command ends when a registry on this machine has the image. All sides are measured in one run with the same model,
base image and network, what training downloaded included. This needs Docker and docker-registry, takes about a quarter
of an hour, and leaves nothing behind. The numbers are printed as JSON; `--write` also writes them to pushed_image.json,
and the table to docs/benchmarks.md. `--from` measures nothing.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import page
from imaging.projects import LIBRARIES, Logged, Project, create_project
from imaging.sides import STOCK_SIDE
from imaging.tables import table
from imaging.workshop import DOCKER, Workshop, workshop
from serving_image import cancel, machine, say

NUMBERS = Path(__file__).with_suffix(".json")
REGISTRY = shutil.which("docker-registry") or "docker-registry"
STARTED_S = 30.0
CONFIG = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}
http:
  addr: 127.0.0.1:{port}
"""
Numbers = dict[str, Any]
SIDES = ("stock", "engine", "composed", "composed, loaded")
CASES = {
    "cold": "first build of a lock",
    "model": "after a change of the model",
    "dependency": "after a change of one small package",
    "same": "the same again",
}
SECTION = """
## Build and push

What is measured is the user's job: from a logged model to an image that a registry has. "Stock" is
`mlflow models build-docker --env-manager local` and `docker push`, "engine" is `build-image --push`, "composed" is
`build-image --builder compose --push` without an engine, and "composed, loaded" the same with Docker, which gets the
image too and in which its packages are compared. The model is {title}, the base has {base:.0f} MB and is in the same
registry, on this machine. In the first build, no side has built anything for this lock; what training downloaded is in
uv's cache, which only a composed image uses. Times are seconds of whole commands, measured once, in one run of
{minutes:.0f} minutes on {processors} processors ({architecture}), Docker {docker}, {uv}, at a load of {load:.1f} to
{most_load:.1f}: other programs ran on the machine, so that the ratios within the run count, and not the seconds.

{times}

In brackets: how many times faster than stock.

- The aims were 8 times for a first build, 100 times after a change of the model and 20 times after one of a package.
  None is reached. A first composition compiles the bytecode of all packages, which needs most of its processor time.
- "Composed, loaded" came after "composed": its layers were made again, but the registry had them already, and what the
  base contains was known.
- After a change of the model, "composed" unpacked all packages for the smoke test; later than this run, images with the
  same packages share what is unpacked. "Composed, loaded" is examined in two containers instead.

What the registry stored in addition, in MB:

{stored}
"""


def main(arguments: Sequence[str]) -> None:
    """Measure or read numbers, then print and perhaps write them."""
    parser = argparse.ArgumentParser(prog="pushed_image.py")
    parser.add_argument("--from", dest="numbers", type=Path, help="numbers of an earlier run")
    parser.add_argument("--write", action="store_true", help="write numbers and page")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, cancel)
    numbers = measured() if options.numbers is None else json.loads(options.numbers.read_text())
    text = json.dumps(numbers, indent=1) + "\n"
    print(section(numbers) if options.numbers else text, end="")
    if options.write:
        NUMBERS.write_text(text)
        page.write("pushed_image.py", section(numbers))


def measured() -> Numbers:
    """All sides, case after case, so that none has a quieter machine than the others."""
    started, loads = time.perf_counter(), [os.getloadavg()[0]]
    with workshop() as shop, registry(shop) as (host, stored):
        numbers: Numbers = {"machine": machine(shop), "title": LIBRARIES["sklearn"].title, "sides": {}}
        project = create_project("sklearn", shop)
        model = project.log()
        project.step("build-image", "--context", str(shop.fresh("context") / "folder"))
        base = f"{host}/base:1"
        shop.run(DOCKER, "tag", shop.base(LIBRARIES["sklearn"].system), base)
        shop.run(DOCKER, "push", "--quiet", base)
        shop.keep_downloads_in("pushed")
        changes = {"model": project.change_model, "dependency": project.change_dependency}
        for case, words in CASES.items():
            if change := changes.get(case):
                change()
                model = project.log()
            for side in SIDES:
                say(f"{side}: {words}")
                if side == "composed, loaded" and case == "cold":
                    shutil.rmtree(project.home / "cache" / "layers")
                before = stored()
                seconds = push(project, model, base, f"{host}/{side.replace(', ', '-')}:{case}", side)
                numbers["sides"].setdefault(side, {})[case] = [seconds, stored() - before]
                loads.append(os.getloadavg()[0])
        shop.remove(*(f"{host}/{side.replace(', ', '-')}:{case}" for side in SIDES for case in CASES), base)
    minutes = (time.perf_counter() - started) / 60
    numbers["machine"] |= {"minutes": minutes, "load": min(loads), "most_load": max(loads)}
    return numbers


def push(project: Project, model: Logged, base: str, name: str, side: str) -> float:
    """Build an image and push it; the seconds."""
    started = time.perf_counter()
    if side == "stock":
        STOCK_SIDE.build_image(project, model, base, name)
        project.shop.run(DOCKER, "push", "--quiet", name)
    else:
        engine = "none" if side == "composed" else "docker"
        builder = "engine" if side == "engine" else "compose"
        flags = ("--builder", builder, "--engine", engine, "--base-image", base, "--image", name, "--push")
        project.step("build-image", *flags)
    return time.perf_counter() - started


@contextmanager
def registry(shop: Workshop) -> Iterator[tuple[str, Callable[[], int]]]:
    """A registry on this machine: its host, and the bytes that it has stored."""
    folder = shop.fresh("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config.yml").write_text(CONFIG.format(folder=folder / "data", port=port))
    process = subprocess.Popen(
        (REGISTRY, "serve", folder / "config.yml"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + STARTED_S
        while time.monotonic() < until and not listens(port):
            time.sleep(0.05)
        yield f"127.0.0.1:{port}", lambda: sum(f.stat().st_size for f in folder.rglob("data") if f.is_file())
    finally:
        process.terminate()
        process.wait()


def listens(port: int) -> bool:
    """Whether a program answers there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def section(numbers: Numbers) -> str:
    """Our part of docs/benchmarks.md."""
    about = numbers["machine"]
    return SECTION.format(
        **about | {"base": about["base"] / 1e6},
        title=numbers["title"],
        times=table(("", *SIDES), rows(numbers, times)),
        stored=table(("", *SIDES), rows(numbers, stored)),
    )


def rows(numbers: Numbers, cell: Callable[[Numbers, str, str], str]) -> Iterator[tuple[str, ...]]:
    """A row for each case, with a cell for each side."""
    for case, words in CASES.items():
        yield (words, *(cell(numbers, case, side) for side in SIDES))


def times(numbers: Numbers, case: str, side: str) -> str:
    """Seconds, and how many times faster than stock."""
    seconds, stock = numbers["sides"][side][case][0], numbers["sides"]["stock"][case][0]
    return f"{seconds:.1f} s" + ("" if side == "stock" else f" ({stock / seconds:.1f})")


def stored(numbers: Numbers, case: str, side: str) -> str:
    """Megabytes that the registry got."""
    return f"{numbers['sides'][side][case][1] / 1e6:.1f}"


if __name__ == "__main__":
    main(sys.argv[1:])
