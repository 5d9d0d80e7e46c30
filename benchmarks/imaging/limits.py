"""Measures lower bounds: the same files downloaded, unpacked, compiled and imported, without any other work."""

import json
import os
import ssl
import statistics
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from .projects import Project
from .workshop import DOCKER, PYTHON, TRUSTED, Workshop

CONNECTIONS = 16
ATTEMPTS = 3  # as uv has them
ROUNDS = 3
INVENTORY = ("/opt/venv/bin/python", "-I", "/opt/mlflow-uv/inventory.py", "/opt/model")
IMPORT = "import time; s = time.perf_counter(); import mlflow.pyfunc; print(time.perf_counter() - s)"


def limits(project: Project, image: str) -> dict[str, Any]:
    """Of the packages in an image of ours: how many, bytes, seconds to fetch, unpack and compile."""
    shop = project.shop
    inventory = shop.run(DOCKER, "run", "--rm", f"--entrypoint={INVENTORY[0]}", image, *INVENTORY[1:])
    installed = {(canonicalize_name(name), version) for name, version in json.loads(inventory)["installed"]}
    urls = list(wheels(project.lock, installed))
    fetched, unpacked = shop.fresh("fetched"), shop.fresh("unpacked")
    download = fetch(urls, fetched, shop)
    files = sorted(fetched.iterdir(), key=lambda path: -path.stat().st_size)
    started = time.perf_counter()
    with ProcessPoolExecutor() as pool:
        list(pool.map(unpack, files, [unpacked / path.name for path in files]))
    unpacking = time.perf_counter() - started
    # Files of another Python than this one are in some packages: what cannot be compiled is left.
    started = time.perf_counter()
    compiler = (project.python, "-m", "compileall", "-q", "-j", str(os.cpu_count()), unpacked)
    subprocess.run(compiler, capture_output=True, check=False)
    compiling = time.perf_counter() - started
    return {
        "packages": len(installed),
        "fetched": sum(path.stat().st_size for path in files),
        "download": download,
        "unpack": unpacking,
        "compile": compiling,
    }


def wheels(lock: Mapping[str, Any], installed: Iterable[tuple[str, str]]) -> Iterable[str]:
    """Where the lock has the wheels of these packages for this machine's system and the image's Python."""
    version = tuple(map(int, PYTHON.split(".")))
    interpreter = f"cp{PYTHON.replace('.', '')}"
    ranks = {tag: rank for rank, tag in enumerate((*cpython_tags(version), *compatible_tags(version, interpreter)))}
    installed_packages = set(installed)
    for package in lock["package"]:
        if (canonicalize_name(package["name"]), package.get("version")) not in installed_packages:
            continue
        rated = {
            min((ranks[tag] for tag in tags(wheel["url"]) if tag in ranks), default=len(ranks)): wheel["url"]
            for wheel in package.get("wheels", ())
        }
        if rated and min(rated) < len(ranks):
            yield rated[min(rated)]


def tags(url: str) -> Iterable[Any]:
    """Where a wheel runs."""
    return parse_wheel_filename(unquote(url.rpartition("/")[2]))[3]


def fetch(urls: Iterable[str], folder: Path, shop: Workshop) -> float:
    """Seconds to fetch all of them over several connections."""
    bundle = next((shop.variables[name] for name in TRUSTED if shop.variables.get(name)), None)
    context = ssl.create_default_context(cafile=bundle)

    def fetch_one(url: str) -> None:
        for again in range(ATTEMPTS):
            try:
                with urllib.request.urlopen(url, context=context) as answer:
                    (folder / unquote(url.rpartition("/")[2])).write_bytes(answer.read())
                return
            except OSError:
                if again == ATTEMPTS - 1:
                    raise
                time.sleep(1)

    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(fetch_one, urls))
    return time.perf_counter() - started


def unpack(wheel: Path, folder: Path) -> None:
    """Unpack a wheel and do nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)


def starts(shop: Workshop, image: str) -> dict[str, float]:
    """Seconds until a container's Python says something, and that its import of MLflow takes."""
    return {
        "container": statistics.median(spoken(image) for _ in range(ROUNDS)),
        "import": statistics.median(
            float(shop.run(DOCKER, "run", "--rm", "--entrypoint=python", image, "-c", IMPORT)) for _ in range(ROUNDS)
        ),
    }


def spoken(image: str) -> float:
    """Seconds until a container's Python says its first word."""
    argv = (DOCKER, "run", "--rm", "--entrypoint=python", image, "-S", "-c", "print(1, flush=True)")
    started = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - started
