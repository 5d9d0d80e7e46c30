"""
Measures the serving images of stock MLflow and of this project: builds, rebuilds, start-up and requests.

    uv run benchmarks/serving_image.py [--models sklearn,lightgbm,onnx] [--only serving] [--from FILE] [--write]

Stock MLflow and this project are measured in one run with the same models, base image, network and client. This needs
Docker, takes about a quarter of an hour, and leaves nothing behind. The numbers are printed as JSON; `--write` also
writes them to serving_image.json, and the tables and chart to docs/benchmarks.md. `--from` measures nothing: it prints
or writes the tables for the numbers of an earlier run. `--only serving` builds each image once, and measures starts,
requests and memory anew; all other numbers stay those of serving_image.json. A model takes about five minutes so.
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
from imaging.asking import SECONDS, Case, serving_container
from imaging.chart import chart
from imaging.claims import claims
from imaging.projects import LIBRARIES, Logged, Project, create_project
from imaging.sides import SIDES, Built
from imaging.workshop import DOCKER, PYTHON_SLIM, Failed, Workshop, workshop
from race import UV, version

SERVING = "serving"
NUMBERS = Path(__file__).with_suffix(".json")
PICTURE = page.PAGE.with_name("serving-image.svg")
STARTS = 3
WORKERS = {"stock": (1, 2, 4), "locked": (1, 2, 4), "slim": (1,)}
Numbers = dict[str, Any]
T = TypeVar("T")
SECTION = """
## The serving image

"Stock" is the image that `mlflow models build-docker --env-manager local` builds. "Locked" and "slim" are the images
that `mlflow-uv build-image` builds with the whole lock and with `serving: slim`. All are built from the same model in
the same store, on the same base image of {base:.0f} MB and over the same network. Stock and this project were measured
in one run of {minutes:.0f} minutes on {processors} processors ({architecture}), Docker {docker}, {uv}.{again}

![Builds, starts, sizes, memory and throughput of stock MLflow and of this project](serving-image.svg)

### Targets

Each number compares with stock: how many times faster, or which fraction of stock's value. **Bold numbers miss the
target.**

{summary}{complaints}

Why targets are missed, and what was done:

- The targets are based on an early measurement in which stock took 72 s for every build and 8 s until its first
  response. In this measurement the engine's cache also speeds up stock's build after a change, and files that were read
  before are in memory.
- A cold build consists of unpacking the wheels, compiling the modules that a server imports at start-up, and the
  engine's own copies and digests. Packages that only MLflow's own server needs are not compiled.
- After a change of the model, the engine has little work. The rest of the time is spent in the step itself: it reads
  record and model from the store again, compares them, and imports MLflow for that.
- While all packages were in one layer, a build after a change of one small dependency was slower than stock's. Now
  small packages have a layer of their own.
- The unpacked wheels of the scikit-learn lock and the base take most of stock's image. Only `serving: slim` installs
  fewer packages.
