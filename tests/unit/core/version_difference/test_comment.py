"""The part of the comment about a released version, and that its texts are shown and do nothing else."""

from dataclasses import replace

from mlflow_uv.core.lock_difference.comment import LIMIT, MARKER, comment_of
from mlflow_uv.core.lock_difference.comparison import LockChange, LockComparison, RepositoryComparison
from mlflow_uv.core.version_difference.comment import comment_of_release, parts_of
from mlflow_uv.core.version_difference.comparison import compare_descriptions, without_champion
from mlflow_uv.core.version_difference.description import MetricSet
from tests.unit.core.version_difference.descriptions import CHAMPION, DATA, VERSION, answer, signature

NOTHING = RepositoryComparison(base="a" * 40, head="d" * 40, pull_request=3, head_of_pull_request="b" * 40)
HOSTILE = f"**a** <img src=x> [a](https://evil.example) @octocat #1 `{MARKER}` | ${{{{ x }}}}\u202e\n### b"
EXPECTED = """### <code>wine</code> passed its smoke test; 1 of 2 metrics of the evaluation, 1 of 3 answers, 1 part of the signature and 1 package differ from the champion, version 3

<sub>released by the job of this pull request from <code>bbbbbbb</code>, tested in an image · champion: version 3 from <code>ccccccc</code>, as run 9 of <code>main</code> described it</sub>

<strong>Metrics of the evaluation</strong>

| metric | candidate | champion | difference |
|---|---|---|---|
| accuracy | 0.98 | 0.97 | ↑ +0.01 |
| loss | 0.5 | 0.5 | 0 |

<strong>Answers that differ</strong>

| request | value | candidate | champion | difference |
|---|---|---|---|---|
| recorded request 1 | <span>&#36;</span>.predictions&#91;0&#93; | 0.75 | 0.5 | ↑ +0.25 |

<strong>Signature</strong>

| change | effect |
|---|---|
| input <code>acid</code> is new and required | breaking |

<strong>Packages that differ</strong>

| package | candidate | champion | change |
|---|---|---|---|
| numpy | 2.4.1 | 2.3.5 | changed |

"""  # noqa: E501  # as it is written


def test_what_differs_from_the_champion_is_shown_with_both_values() -> None:
    """
    First the verdict, then who says so, then a table for each subject.
    """
    comparison = compare_descriptions(VERSION, CHAMPION)

    parts = list(parts_of(comparison, "as run 9 of `main` described it"))

    assert EXPECTED == "".join(part.text for part in parts)
    assert f"{MARKER}\n{EXPECTED}" == comment_of(NOTHING, parts)


def test_a_comment_has_both_parts_and_the_locks_first() -> None:
    """
    Without a changed lock it has the release alone, and with neither it is empty.
    """
    parts = list(parts_of(compare_descriptions(VERSION, CHAMPION)))
    locks = replace(NOTHING, locks=(LockComparison(path="uv.lock", change=LockChange.CHANGED),))

    both = comment_of(locks, parts)

    assert 0 < both.index("#### <code>uv.lock</code>") < both.index("### <code>wine</code>")
    assert both.startswith(f"{MARKER}\n### ")
    assert "" == comment_of(NOTHING)


def test_a_failed_test_is_marked_and_a_missing_champion_explained() -> None:
    """
    There is a comment also without a champion.
    """
    comparison = without_champion(replace(VERSION, state="failed"), "nothing to compare with yet: no run of `main`")

    text = comment_of_release(comparison)

    assert text.startswith("### ✗ <code>wine</code> failed its smoke test; nothing to compare with yet\n")
    assert "\nNothing to compare with yet: no run of <code>main</code>.\n" in text


def test_what_is_not_compared_is_listed() -> None:
    """
    A sentence each.
    """
    text = comment_of_release(compare_descriptions(replace(VERSION, answers=()), CHAMPION))

    assert text.endswith("\n\n- The answers are not compared: one of both versions has none.\n\n")


def test_hostile_texts_are_shown_and_nothing_else() -> None:
    """
    In the names of models, metrics, packages, requests and columns, and in answers.
    """
    version = replace(
        VERSION,
        model_name=HOSTILE.replace("\u202e\n", ""),
        version=HOSTILE.replace("\u202e\n", ""),
        served_by=HOSTILE,
        commit=HOSTILE,
        head_of_pull_request="",
        signature=signature(HOSTILE),
        packages={HOSTILE: HOSTILE},
        evaluation=MetricSet(metrics={HOSTILE: 1.0}, data=(DATA,), settings="s"),
        answers=(replace(answer(1, {HOSTILE: HOSTILE}), name=HOSTILE),),
    )

    for champion in (CHAMPION, replace(version, answers=(answer(1, 5),), packages={}, signature=None)):
        text = comment_of_release(compare_descriptions(version, champion))

        hostile = ("<img", "](http", "@octocat", "**a", "\u202e", "<!--", "\n### b", "${{", "#1 ")
        assert [] == [part for part in hostile if part in text]


def test_a_comment_about_many_versions_has_a_limited_length() -> None:
    """
    The verdict of each stays, and the end says that tables are left out.
    """
    many = {f"{'m' * 200}{at}": "1" for at in range(60)}
    comparison = compare_descriptions(replace(VERSION, packages=many), CHAMPION)
    parts = [part for _ in range(20) for part in parts_of(comparison)]

    text = comment_of(NOTHING, parts)

    assert len(text) <= LIMIT
    assert 20 == text.count("passed its smoke test")
    assert "Some tables are left out" in text
