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


def test_a_plausible_and_wrong_expected_prediction_is_refused_where_it_is(project: InProcessProject) -> None:
    """
    The finding has the file, the line and the value; the same file without the error is recorded in the model.
    """
    add_model_functions(project.sample)

    wrong = project.log(function="model_functions:double", cases=write_cases(project.folder, *RIGHT[:3], WRONG))
    right = project.log(function="model_functions:double", cases=write_cases(project.folder, *RIGHT))

    (finding,) = wrong.findings
    assert (False, "cases-differ") == (wrong.ok, finding.rule)
    assert (project.folder / "cases.jsonl", 4) == (finding.path, finding.line)
    assert "$.predictions[1] is 6.0, expected is 6.5" in finding.why
    recorded = json.loads((project.sample.consumer.model / "mlflow-uv" / "requests.json").read_text())
    assert ((), ["line 1", "line 2", "line 4"]) == (
        right.findings,
        [request["name"].partition(" of ")[0] for request in recorded if request["origin"] == "file"],
    )
    assert "derived: column 'x' missing" in [request["name"] for request in recorded]


@pytest.mark.parametrize("engine", ["none", pytest.param("docker", marks=(pytest.mark.engine, pytest.mark.extended))])
def test_a_server_that_is_wrong_for_derived_requests_only_fails(sample: SampleProject, image: str, engine: str) -> None:
    """
    In a process and in a container: another prediction and an internal error instead of a refusal are named.
    """
    sample.consumer.edit(
        sample.folder / "pyproject.toml",
        "[tool.mlflow-uv]\n",
        f'[tool.mlflow-uv]\ncases = "{write_cases(sample.folder, *RIGHT)}"\n',
    )
    sample.train_with(FAULTY)
    steps = ("--steps", "log-model register build-image")
    built = sample.run("release", *steps, "--engine", engine, "--image", image)
    aliases, version = sample.store.aliases, built.outputs["version"]

    said = sample.run("smoke-test", traceback=True)
    tags = sample.store.tags(version)
    without = sample.run("smoke-test", "--skip-derived")

    findings = {finding["what"]: finding for finding in said.answer["findings"]}
    differing = findings["the prediction for derived: empty batch is not that of training"]
    failing = findings["derived: column 'x' missing was not refused: the server failed"]
    assert (FINDINGS, "answers-differ", "malformed-accepted") == (said.code, differing["rule"], failing["rule"])
    assert ("failed", True) == (tags["state"], differing["what"] in tags["reason"])
    assert "$.predictions" in differing["why"]
    assert "the response has status 500; training's environment responds with status 400" in failing["why"]
    assert (0, 4) == (without.code, without.outputs["cases"]), without.stderr
    assert "1 example, 3 of the file: all equal" in without.answer["summary"]
    assert {**aliases, "candidate": version} == sample.store.aliases
