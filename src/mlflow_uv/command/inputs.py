"""Defines the inputs and outputs that several steps share."""

from enum import Enum
from pathlib import Path
from typing import Annotated

from .step import Doc, Matching, OneRun, SettingReach

NAME = r"[^\s/:%\x00-\x1f\"'`$&|;<>\\][^/:%\x00-\x1f\"'`$&|;<>\\]{0,249}"

ProjectPath = Annotated[Path, OneRun(), Doc("Project folder, which contains pyproject.toml.")]
PackageName = Annotated[
    str | None,
    Doc("Workspace member to serve, if the project folder is not that member itself."),
    Matching(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "a package name"),
]
Extras = Annotated[tuple[str, ...], Doc("Extras (optional dependencies) of the project that the served model needs.")]
Groups = Annotated[tuple[str, ...], Doc("Dependency groups of the project that the served model needs.")]
RespectEnv = Annotated[
    bool,
    Doc(
        "Apply the caller's `UV_*` variables and user-level uv settings to commands on the lock, instead of"
        " ignoring them."
    ),
]
UvProgram = Annotated[
    Path | None,
    OneRun(),
    Doc(
        "Path of the uv executable; by default the uv on PATH if the project's `required-version` allows it,"
        " else the bundled one."
    ),
]
RecordPath = Annotated[
    Path | None,
    OneRun(),
    Doc(
        "File of the release record, which the steps of a release share; log-model creates it, later steps require it."
    ),
]
TrackingUri = Annotated[
    str | None,
    SettingReach.SERVER,
    Doc(
        "URI of the MLflow tracking server; defaults to `MLFLOW_TRACKING_URI` and, outside CI, to an embedded"
        " local store."
    ),
]
InputExample = Annotated[
    Path | None,
    SettingReach.DISCLOSED,
    Doc(
        "JSON or CSV file with the input example for the tests, instead of the example that the model was logged with."
    ),
]
ServeEnv = Annotated[
    tuple[str, ...],
    SettingReach.VARIABLES,
    Doc("Names of environment variables that the model needs at inference time; their values are never recorded."),
]
IgnoreAnswers = Annotated[
    tuple[str, ...],
    Doc("Paths in a response that are not compared, such as `$.created` or `$.choices[*].id` (a subset of JSONPath)."),
]
Embedded = Annotated[
    bool,
    Doc(
        "Allow an embedded store on CI, where it is lost with the runner; meant for demonstrations and"
        " pull-request checks."
    ),
]
ModelName = Annotated[
    str | None,
    Doc("Name of the registered model; defaults to the project name."),
    Matching(NAME, "a name MLflow accepts (no slash, colon or shell character)"),
]

Candidate = Annotated[str, Doc("Alias or version number of the candidate."), Matching(NAME, "an alias or a number")]
Champion = Annotated[
    str, Doc("Alias of the champion, the version in production."), Matching(NAME, "a name MLflow accepts")
]
Previous = Annotated[str, Doc("Alias of the previous champion."), Matching(NAME, "a name MLflow accepts")]
EvaluationPath = Annotated[
    Path | None,
    OneRun(),
    Doc(
        "File for the evaluation result: `evaluate` writes it instead of writing to the store, and `promote` reads it."
    ),
]
DryRun = Annotated[bool, OneRun(), Doc("Report what would be done, without changing anything.")]

RecordFile = Annotated[Path, Doc("File of the release record, to pass to the next step or job.")]
LockDigest = Annotated[str, Doc("SHA-256 of uv.lock with line endings normalised to LF.")]
RequirementsDigest = Annotated[str, Doc("SHA-256 of the normalised requirements list.")]
ModelDigest = Annotated[str, Doc("SHA-256 over all model files as downloaded from the store.")]
VersionNumber = Annotated[str, Doc("Registered model version number.")]
VersionState = Annotated[
    str,
    Doc(
        "State recorded on the version: registered, tested, failed, promoted or replaced; none if no state is recorded."
    ),
]
ImageAddress = Annotated[
    str,
    Doc(
        "Immutable image reference of this version: repository@digest, or the local image id; empty if there"
        " is no image."
    ),
]
Reused = Annotated[bool, Doc("Whether the result of an earlier run with the same inputs was reused.")]


class Builds(Enum):
    """Whether build backends may run to find out what packages require."""

    AUTO = "auto"
    ALLOW = "allow"
    REFUSE = "refuse"


BuildPermission = Annotated[
    Builds,
    OneRun(),
    Doc(
        "Whether uv may run build backends, which execute code of the checkout: `auto` refuses on GitHub for"
        " pull requests from forks and allows otherwise; a lock that cannot be checked without a build is"
        " reported as unverifiable."
    ),
]


class EngineChoice(Enum):
    """What builds the image: a container engine that is here, a certain one, or none, and a process serves."""

    AUTO = "auto"
    ANY = "any"
    DOCKER = "docker"
    PODMAN = "podman"
    NONE = "none"


class Isolation(Enum):
    """What runs a version that is evaluated: its image where it can be, always its image, or always a process."""

    AUTO = "auto"
    IMAGE = "image"
    PROCESS = "process"


class Serving(Enum):
    """Which packages an image holds: the whole lock, or what serving needs of it."""

    LOCKED = "locked"
    SLIM = "slim"
