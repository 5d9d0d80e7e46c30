"""The rule `tracking-uri`: no code sets a tracking URI that is written into it."""

from collections.abc import Iterator

from ....command.lazy_pattern import lazy_pattern
from ..rule import LintProblem, LintRule, ProjectFiles, SourceFile, is_test

# A call with a literal or a name, or an assignment: only then is the code parsed.
_CANDIDATE = lazy_pattern(
    r"(?:set_tracking_uri|MlflowClient)\s*\(\s*(?:\w+\s*=\s*)?(?:[A-Za-z_]\w*\s*[,)]|[a-zA-Z]?[\"'])"
    r"|MLFLOW_TRACKING_URI[\"']\s*\]\s*="
)


def _check(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:  # noqa: ARG001  # as all rules
    if "racking" not in source.text and "RACKING" not in source.text and "MlflowClient" not in source.text:
        return
    if not _CANDIDATE.search(source.text) or is_test(source.path):
        return
    from ..tracking_calls import literal_tracking_uris  # noqa: PLC0415  # imports `ast`

    for line in literal_tracking_uris(source.text):
        yield LintProblem(
            line=line,
            what="the tracking URI is written into the code",
            why="it takes precedence over MLFLOW_TRACKING_URI, so CI and others cannot choose the store",
            fix="remove it, and set MLFLOW_TRACKING_URI where the code runs",
        )


RULE = LintRule(
    name="tracking-uri",
    summary="Code sets a tracking URI that is written into it.",
    files=r"\.py$",
    check=_check,
)
