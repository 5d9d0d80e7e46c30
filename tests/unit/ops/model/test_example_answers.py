"""What is said of a model that answers its own example, and what helps one that cannot."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ModelUnusable, ToolFailed
from mlflow_uv.command.report import Finding, Severity
from mlflow_uv.core.model.answer_paths import parse_path
from mlflow_uv.core.model.derived_requests import DerivedRequest
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.model.example_answers import RequestSet, answers_of
from mlflow_uv.ops.model.training import Job
from mlflow_uv.payloads.messages.models import AnswerRequests, ModelAnswers
from mlflow_uv.tools.toolbox import Tools


def asked(folder: Path, *answers: Any, error: ModelUnusable | None = None, **more: Any) -> tuple[Finding, ...]:
    """The findings about a model that answers one request with the first, and then with the second."""

    def answer(*_: object) -> ModelAnswers:
        if error is not None:
            raise error
        return ModelAnswers(answers=(answers[0],), again=(answers[-1],), python="3.12.1", mlflow="3.17.2")

    (folder / "model").mkdir(exist_ok=True)
    variables = {"MODEL_KEY": "canary-of-the-model", "OPENAI_API_KEY": "canary"}
    host = SimpleNamespace(variables=variables)
    tools = cast("Tools", SimpleNamespace(host=host))
    project = SimpleNamespace(folder=folder, root=folder)
    job = cast("Job", SimpleNamespace(project=project, client=SimpleNamespace(answer=answer)))
    request_set = RequestSet(model=folder / "model", requests=({"inputs": [1]},), given=False, **more)
    return answers_of(job, request_set, tools).findings


def test_a_steady_model_has_no_doubts(tmp_path: Path) -> None:
    """
    Nothing is said of it.
    """
    assert () == asked(tmp_path, {"predictions": [1.0]})


@pytest.mark.parametrize(
    ("first", "second", "fix"),
    [
        ({"created": 1_764_130_000}, {"created": 1_764_130_001}, "--ignore-answers '$.created', which differ"),
        (
            {"predictions": [0.25]},
            {"predictions": [0.75]},
            "seed the random numbers in its predict, and keep nothing there from one call to the next",
        ),
    ],
)
def test_a_fickle_model_is_told_what_would_be_compared(tmp_path: Path, first: Any, second: Any, fix: str) -> None:
    """
    Paths to ignore where only a clock moved, never where a prediction did.
    """
    (found,) = asked(tmp_path, first, second)

    assert ("answers-fickle", Severity.ERROR, True) == (found.rule, found.severity, found.fix.startswith(fix))


def test_what_is_ignored_is_no_reason_for_doubt_and_a_path_to_nothing_is_told(tmp_path: Path) -> None:
    """
    The first path names the clock, the second nothing.
    """
    ignored = (parse_path("$.created"), parse_path("$.updated"))

    (found,) = asked(tmp_path, {"n": 1, "created": 1}, {"n": 1, "created": 2}, ignored=ignored)

    assert ("ignored-nothing", Severity.WARNING, True) == (found.rule, found.severity, "`$.updated`" in found.what)


@pytest.mark.parametrize(
    ("paths", "rules"),
    [
        (("$.predictions",), ["ignored-everything"]),
        (("$.*",), ["ignored-everything"]),
        (("$.predictions[*]",), ["ignored-everything"]),
        (("$.predictions[0]", "$.predictions[1].value", "$.predictions[*].id"), ["ignored-everything"]),
        (("$.predictions[0]", "$.predictions[1].id"), []),
        (("$.predictions[*].id",), []),
    ],
)
def test_paths_that_leave_nothing_to_compare_are_an_error(
    tmp_path: Path, paths: tuple[str, ...], rules: list[str]
) -> None:
    """
    Else every model would pass: also where it takes several paths, and where only lists of nulls are left.
    """
    answer = {"predictions": [{"id": "a", "value": 1}, {"id": "b", "value": 2}]}

    found = asked(tmp_path, answer, ignored=tuple(map(parse_path, paths)))

    assert rules == [finding.rule for finding in found]
    assert all(finding.severity is Severity.ERROR for finding in found)


def test_numbers_that_json_lacks_are_warned_of(tmp_path: Path) -> None:
    """
    They are compared all the same; a client in another language cannot read them.
    """
    (found,) = asked(tmp_path, {"predictions": [float("nan"), float("-inf")]})

    assert ("answers-not-json", Severity.WARNING) == (found.rule, found.severity)
    assert found.why.startswith("$.predictions[0] is NaN; $.predictions[1] is -Infinity")


def test_an_answer_or_a_file_that_holds_what_was_handed_is_an_error(tmp_path: Path) -> None:
    """
    Both would be in the store and in every image; the value is in no finding.
    """
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.pkl").write_bytes(b"..canary-of-the-model..")

    found = asked(
        tmp_path, {"text": "canary-of-the-model"}, serve_env=ServeVariables({"MODEL_KEY": "canary-of-the-model"})
    )

    rules = [(finding.rule, finding.severity) for finding in found]
    assert [("answers-hold-secret", Severity.ERROR), ("model-holds-secret", Severity.ERROR)] == rules
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("why", "fix"),
    [
        ("KeyError: 'MODEL_KEY'", "--serve-env MODEL_KEY, since"),
        ("OpenAIError: set the OPENAI_API_KEY environment variable", "--serve-env OPENAI_API_KEY, since"),
        ("KeyError: 'a column'", "log it otherwise"),
        ("ModuleNotFoundError: No module named 'helper'", 'log_model(..., code_paths=["helper.py"]), or make'),
        ("ModuleNotFoundError: No module named 'kit.parts'", 'log_model(..., code_paths=["src/kit"]), or make'),
        ("ModuleNotFoundError: No module named 'yaml'", "uv add the package that brings `yaml`; if the lock"),
        ("OSError: libgomp.so.1: cannot open shared object file: No such file", "install the system's package that"),
        ("Untrusted types found in the file: ['a.B'].", "log_model(..., skops_trusted_types=['a.B']), if you"),
        ("ValueError: categorical_feature do not match", "convert the columns with astype(...) in the model's predict"),
    ],
)
def test_each_thing_that_a_model_lacks_has_a_fix_of_its_own(tmp_path: Path, why: str, fix: str) -> None:
    """
    A variable that is here, a module of the project or of a package, a system's library, a type, a category.
    """
    (tmp_path / "helper.py").touch()
    (tmp_path / "src" / "kit").mkdir(parents=True)
    error = ModelUnusable(what="it cannot answer", why=f"the model cannot be loaded: {why}", fix="log it otherwise")

    with pytest.raises(ModelUnusable) as raised:
        asked(tmp_path, error=error)

    assert raised.value.fix.startswith(fix)


def test_a_model_that_ends_at_a_derived_request_is_answered_without_them(tmp_path: Path) -> None:
    """
    With a warning: the example is recorded all the same.
    """
    (tmp_path / "model").mkdir()

    def answer(request: AnswerRequests, *_: object) -> ModelAnswers:
        if request.derived:
            raise ToolFailed(what="MLflow exited during `answer`", why="Segmentation fault")
        return ModelAnswers(answers=(1,), again=(1,), python="3.12.1", mlflow="3.17.2")

    project = SimpleNamespace(folder=tmp_path)
    job = cast("Job", SimpleNamespace(project=project, client=SimpleNamespace(answer=answer)))
    request_set = RequestSet(
        model=tmp_path / "model", requests=(1,), given=False, derived=(DerivedRequest("derived: a", ""),)
    )

    answered = answers_of(job, request_set, cast("Tools", SimpleNamespace()))

    (found,) = answered.findings
    assert ((1,), (), "derived-ended-model") == (answered.answers, answered.recorded, found.rule)
    assert (Severity.WARNING, "Segmentation fault") == (found.severity, found.why)
