"""Defines the inputs and outputs that several steps share."""

from enum import Enum
from pathlib import Path
from typing import Annotated

from ..payloads.messages.lazy_dataclass import lazy_dataclass
from .limits import Limits
from .step import Doc, FixedInRelease, Matching, OneRun, Section, SettingReach

NAME = r"[^\s/:%\x00-\x1f\"'`$&|;<>\\][^/:%\x00-\x1f\"'`$&|;<>\\]{0,249}"
# The reference grammar of the engines: registry, lower-case path, tag; a base image may have a digest too.
IMAGE_TAG = r"(?::\w[\w.\-]{0,127})?"
IMAGE_HOST = r"(?:[A-Za-z0-9.\-]+(?::\d+)?/)?"
IMAGE = rf"{IMAGE_HOST}[a-z0-9]+(?:(?:\.|__?|-+|/)[a-z0-9]+)*{IMAGE_TAG}(?:@sha256:[0-9a-f]{{64}})?"
_BASE = rf"{IMAGE}|sha256:[0-9a-f]{{64}}"

TOLERANCE = 1e-6  # the last bits of a float depend on the processor

RecordFile = Annotated[Path, Doc("File of the release record, to pass to the next step or job.")]
LockDigest = Annotated[str, Doc("SHA-256 of uv.lock with line endings normalised to LF.")]
RequirementsDigest = Annotated[str, Doc("SHA-256 of the normalised requirements list.")]
ModelDigest = Annotated[str, Doc("SHA-256 over all model files as downloaded from the store.")]
VersionNumber = Annotated[str, Doc("Registered model version number.")]
ModelPlace = Annotated[str, Doc("Where the model ran: image, process or spark; empty if results were reused.")]
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
PublicKeyFile = Annotated[
    Path | None, OneRun(), Doc("Public key in PEM: that of `signer`, or the only one that a verification trusts.")
]
SignerName = Annotated[
    str,
    Doc(
        "Who signed: the id of the key, after the names of its certificate, with commas between several signers; empty"
        " without a valid signature."
    ),
]
PlanFile = Annotated[
    Path | None, OneRun(), Doc("File of the plan of a deployment as JSON, which deploy writes and post-comment reads.")
]
OneTarget = Annotated[
    str | None,
    Doc(
        "Platform and Python of one target, such as linux-x86_64-py3.11: export writes only the packages of this"
        " target, without environment markers, and doctor diagnoses a model for it; for deploy the NAME of a table"
        " [tool.mlflow-uv.deploy.NAME]."
    ),
]
SparkMaster = Annotated[
    str | None,
    OneRun(),
    Doc(
        "Master URL of a Spark cluster, such as local[2]: score runs on it instead of in one process, and verify uses"
        " it for the ways spark-batch and spark-stream."
    ),
]
Reused = Annotated[bool, Doc("Whether the result of an earlier run with the same inputs was reused.")]


class Builds(Enum):
    """Whether build backends may run to find out what packages require."""

    AUTO = "auto"
    ALLOW = "allow"
    REFUSE = "refuse"


class EngineChoice(Enum):
    """What builds the image: a container engine that is here, a certain one, or none, and a process serves."""

    AUTO = "auto"
    ANY = "any"
    DOCKER = "docker"
    PODMAN = "podman"
    NONE = "none"


class Isolation(Enum):
    """What runs a version: its image where it can be, always its image, or always a process."""

    AUTO = "auto"
    IMAGE = "image"
    PROCESS = "process"


class Serving(Enum):
    """Which packages an image holds: the whole lock, or what serving needs of it."""

    LOCKED = "locked"
    SLIM = "slim"


# The classes of inputs have no slots: a class cannot inherit from several classes that have them, and the inputs of
# most steps, and those of `release`, do.


@lazy_dataclass
class ProjectInputs:
    """The project folder, an input of every step."""

    project: Annotated[Path, Section.PROJECT, OneRun(), Doc("Project folder, which contains pyproject.toml.")] = Path()


@lazy_dataclass
class ExcludeInputs:
    """The folders that a step skips."""

    exclude: Annotated[
        tuple[str, ...],
        FixedInRelease(()),
        Doc("Folders to skip, as glob patterns relative to the project folder."),
    ] = ()


@lazy_dataclass
class SelectionInputs(ProjectInputs):
    """The project, and what of its lock is served."""

    package: Annotated[
        str | None,
        Section.PROJECT,
        Doc("Workspace member to serve, if the project folder is not that member itself."),
        Matching(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "a package name"),
    ] = None
    extras: Annotated[
        tuple[str, ...],
        Section.PROJECT,
        Doc("Extras (optional dependencies) of the project that the served model needs."),
    ] = ()
    groups: Annotated[
        tuple[str, ...], Section.PROJECT, Doc("Dependency groups of the project that the served model needs.")
    ] = ()


@lazy_dataclass
class UvInputs:
    """The uv executable."""

    uv: Annotated[
        Path | None,
        Section.UV,
        OneRun(),
        Doc(
            "Path of the uv executable; by default the uv on PATH if the project's `required-version` allows it,"
            " else the bundled one."
        ),
    ] = None


@lazy_dataclass
class LockInputs(UvInputs):
    """How uv is called for a lock."""

    respect_env: Annotated[
        bool,
        Section.UV,
        Doc(
            "Apply the caller's `UV_*` variables and user-level uv settings to commands on the lock, instead of"
            " ignoring them."
        ),
    ] = False


@lazy_dataclass
class BuildInputs:
    """Whether build backends may run."""

    builds: Annotated[
        Builds,
        Section.RUN,
        OneRun(),
        FixedInRelease(Builds.ALLOW),
        Doc(
            "Whether uv may run build backends, which execute code of the checkout: `auto` refuses on GitHub for"
            " pull requests from forks and allows otherwise; a lock that cannot be checked without a build is"
            " reported as unverifiable."
        ),
    ] = Builds.AUTO


