"""A document is compared by its values, and a card by its lines."""

import json
from dataclasses import replace

import pytest

from mlflow_uv.core.card.comparison import differences
from mlflow_uv.core.card.description import DescribedDataset, DescribedMetric
from mlflow_uv.core.card.ml_bom import render_ml_bom
from mlflow_uv.core.card.readme import render_readme

from .described import DESCRIBED

BETTER = replace(DESCRIBED, metrics=(replace(DESCRIBED.metrics[0], value=0.99), *DESCRIBED.metrics[1:]))
OTHER_DATA = replace(
    DESCRIBED,
    datasets=(
        DESCRIBED.datasets[0],
        DescribedDataset(role="evaluation", name="file hold_out.csv", digest="9" * 64, algorithm="SHA-256"),
    ),
)
UNMEASURED = replace(DESCRIBED, metrics=(DescribedMetric(name="accuracy", value=0.9375, origin="evaluation"),))


def test_a_document_that_was_only_formatted_again_does_not_differ() -> None:
    """
    The order of keys and white space say nothing.
    """
    document = render_ml_bom(DESCRIBED)

    assert () == tuple(differences(json.dumps(json.loads(document)), document))


@pytest.mark.parametrize(
    ("other", "place"),
    [
        (BETTER, "metadata.component.modelCard.quantitativeAnalysis.performanceMetrics[0].value"),
        (OTHER_DATA, "components[3].hashes[0].content"),
        (UNMEASURED, "metadata.component.modelCard.quantitativeAnalysis.performanceMetrics[2]"),
    ],
)
def test_a_plausible_value_of_another_version_is_found(other: object, place: str) -> None:
    """
    A metric, the digest of the data, a metric that is missing: each is named by its place.
    """
    found = [where for where, *_ in differences(render_ml_bom(other), render_ml_bom(DESCRIBED))]  # type: ignore[arg-type]

    assert place in found


def test_a_card_with_another_value_is_found_by_its_line() -> None:
    """
    The line is that of the given file.
    """
    card, other = render_readme(DESCRIBED), render_readme(BETTER)

    found = tuple(differences(other, card))

    assert [card.splitlines()[line - 1] for *_, line in found] == [wanted for _, _, wanted, _ in found]
    assert any("0.99" in value and "0.9375" in wanted for _, value, wanted, _ in found)


def test_text_that_is_no_json_is_refused() -> None:
    """
    It is neither of the documents.
    """
    with pytest.raises(ValueError, match="Expecting"):
        tuple(differences("{broken", render_ml_bom(DESCRIBED)))
