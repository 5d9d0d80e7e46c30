"""The rule `tracking-uri`: no tracking URI is written into code, or into configuration that code passes to MLflow."""

from collections.abc import Iterator

from ....command.lazy_pattern import lazy_pattern
from ..rule import LONGEST_LINE, LintProblem, LintRule, ProjectFiles, SourceFile, is_test

_VARIABLE = "MLFLOW_TRACKING_URI"
# A call with a literal or a name, or an assignment: only then is the code parsed.
_CANDIDATE = lazy_pattern(
    r"(?:set_tracking_uri|MlflowClient)\s*\(\s*(?:\w+\s*=\s*)?(?:[A-Za-z_]\w*\s*[,)]|[a-zA-Z]?[\"'])"
    r"|MLFLOW_TRACKING_URI[\"']\s*\]\s*="
)
# A key of YAML or TOML with its value; a value with `${`, which is filled in, has no match.
_SETTING = lazy_pattern(
    r"\s*(?:-\s+)?[\"']?(?:mlflow_)?tracking_uri[\"']?\s*[:=]\s*(?P<quote>[\"']?)(?P<value>[^\"'#\s{}$<>]+)(?P=quote)"
    r"\s*(?:#.*)?"
)


def _check(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:
    if is_test(source.path):
        return
    if source.path.endswith(".py"):
        yield from _problems_in_code(source)
    elif "tracking_uri" in source.text:
        yield from _problems_in_configuration(source, files)


def _problems_in_code(source: SourceFile) -> Iterator[LintProblem]:
    if "racking" not in source.text and "RACKING" not in source.text and "MlflowClient" not in source.text:
        return
    if not _CANDIDATE.search(source.text):
        return
    from ..tracking_calls import literal_tracking_uris  # noqa: PLC0415  # imports `ast`

    for line in literal_tracking_uris(source.text):
        yield LintProblem(
            line=line,
            what="the tracking URI is written into the code",
            why=f"it takes precedence over {_VARIABLE}, so CI and others cannot choose the store",
            fix=f"remove it, and set {_VARIABLE} where the code runs",
        )


def _problems_in_configuration(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:
    from ..tracking_calls import is_address  # noqa: PLC0415  # imports `ast`

    lines = []
    for number, row in enumerate(source.text.split("\n"), 1):
        match = _SETTING.fullmatch(row.removesuffix("\r")) if len(row) <= LONGEST_LINE else None
        if match and is_address(match["value"]):
            lines.append(number)
    place = _place_that_passes_it(source, files) if lines else ""
    for line in lines if place else ():
        yield LintProblem(
            line=line,
            what="the tracking URI is written into the configuration",
            why=f"{place} passes it to MLflow, so it takes precedence over {_VARIABLE}, and CI and others cannot choose"
            " the store",
            fix=f'pass os.environ.get("{_VARIABLE}", …) there, with this setting as the default',
        )


def _place_that_passes_it(source: SourceFile, files: ProjectFiles) -> str:
    """The file and line of the project's code; empty if there is none, or if some code may read the variable."""
    from ..tracking_calls import passed_settings  # noqa: PLC0415  # imports `ast`

    lock = files.lock_of(source.folder)
    project_code = files.code_below(lock.folder) if lock is not None else None
    if project_code is None or any(_VARIABLE in code.text for code in project_code):
        return ""
    for code in project_code:
        if "set_tracking_uri" in code.text and (line := next(passed_settings(code.text), None)):
            return f"{code.path}:{line}"
    return ""


RULE = LintRule(
    name="tracking-uri",
    summary="A tracking URI is written into code, or into configuration that code passes to MLflow.",
    files=r"\.(py|ya?ml|toml)$",
    check=_check,
)
