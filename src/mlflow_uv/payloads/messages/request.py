"""Defines the base of all requests, and the responses that several verbs have in common."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request of the verb that its class names; it is sent as a JSON object with the same parts."""

    verb: ClassVar[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """The response of a verb that returns nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemaFacts:
    """
    The facts of a database whose schema is not that of the MLflow in use.

    `variable` names the variable with its URI, `revision` is its schema or `none`, `wanted` the schema of the MLflow of
    version `mlflow` that the interpreter `python` has, `upgradable` whether that MLflow can upgrade the database.
    """

    variable: str
    revision: str
    wanted: str
    mlflow: str
    upgradable: bool
    python: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """
    An error in place of a response.

    `kind` is a value of `problems.ProblemKind`, `detail` a traceback; only the kind `schema` has `facts`.
    """

    kind: str
    message: str
    detail: str | None
    facts: SchemaFacts | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DescribeEnvironment(Request):
    """Describe the interpreter, without importing MLflow."""

    verb: ClassVar[str] = "describe-environment"


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentDescription:
    """
    The Python and the MLflow of an interpreter; `mlflow` is None without one.

    `mlflow_flavor` is `full` or `skinny`, `mlflow_schema` the newest revision of its databases.
    """

    python: str
    python_executable: str
    mlflow: str | None
    mlflow_flavor: str | None
    mlflow_schema: str | None
    platform: str
