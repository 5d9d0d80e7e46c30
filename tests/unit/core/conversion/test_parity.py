"""Tests how outputs of two models are compared, and when a budget refuses the converted one."""

import math
from typing import Any

import pytest

from mlflow_uv.command.step import ValueLayer, settle
from mlflow_uv.core.conversion.parity import Parity, ParityBudget, compare_outputs, parity_findings, parity_table
from mlflow_uv.payloads.messages.conversion import ModelPort, PortableSignature
from mlflow_uv.steps.export_model import Inputs

SIGNATURE = PortableSignature(
    layout="columns",
    inputs=(ModelPort(name="x", type="double"),),
    outputs=(
        ModelPort(name="label", type="string"),
        ModelPort(name="probability_0", type="double"),
        ModelPort(name="probability_1", type="double"),
    ),
    served=("label",),
    classes=("barolo", "soave"),
)
NUMBERS = PortableSignature(
    layout="columns", inputs=(), outputs=(ModelPort(name="prediction", type="double"),), served=("prediction",)
)
BUDGET = ParityBudget(tolerance=1e-4, max_flips=0, max_beyond=0.0)


def compared(original: list[Any], converted: list[Any], *, tolerance: float = BUDGET.tolerance) -> Parity:
    """The comparison of two lists of numbers."""
    item = {"name": "request 1", "origin": "recorded", "outputs": {"prediction": original}}
    return compare_outputs([item], [{"outputs": {"prediction": converted}}], NUMBERS, tolerance)


def classified(labels: list[str], first: list[float], other_labels: list[str]) -> Parity:
    """The comparison of labels, with the same probabilities from both models."""
    second = [1 - value for value in first]
    own = {"label": labels, "probability_0": first, "probability_1": second}
    other = {"label": other_labels, "probability_0": first, "probability_1": second}
    item = {"name": "request 1", "origin": "spread", "outputs": own}
    return compare_outputs([item], [{"outputs": other}], SIGNATURE, BUDGET.tolerance)


def fix_of(parity: Parity) -> str:
    """The fix of the only finding."""
    (finding,) = parity_findings(parity, BUDGET, "wine version 7", "retrain")
    return str(finding.fix)


def rules(parity: Parity, budget: ParityBudget = BUDGET) -> list[str]:
    """The rules of the findings."""
    return [finding.rule for finding in parity_findings(parity, budget, "wine version 7", "retrain")]


@pytest.mark.parametrize(
    ("original", "converted", "expected"),
    [
        ([1.0, 100.0], [1.00005, 100.005], []),
        ([1.0, 2.0], [2.0, 1.0], ["parity-exceeded"]),
        ([0.5, 0.5], [0.5, 0.5003], ["parity-exceeded"]),
        ([0.5], [math.nan], ["parity-exceeded"]),
        ([1e30], [math.inf], ["parity-exceeded"]),
        ([math.nan, math.inf], [math.nan, math.inf], []),
        ([0.0], [2e-4], ["parity-exceeded"]),
    ],
)
def test_a_plausible_other_number_exceeds_the_budget(
    original: list[float], converted: list[float], expected: list[str]
) -> None:
    """
    Rows that changed places, a number that is slightly off, and one that became NaN or infinite; rounding is none.
    """
    parity = compared(original, converted)

    assert expected == rules(parity)


def test_the_greatest_differences_and_the_share_are_those_of_the_values() -> None:
    """
    They are shown in the table, by origin and output.
    """
    parity = compared([1.0, 2.0, 4.0, 8.0], [1.0, 2.0, 4.5, 8.0])

    assert (("recorded", "prediction", "4", "0.5", "0.12", "25.0%", "0"),) == parity_table(parity).rows


def test_a_share_that_the_budget_allows_is_no_finding() -> None:
    """
    And one that is larger is.
    """
    parity = compared([1.0, 2.0, 4.0, 8.0], [1.0, 2.0, 4.5, 8.0])

    found = [rules(parity, ParityBudget(tolerance=1e-4, max_flips=0, max_beyond=share)) for share in (0.25, 0.24)]

    assert [[], ["parity-exceeded"]] == found


