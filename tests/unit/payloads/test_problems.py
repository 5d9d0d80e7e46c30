"""The kind and the text of an error that MLflow, a driver or a model raises."""

import errno

import pytest

from mlflow_uv.payloads.problems import (
    Problem,
    ProblemKind,
    describe,
    final_line,
    first_line,
    kind_of,
    mask,
    quoted,
    shortened,
)


class Coded(Exception):
    """An error of MLflow's client, with the code of the server."""

    def __init__(self, code: str, message: str = "no") -> None:
        super().__init__(f"{code}: {message}")
        self.error_code = code


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Coded("RESOURCE_DOES_NOT_EXIST"), ProblemKind.NOT_FOUND),
        (Coded("PERMISSION_DENIED"), ProblemKind.DENIED),
        (Coded("ABORTED"), ProblemKind.CONFLICT),
        (Exception("API request failed with error code 503"), ProblemKind.UNREACHABLE),
        (Exception("API request failed with error code 403"), ProblemKind.DENIED),
        (Exception("API request failed with error code 404"), ProblemKind.NOT_MLFLOW),
        (Exception("database is locked"), ProblemKind.LOCKED),
        (
            Coded("INVALID_PARAMETER_VALUE", "Invalid path: resolved path is outside the artifact directory"),
            ProblemKind.LINKED_ARTIFACTS,
        ),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ProblemKind.UNREACHABLE),
        (FileNotFoundError("x"), ProblemKind.NOT_FOUND),
        (ValueError("x"), ProblemKind.UNEXPECTED),
    ],
)
def test_the_kind_is_that_of_the_status_the_code_or_the_class(error: Exception, kind: ProblemKind) -> None:
    """
    The kind decides what the user can do: start the server, log in, wait, or look for another name.
    """
    assert kind is kind_of(error)


def test_the_kind_of_a_cause_counts() -> None:
    """
    MLflow wraps what its drivers raise.
    """
    error = RuntimeError("it failed")
    error.__cause__ = ModuleNotFoundError("No module named 'psycopg2'", name="psycopg2")

    described = describe(error)

    assert (ProblemKind.LIBRARY_MISSING.value, True) == (described.kind, "`psycopg2-binary`" in described.message)


def test_a_problem_has_the_traceback_of_its_cause_only() -> None:
    """
    Where this program found out about it says nothing to a reader.
    """
    alone = describe(Problem(ProblemKind.INVALID, "no"))
    caused = Problem(ProblemKind.INVALID, "no")
    caused.__cause__ = ValueError("thirteen")

    assert (None, True) == (alone.detail, "ValueError: thirteen" in str(describe(caused).detail))


def test_secrets_are_masked_by_name_and_by_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A driver repeats the address that it was given, with the password in it.
    """
    monkeypatch.setenv("SOME_TOKEN", "abcdef0123")
    monkeypatch.setenv("MLFLOW_UV_HANDED", "LIMIT")
    monkeypatch.setenv("LIMIT", "77")

    assert "http://***@host/ *** ***" == mask("http://user:word@host/ abcdef0123 77")
    assert "http://***@host/a@b" == mask("http://user:wo@rd@host/a@b")


def test_a_long_text_keeps_its_start_and_its_end() -> None:
    """
    The start says what failed, the end why.
    """
    text = shortened("a" * 300 + "b" * 300, 30)

    assert ("a" * 10 + " [...] " + "b" * 20, "x" * 30) == (text, shortened("x" * 30, 30))


def test_the_first_line_is_the_reason_without_advice() -> None:
    """
    scikit-learn appends a table of versions.
    """
    assert ("ValueError: no", "`a`, `b`") == (first_line(ValueError("no\ntry this")), quoted(["a", "b"]))


@pytest.mark.parametrize(("text", "line"), [("a\n b \n", "b"), ("", "ValueError"), (" \n", "ValueError")])
def test_an_error_without_text_has_the_name_of_its_class(text: str, line: str) -> None:
    """
    As one of Java may be.
    """
    assert line == final_line(ValueError(text))