@lazy_dataclass
class StoreInputs(ProjectInputs):
    """The project, and the MLflow store that it uses."""

    tracking_uri: Annotated[
        str | None,
        Section.STORE,
        SettingReach.SERVER,
        Doc(
            "URI of the MLflow tracking server; defaults to `MLFLOW_TRACKING_URI` and, outside CI, to an embedded"
            " local store."
        ),
    ] = None
    embedded: Annotated[
        bool,
        Section.STORE,
        Doc(
            "Allow an embedded store on CI, where it is lost with the runner; meant for demonstrations and"
            " pull-request checks."
        ),
    ] = False


@lazy_dataclass
class RecordInputs(StoreInputs, UvInputs):
    """The inputs of every step that writes the release record; the project folder need not exist to continue one."""

    record: Annotated[
        Path | None,
        Section.PROJECT,
        OneRun(),
        Doc(
            "File of the release record, which the steps of a release share; log-model creates it, later steps require"
            " it."
        ),
    ] = None


@lazy_dataclass
class RegistryInputs(SelectionInputs, StoreInputs, UvInputs):
    """The inputs of every step that uses the model registry; the project folder need not exist for a server."""


@lazy_dataclass
class ModelNameInputs:
    """The registered model."""

    model_name: Annotated[
        str | None,
        Doc("Name of the registered model; defaults to the project name."),
        Matching(NAME, "a name MLflow accepts (no slash, colon or shell character)"),
    ] = None


@lazy_dataclass
class CandidateInputs:
    """The version that is compared with the champion, and the file that holds the result."""

    candidate: Annotated[
        str, Doc("Alias or version number of the candidate."), Matching(NAME, "an alias or a number")
    ] = "candidate"
    evaluation_file: Annotated[
        Path | None,
        Section.RUN,
        OneRun(),
        Doc(
            "File for the evaluation result: `evaluate` writes it instead of writing to the store, and `promote`"
            " reads it."
        ),
    ] = None


@lazy_dataclass
class ChampionInputs:
    """The alias of the version in production."""

    champion: Annotated[
        str, Doc("Alias of the champion, the version in production."), Matching(NAME, "a name MLflow accepts")
    ] = "champion"


@lazy_dataclass
class DryRunInputs:
    """Whether anything is changed."""

    dry_run: Annotated[
        bool,
        Section.RUN,
        OneRun(),
        FixedInRelease(value=False),
        Doc("Report what would be done, without changing anything."),
    ] = False


@lazy_dataclass
class AliasMoveInputs(ChampionInputs, DryRunInputs):
    """The aliases that a promotion or a rollback moves."""

    previous: Annotated[str, Doc("Alias of the previous champion."), Matching(NAME, "a name MLflow accepts")] = (
        "previous"
    )


@lazy_dataclass
class ServeEnvInputs:
    """The environment variables of the model."""

    serve_env: Annotated[
        tuple[str, ...],
        Section.RUN,
        SettingReach.VARIABLES,
        Doc("Names of environment variables that the model needs at inference time; their values are never recorded."),
    ] = ()


@lazy_dataclass
class ResponseInputs(ServeEnvInputs):
    """How the responses of the model are obtained and compared."""

    tolerance: Annotated[
        float,
        Section.RUN,
        # At 1 any two numbers of one sign would be equal.
        Limits(below=1.0),
        Doc(
            "Relative and absolute tolerance for floating-point values in responses, below 1; all other values must be"
            " equal."
        ),
    ] = TOLERANCE
    skip_derived: Annotated[
        bool,
        Section.RUN,
        Doc(
            "Do not derive requests from the signature, for a model whose predictions are expensive or have side"
            " effects."
        ),
    ] = False
    ignore_answers: Annotated[
        tuple[str, ...],
        Section.RUN,
        Doc(
            "Paths in a response that are not compared, such as `$.created` or `$.choices[*].id` (a subset of"
            " JSONPath)."
        ),
    ] = ()


@lazy_dataclass
class IsolationInputs:
    """Where code of a version runs."""

    isolation: Annotated[
        Isolation,
        Section.RUN,
        OneRun(),
        Doc(
            "Where each version runs: `image` in a container of its image, `process` in a process of this"
            " machine, `auto` in a container if possible, else in a process."
        ),
    ] = Isolation.AUTO


@lazy_dataclass
class VersionInputs:
    """The registered version that a step is about."""

    version_uri: Annotated[
        str,
        OneRun(),
        FixedInRelease(""),
        Doc(
            "Registered version: models:/NAME@ALIAS or models:/NAME/NUMBER; for verify also the file of a release"
            " record."
        ),
    ]


@lazy_dataclass
class StrictInputs:
    """Whether a result that is not complete is an error."""

    strict: Annotated[
        bool,
        Section.RUN,
        Doc(
            "End with an error instead of a warning: audit, deploy, sign and verify-chain for a link that cannot be"
            " verified here, score for a row that cannot be scored."
        ),
    ] = False


@lazy_dataclass
class EngineInputs:
    """The container engine and the base image of a serving image."""

    base_image: Annotated[
        str | None,
        Doc("Base image; defaults to the official slim Python image of the model's Python minor version."),
        Matching(_BASE, "an image reference"),
    ] = None
    engine: Annotated[
        EngineChoice,
        Doc(
            "How the model is packaged: `auto` uses Docker, else Podman, else an environment on this machine"
            " served by a process; `any` requires an engine; `docker` and `podman` require that one; `none` uses"
            " no engine."
        ),
    ] = EngineChoice.AUTO
