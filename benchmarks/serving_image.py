"""
What do MLflow's serving image and ours cost: to build, to build again, to start, to run?

    uv run benchmarks/serving_image.py [--models sklearn,lightgbm,onnx] [--from FILE] [--write]

Stock MLflow and ours in one run: the same models, base, network and client. It needs Docker, uses the machine for a
quarter of an hour, and leaves nothing behind. The numbers go to standard output as JSON; with `--write` also to
serving_image.json, and what they say to docs/benchmarks.md with a picture. `--from` measures nothing: it prints, or
writes, what the numbers of an earlier run say.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import page
from imaging import limits, tables
from imaging.asking import SECONDS, Case, asked
from imaging.chart import chart
from imaging.claims import claims
from imaging.projects import LIBRARIES, Logged, Project, made
from imaging.sides import SIDES, Built
from imaging.workshop import DOCKER, PYTHON_SLIM, Failed, Workshop, workshop
from race import UV, version

NUMBERS = Path(__file__).with_suffix(".json")
PICTURE = page.PAGE.with_name("serving-image.svg")
STARTS = 3
WORKERS = {"stock": (1, 2, 4), "locked": (1, 2, 4), "slim": (1,)}
Numbers = dict[str, Any]
T = TypeVar("T")
SECTION = """
## The serving image

Stock is what `mlflow models build-docker --env-manager local` builds, ours what `mlflow-uv build-image` builds, with
the whole lock and slim: the same model out of the same store, the same base image of {base:.0f} MB, the same network,
side by side in one run of {minutes:.0f} minutes on {processors} processors ({architecture}), Docker {docker}, {uv}.

![Builds, starts, sizes, memory and throughput of stock MLflow and ours](serving-image.svg)

### Aims

How many times faster or sooner than stock, or which part of stock's; **bold where the aim is missed**.

{summary}{complaints}

Why aims are missed, and what was tried:

- They were drawn up from one measurement in which stock took 72 s for every build and 8 s to answer. Here the engine's
  cache serves stock's packages after a change, too, and what was read once is in memory.
- A cold build of ours is the unpacking of wheels, the bytecode of what a server starts with, and the engine's own copy
  and digests, each 3 to 5 s. What only MLflow's own server needs is left without bytecode, which saved about 2 s.
- After a change of the model the engine has little to do. What is left is the step around it: it reads record and model
  from the store again and compares them, and imports MLflow for that.
- A change of one small dependency was slower than stock's while all packages were one layer (14 s); it rebuilds those
  that are small.
- The wheels of the scikit-learn lock, unpacked, and the base alone are 764 MB, more than three quarters of stock's
  image; only `serving: slim` leaves anything out.
- With scikit-learn, half of the first answer is a container's Python and the import of MLflow, below. Bytecode is there
  for all of it, and the collector rests meanwhile.
- One worker holds what importing MLflow, pandas and the model's library takes, and shares it with nobody. From two on
  it is loaded once; what each of them then writes to is its own.

### Builds, sizes, starts

Seconds of the whole command, and in brackets what the engine took of them. Cold means that no layer and no download is
cached, on any side. In later builds the engine's cache has what the builds before left in it.

{builds}

### Requests

One client on one kept connection for the latencies, eight at once for the rate, {seconds} s each after half a second
that does not count; the client shares the {processors} processors with the server, so more workers than those only
compete. Every answer is compared with training's. Memory is that of all processes of the container after that. Each
number is the median of {starts} containers.

{serving}

### What nobody can do without

The packages of the scikit-learn image, alone: their wheels fetched over {connections} connections, unpacked and
compiled by nothing but Python's standard library; and its containers.

{physics}

### What was claimed

When this project was drawn up, before anything was measured.

