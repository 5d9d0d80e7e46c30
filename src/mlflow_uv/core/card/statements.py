"""Parses [tool.mlflow-uv.model-card]: what only people can say about a model."""

from typing import Annotated

from ...command.errors import BadInput
from ...command.step import Doc
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..policy.table import PolicyTable

NAME = "model-card"
_LISTS = ("intended-uses", "users", "limitations", "tradeoffs", "ethical-considerations", "datasets")


@lazy_dataclass
class CardStatements:
    """What the project says about its model; what it does not say is unknown."""

    description: Annotated[str | None, Doc("What the model does, in one paragraph.")] = None
    license: Annotated[str | None, Doc("Licence of the model, an SPDX expression; by default that of the project.")] = (
        None
    )
    producer: Annotated[str | None, Doc("Who produces the model; by default the authors of the project.")] = None
    learning: Annotated[
        str | None,
        Doc(
            "How the model learns: supervised, unsupervised, semi-supervised, self-supervised, reinforcement-learning."
        ),
    ] = None
    sensitive_data: Annotated[
        str | None, Doc("Which personal or otherwise sensitive data the model was trained on, or that there is none.")
    ] = None
    intended_uses: Annotated[tuple[str, ...], Doc("What the model is meant for.")] = ()
    users: Annotated[tuple[str, ...], Doc("Who is meant to use the model.")] = ()
    limitations: Annotated[tuple[str, ...], Doc("Known technical limitations of the model.")] = ()
    tradeoffs: Annotated[tuple[str, ...], Doc("Known trade-offs, such as accuracy against latency.")] = ()
    ethical_considerations: Annotated[tuple[str, ...], Doc("Ethical risks of using the model.")] = ()
    datasets: Annotated[
        tuple[str, ...], Doc("Datasets that the model was trained on, for training that logs none with MLflow.")
    ] = ()


LEARNING = frozenset({"supervised", "unsupervised", "semi-supervised", "self-supervised", "reinforcement-learning"})


def read_statements(table: PolicyTable) -> CardStatements:
    """Parse the table. Raises BadInput with the key and its line."""
    rules = table.rules(CardStatements)
    for key in _LISTS:
        value = rules.get(key)
        # Lists of names may be text separated by spaces; statements are sentences.
        if isinstance(value, str):
            raise BadInput(what=f"{table.describe(key)} is not a list", why="it is text", fix=f'{key} = ["{value}"]')
        if isinstance(value, list) and (others := [item for item in value if not isinstance(item, str)]):
            raise BadInput(what=f"{table.describe(key)} must be a list of texts", why=f"it has {others[0]!r}")
    statements = table.parse(CardStatements).policy
    if statements.learning is not None and statements.learning not in LEARNING:
        raise BadInput(
            what=f"{table.describe('learning')} is {statements.learning!r}",
            why=f"CycloneDX knows {', '.join(sorted(LEARNING))}",
        )
    return statements
