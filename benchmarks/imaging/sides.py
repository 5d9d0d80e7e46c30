"""Builds and runs images with MLflow and with this project."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from .projects import Logged, Project

# What `mlflow models build-docker --env-manager local` calls; only so a base image can be named.
STOCK = """
import sys
from mlflow.models import build_docker
build_docker(model_uri=sys.argv[1], name=sys.argv[2], base_image=sys.argv[3], env_manager="local")
"""


@dataclass(frozen=True, kw_only=True)
class Built:
    """An image: seconds of the whole command, of the engine in it, and bytes."""

    name: str
    seconds: float
    engine: float
    size: int

    @property
    def numbers(self) -> list[float]:
        """What is kept of it."""
        return [self.seconds, self.engine]


class Side(ABC):
    """A way to build an image for a model; `workers` is the variable that says how many serve."""

    name: str
    workers: str

    def build(self, project: Project, model: Logged, base: str) -> Built:
        """Build an image. Raises Failed."""
        shop = project.shop
        name = f"{shop.token}-{project.name}:{self.name}-{next(shop.count)}"
        started = time.perf_counter()
        self.build_image(project, model, base, name)
        seconds = time.perf_counter() - started
        return Built(name=name, seconds=seconds, engine=shop.last_build(), size=shop.size(name))

    @abstractmethod
    def build_image(self, project: Project, model: Logged, base: str, name: str) -> None:
        """Run the command that builds."""


class Stock(Side):
    """MLflow's own."""

    name, workers = "stock", "MLFLOW_MODELS_WORKERS"

    def build_image(self, project: Project, model: Logged, base: str, name: str) -> None:
        """See Side."""
        uri = f"models:/{model.model_id}"
        project.shop.run(project.python, "-c", STOCK, uri, name, base, MLFLOW_TRACKING_URI=project.store)


class Ours(Side):
    """Ours, with all packages of the lock or those that serving needs."""

    workers = "WORKERS"

    def __init__(self, name: str) -> None:
        self.name = name

    def build_image(self, project: Project, model: Logged, base: str, name: str) -> None:  # the record knows
        """See Side."""
        flags = ("--builder", "engine", "--engine", "docker", "--serving", self.name, "--base-image", base)
        project.step("build-image", *flags, "--image", name)


STOCK_SIDE, LOCKED, SLIM = Stock(), Ours("locked"), Ours("slim")
SIDES: Mapping[str, Side] = {side.name: side for side in (STOCK_SIDE, LOCKED, SLIM)}
