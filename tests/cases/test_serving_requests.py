"""Requests of a file and derived ones: recorded when the model is logged, and required of its server."""

import json
from pathlib import Path

import pytest

from .in_process import InProcessProject
from .model_functions import add_model_functions
from .sample_project import SampleProject, training

FINDINGS = 1
RIGHT = (
    '{"x": 1.5}',
    '{"request": {"x": 4.0}, "expected": {"predictions": [8.0]}}',
    "",
    '{"request": {"dataframe_split": {"columns": ["x"], "data": [[2.5], [3.0]]}}, "expected": {"predictions": [5, 6]}}',
)
WRONG = RIGHT[3].replace("[5, 6]", "[5, 6.5]")
# Served, it is wrong for an empty batch only, and fails for what its signature forbids.
FAULTY = training(
    load="""
        if in_serving():
            check = mlflow.pyfunc._validate_prediction_input

            def failing_check(*given, **named):
                try:
                    return check(*given, **named)
                except mlflow.MlflowException as error:
                    raise mlflow.MlflowException("the check of the input failed") from error

            mlflow.pyfunc._validate_prediction_input = failing_check
    """.strip(),
    predict='return [0.0] if in_serving() and model_input.empty else [2.0 * x for x in model_input["x"]]',
)


def write_cases(folder: Path, *lines: str) -> Path:
    """A file of requests in the project."""
    (folder / "cases.jsonl").write_text("\n".join(lines) + "\n")
    return Path("cases.jsonl")


def release(sample: SampleProject, *flags: str) -> str:
    """Release the faulty model with a file of requests up to what serves it; its version."""
    setting = f'[tool.mlflow-uv]\ncases = "{write_cases(sample.folder, *RIGHT)}"\n'
    sample.consumer.edit(sample.folder / "pyproject.toml", "[tool.mlflow-uv]\n", setting)
    sample.train_with(FAULTY)
    result = sample.run("release", "--steps", "log-model register build-image", *flags)
    assert result.code == 0, result.stderr
    return result.outputs["version"]


@pytest.mark.extended
def test_a_plausible_and_wrong_expected_prediction_is_refused_where_it_is(project: InProcessProject) -> None:
    """
    The finding has the file, the line and the path of the value, beside right ones and a line without any.
    """
    add_model_functions(project.sample)

    report = project.log(function="model_functions:double", cases=write_cases(project.folder, *RIGHT[:3], WRONG))

    (finding,) = report.findings
    assert (False, "cases-differ") == (report.ok, finding.rule)
    assert (project.folder / "cases.jsonl", 4) == (finding.path, finding.line)
    assert "$.predictions[1] is 6.0, expected is 6.5" in finding.why


@pytest.mark.parametrize("engine", ["none", pytest.param("docker", marks=(pytest.mark.engine, pytest.mark.extended))])
def test_a_server_that_is_wrong_for_derived_requests_only_fails(sample: SampleProject, image: str, engine: str) -> None:
    """
    In a process and in a container: another prediction and an internal error instead of a refusal are named.
    """
    version = release(sample, "--engine", engine, "--image", image)
    aliases = sample.store.aliases

    result = sample.run("smoke-test", traceback=True)

    findings = {finding["what"]: finding for finding in result.answer["findings"]}
    differing = findings["the prediction for derived: empty batch is not that of training"]
    failing = findings["derived: column 'x' missing was not refused: the server failed"]
    assert (FINDINGS, "answers-differ", "malformed-accepted") == (result.code, differing["rule"], failing["rule"])
    tags = sample.store.tags(version)
    assert ("failed", True, aliases) == (tags["state"], differing["what"] in tags["reason"], sample.store.aliases)
    assert "$.predictions" in differing["why"]
    assert "the response has status 500; the training environment responds with status 400" in failing["why"]


@pytest.mark.extended
def test_the_same_server_passes_without_derived_requests(sample: SampleProject) -> None:
    """
    `skip-derived` leaves the example and the file, which are recorded in the model with the derived ones.
    """
    version = release(sample, "--engine", "none")

    result = sample.run("smoke-test", "--skip-derived")

    recorded = json.loads((sample.consumer.model / "mlflow-uv" / "requests.json").read_text())
    names = [request["name"] for request in recorded]
    assert ["line 1 of cases.jsonl", "line 2 of cases.jsonl", "line 4 of cases.jsonl"] == names[:3]
    assert all(name.startswith("derived: ") for name in names[3:])
    assert (0, 4, version) == (result.code, result.outputs["cases"], sample.store.aliases["candidate"]), result.stderr
    assert "1 example, 3 of the file: all equal" in result.answer["summary"]
