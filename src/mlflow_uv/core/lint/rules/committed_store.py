"""The rule `committed-store`: no tracking store is committed."""

import shlex
from collections.abc import Iterator

from ....command.lazy_pattern import lazy_pattern
from ..rule import LintProblem, LintRule, ProjectFiles, is_test

_STORES = lazy_pattern(r"((?:^|.*/)(?:mlruns|mlartifacts))/.+|((?:^|.*/)(?:mlflow|mlruns)\.(?:db|sqlite3?))")
_OTHER = lazy_pattern(r"(^|.*/)(\.[^/]*|README[^/]*|[^/]*\.(py|md|dvc))")


def _check(paths: tuple[str, ...], files: ProjectFiles) -> Iterator[LintProblem]:  # noqa: ARG001  # as all rules
    stores: dict[str, tuple[str, int]] = {}
    for path in paths:
        match = _STORES.fullmatch(path) if "ml" in path else None
        if match and not is_test(path) and not _OTHER.fullmatch(path):
            store = match[1] or match[2]
            first, number = stores.get(store, (path, 0))
            stores[store] = first, number + 1
    for store, (first, number) in stores.items():
        if any(store.startswith(f"{other}/") for other in stores):
            continue
        folder = first != store
        files_of = f" ({number} file{'s' if number > 1 else ''})" if folder else ""
        yield LintProblem(
            line=1,
            what=f"the tracking store `{store}`{files_of} is committed",
            why="it changes with each run, grows the repository, and its paths are those of one machine",
            fix=f"git rm -r --cached -- {shlex.quote(store)}, and add {store}{'/' if folder else ''} to .gitignore",
            path=first,
            in_folder=True,
        )


RULE = LintRule(
    name="committed-store",
    summary="A tracking store of MLflow (`mlruns/`, `mlflow.db`) is committed.",
    files=r"(^|/)(mlruns|mlartifacts)/|(^|/)(mlflow|mlruns)\.(db|sqlite3?)$",
    check_names=_check,
)
