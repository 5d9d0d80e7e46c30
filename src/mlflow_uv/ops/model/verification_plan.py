"""Declares what is known before a training, and by which its model is verified afterwards."""

from enum import Enum
from pathlib import Path
from typing import Any

from ...command.inputs import TOLERANCE
from ...core.lock.selection import Selection
from ...core.model import model_files
from ...core.model.answer_paths import AnswerPath
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.request import DeclaredLicence
from .adoption import Adopted
from .case_file import FileCase
from .release_key import Key
from .training import Job


class RequirementsPolicy(Enum):
    """Which requirements the logged model gets."""

    LOCK = "lock"
    VERIFY = "verify"
    INFER = "infer"


@lazy_dataclass
class VerificationPlan:
    """
    Everything that is known before training; `example` are requests that replace the model's own example.

    `ignored` are the paths that are not compared, `serve_env` the variables that the model gets at inference time.
    `licences` are those of the packages that train.
    `cases` are the requests of a file, whose expected responses may differ by `tolerance`; `derives` says whether
    requests are derived from the signature.
    """

    job: Job
    selection: Selection
    served: model_files.ServedFiles
    wheels: Path
    mlflow: str
    key: str
    keyed: Key | None
    policy: RequirementsPolicy
    example: tuple[Any, ...] = ()
    adopted: Adopted | None = None
    ignored: tuple[AnswerPath, ...] = ()
    serve_env: ServeVariables = NO_VARIABLES
    cases: tuple[FileCase, ...] = ()
    tolerance: float = TOLERANCE
    derives: bool = True
    licences: tuple[DeclaredLicence, ...] = ()
