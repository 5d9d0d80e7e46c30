"""What is compared of two descriptions, and what is not, with the reason."""

import math
from dataclasses import replace
from typing import Any

import pytest

from mlflow_uv.core.version_difference.comparison import VersionComparison, compare_descriptions, without_champion
from mlflow_uv.core.version_difference.description import MetricSet, VersionDescription
from tests.unit.core.version_difference.descriptions import CHAMPION, DATA, VERSION, answer, signature


def tables(comparison: VersionComparison) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The rows of each table by its title."""
    return {table.title: table.rows for table in comparison.tables}


def test_every_subject_that_differs_has_a_table_with_both_values() -> None:
    """
    With an arrow and the difference where both are numbers; metrics of training that are equal have none.
    """
    comparison = compare_descriptions(VERSION, CHAMPION)

    assert {
        "metrics of the evaluation": (("accuracy", "0.98", "0.97", "↑ +0.01"), ("loss", "0.5", "0.5", "0")),
        "answers that differ": (("recorded request 1", "$.predictions[0]", "0.75", "0.5", "↑ +0.25"),),
        "signature": (("input `acid` is new and required", "breaking"),),
        "packages that differ": (("numpy", "2.4.1", "2.3.5", "changed"),),
    } == tables(comparison)
    assert () == comparison.notes
    assert (
        "`wine` passed its smoke test; 1 of 2 metrics of the evaluation, 1 of 3 answers, 1 part of the signature and"
        " 1 package differ from the champion, version 3"
    ) == comparison.verdict


@pytest.mark.parametrize(
    ("state", "said"),
    [("failed", "failed its smoke test"), ("registered", "was not tested"), ("tested", "passed its smoke test")],
)
def test_equal_versions_differ_in_nothing(state: str, said: str) -> None:
    """
    The verdict of the smoke test is said all the same.
    """
    comparison = compare_descriptions(replace(CHAMPION, state=state), CHAMPION)

    assert ({}, ()) == (tables(comparison), comparison.notes)
    assert f"`wine` {said}; nothing differs from the champion, version 3" == comparison.verdict


SAME = MetricSet(metrics={"accuracy": 0.98}, data=(DATA,), settings="s")


@pytest.mark.parametrize(
    ("mine", "theirs", "why"),
    [
        (replace(SAME, data=("e" * 64,)), SAME, "they were measured on other data"),
        (replace(SAME, settings="t"), SAME, "they were measured with another target column or model type"),
        (replace(SAME, data=()), SAME, "on which data those of this version were measured is unknown"),
        (SAME, replace(SAME, data=()), "on which data those of the champion were measured is unknown"),
        (
            replace(SAME, data=()),
            replace(SAME, data=()),
            "on which data those of this version were measured is unknown",
        ),
        (SAME, None, "the champion has none"),
        (None, SAME, "this version has none"),
        (MetricSet(metrics={}), SAME, "this version has none"),
    ],
)
def test_metrics_on_other_data_are_not_compared(mine: MetricSet | None, theirs: MetricSet | None, why: str) -> None:
    """
    Those of the version are shown alone, without the champion's beside them, and it is no difference.
    """
    comparison = compare_descriptions(replace(CHAMPION, evaluation=mine), replace(CHAMPION, evaluation=theirs))

    assert (f"The metrics of the evaluation are not compared: {why}.",) == comparison.notes
    own = {"metrics of the evaluation, of this version alone": (("accuracy", "0.98"),)} if mine and mine.metrics else {}
    assert own == tables(comparison)
    assert "`wine` passed its smoke test; nothing that is compared differs from the champion, version 3" == (
        comparison.verdict
    )


def test_metrics_of_a_training_that_names_no_data_say_how_to_name_it() -> None:
    """
    MLflow records a dataset where training logs one.
    """
    given = MetricSet(metrics={"rmse": 0.6})

    comparison = compare_descriptions(replace(CHAMPION, training=given), replace(CHAMPION, training=given))

    (note,) = comparison.notes
    assert (
        "The metrics of the training are not compared: on which data those of this version were measured is unknown,"
        " which `mlflow.log_input` records."
    ) == note


def test_a_metric_that_is_no_number_has_no_difference() -> None:
    """
    It differs from a number, and not from another one that is none.
    """
    theirs = MetricSet(metrics={"a": 0.5, "b": None}, data=(DATA,))
    mine = MetricSet(metrics={"a": None, "b": None}, data=(DATA,))

    comparison = compare_descriptions(replace(CHAMPION, evaluation=mine), replace(CHAMPION, evaluation=theirs))

    assert {"metrics of the evaluation": (("a", "nan", "0.5", "-"), ("b", "nan", "nan", "-"))} == tables(comparison)
    assert "1 of 2 metrics of the evaluation" in comparison.verdict


def test_response_times_of_two_machines_are_not_compared() -> None:
    """
    The runner of a pull request is another one than that of the champion.
    """
    mine, theirs = (
        MetricSet(metrics={"accuracy": 0.5, "latency_p95_ms": ms, "latency/mean": ms}, data=(DATA,))
        for ms in (3.0, 7.0)
    )

    comparison = compare_descriptions(replace(CHAMPION, evaluation=mine), replace(CHAMPION, evaluation=theirs))

    assert ({}, ("Response times are not compared: they depend on the machine.",)) == (
        tables(comparison),
        comparison.notes,
    )
    other = replace(mine, metrics={**mine.metrics, "accuracy": 0.75})
    differing = compare_descriptions(replace(CHAMPION, evaluation=other), replace(CHAMPION, evaluation=theirs))
    assert (("accuracy", "0.75", "0.5", "↑ +0.25"),) == tables(differing)["metrics of the evaluation"]
    assert "1 of 1 metric of the evaluation differs from" in differing.verdict


def of_answers(*mine: Any, theirs: tuple[Any, ...]) -> VersionComparison:
    """The comparison of versions that differ in these answers alone."""
    new, old = (
        replace(CHAMPION, answers=tuple(each if hasattr(each, "sha256") else answer(at, each) for at, each in found))
        for found in (enumerate(mine), enumerate(theirs))
    )
    return compare_descriptions(new, old)


@pytest.mark.parametrize(
    ("mine", "theirs", "row"),
    [
        ([1.0, 2.0, 9], [1.5, 8.0, 9], ("$[1] and 1 more", "2.0", "8.0", "↓ -6")),
        (["a", 1.0], ["b", 1.5], ("$[0] and 1 more", "a", "b", "")),
        ([1, 2], [1], ("$", "", "", "$ has 2 items, expected are 1")),
        ({"a": 1}, {}, ("$.a", "", "", "$.a was not expected")),
        ([None], [1], ("$[0]", "null", "1", "")),
        (True, 1, ("$", "true", "1", "")),
        ("x" * 100, "y", ("$", f"{'x' * 80}…", "y", "")),
    ],
)
def test_the_largest_difference_of_an_answer_is_shown(mine: Any, theirs: Any, row: tuple[str, ...]) -> None:
    """
    With its path and the number of the others; texts and other types have no difference in numbers.
    """
    assert ((("recorded request 0", *row),)) == tables(of_answers(mine, theirs=(theirs,)))["answers that differ"]


def test_the_last_bits_of_a_float_are_no_difference() -> None:
    """
    They depend on the processor, and the champion was trained on another machine.
    """
    comparison = of_answers([0.1 + 1e-9], theirs=([0.1],))

    assert "nothing differs" in comparison.verdict


def test_answers_that_are_not_handed_over_are_compared_by_their_digests() -> None:
    """
    And a status that changed is a difference, whatever the answer.
    """
    closed, other = (replace(answer(0, value), answer=None) for value in (1, 2))

    rows = tables(of_answers(closed, answer(1, None, status=400), theirs=(other, answer(1, 7))))["answers that differ"]

    assert [("the whole answer", f"`{closed.sha256[:12]}`", f"`{other.sha256[:12]}`"), ("status", "400", "200")] == [
        row[1:4] for row in rows
    ]
    assert "nothing differs" in of_answers(closed, theirs=(closed,)).verdict


def test_only_answers_to_the_same_requests_are_compared() -> None:
    """
    Others are counted, and without a common one nothing is compared.
    """
    some = compare_descriptions(
        replace(CHAMPION, answers=(answer(1, 5), answer(8, 1))), replace(CHAMPION, answers=(answer(1, 5),))
    )
    several = compare_descriptions(replace(CHAMPION, answers=(CHAMPION.answers[0],)), CHAMPION)
    none = compare_descriptions(replace(CHAMPION, answers=(answer(8, 1),)), CHAMPION)
    missing = compare_descriptions(replace(CHAMPION, answers=()), CHAMPION)

    assert ("1 recorded request of one version is not among those of the other.",) == some.notes
    assert ("2 recorded requests of one version are not among those of the other.",) == several.notes
    assert ("The answers are not compared: no recorded request is the same.",) == none.notes
    assert ("The answers are not compared: one of both versions has none.",) == missing.notes


def test_many_differences_are_a_table_of_limited_length() -> None:
    """
    The number of the others is said.
    """
    comparison = of_answers(*range(30), theirs=tuple(range(1, 31)))
    many = {f"p{at:03}": "1" for at in range(80)}
    packages = compare_descriptions(replace(CHAMPION, requirements_sha256="5" * 64, packages=many), CHAMPION)

    assert (10, ("20 more answers differ.",)) == (len(tables(comparison)["answers that differ"]), comparison.notes)
    assert "30 of 30 answers differ" in comparison.verdict
    assert ("and 32 more", "", "", "") == tables(packages)["packages that differ"][-1]
    assert "82 packages differ" in packages.verdict


@pytest.mark.parametrize("champion", [CHAMPION, replace(CHAMPION, signature=signature("a"))])
def test_a_signature_that_was_left_out_is_not_compared(champion: VersionDescription) -> None:
    """
    It is not taken for a version without one, which would be a breaking change.
    """
    comparison = compare_descriptions(replace(CHAMPION, signature=None, signature_left_out=True), champion)

    assert "signature" not in tables(comparison)
    assert ("The signatures are not compared: one is larger than a description holds.",) == comparison.notes


@pytest.mark.parametrize("subject", ["packages", "answers"])
def test_what_a_description_has_no_room_for_is_not_compared(subject: str) -> None:
    """
    It may differ, whichever of the two lacks it, and is no package that was added or removed.
    """
    kept = {"packages": {"numpy": "2.3.5"}, "answers": CHAMPION.answers[:1]}[subject]
    other = replace(CHAMPION, requirements_sha256="5" * 64)
    short = replace(other, **{subject: kept, f"left_out_{subject}": 3})  # type: ignore[arg-type]  # of its type

    for comparison in (compare_descriptions(short, CHAMPION), compare_descriptions(CHAMPION, short)):
        assert (f"Some {subject} are not compared: a description has a limited size.",) == comparison.notes
        assert "nothing that is compared differs" in comparison.verdict


def test_metrics_for_which_a_description_has_no_room_are_not_compared() -> None:
    """
    The others are, and no result is that all are equal, nor that one is new.
    """
    short = replace(CHAMPION, evaluation=replace(SAME, left_out=3))
    whole = replace(SAME, metrics={**SAME.metrics, "loss": 0.5})

    comparison = compare_descriptions(short, replace(CHAMPION, evaluation=whole))

    assert ("Some metrics of the evaluation are not compared: a description has a limited size.",) == comparison.notes
    assert "nothing that is compared differs" in comparison.verdict


def test_a_metric_that_is_no_number_differs_from_one_that_is_not_there() -> None:
    """
    Training measured it, whatever came out.
    """
    mine = replace(SAME, metrics={**SAME.metrics, "loss": None})

    comparison = compare_descriptions(replace(CHAMPION, evaluation=mine), replace(CHAMPION, evaluation=SAME))

    assert "1 of 2 metrics of the evaluation differs" in comparison.verdict


def test_a_version_without_a_champion_shows_its_own_metrics() -> None:
    """
    And the reason why it is compared with none.
    """
    given = replace(VERSION, evaluation=MetricSet(metrics={"accuracy": 0.98, "worst": math.inf}))

    comparison = without_champion(given, "nothing to compare with yet: nobody was here")

    assert "`wine` passed its smoke test; nothing to compare with yet" == comparison.verdict
    assert {
        "metrics of the evaluation, of this version alone": (("accuracy", "0.98"), ("worst", "inf")),
        "metrics of the training, of this version alone": (("rmse", "0.7"),),
    } == tables(comparison)


def test_equal_digests_of_requirements_prove_the_packages_that_were_left_out() -> None:
    """
    They are over all of them; with other digests nobody knows.
    """
    full = replace(CHAMPION, left_out_packages=0)
    shortened = replace(CHAMPION, left_out_packages=7, packages={})

    equal = compare_descriptions(shortened, full)
    other = compare_descriptions(replace(shortened, requirements_sha256="9" * 64), full)
    unknown = compare_descriptions(
        replace(shortened, requirements_sha256=""), replace(CHAMPION, requirements_sha256="")
    )

    assert ((), {}) == (equal.notes, tables(equal))
    left_out = ("Some packages are not compared: a description has a limited size.",)
    assert (left_out, left_out) == (other.notes, unknown.notes)


def test_packages_that_contradict_the_digest_of_the_requirements_are_not_shown_as_a_change() -> None:
    """
    The files of one of both models were changed in the store.
    """
    comparison = compare_descriptions(replace(CHAMPION, packages={"numpy": "9.9"}), CHAMPION)

    assert {} == tables(comparison)
    why = "the digests of both requirements are equal, so one of both lists is not that of its version"
    assert (f"The packages are not compared: {why}.",) == comparison.notes
