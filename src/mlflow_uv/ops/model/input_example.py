"""Reads the file of `input-example`, which replaces the example that the model was logged with."""

from pathlib import Path
from typing import Any

from ...command.errors import BadInput
from ...command.wording import option
from ...core.release.digests import sha256
from .training import Job


def example_of(file: Path | None, job: Job) -> tuple[tuple[Any, ...], str]:
    """Return the requests in a file and the SHA-256 of its bytes. Raises BadInput."""
    if file is None:
        return (), ""
    path = job.project.folder / file
    try:
        example = job.client.read_example(path)
    except BadInput as error:
        fix = option("input-example", "FILE")
        raise BadInput(what="`input-example` cannot be used", why=error.why, fix=fix) from error
    return example.requests, sha256(path.read_bytes())
