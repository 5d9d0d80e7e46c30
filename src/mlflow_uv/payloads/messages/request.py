"""Defines the base of all requests, and the responses that several verbs have in common."""

from typing import ClassVar

from .lazy_dataclass import lazy_dataclass

CUT = "…"  # ends a field that was too long to be sent as a whole


@lazy_dataclass
class Request:
    """A request of the verb that its class names; it is sent as a JSON object with the same parts."""

    verb: ClassVar[str]


@lazy_dataclass
class Done:
    """The response of a verb that returns nothing."""


@lazy_dataclass
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


@lazy_dataclass
class Failure:
    """
    An error in place of a response.

    `kind` is a value of `problems.ProblemKind`, `detail` a traceback; only the kind `schema` has `facts`.
    """

    kind: str
    message: str
    detail: str | None
    facts: SchemaFacts | None


@lazy_dataclass
class DescribeEnvironment(Request):
    """Describe the interpreter, without importing MLflow."""

    verb: ClassVar[str] = "describe-environment"


@lazy_dataclass
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


@lazy_dataclass
class DescribeLicences(Request):
    """Describe the licences of all installed packages, without importing any."""

    verb: ClassVar[str] = "describe-licences"


@lazy_dataclass
class DeclaredLicence:
    """
    What the metadata of an installed package says about its licence; `name` is normalised (PEP 503).

    `expression` is `License-Expression` (PEP 639), `text` the older `License`, and `classifiers` are the last parts of
    those about licences. Of a longer field these are the first 200 characters, and CUT. `texts` are digests of the
    texts of licences that a package without `License-Expression` has, in `License` or as files that `License-File`
    names; one that cannot be read is empty.
    """

    name: str
    version: str
    expression: str
    text: str
    classifiers: tuple[str, ...]
    texts: tuple[str, ...]


@lazy_dataclass
class LicenceDescription:
    """The declared licences of all installed packages, by name."""

    packages: tuple[DeclaredLicence, ...]
