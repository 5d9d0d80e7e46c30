"""What do the inputs and outputs that several steps share mean? Each word is defined here once."""

from enum import Enum
from pathlib import Path
from typing import Annotated

from .step import Doc, Matching, OneRun, SettingReach

NAME = r"[^\s/:%\x00-\x1f\"'`$&|;<>\\][^/:%\x00-\x1f\"'`$&|;<>\\]{0,249}"

ProjectPath = Annotated[Path, OneRun(), Doc("Folder of the project: the one that holds its pyproject.toml.")]
PackageName = Annotated[
    str | None,
    Doc("Workspace member to serve, where the project folder is not that member itself."),
    Matching(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "a package name"),
]
Extras = Annotated[tuple[str, ...], Doc("Extras of the project that the served model needs.")]
Groups = Annotated[tuple[str, ...], Doc("Dependency groups of the project that the served model needs.")]
RespectEnv = Annotated[
    bool, Doc("Let the caller's UV_* variables steer questions about the lock instead of setting them aside.")
]
UvProgram = Annotated[
    Path | None,
    OneRun(),
    Doc("The uv to use, instead of the one on PATH that the project accepts or the one that came with us."),
]
RecordPath = Annotated[
    Path | None, OneRun(), Doc("Release record that the steps of a release share, made where it does not exist.")
]
TrackingUri = Annotated[
    str | None,
    SettingReach.SERVER,
    Doc("MLflow tracking server; without it MLFLOW_TRACKING_URI, and on a laptop an embedded store."),
]
InputExample = Annotated[
    Path | None,
    SettingReach.DISCLOSED,
    Doc("JSON or CSV file of the project to ask the model with, instead of what it was logged with."),
]
ServeEnv = Annotated[
    tuple[str, ...],
    SettingReach.VARIABLES,
    Doc("Names of environment variables that the model needs where it answers; their values are never recorded."),
]
IgnoreAnswers = Annotated[
    tuple[str, ...],
    Doc("Paths into an answer that are not compared, such as $.created or $.choices[*].id (a subset of JSONPath)."),
]
Embedded = Annotated[
    bool, Doc("Accept an embedded store that vanishes with the runner, for demonstrations and pull-request checks.")
]
ModelName = Annotated[
    str | None,
    Doc("Name of the registered model; without it the name of the project."),
    Matching(NAME, "a name MLflow accepts (no slash, colon or shell character)"),
]

Candidate = Annotated[str, Doc("Alias or number of the version on trial."), Matching(NAME, "an alias or a number")]
Champion = Annotated[str, Doc("Alias that the version in use has."), Matching(NAME, "a name MLflow accepts")]
Previous = Annotated[str, Doc("Alias of the version that was in use before."), Matching(NAME, "a name MLflow accepts")]
EvaluationPath = Annotated[
    Path | None,
    OneRun(),
    Doc("File that carries an evaluation from `evaluate`, which then only reads the store, to `promote`."),
]
DryRun = Annotated[bool, OneRun(), Doc("Say what would be done, and do nothing.")]

RecordFile = Annotated[Path, Doc("The release record, to be handed to the next step or job.")]
LockDigest = Annotated[str, Doc("sha256 of uv.lock with line ends normalised to LF.")]
RequirementsDigest = Annotated[str, Doc("sha256 of the normalised requirements.")]
ModelDigest = Annotated[str, Doc("sha256 over every file of the model as the store returns it.")]
VersionNumber = Annotated[str, Doc("Number of the registered model version.")]
VersionState = Annotated[
    str, Doc("What the version says of itself: registered, tested, failed, promoted or replaced; none if nothing.")
]
ImageAddress = Annotated[
    str,
    Doc(
        "Address that starts this version whatever its name leads to: repository@digest, or the engine's id; or empty."
    ),
]
Reused = Annotated[bool, Doc("Whether what an earlier run did with the same inputs was found, and not done again.")]


class Builds(Enum):
    """Whether build backends may run to find out what packages require."""

    AUTO = "auto"
    ALLOW = "allow"
    REFUSE = "refuse"


BuildPermission = Annotated[
    Builds,
    OneRun(),
    Doc(
        "Whether uv may run build backends, which are code of the checkout: auto refuses for a pull request from a fork"
        " on GitHub and allows elsewhere; a lock that cannot be checked without a build is called unverifiable."
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
