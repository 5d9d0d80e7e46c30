"""Runs the scorer of an edge bundle in an image that has a Python, the runtime and nothing else."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .consumer import Consumer
from .images import BASE, built

DOCKERFILE = f"""\
FROM {BASE}
COPY packages /packages
COPY bundle /bundle
ENV PYTHONPATH=/packages
ENTRYPOINT ["python3", "/bundle/score.py"]
"""


def runtime_python(consumer: Consumer, package: str) -> tuple[Path, set[str]]:
    """The interpreter that has a runtime and no MLflow, and the packages that it has."""
    for python in (consumer.home / "cache" / "serving").glob("*/bin/python"):
        packages = python.parents[1].glob("lib/python*/site-packages/*.dist-info")
        names = {path.name.partition("-")[0].lower() for path in packages}
        if package in names and "mlflow" not in names:
            return python, names
    raise AssertionError(f"no environment has {package} alone")


@contextmanager
def edge_image(python: Path, bundle: Path, scratch: Path) -> Iterator[str]:
    """An image with a bundle and the packages of an interpreter."""
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    scratch.mkdir()
    shutil.copytree(packages, scratch / "packages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(bundle, scratch / "bundle")
    (scratch / "Dockerfile").write_text(DOCKERFILE)
    with built(scratch) as image:
        yield image


def scored(image: str, *arguments: str, given: str = "") -> tuple[int, str]:
    """The code and what the scorer prints or, if that is nothing, its error; no network, and no place to write."""
    done = subprocess.run(
        ("docker", "run", "--rm", "--interactive", "--network=none", "--read-only", image, *arguments),
        input=given, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout or done.stderr[-500:]  # runtimes write what they do to standard error
