"""What a job summary shows, in which order, and the line that repeats a step on another machine."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.report import (
    ChainLink,
    Finding,
    Mark,
    Report,
    Severity,
    Table,
    TableKind,
    Timing,
    WebLink,
)
from mlflow_uv.command.step import Step, ValueLayer, fields_of, settle
from mlflow_uv.steps.catalog import all_steps
from mlflow_uv.surfaces.cli import _parser, given_in
from mlflow_uv.surfaces.jobsummary import command_line
from mlflow_uv.surfaces.phrasing import ActionPhrasing, ActionSource
from tests.inputs import inputs_of, texts_of
from tests.runner import summary_for


def parsed(arguments: list[str]) -> Any:
    """The inputs that the command line makes of its arguments, before the project is looked at."""
    namespace = _parser(arguments).parse_args(arguments)
    return settle(namespace.step.inputs, (ValueLayer("--{}", given_in(namespace)),))


@pytest.mark.parametrize("switch", ["true", "false"])
@pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.name)
def test_the_line_of_a_summary_gives_the_same_inputs(step: Step[Any, Any, Any], switch: str) -> None:
    """
    With every input set, the command line parses the line into the inputs that the action had.
    """
    phrasing = ActionPhrasing(step=step.name, source=ActionSource(), root=Path("/w"))

    line = command_line(step, texts_of(step, switch=switch), phrasing)

    assert inputs_of(step, switch=switch) == parsed(shlex.split(line.removeprefix(ActionSource().program)))


@pytest.mark.parametrize("switch", ["true", "false"])
@pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.name)
def test_values_become_arguments_that_give_the_same_values(step: Step[Any, Any, Any], switch: str) -> None:
    """
    What `Field.argv` writes of a parsed value is parsed into that value again.
    """
    inputs = inputs_of(step, switch=switch)

    words = [word for field in fields_of(step.inputs) for word in field.argv(getattr(inputs, field.name))]

    assert inputs == parsed([step.name, *words])


RELEASED: Report[None] = Report(
    outputs=None,
    summary="released model m-1, version 4 of wine",
    verdict="wine version 4 is ready as candidate",
    chain=(
        ChainLink(name="commit", mark=Mark.HOLDS, identity="62d50ce"),
        ChainLink(name="answers", mark=Mark.UNVERIFIED),
        ChainLink(name="image", mark=Mark.MISSING, identity="ghcr.io/organisation/wine:4-62d50ce"),
    ),
    findings=(Finding(rule="r", severity=Severity.WARNING, what="the name is in use", fix="another name"),),
    tables=(
        Table(title="Image", columns=("layer", "size"), rows=(("model", "1 MB"),), kind=TableKind.DETAILS),
        Table(title="Latencies", columns=("up to ms", "requests"), rows=(("5", "400"),)),
        Table(title="packages that differ", columns=("package",), rows=(("numpy",),), kind=TableKind.CHANGES),
    ),
    timings=(Timing(step="register", seconds=1.2, summary="version 4"),),
    advice=("serve it:    docker run wine", "changed:     packages that differ"),
    links=(WebLink(title="Version 4", address="https://mlflow.test/#/models/wine/versions/4"),),
)


def test_a_summary_goes_from_the_verdict_to_the_details() -> None:
    """
    The whole page of a release: what a person wants to know first stands first, and bookkeeping is folded.
    """
    expected = """\
### ✓ wine version 4 is ready as candidate

<sub><code>mlflow-uv release</code> · 1 s · released model m-1, version 4 of wine</sub>

| <strong>✓ commit</strong><br><code>62d50ce</code> | <strong>? answers</strong> | \
<strong>· image</strong><br><code>…/wine:4-62d50ce</code> |
|:-:|:-:|:-:|

#### What changed since the champion

Packages that differ:

| package |
|---|
| numpy |

#### Results

Latencies:

| up to ms | requests |
|---|---|
| 5 | 400 |

|  | what | fix |
|---|---|---|
| warning | the name is in use | another name |

- [Version 4](https://mlflow.test/#/models/wine/versions/4)
- serve it: <code>docker run wine</code>
- changed: packages that differ

<details>
<summary>Image (1 row)</summary>

| layer | size |
|---|---|
| model | 1 MB |

</details>

<details>
<summary>Steps and their times</summary>

| step | | seconds |
|---|---|---:|
| register | version 4 | 1.2 |

</details>

<details>
<summary>Repeat this step in a clone</summary>

```
uvx --from git+https://github.com/org/mlflow-uv-action@v1 mlflow-uv release --project wine
```

</details>

"""

    text = summary_for("release").of_report(RELEASED, {"project": "wine"})

    assert expected == text.replace("\N{NO-BREAK SPACE}", " ")


def test_an_identity_with_backticks_is_code_as_a_whole() -> None:
    """
    They are part of a name, and end nothing.
    """
    chain = (ChainLink(name="alias", mark=Mark.HOLDS, identity="a `b` *c*"),)

    text = summary_for("release").of_report(replace(RELEASED, chain=chain), {})

    assert "<br><code>a &#96;b&#96; &#42;c&#42;</code> |" in text


def test_a_long_table_of_changes_is_folded_and_a_long_verdict_is_a_paragraph() -> None:
    """
    Neither pushes the rest of the page away.
    """
    rows = tuple((f"package-{number}",) for number in range(21))
    table = Table(title="packages that differ", columns=("package",), rows=rows, kind=TableKind.CHANGES)
    report: Report[None] = Report(outputs=None, summary="word " * 40, tables=(table,))

    text = summary_for("export").of_report(report, {})

    assert text.startswith(f"### ✓ mlflow-uv export\n\n{'word ' * 40}\n\n")
    assert "<summary>Packages that differ (21 rows)</summary>\n" in text


def test_a_long_chain_has_rows_so_that_no_link_is_cut_off() -> None:
    """
    The last links break most often, and a wide table hides them; every row has all columns.
    """
    links = tuple(ChainLink(name=f"link-{number}", mark=Mark.HOLDS) for number in range(9))

    text = summary_for("release").of_report(Report(outputs=None, summary="done", chain=links), {})

    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert ([6, 6, 6], "|:-:|:-:|:-:|:-:|:-:|") == ([row.count("|") for row in rows], rows[1])
    assert [f"link-{number}" in rows[0 if number < 5 else 2] for number in range(9)] == [True] * 9
