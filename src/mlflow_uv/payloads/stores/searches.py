"""Reads paged searches of the stores, and builds filter clauses."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlflow import MlflowClient

from ..problems import Problem, ProblemKind

# mlflow.entities.LoggedModel, which MLflow 2 does not have.
LoggedModel = Any

_EXPERIMENTS_PER_SEARCH = 100


def pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    """Every item of a search that takes a page token and returns MLflow's PagedList."""
    token: str | None = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return


def experiment_groups(client: MlflowClient) -> tuple[tuple[str, ...], ...]:
    """The ids of all active experiments, in groups that one search accepts."""
    ids = tuple(
        str(experiment.experiment_id) for experiment in pages(lambda token: client.search_experiments(page_token=token))
    )
    return tuple(ids[start : start + _EXPERIMENTS_PER_SEARCH] for start in range(0, len(ids), _EXPERIMENTS_PER_SEARCH))


def texts(values: "Mapping[Any, Any]") -> dict[str, str]:
    """Tags or parameters as text; a store may return a value of another type, or None for an empty one."""
    return {str(name): "" if value is None else str(value) for name, value in values.items()}


def equals(field: str, value: str) -> str:
    """A filter clause. Raises Problem for a quote in the value, which MLflow's filter language cannot escape."""
    if "'" in value:
        raise Problem(ProblemKind.INVALID, f"MLflow cannot search for a value that contains a quote: {value}")
    return f"{field} = '{value}'"


def tag_equals(key: str, value: str) -> str:
    """A filter clause for a tag, whose key is in backquotes because of dots and hyphens. Raises Problem."""
    if "`" in key:
        raise Problem(ProblemKind.INVALID, f"MLflow cannot search for a tag whose name contains a backquote: {key}")
    return equals(f"tags.`{key}`", value)
