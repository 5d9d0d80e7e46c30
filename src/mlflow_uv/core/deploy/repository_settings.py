"""Defines the settings of the target gitops: a file of a git repository that something else applies."""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated

from ...command.errors import BadInput
from ...command.step import Doc, Matching
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .target_settings import TargetSettings

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?"
_PATH = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*"
# An address without a password. A user of SSH is part of it; git takes no other protocol from a setting.
_REPOSITORY = rf"https?://{_HOST}/{_PATH}|ssh://(?:[a-z][a-z0-9_-]*@)?{_HOST}/{_PATH}"
# As `git check-ref-format --branch` has it, in these characters.
_BRANCH = r"(?![-.])(?!HEAD\Z)(?!.*(?:\.\.|\.lock(?:/|\Z)|\.\Z))[A-Za-z0-9._-]+(?:/(?!\.)[A-Za-z0-9._-]+)*"
_FILE = r"(?!\.{1,2}(?:/|\Z))(?!\.git(?:/|\Z))[^/\x00-\x1f]+(?:/(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f]+)*"


class FileFormat(Enum):
    """How a file names an image."""

    KUSTOMIZE = "kustomize"
    MANIFEST = "manifest"
    HELM = "helm"


@lazy_dataclass
class RepositorySettings(TargetSettings):
    """Settings of the target gitops."""

    repository: Annotated[
        str | None,
        Doc("Address of the git repository by HTTPS or SSH, without a password, which must be set."),
        Matching(_REPOSITORY, "an address such as https://github.com/OWNER/NAME.git, without a login"),
    ] = None
    branch: Annotated[str, Doc("Branch that is applied to the cluster."), Matching(_BRANCH, "the name of a branch")] = (
        "main"
    )
    file: Annotated[
        str | None,
        Doc("Path of the file in the repository, with `{name}` for the name of the deployment, which must be set."),
        Matching(_FILE, "a path in the repository"),
    ] = None
    format: Annotated[
        FileFormat,
        Doc("What the file is: a `kustomize` file with `images`, a `manifest`, or values of `helm`."),
    ] = FileFormat.KUSTOMIZE
    image: Annotated[
        str,
        Doc("Which image: the `name` in `images`, the name of the container, or the keys of the mapping in values."),
        Matching(r"[A-Za-z0-9][A-Za-z0-9._/:-]*", "the name of an image or container, or keys with dots between them"),
    ] = "image"
    pull_request: Annotated[bool, Doc("Open or update a pull request on GitHub instead of pushing to the branch.")] = (
        False
    )
    url: Annotated[
        str | None,
        Doc("URL at which this machine reaches the service; it is asked once it says that it has the version."),
        Matching(r"https?://[^\s@]+", "an HTTP address"),
    ] = None


def require_own_files(deployments: Mapping[str, TargetSettings]) -> None:
    """
    Raise BadInput for two deployments with one file, in which one annotation would name the version of both.

    Values of Helm have the version beside each image.
    """
    owners: dict[tuple[str | None, str, str], str] = {}
    for name, settings in deployments.items():
        if not isinstance(settings, RepositorySettings) or settings.format is FileFormat.HELM:
            continue
        path = str(settings.file).replace("{name}", name)
        other = owners.setdefault((settings.repository, settings.branch, path), name)
        if other != name:
            raise BadInput(
                what=f"the deployments `{other}` and `{name}` have the same file {path}",
                why="one annotation in it names the version, so each would change that of the other",
                fix="give each a file of its own, or use values of Helm",
            )
