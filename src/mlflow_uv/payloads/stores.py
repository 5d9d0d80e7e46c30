"""How are the stores' paged searches read to their end?"""

from collections.abc import Callable, Iterator
from typing import Any

from mlflow import MlflowClient

from .problems import Problem, ProblemKind

# mlflow.entities.LoggedModel, which an MLflow 2 does not have.
LoggedModel = Any

_EXPERIMENTS_PER_SEARCH = 100


def pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    """Every item of a search that takes a page token and answers with MLflow's PagedList."""
    token: str | None = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return


def experiment_groups(client: MlflowClient) -> tuple[tuple[str, ...], ...]:
    """The ids of all active experiments, in groups that fit into one search."""
    found = tuple(
        str(experiment.experiment_id) for experiment in pages(lambda token: client.search_experiments(page_token=token))
    )
    return tuple(
        found[start : start + _EXPERIMENTS_PER_SEARCH] for start in range(0, len(found), _EXPERIMENTS_PER_SEARCH)
    )


def equals(field: str, value: str) -> str:
    """A filter clause. MLflow's filter language has no escape for the quote that it encloses values in."""
    if "'" in value:
        raise Problem(ProblemKind.INVALID, f"MLflow cannot search for a value that holds a quote: {value}")
    return f"{field} = '{value}'"


def tag_equals(key: str, value: str) -> str:
    """A filter clause for a tag. The key stands in backquotes, because ours hold dots and hyphens."""
    if "`" in key:
        raise Problem(ProblemKind.INVALID, f"MLflow cannot search for a tag whose name holds a backquote: {key}")
    return equals(f"tags.`{key}`", value)
