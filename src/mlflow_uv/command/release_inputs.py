"""Defines what a release shares with the steps that it runs only if it is asked to: verify and report."""

from pathlib import Path
from typing import Annotated

from ..payloads.messages.lazy_dataclass import lazy_dataclass
from .inputs import SparkMaster, VersionNumber
from .limits import Limits
from .step import Doc, OneRun, SettingReach


@lazy_dataclass
class WayInputs:
    """Inputs of verify that a release takes: the ways of serving, their limit, and what is written."""

    ways: Annotated[
        tuple[str, ...],
        Doc(
            "Ways of serving that verify tries, by name (uv-serve), environment (uv, virtualenv, conda, locked, spark)"
            " or method (load, predict, serve, process, image, v2, batch, stream); by default all that this machine can"
            " run, but not project, which trains again with mlflow run."
        ),
    ] = ()
    time_limit: Annotated[
        float,
        Limits(below=1_000_000.0),
        Doc(
            "Seconds, at least 1, that verify waits for a server to become healthy, and for each command of MLflow,"
            " loaded model or Spark query to respond."
        ),
    ] = 600.0
    spark_master: SparkMaster = None
    junit_file: Annotated[
        Path | None,
        SettingReach.WRITTEN,
        Doc("Write the results of verify to this file as JUnit XML, a test case for each way."),
    ] = None


@lazy_dataclass
class WayOutputs:
    """The ways of serving a version by result."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    equal: Annotated[tuple[str, ...], Doc("Ways in which the predictions are those of training.")]
    unequal: Annotated[
        tuple[str, ...],
        Doc("Ways in which the predictions differ, or that fail although this machine has what they need."),
    ]
    unavailable: Annotated[
        tuple[str, ...],
        Doc("Ways that cannot be tried: this machine lacks a program or the image, or no request suits the way."),
    ]
    junit_file: Annotated[Path | None, Doc("Path of the JUnit XML file; empty if none was requested.")]


@lazy_dataclass
class LoggedReportInputs:
    """Whether the report is logged."""

    log_report: Annotated[bool, OneRun(), Doc("Log the report on the version to its run, where MLflow shows it.")] = (
        False
    )
