"""Reads the file of `cases`, whose requests are recorded in addition to the input example."""

from pathlib import Path
from typing import Any

from ...command.errors import BadInput
from ...command.wording import option
from ...core.release.digests import sha256
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .training import Job


@lazy_dataclass
class FileCase:
    """A request of the file: its line from 1, its exact body, and the expected response, if it `has_expected` one."""

    file: Path
    line: int
    body: str
    has_expected: bool = False
    expected: Any = None

    @property
    def name(self) -> str:
        """The name in messages and in the record."""
        return f"line {self.line} of {self.file.name}"


@lazy_dataclass
class CaseFile:
    """The requests in the file of `cases`, and the SHA-256 of its bytes; both are empty without a file."""

    cases: tuple[FileCase, ...] = ()
    sha256: str = ""


def cases_of(file: Path | None, job: Job) -> CaseFile:
    """Read the file of `cases`. Raises BadInput that names the line."""
    if file is None:
        return CaseFile()
    path = job.project.folder / file
    try:
        requests = job.client.read_cases(path)
    except BadInput as error:
        raise BadInput(what="`cases` cannot be used", why=error.why, fix=option("cases", "FILE")) from error
    cases = (
        FileCase(
            file=path,
            line=request.line,
            body=request.body,
            has_expected=request.has_expected,
            expected=request.expected,
        )
        for request in requests
    )
    return CaseFile(cases=tuple(cases), sha256=sha256(path.read_bytes()))
