"""
Measures the way to an image in a registry, and from there to a first answer: stock MLflow, and composed from wheels.

    uv run benchmarks/pushed_image.py [--only PART,…] [--into FILE] [--from FILE] [--write]

Each command ends when a registry on this machine has the image. Each side has a registry of its own, so that none finds
layers there that another one sent. All sides are measured in one run with the same model, base image and network. This
needs Docker, Podman and docker-registry, and leaves nothing behind. The numbers are printed as JSON. `--write` also
writes each to pushed_image.json as soon as it is known, beside those that are there from other parts, and at the end
the tables to docs/benchmarks.md; `--into` writes to another file and no page. `--from` measures nothing.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import page
from imaging.asking import responds_correctly
from imaging.large_wheel import NAME as MASSIVE
from imaging.large_wheel import index, make_wheel
from imaging.projects import LIBRARIES, Logged, Project, create_project
from imaging.pushed_page import CASES, IN_RELEASE, PULLS, SIDES, Numbers, section
from imaging.registry import listens, registry
from imaging.sides import STOCK_SIDE
from imaging.workshop import DOCKER, Failed, Workshop, workshop
from serving_image import cancel, machine, say

NUMBERS = Path(__file__).with_suffix(".json")
ANSWERED_S = 300.0
# Between two requests to a server that starts, each of which MLflow's nginx logs, and between looks at its container.
PAUSE_S, LOOK_S = 0.1, 5.0
# Those that Podman takes from the user may be more than a container may set.
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
# Debian's first choice, crun, refuses a machine that has both versions of control groups.
RUNTIME = ("--runtime", "runc") if shutil.which("runc") else ()
# MLflow installs nginx only on a base whose name begins with `python:`; without it, its server has another port.
STARTED_WITH = {"stock": ("--env", "DISABLE_NGINX=true"), "composed": ()}
PORTS = {"stock": 8000, "composed": 8080}
# The image that a machine pulls first, and the size of the disk that it has.
FIRST = {"stock": "cold", "composed": "downloads"}
DISK_BYTES = 12 << 30
PARTS = (*CASES, "pull", "wheel")
# What the cache knows of layers and bases.
LAYERS = ("layers", "layers-of-registries", "base-layers", "base-facts", "shared-libraries")
SMALL, LARGE = "certifi", "pyarrow"
# The registry of a first build whose side makes another one, which is to find no layers there.
COLD = "composed, cold"


@dataclass(frozen=True)
class Place:
    """A registry that has the base image: its host, and the bytes that it has stored."""

    host: str
    stored: Callable[[], int]

    @property
    def base(self) -> str:
        """The base image."""
        return f"{self.host}/base:1"


@dataclass
class Bench:
    """What a run works on, and the numbers that it has so far; `keep` writes them to a file."""

    shop: Workshop
    registries: dict[str, Place]
    numbers: Numbers
    keep: Callable[[Numbers], None]
    project: Project
    models: dict[str, Logged]
    names: list[str]
    import_s: float = 0.0
    parts: tuple[str, dict[str, float]] | None = None  # of the last push, and what they are kept as

    def add(self, kind: str, case: str, what: str, number: list[float]) -> None:
        """Keep a number, beside those of this and earlier runs."""
        self.numbers.setdefault(kind, {}).setdefault(case, {})[what] = number
        about = self.numbers["machine"]
        load = os.getloadavg()[0]
        about |= {"load": min(load, about["load"]), "most_load": max(load, about["most_load"])}
        self.keep(self.numbers)

    def place(self, side: str, case: str) -> Place:
        """The registry of a side, which has no layer yet when the side makes its first build."""
        return self.registries[COLD if (side, case) == ("composed", "cold") else side]

    def name(self, side: str, case: str) -> str:
        """The image of a side in a case."""
        repository = "second" if case == "second" else "wine"
        return f"{self.place(side, case).host}/{repository}-{'-'.join(side.replace(',', '').split())}:{case}"

    def push(self, side: str, case: str, *flags: str, **variables: str) -> list[float]:
        """Build an image and push it: seconds, and bytes that the registry got."""
        say(f"{side}: {case}")
        name, model, place = self.name(side, case), self.models[case], self.place(side, case)
        before, started = place.stored(), time.perf_counter()
        self.names.append(name)
        if side == "stock":
            STOCK_SIDE.build_image(self.project, model, place.base, name)
            self.shop.run(DOCKER, "push", "--quiet", name)
            return [time.perf_counter() - started, place.stored() - before]
        engine = "docker" if side == "composed, loaded" else "none"
        flags = ("--builder", "compose", "--engine", engine, "--base-image", place.base, "--push", *flags)
        if side == IN_RELEASE:  # the model is logged, and not trained again
            flags = ("--steps", "log-model,build-image", *flags, "--image", name)
            parts = self.project.timed("release", *flags, **variables)
            self.parts = IN_RELEASE, parts
            return [parts["whole"], place.stored() - before]
        if side == "composed":
            parts = self.project.timed("build-image", *flags, "--image", name, **variables)
            seconds, sent = time.perf_counter() - started, place.stored() - before
            self.parts = "parts", {**parts, "import": self.import_seconds()}
            return [seconds, sent]
        self.project.step("build-image", *flags, "--image", name, **variables)
        return [time.perf_counter() - started, place.stored() - before]

    def import_seconds(self) -> float:
        """Seconds of `import mlflow` alone, measured once."""
        self.import_s = self.import_s or self.project.import_seconds()
        return self.import_s

    def measure(self, side: str, case: str, *flags: str, **variables: str) -> None:
        """Measure a push, and keep it with the parts of the step."""
        self.parts = None
        number = self.push(side, case, *flags, **variables)
        if self.parts is not None:  # of a push that prepares another one, or of another lock, nobody keeps them
            kind, parts = self.parts
            self.numbers.setdefault(kind, {})[case] = parts
        self.add("cases", case, side, number)

    def remove_layers(self) -> None:
        """Remove layers and what is known of bases, as on a fresh machine."""
        for name in LAYERS:
            shutil.rmtree(self.project.home / "cache" / name, ignore_errors=True)

    def keep_layers(self) -> Path:
        """Keep what is known of layers and bases; the folder that has it."""
        kept = self.shop.fresh("layers")
        for name in LAYERS:
            if (folder := self.project.home / "cache" / name).is_dir():
                shutil.copytree(folder, kept / name, copy_function=os.link)
        return kept

    def restore_layers(self, kept: Path) -> None:
        """Know the layers and bases of before, and no others."""
        self.remove_layers()
        shutil.copytree(kept, self.project.home / "cache", copy_function=os.link, dirs_exist_ok=True)


def main(arguments: Sequence[str]) -> None:
    """Measure or read numbers, then print and perhaps write them."""
    parser = argparse.ArgumentParser(prog="pushed_image.py")
    parser.add_argument("--from", dest="numbers", type=Path, help="numbers of an earlier run; nothing is measured")
    parser.add_argument("--write", action="store_true", help="write numbers, each when it is known, and the page")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to measure, of {', '.join(PARTS)}")
    parser.add_argument("--into", type=Path, help="another file of numbers, which is written without the page")
    parser.add_argument("--megabytes", type=int, default=1500, help="size of the large wheel")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, cancel)
    parts = tuple(options.only.split(","))
    if unknown := {*parts} - {*PARTS}:
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    if options.numbers is None:
        numbers = measured(parts, options.into or (NUMBERS if options.write else None), options.megabytes)
    else:
        numbers = json.loads(options.numbers.read_text())
    print(section(numbers) if options.numbers else json.dumps(numbers, indent=1))
    if options.write and options.into is None:
        page.write("pushed_image.py", section(numbers))


def measured(parts: Sequence[str], file: Path | None, megabytes: int) -> Numbers:
    """All sides, case after case, so that none has a quieter machine than the others; earlier numbers are kept."""
    known = json.loads(file.read_text()) if file is not None and file.is_file() else {}
    numbers: Numbers = known if "cases" in known or "wheel" in known else {}

    def keep(numbers: Numbers) -> None:
        if file is not None:
            file.write_text(json.dumps(numbers, indent=1) + "\n")

    with workshop() as shop, ExitStack() as stack:
        load, about = os.getloadavg()[0], numbers.get("machine", {})
        loads = {"load": min(load, about.get("load", load)), "most_load": max(load, about.get("most_load", load))}
        numbers |= {"machine": machine(shop) | loads, "title": LIBRARIES["sklearn"].title}
        project = create_project("sklearn", shop)
        registries = {name: Place(*stack.enter_context(registry(shop.fresh("registry")))) for name in (*SIDES, COLD)}
        base = shop.base(LIBRARIES["sklearn"].system)
        bases = [place.base for place in registries.values()]
        for name in bases:
            shop.run(DOCKER, "tag", base, name)
            shop.run(DOCKER, "push", "--quiet", name)
        shop.keep_downloads_in("pushed")
        bench = Bench(
            shop=shop, registries=registries, numbers=numbers, keep=keep, project=project, models={}, names=bases
        )  # fmt: skip
        try:
            if {*parts} - {"wheel"}:
                cases(bench, parts)
            if "wheel" in parts:
                wheel(bench, megabytes)
        finally:
            shop.remove(*bench.names)
    return numbers


def cases(bench: Bench, parts: Sequence[str]) -> None:
    """The cases of one lock, and pulls of the images."""
    project = bench.project
    logged = project.log()
    project.step("build-image", "--context", str(bench.shop.fresh("context") / "folder"))
    bench.models |= dict.fromkeys(("cold", "downloads", "fresh"), logged)
    first = bench.push("stock", "cold")
    if "cold" in parts:
        bench.add("cases", "cold", "stock", first)
        bench.remove_layers()
        bench.measure("composed", "cold", UV_CACHE_DIR=str(bench.shop.fresh("uv")))
    for side in SIDES[1:]:
        bench.remove_layers()
        if "downloads" in parts:
            bench.measure(side, "downloads")
        else:
            bench.push(side, "downloads")
    if "fresh" in parts:
        for side in ("composed", IN_RELEASE):
            bench.remove_layers()
            flags = ("--layers-from", bench.name(side, "downloads"))
            bench.measure(side, "fresh", *flags, UV_CACHE_DIR=str(bench.shop.fresh("uv")))
        bench.remove_layers()
        bench.push("composed", "downloads")
    changes = {
        "second": project.change_model,
        "model": project.change_model,
        "small": lambda: project.change_dependency(SMALL),
        "large": lambda: project.change_dependency(LARGE),
    }
    for case, change in changes.items():
        if case in parts or ("pull" in parts and case in PULLS):
            change()
            bench.models[case] = project.log()
            kept = bench.keep_layers()
            for side in SIDES:
                bench.restore_layers(kept)
                bench.measure(side, case)
    if "pull" in parts:
        for side in SIDES[:2]:
            pull(bench, side)


def pull(bench: Bench, side: str) -> None:
    """From the pull of an image to its first right answer, with nothing and then with the version before."""
    port = PORTS[side]
    if listens(port):
        raise Failed(f"another program listens on port {port}, which the server needs")
    run = bench.shop.fresh("run")  # Podman accepts no longer path
    with file_system(bench.shop) as folder:
        podman = (
            "podman",
            *RUNTIME,
            "--root",
            str(folder / "storage"),
            "--runroot",
            str(run),
            "--tmpdir",
            f"{run}/libpod",
        )
        temporary = folder / "tmp"
        temporary.mkdir()
        try:
            for what in PULLS:
                say(f"{side}: pull {PULLS[what]}")
                case = what if what in CASES else FIRST[side]
                image, started = bench.name(side, case), time.perf_counter()
                bench.shop.run(*podman, "pull", "--quiet", "--tls-verify=false", image, TMPDIR=str(temporary))
                pulled = time.perf_counter() - started
                container = bench.shop.run(
                    *podman, "run", "--detach", "--network", "host", *LIMITS, *STARTED_WITH[side], image
                ).strip()
                try:
                    asked = partial(responds_correctly, port, bench.models[case].case)
                    await_answer(bench, asked, (*podman, "logs", container), (*podman, "inspect", container))
                    bench.add("pulls", what, side, [time.perf_counter() - started, pulled])
                finally:
                    bench.shop.run(*podman, "rm", "--force", "--time", "0", container)
        finally:
            bench.shop.run(*podman, "system", "reset", "--force")
            # The reset leaves it mounted.
            subprocess.run(("umount", folder / "storage" / "overlay"), capture_output=True, check=False)


@contextmanager
def file_system(shop: Workshop) -> Iterator[Path]:
    """
    A new file system in a file, which needs root.

    On one from which another side's images were deleted a moment ago, ext4 passes over each inode that was freed.
    """
    disk, folder = shop.fresh("disk") / "ext4", shop.fresh("mounted")
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    shop.run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", disk)
    shop.run("mount", "-o", "loop", disk, folder)
    try:
        yield folder
    finally:
        shop.run("umount", folder)
        disk.unlink()


def await_answer(bench: Bench, answers: Callable[[], bool], logs: Sequence[str], inspect: Sequence[str]) -> None:
    """Ask until there is a right answer. Raises Failed with the last lines of the log, without those of requests."""
    looked = started = time.monotonic()
    while not answers():
        time.sleep(PAUSE_S)
        if (now := time.monotonic()) > looked + LOOK_S:
            looked, running = now, json.loads(bench.shop.run(*inspect))[0]["State"]["Running"]
            if not running or now > started + ANSWERED_S:
                log = subprocess.run(logs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
                lines = [line for line in log.stdout.splitlines() if "/invocations" not in line][-20:]
                raise Failed("\n".join(("no right answer in time" if running else "it ended", *lines)))


def wheel(bench: Bench, megabytes: int) -> None:
    """A lock with a large wheel: composed first with what training downloaded, then after changes."""
    folder = bench.shop.fresh("index")
    with index(folder, make_wheel(folder, megabytes)) as address:
        more = f'\n[tool.uv.sources]\n{MASSIVE} = {{ index = "local" }}\n\n[[tool.uv.index]]\nname = "local"\n'
        more += f'url = "{address}"\nexplicit = true\n'
        project = create_project("sklearn", bench.shop, more=more, packages=(MASSIVE,))
        bench.project = project
        changes = {"downloads": lambda: None, "model": project.change_model, "small": project.change_dependency}
        for case, change in changes.items():
            change()
            bench.models[case] = project.log()
            number = bench.push("composed", case)
            bench.numbers["megabytes"] = megabytes
            bench.add("wheel", case, "composed", number)


if __name__ == "__main__":
    main(sys.argv[1:])
