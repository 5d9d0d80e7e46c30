"""
Finds and reads artifacts that workflows of the default branch handed over.

The workflow of a pull request, also of a fork, may upload an artifact of any name. So an artifact counts only if GitHub
says of its run that it was started in this repository, for the default branch, by an event that no pull request causes.
"""

import io
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from ...core.security.documents import whole_number
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .api import GithubApi, malformed

PERMISSION = "actions: read"
TRUSTED_EVENTS = frozenset({"push", "schedule", "workflow_dispatch"})
_PAGE = 100
_MOST_PAGES = 10
_MOST_RUNS = 20  # that are looked at
_LARGEST = 4 << 20  # bytes of an archive


class NoSuchFile(Exception):
    """An artifact without the file that it should have; the message is the reason."""


@lazy_dataclass
class RunArtifact:
    """An artifact, and the run and the branch that it is from."""

    id: int
    run: int
    branch: str


class Artifacts:
    """The artifacts of one repository. Every method raises ToolFailed."""

    def __init__(self, api: GithubApi) -> None:
        self._api = api

    def newest_of_default_branch(self, name: str) -> RunArtifact | None:
        """The newest artifact of a name that is there yet and that a run of the default branch uploaded, if any."""
        repository = self._api.get(self._api.repository)
        try:
            identity, branch = whole_number(repository["id"]), str(repository["default_branch"])
            candidates = [
                (whole_number(raw["id"]), whole_number(raw["workflow_run"]["id"]))
                for raw in self._named(name)
                if raw["name"] == name and raw["expired"] is False and _is_of(raw["workflow_run"], identity, branch)
            ]
            for artifact, run in sorted(candidates, reverse=True)[:_MOST_RUNS]:
                started = self._api.get(f"{self._api.repository}/actions/runs/{run}")
                if started is not None and _is_trusted(started, identity, branch):
                    return RunArtifact(id=artifact, run=run, branch=branch)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise malformed() from error
        return None

    def file(self, artifact: RunArtifact, name: str, *, limit: int) -> bytes:
        """A file in an artifact. Raises NoSuchFile if there is none, or more than `limit` bytes."""
        data = self._api.download(f"{self._api.repository}/actions/artifacts/{artifact.id}/zip", limit=_LARGEST)
        import zipfile  # noqa: PLC0415  # few pull requests release a version

        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entry = archive.getinfo(name)
                # Those of GitHub; a damaged one of LZMA raises an error of its own, and may ask for gigabytes.
                if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise zipfile.BadZipFile("it is compressed in another way")
                with archive.open(entry) as file:
                    content = file.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, LookupError, OSError) as error:
            raise NoSuchFile(f"the artifact has no readable file `{name}`") from error
        if len(content) > limit:
            raise NoSuchFile(f"it is larger than {limit} bytes")
        return content

    def _named(self, name: str) -> Iterator[Any]:
        """Yield the artifacts of a name, as many as are looked at."""
        for page in range(1, _MOST_PAGES + 1):
            query = f"name={quote(name, safe='')}&per_page={_PAGE}&page={page}"
            reply = self._api.get(f"{self._api.repository}/actions/artifacts?{query}")
            artifacts = reply["artifacts"]
            yield from artifacts
            if len(artifacts) < _PAGE:
                return


def _is_of(run: Any, repository: int, branch: str) -> bool:
    """Whether the list says that a run is of this repository and branch, which leaves most others out."""
    return bool(
        run is not None
        and run["head_branch"] == branch
        and run["repository_id"] == repository
        and run["head_repository_id"] == repository
    )


def _is_trusted(run: Any, repository: int, branch: str) -> bool:
    """Whether a run is of this repository and branch, and no pull request started it."""
    head = run["head_repository"] or {"id": 0}
    return bool(
        run["event"] in TRUSTED_EVENTS
        and run["head_branch"] == branch
        and run["repository"]["id"] == repository
        and head["id"] == repository
    )