{claimed}
"""


def main(arguments: Sequence[str]) -> None:
    """Measure or read numbers, then print and perhaps write them."""
    parser = argparse.ArgumentParser(prog="serving_image.py")
    parser.add_argument("--models", default=",".join(LIBRARIES), help="some of the three, separated by commas")
    parser.add_argument("--from", dest="numbers", type=Path, help="numbers of an earlier run")
    parser.add_argument("--write", action="store_true", help="write numbers, page and picture")
    said = parser.parse_args(arguments)
    names = said.models.split(",")
    if unknown := [name for name in names if name not in LIBRARIES]:
        parser.error(f"no model is called {unknown[0]}: there are {', '.join(LIBRARIES)}")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, cancel)
    numbers = measured(names) if said.numbers is None else json.loads(said.numbers.read_text())
    text = json.dumps(numbers, indent=1) + "\n"
    print(section(numbers) if said.numbers else text, end="")
    if said.write:
        NUMBERS.write_text(text)
        PICTURE.write_text(chart(numbers))
        page.write("serving_image.py", section(numbers))


def cancel(number: int, _frame: FrameType | None) -> NoReturn:
    """Unwind once; what is being removed by then is not interrupted again."""
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, lambda *_: None)
    sys.exit(128 + number)


def measured(names: Sequence[str]) -> Numbers:
    """Everything, model after model; the first one also stands for limits and claims."""
    started = time.perf_counter()
    with workshop() as shop:
        numbers: Numbers = {"machine": machine(shop), "models": {}}
        try:
            for name in names:
                numbers["models"][name] = one_model(made(name, shop), numbers if name == names[0] else None)
        except BaseException:
            print(json.dumps(numbers), file=sys.stderr)  # a quarter of an hour is not lost
            raise
        numbers["machine"]["minutes"] = (time.perf_counter() - started) / 60
    return numbers


def machine(shop: Workshop) -> Numbers:
    """What it was measured on."""
    engine = shop.run(DOCKER, "version", "--format", "{{.Server.Version}}").strip()
    return {
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "docker": engine,
        "uv": version(UV),
        "base": shop.size(PYTHON_SLIM),
    }


def one_model(project: Project, first: Numbers | None) -> Numbers:
    """Build, run, change, build again, on all sides; `first` is where limits and claims go."""
    shop, library = project.shop, LIBRARIES[project.name]
    say(f"{library.title}: log")
    model = project.log()
    # What any first build of ours fetches for itself, once for a machine, as MLflow was installed once.
    project.step("build-image", "--context", str(shop.fresh("context") / "folder"))
    sides: dict[str, Numbers] = {name: {"complaints": []} for name in SIDES}
    base = shop.base(library.system)
    images = {name: built(project, model, base, name, "cold", sides) for name in SIDES}
    for name, image in images.items():
        if image is not None:
            sides[name]["size"] = image.size
            run(project, image, model.case, name, sides)
    if first is not None:
        look_around(project, {name: image.name for name, image in images.items() if image is not None}, first)
    again = [built(project, model, shop.base(library.system), "locked", "warm", sides)]
    for what, change in (("model", project.change_model), ("dependency", project.change_dependency)):
        change()
        changed = project.log()
        again += [built(project, changed, base, name, what, sides) for name in SIDES]
    shop.remove(*(image.name for image in (*images.values(), *again) if image is not None))
    return {"title": library.title, "bytes": model.size, "log": model.seconds, "sides": sides}


def built(project: Project, model: Logged, base: str, name: str, what: str, sides: dict[str, Numbers]) -> Built | None:
    """An image of a side, and how long it took; None where it cannot be built."""
    say(f"{LIBRARIES[project.name].title}: {name}, {what}")
    project.shop.keep_downloads_in(f"{project.name}-{name}")
    image = attempt(lambda: SIDES[name].build(project, model, base), f"cannot be built ({what})", sides[name])
    if image is not None:
        sides[name][what] = [image.seconds, image.engine]
    return image


def run(project: Project, image: Built, case: Case, name: str, sides: dict[str, Numbers]) -> None:
    """Start containers of an image, and ask them."""
    shop, numbers, variable = project.shop, sides[name], SIDES[name].workers
    numbers["served"] = {}
    for workers in WORKERS[name]:
        say(f"{LIBRARIES[project.name].title}: {name}, {workers} at work")

        def one(workers: int = workers) -> Numbers:
            with asked(shop, image.name, case, **{variable: str(workers)}) as container:
                return container.measured()

        found = [attempt(one, f"does not serve with {workers} at work", numbers) for _ in range(STARTS)]
        started = [some for some in found if some is not None]
        if len(started) == STARTS:
            numbers["served"][str(workers)] = {
                what: statistics.median(some[what] for some in started) for what in started[0]
            }
    if "1" in numbers["served"]:
        numbers["first"] = numbers["served"]["1"]["first"]


def look_around(project: Project, images: Mapping[str, str], numbers: Numbers) -> None:
    """What nobody can do without, and what was claimed; both once."""
    say("limits")
    numbers["limits"] = {"locked": limits.limits(project, images["locked"])}
    numbers["starts"] = {name: limits.starts(project.shop, image) for name, image in images.items()}
    say("claims")
    numbers["claims"] = claims(project)


def attempt(work: Callable[[], T], words: str, numbers: Numbers) -> T | None:
    """What work comes to; that it cannot be done is a result, too."""
    try:
        return work()
    except Failed as failed:
        say(f"{words}: {failed}")
        numbers["complaints"].append(words)
        return None


def say(words: str) -> None:
    """Tell who waits."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def section(numbers: Numbers) -> str:
    """Our part of docs/benchmarks.md."""
    about = numbers["machine"]
    complaints = tables.complaints(numbers)
    return SECTION.format(
        **about | {"base": about["base"] / 1e6},
        connections=limits.CONNECTIONS,
        seconds=SECONDS,
        starts=STARTS,
        summary=tables.summary(numbers),
        builds=tables.builds(numbers),
        serving=tables.serving(numbers),
        physics=tables.physics(numbers),
        claimed=tables.claimed(numbers),
        complaints=f"\n\nWhat failed:\n\n{complaints}" if complaints else "",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