@pytest.mark.parametrize(
    ("original", "converted"),
    [
        ([1.0], [1.0026]),
        ([0.0, 1.0], [0.0013, 1.0]),
        ([0.0], [0.95]),
        ([0.0], [0.9999]),
        ([0.0], [math.nextafter(1.0, 0.0)]),
        ([1e6, 0.0], [1e6 + 1000, 0.5]),
        ([1e30], [1.3e30]),
        ([0.0], [1.0001e-4]),
    ],
)
def test_the_tolerance_of_the_fix_accepts_the_same_numbers(original: list[float], converted: list[float]) -> None:
    """
    It is rounded up, is one that the input allows, and covers the worst value of each output.
    """
    advice, _, flag = fix_of(compared(original, converted)).partition(", or --parity-tolerance ")
    values = ValueLayer("`{}`", {"version-uri": "models:/wine/1", "parity-tolerance": flag})
    tolerance = settle(Inputs, (values,)).parity_tolerance

    again = compared(original, converted, tolerance=tolerance)

    assert ("retrain", [], tolerance < 1) == (advice, rules(again), True)


@pytest.mark.parametrize(("original", "converted"), [([0.0], [1.0]), ([math.inf], [1.0]), ([1.0], [math.nan])])
def test_numbers_that_no_tolerance_accepts_name_none(original: list[float], converted: list[float]) -> None:
    """
    An infinite number is far from every other.
    """
    assert "retrain" == fix_of(compared(original, converted))


def test_a_label_that_flips_is_counted_unless_the_original_gives_both_the_same_probability() -> None:
    """
    Of a tie the order of a sum decides; it is shown, and no flip.
    """
    labels = ["barolo", "barolo", "soave"]
    parity = classified(labels, [0.9, 0.5, 0.2], ["soave", "soave", "soave"])

    assert (1, ["parity-flips"], "1 (+1 tie)") == (parity.flips, rules(parity), parity_table(parity).rows[0][-1])


def test_a_number_of_flips_that_the_budget_allows_is_no_finding() -> None:
    """
    The fix of the finding is that number.
    """
    parity = classified(["barolo", "barolo"], [0.9, 0.8], ["soave", "soave"])
    (finding,) = parity_findings(parity, BUDGET, "wine version 7", "retrain")

    allowed = rules(parity, ParityBudget(tolerance=1e-4, max_flips=2, max_beyond=0.0))

    assert ("retrain, or --max-flips 2", []) == (str(finding.fix), allowed)


def test_a_request_that_only_the_converted_model_refuses_is_an_error_unless_its_types_are_the_reason() -> None:
    """
    A value beyond 32 bits is named in a notice; what the original refuses is not compared.
    """
    original: list[dict[str, Any]] = [
        {"name": "huge", "origin": "derived", "outputs": {"prediction": [1.0]}},
        {"name": "odd", "origin": "derived", "outputs": {"prediction": [1.0]}},
        {"name": "empty", "origin": "derived", "refused": "no rows"},
        {"name": "plain", "origin": "recorded", "outputs": {"prediction": [1.0]}},
    ]
    converted: list[dict[str, Any]] = [
        {"refused": "ValueError: 'x' has a number that 32 bits cannot hold"},
        {"refused": "Fail: [ONNXRuntimeError]"},
        {"outputs": {"prediction": [1.0]}},
    ]

    parity = compare_outputs(original, converted, NUMBERS, BUDGET.tolerance)

    assert (("huge",), (("odd", "Fail: [ONNXRuntimeError]"),), 1, 1) == (
        parity.beyond_types, parity.failed, parity.refused, parity.rows,
    )  # fmt: skip
    assert ["parity-unanswered", "parity-beyond-types"] == rules(parity)


def test_a_comparison_of_nothing_is_an_error() -> None:
    """
    All equal would be true of it, too.
    """
    item = {"name": "request 1", "origin": "recorded", "refused": "no"}

    assert ["parity-empty"] == rules(compare_outputs([item], [], NUMBERS, BUDGET.tolerance))


