"""Checks the input example and signature of a model, and whether it depends on the order of columns."""

from collections.abc import Callable, Sequence
from typing import Any

from ...command.errors import BadInput, ModelUnusable
from ...command.inputs import TOLERANCE
from ...command.report import Finding, Severity
from ...command.wording import Wording, option
from ...core.model.answers import differences, volatile_paths
from ...core.model.columns import as_floats, integers_with_gaps, reordered
from ...payloads.messages.models import ModelCases
from ...tools.project.files import Project, line_of

_WITH_EXAMPLE = "log_model(..., input_example=X.head()), autolog(log_input_examples=True), or "
_WITH_SIGNATURE = "log_model(..., signature=infer_signature(X, y))"


def example_findings(project: Project, cases: ModelCases, requests: list[Any]) -> list[Finding]:
    """Report a missing input example or signature."""
    manifest = project.folder / "pyproject.toml"
    line = line_of(manifest, "train =", "[tool.mlflow-uv]")
    findings = []
    if not requests:
        findings.append(
            Finding(
                rule="no-input-example",
                what="the model has no input example",
                why="the server's predictions could not be compared with those of training",
                fix=Wording(_WITH_EXAMPLE, option("input-example", "FILE")),
                path=manifest,
                line=line,
            )
        )
    if not cases.has_signature:
        findings.append(
            Finding(
                rule="no-signature",
                severity=Severity.WARNING,
                what="the model has no signature",
                why="the server cannot reject input of the wrong shape or notice columns in another order",
                fix=floats_fix(requests) if integers_with_gaps(requests) else _WITH_SIGNATURE,
                path=manifest,
                line=line,
            )
        )
    return findings


def floats_fix(requests: list[Any]) -> str:
    """Return the fix for integer columns with missing values, for which MLflow infers no usable signature."""
    line = as_floats(integers_with_gaps(requests))
    return f"convert integer columns with missing values to floats before fit and log_model: {line}"


def order_findings(project: Project, requests: list[Any], ask: Callable[[list[Any]], Sequence[Any]]) -> list[Finding]:
    """Send the example with its columns in another order to a model without signature, and report other answers."""
    pairs = [(request, other) for request in requests if (other := reordered(request)) is not None]
    if not pairs:
        return []
    try:
        answers = ask([request for pair in pairs for request in pair])
    except (BadInput, ModelUnusable):
        return []  # it checks names itself; a model that cannot answer at all is reported later
    differing = list(differences(answers[::2], answers[1::2], tolerance=TOLERANCE))
    if not differing or volatile_paths(tuple(differing)):
        return []
    manifest = project.folder / "pyproject.toml"
    return [
        Finding(
            rule="columns-by-position",
            severity=Severity.WARNING,
            what="the model silently predicts wrong values if the columns of a request come in another order",
            why="it has no signature and uses columns by position; in the opposite order "
            + "; ".join(difference.text for difference in differing[:3]),
            fix=floats_fix(requests) if integers_with_gaps(requests) else _WITH_SIGNATURE,
            path=manifest,
            line=line_of(manifest, "train =", "[tool.mlflow-uv]"),
        )
    ]