- The time until the first response is that of the imports of MLflow and of the model's libraries. All modules are
  already compiled, and their files are not compared with their sources; garbage collection is off during the imports;
  skops is imported before MLflow, because it searches every loaded module; MLflow's comparison of the requirements with
  the installed packages is left out, because the image was compared when it was built. What the last three save, and
  what was tried without a gain, is measured [without a container](#first-answer-without-a-container).
- One worker holds what the import of MLflow and the model's library needs, which is in use, and shares it with no other
  process: settings of the C library, `malloc_trim` and a collection give nothing back. Two or more workers load it
  once; only memory that a worker writes to is its own.

### Builds, sizes, start-up

Seconds of the whole command, with the engine's part in brackets. In a cold build, no layer and no download is cached,
for stock or this project. In later builds the engine's cache contains the results of the earlier builds.

{builds}

### Requests

Latencies are measured with one client on one persistent connection, request rates with eight clients, for {seconds} s
each after half a second of warm-up. The client shares the {processors} processors with the server, so additional
workers only compete with it. Every response is compared with the predictions after training. Memory is that of all
processes of the container after the requests. Each number is the median of {starts} containers.

{serving}

### Lower bounds

The packages of the scikit-learn image alone: their wheels downloaded over {connections} connections, unpacked and
compiled with Python's standard library only; and the start-up of the containers.

{limits}

### Initial estimates

These estimates were made before anything was measured. Each says how many times faster the second variant is than the
first.

{claims}
"""


def main(arguments: Sequence[str]) -> None:
    """Measure or read numbers, then print and perhaps write them."""
    parser = argparse.ArgumentParser(prog="serving_image.py")
    parser.add_argument("--models", default=",".join(LIBRARIES), help="some of the three, separated by commas")
    parser.add_argument("--only", choices=[SERVING], help="measure a part; the other numbers are those of the last run")
    parser.add_argument("--from", dest="numbers", type=Path, help="numbers of an earlier run")
    parser.add_argument("--write", action="store_true", help="write numbers, page and picture")
    options = parser.parse_args(arguments)
    names = options.models.split(",")
    if unknown := [name for name in names if name not in LIBRARIES]:
        parser.error(f"no model is called {unknown[0]}: there are {', '.join(LIBRARIES)}")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, cancel)
    if options.numbers is not None:
        numbers = json.loads(options.numbers.read_text())
    elif options.only:
        numbers = served_again(names, json.loads(NUMBERS.read_text()))
    else:
        numbers = measured(names)
    text = json.dumps(numbers, indent=1) + "\n"
    print(section(numbers) if options.numbers else text, end="")
    if options.write:
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
                numbers["models"][name] = one_model(create_project(name, shop), numbers if name == names[0] else None)
        except BaseException:
            print(json.dumps(numbers), file=sys.stderr)  # a quarter of an hour is not lost
            raise
        numbers["machine"]["minutes"] = (time.perf_counter() - started) / 60
    return numbers


def served_again(names: Sequence[str], numbers: Numbers) -> Numbers:
    """The numbers of an earlier run, with starts, requests and memory of models that are measured anew."""
    with workshop() as shop:
        for name in names:
            project, library = create_project(name, shop), LIBRARIES[name]
            say(f"{library.title}: log")
            model = project.log()
            base = shop.base(library.system)
            sides: dict[str, Numbers] = {side: {"complaints": []} for side in SIDES}
            images = {side: built(project, model, base, side, "cold", sides) for side in SIDES}
            for side, image in images.items():
                if image is not None:
                    run(project, image, model.case, side, sides)
            tables.serve_again(numbers, name, sides, {"date": time.strftime("%Y-%m-%d"), "load": os.getloadavg()[0]})
            shop.remove(*(image.name for image in images.values() if image is not None))
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
        measure_limits_and_claims(
            project, {name: image.name for name, image in images.items() if image is not None}, first
        )
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
        say(f"{LIBRARIES[project.name].title}: {name}, {workers} workers")

        def measure(workers: int = workers) -> Numbers:
            with serving_container(shop, image.name, case, **{variable: str(workers)}) as container:
                return container.measured()

        attempts = [attempt(measure, f"{tables.DOES_NOT_SERVE} with {workers} workers", numbers) for _ in range(STARTS)]
        starts = [start for start in attempts if start is not None]
        if len(starts) == STARTS:
            numbers["served"][str(workers)] = {
                what: statistics.median(start[what] for start in starts) for what in starts[0]
            }
    if "1" in numbers["served"]:
        numbers["first"] = numbers["served"]["1"]["first"]


def measure_limits_and_claims(project: Project, images: Mapping[str, str], numbers: Numbers) -> None:
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
        limits=tables.limits_table(numbers),
        claims=tables.claims_table(numbers),
        again=tables.again(numbers),
        complaints=f"\n\nWhat failed:\n\n{complaints}" if complaints else "",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
