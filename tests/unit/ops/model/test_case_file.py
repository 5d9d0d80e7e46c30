"""The file of `cases`: its requests with their lines, and the digest that is part of the release key."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.release.digests import sha256
from mlflow_uv.ops.model.case_file import CaseFile, cases_of
from mlflow_uv.ops.model.training import Job
from mlflow_uv.payloads.messages.models import CaseRequest
from mlflow_uv.tools.toolbox import Tools

TOOLS = cast("Tools", SimpleNamespace())


def job_in(folder: Path, *cases: CaseRequest, why: str = "") -> Job:
    """A training whose MLflow reads these requests, or refuses the file."""

    def read_cases(_: Path) -> tuple[CaseRequest, ...]:
        if why:
            raise BadInput(what="MLflow refused the request", why=why)
        return cases

    client = SimpleNamespace(read_cases=read_cases)
    return cast("Job", SimpleNamespace(project=SimpleNamespace(folder=folder), client=client))


def test_a_request_of_the_file_has_its_line_as_name(tmp_path: Path) -> None:
    """
    And the bytes of the file are digested.
    """
    (tmp_path / "cases.jsonl").write_bytes(b"{}")
    request = CaseRequest(line=3, body="{}", has_expected=True, expected=1)

    found = cases_of(Path("cases.jsonl"), job_in(tmp_path, request))

    (case,) = found.cases
    assert ("line 3 of cases.jsonl", "{}", True, 1) == (case.name, case.body, case.has_expected, case.expected)
    assert sha256(b"{}") == found.sha256


def test_without_a_file_there_are_no_requests_and_no_digest(tmp_path: Path) -> None:
    """
    The release key of such a project stays the same.
    """
    assert CaseFile() == cases_of(None, job_in(tmp_path))


def test_a_file_that_cannot_be_used_names_the_input(tmp_path: Path) -> None:
    """
    With the reason, and the line where there is one.
    """
    with pytest.raises(BadInput) as caught:
        cases_of(Path("cases.jsonl"), job_in(tmp_path, why="line 2 of `cases.jsonl` is not JSON"))

    assert ("`cases` cannot be used", "line 2 of `cases.jsonl` is not JSON") == (caught.value.what, caught.value.why)
