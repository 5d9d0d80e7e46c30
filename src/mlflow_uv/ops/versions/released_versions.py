"""
Compares the versions that the jobs of a pull request released with the champion.

The descriptions of the versions are not trusted. That of the champion is from a run of the default branch: nothing that
a pull request hands over is taken for the champion.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from ...command.errors import BadInput, ToolFailed
from ...command.report import Finding, Severity
from ...core.lock_difference.comment import CommentPart
from ...core.version_difference.comment import parts_of
from ...core.version_difference.comparison import VersionComparison, compare_descriptions, without_champion
from ...core.version_difference.description import FILE, VersionDescription, champion_artifact
from ...core.version_difference.document import LIMIT, InvalidDescription, read_description
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.github.artifacts import Artifacts, NoSuchFile
from ...tools.system.untrusted_file import read_untrusted

MOST_VERSIONS = 20
_UNREADABLE = "the description of the champion cannot be read"
_NONE_YET = (
    "nothing to compare with yet: no run of the default branch has handed over the description of a champion of `{}`,"
    " or its artifact expired; `release.yml` with `share-champion: true` does so once there is a champion"
)


@lazy_dataclass
class ReleasedVersion:
    """
    A version that a pull request released, compared with the champion.

    `origin` names the run that described the champion, `finding` says why its description could not be read.
    """

    comparison: VersionComparison
    origin: str = ""
    finding: Finding | None = None

    @property
    def parts(self) -> tuple[CommentPart, ...]:
        """The parts of the comment about it."""
        return tuple(parts_of(self.comparison, self.origin))


def released_in(folder: Path | None) -> tuple[VersionDescription, ...]:
    """
    Read the descriptions in the folders of a folder, which may be missing, and sort them by the names of the models.

    Raises BadInput for a file that is no description, and for more than MOST_VERSIONS.
    """
    if folder is None:
        return ()
    files = [path / FILE for path in _folders(folder) if os.path.lexists(path / FILE)]
    if len(files) > MOST_VERSIONS:
        raise BadInput(
            what=f"`{folder}` has {len(files)} descriptions", why=f"a comment compares at most {MOST_VERSIONS} versions"
        )
    described = map(read_file, files)
    return tuple(sorted(described, key=lambda description: (description.model_name, description.version)))


def read_file(file: Path) -> VersionDescription:
    """Read a description. Raises BadInput for any other file."""
    try:
        return read_description(read_untrusted(file, limit=LIMIT))
    except InvalidDescription as error:
        raise BadInput(what=f"`{file}` is not the description of a version", why=str(error)) from error


def compared_with_champion(version: VersionDescription, artifacts: Artifacts) -> ReleasedVersion:
    """Compare a version with the champion that the default branch described last; without one, that is the result."""
    name = version.model_name
    try:
        artifact = artifacts.newest_of_default_branch(champion_artifact(name))
        if artifact is None:
            return ReleasedVersion(comparison=without_champion(version, _NONE_YET.format(name)))
        data = artifacts.file(artifact, FILE, limit=LIMIT)
    except ToolFailed as error:
        return _not_compared(version, f"{error.what}: {error.why}", error.fix)
    except NoSuchFile as error:
        return _not_compared(version, str(error), "")
    try:
        champion = read_description(data)
    except InvalidDescription as error:
        return _not_compared(version, f"what run {artifact.run} handed over is not one: {error}", "")
    if champion.model_name != name:
        return _not_compared(version, f"what run {artifact.run} handed over is about `{champion.model_name}`", "")
    origin = f"as run {artifact.run} of `{artifact.branch}` described it"
    return ReleasedVersion(comparison=compare_descriptions(version, champion), origin=origin)


def _not_compared(version: VersionDescription, why: str, fix: str) -> ReleasedVersion:
    comparison = without_champion(version, f"not compared: {_UNREADABLE}, because {why}")
    finding = Finding(rule="version-comparison", severity=Severity.WARNING, what=_UNREADABLE, why=why, fix=fix)
    return ReleasedVersion(comparison=comparison, finding=finding)


def _folders(folder: Path) -> Iterator[Path]:
    """Yield a folder and those in it; one artifact alone may be in the folder itself."""
    if not folder.is_dir():
        return
    yield folder
    with os.scandir(folder) as entries:
        yield from sorted(folder / entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