def test_a_comparison_without_the_recorded_requests_is_an_error() -> None:
    """
    The model was trained with numbers beyond the range of 32 bits, and the generated rows are others.
    """
    names = {"request 1": "recorded", "request 2": "recorded", "row 1": "spread"}
    original = [{"name": name, "origin": origin, "outputs": {"prediction": [1.0]}} for name, origin in names.items()]
    beyond: dict[str, Any] = {"refused": "ValueError: 'x' has a number that 32 bits cannot hold"}
    equal: dict[str, Any] = {"outputs": {"prediction": [1.0]}}

    none = compare_outputs(original, [beyond, beyond, equal], NUMBERS, BUDGET.tolerance)
    nothing = compare_outputs(original, [beyond] * 3, NUMBERS, BUDGET.tolerance)
    one = compare_outputs(original, [beyond, equal, beyond], NUMBERS, BUDGET.tolerance)

    assert (("recorded",), ("spread",)) == (none.uncompared, one.uncompared)
    assert (["parity-empty", "parity-beyond-types"], ["parity-beyond-types"]) == (rules(none), rules(one))
    fixes = [next(parity_findings(parity, BUDGET, "it", "change it")).fix for parity in (none, nothing)]
    assert [True, True] == [fix.startswith("train the model with numbers within the range of 32 bits") for fix in fixes]


def test_an_answer_with_fewer_rows_is_refused() -> None:
    """
    Only a part would be compared.
    """
    with pytest.raises(ValueError, match="has 1 values for 2 rows"):
        compared([1.0, 2.0], [1.0])


def decided(original: list[Any], converted: list[Any], activation: str, shape: tuple[int, ...]) -> Parity:
    """The comparison of tensors that decide on labels."""
    port = ModelPort(name="prediction", type="double", shape=shape, activation=activation)
    signature = PortableSignature(layout="tensor", inputs=(), outputs=(port,), served=("prediction",))
    item = {"name": "request 1", "origin": "thresholds", "outputs": {"prediction": original}}
    return compare_outputs([item], [{"outputs": {"prediction": converted}}], signature, BUDGET.tolerance)


@pytest.mark.parametrize(
    ("activation", "shape", "original", "converted", "flips", "ties"),
    [
        ("softmax", (3,), [[0.2, 0.5, 0.3]], [[0.2, 0.5, 0.3]], 0, 0),
        ("softmax", (3,), [[0.2, 0.5, 0.3], [0.8, 0.1, 0.1]], [[0.2, 0.3, 0.5], [0.8, 0.1, 0.1]], 1, 0),
        ("softmax", (2,), [[0.50001, 0.49999]], [[0.49999, 0.50001]], 0, 1),
        ("softmax", (2, 2), [[[0.9, 0.1], [0.5, 0.5]]], [[[0.1, 0.9], [0.4, 0.6]]], 1, 0),
        ("sigmoid", (1,), [[0.2], [0.9]], [[0.7], [0.9]], 1, 0),
        ("sigmoid", (1,), [[0.49999]], [[0.50001]], 0, 1),
        ("", (2,), [[0.9, 0.1]], [[0.1, 0.9]], 0, 0),
    ],
)
def test_the_labels_of_a_tensor_are_those_on_which_its_activation_decides(
    activation: str, shape: tuple[int, ...], original: list[Any], converted: list[Any], flips: int, ties: int
) -> None:
    """
    A row counts once; where the original is between both labels it is a tie. Without an activation there are none.
    """
    (output,) = decided(original, converted, activation, shape).outputs

    assert (len(original), flips, ties) == (output.rows, output.counted_flips, output.ties)


def test_the_share_of_a_tensor_is_that_of_its_numbers() -> None:
    """
    One of four numbers of a row is a quarter, also beside a request with other rows.
    """
    (output,) = decided([[[1.0, 2.0], [3.0, 4.0]]], [[[1.0, 2.0], [3.0, 5.0]]], "", (2, 2)).outputs

    assert (1, 0.25, 1.0) == (output.rows, output.share, output.absolute)


@pytest.mark.parametrize("converted", [[[1.0, 2.0, 3.0]], [[1.0], [2.0]], [[1.0]]])
def test_a_tensor_of_another_shape_is_no_answer(converted: list[Any]) -> None:
    """
    Rows, or numbers of a row, that are missing or too many.
    """
    with pytest.raises(ValueError, match="prediction"):
        decided([[1.0, 2.0]], converted, "", (2,))
