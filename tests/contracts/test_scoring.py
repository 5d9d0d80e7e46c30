"""Contract: a real model scores tables in its own environment, and what it writes is what its `predict` returns."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import StepError, ToolFailed
from mlflow_uv.payloads.messages.scoring import ScoringResult
from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.scoring_bench import EMPTY, UNLUCKY, Bench, open_bench, predictions, rejected, scored, written

pytestmark = pytest.mark.installs


@pytest.fixture(scope="module")
def bench(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """See Bench."""
    with open_bench(mlflow, tmp_path_factory.mktemp("bench")) as opened:
        yield opened


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_table_is_scored_as_the_model_predicts(bench: Bench, tmp_path: Path, kind: str) -> None:
    """
    Whatever the format: `007` and `NA` stay text, and only the rows that cannot be scored are missing, with reasons.
    """
    output = tmp_path / "scores"

    result, _ = scored(bench, bench.tables / f"t.{kind}", output)

    assert bench.expected == predictions(output)
    assert (18, 2) == (result.rows, result.rejected)
    reasons = rejected(output)
    assert {UNLUCKY, EMPTY} == reasons.keys()
    assert "thirteen is no value" in reasons[UNLUCKY]
    row = next(row for row in written(output) if row["input_row"] == 7)
    own = {name: row[name] for name in ("model_name", "model_version", "release_key", "input_file")}
    assert {
        "model_name": "coded",
        "model_version": "first",
        "release_key": "key",
        "input_file": f"t.{kind}",
    } == own
    assert "0007" == row["id"]


def test_a_long_row_that_is_rejected_is_kept_in_part(bench: Bench, tmp_path: Path) -> None:
    """
    A record of megabytes would fill the message that rejects it: its start and its end are kept.
    """
    source, output = tmp_path / "t.jsonl", tmp_path / "scores"
    long = json.dumps({"id": "1", "code": "c" * 3_000_000, "x": 13, "n": 1})
    source.write_text(f'{long}\n{{"id": "2", "x": 1, "n": 1}}\n')

    scored(bench, source, output)

    lines = (output / "_rejects" / "t-00000.jsonl").read_text().splitlines()
    (record,) = [json.loads(line)["record"] for line in lines]
    assert (True, long[:100], long[-20:]) == (len(record) < 70_000, record[:100], record[-20:])
    assert {"2"} == predictions(output).keys()


def test_a_row_that_has_a_name_twice_is_rejected(bench: Bench, tmp_path: Path) -> None:
    """
    Which of its values counts depends on the parser; the rows beside it are scored.
    """
    source, output = tmp_path / "t.jsonl", tmp_path / "scores"
    twice = '{"id": "2", "x": 1, "x": 5, "n": 1}'
    source.write_text(f'{{"id": "1", "x": 1, "n": 1}}\n{twice}\n{{"id": "3", "x": 1, "n": 1}}\n')

    scored(bench, source, output)

    (rejected,) = map(json.loads, (output / "_rejects" / "t-00000.jsonl").read_text().splitlines())
    assert (twice, True) == (rejected["record"], "the name 'x' twice" in rejected["reason"])
    assert {"1", "3"} == predictions(output).keys()


def test_parts_in_parquet_and_csv_hold_the_same(bench: Bench, tmp_path: Path) -> None:
    """
    The format of the output changes no value: read by pandas, both are what JSON Lines are.
    """
    for kind in ("parquet", "csv"):
        scored(bench, bench.tables / "t.parquet", tmp_path / kind, output_format=kind)
    code = (
        "import json, sys, pandas as pd\n"
        "from pathlib import Path\n"
        "frames = [pd.read_parquet(f) for f in sorted(Path(sys.argv[1]).glob('*.parquet'))]\n"
        "frames += [pd.read_csv(f, dtype={'id': str}) for f in sorted(Path(sys.argv[2]).glob('*.csv'))]\n"
        "print(json.dumps([[list(f['id']), [float(p) for p in f['prediction']]] for f in frames]))\n"
    )
    parts = json.loads(bench.run_python(code, tmp_path / "parquet", tmp_path / "csv"))

    pairs = [pair for ids, values in parts for pair in zip(ids, values, strict=True)]

    assert sorted([*bench.expected.items()] * 2) == sorted(pairs)


def test_a_killed_run_goes_on_where_its_last_part_ended(bench: Bench, tmp_path: Path) -> None:
    """
    Killed in the middle of the second part, and run again: no row is lost, none is twice, none is scored again.
    """
    output, begun = tmp_path / "scores", []

    def in_second_part(message: dict[str, Any]) -> bool:
        begun.extend([message] if message.get("ask") == "part" else [])
        return len(begun) == 2 and message.get("ask") == "progress"

    with pytest.raises(ToolFailed, match="the model ended its process"):
        scored(bench, bench.tables / "t.parquet", output, killed=in_second_part)
    before = written(output)
    result, kept = scored(bench, bench.tables / "t.parquet", output)

    assert ([], 1, 12) == (before, kept, result.rows + result.rejected)
    assert bench.expected == predictions(output)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_long_text_goes_on_at_the_byte_where_its_last_part_ended(bench: Bench, tmp_path: Path, kind: str) -> None:
    """
    Killed before the second of three parts is complete: the rest is read from there, with the right numbers of rows.
    """
    count, output, source, ended = 20_000, tmp_path / "scores", tmp_path / f"long.{kind}", []
    pad = "p" * 600
    numbers = range(1, count + 1)
    if kind == "csv":
        lines = [f'{number:06d},"0,7",{number}.5,{number},{pad}\n' for number in numbers]
        source.write_text("id,code,x,n,pad\n" + "".join(lines))
    else:
        lines = [
            f'{{"id":"{number:06d}","code":"0,7","x":{number}.5,"n":{number},"pad":"{pad}"}}' for number in numbers
        ]
        source.write_text("\n".join(lines))

    def at_second_end(message: dict[str, Any]) -> bool:
        ended.extend([message] if message.get("ask") == "end-part" else [])
        return len(ended) == 2

    with pytest.raises(ToolFailed, match="the model ended its process"):
        scored(bench, source, output, killed=at_second_end, batch_rows=4_000)
    _, kept = scored(bench, source, output, batch_rows=4_000)

    found = [(row["id"], row["input_row"], row["prediction"]) for row in written(output)]
    assert 1 == kept
    assert [(f"{number:06d}", number, 3 * (number + 0.5) + 3 + number) for number in numbers] == found


def test_another_model_or_another_input_is_never_mixed(bench: Bench, tmp_path: Path) -> None:
    """
    A second model replaces the result of the first; so does a changed row, of its file only.
    """
    source, output = tmp_path / "data", tmp_path / "scores"
    source.mkdir()
    text = (bench.tables / "t.jsonl").read_text()
    (source / "a.jsonl").write_text(text)
    (source / "b.jsonl").write_text(text.replace('"id": "', '"id": "b'))
    scored(bench, source, output)

    second, kept = scored(bench, source, output, model="second")
    versions = {row["model_version"] for row in written(output)}
    (source / "a.jsonl").write_text(text.replace('"x": 1.1', '"x": 100.0'))
    third, kept_of_b = scored(bench, source, output, model="second")

    assert (0, 40, {"second"}) == (kept, second.rows + second.rejected, versions)
    assert (1, 20) == (kept_of_b, third.rows + third.rejected)
    found = predictions(output)
    changed = {"0001": bench.expected["0001"] + 3 * (100.0 - 1.1)}
    expected = {**bench.expected, **changed, **{f"b{key}": value for key, value in bench.expected.items()}}
    assert expected.keys() == found.keys()
    assert [] == [key for key in expected if abs(expected[key] + 1000 - found[key]) > 1e-9]


@pytest.mark.core_variants(3)
@pytest.mark.parametrize(
    ("model", "content", "strict", "why"),
    [
        ("first", "id,x,n\n1,2,3\n", True, None),
        ("first", "id,code,n\n1,2,3\n", False, "`t.csv` lacks `x`, which the model requires; its columns are `id`"),
        ("first", "code,x,n\na,1,2\n", False, "`t.csv` lacks the key column `id`"),
        ("first", "id,x,x,n\n1,1,2,3\n", False, "`t.csv` has several columns `x`"),
        ("first", "id,code,x,n\n1,a,1,2\n2,b,13,2\n", True, "row 2 of `t.csv` cannot be scored: "),
        ("total", "id,code,x,n\n1,a,1,2\n2,b,3,2\n", False, "the model returns 1 predictions for 2 rows"),
    ],
)
def test_a_table_that_does_not_fit_is_named(
    bench: Bench, tmp_path: Path, model: str, content: str, strict: bool, why: str | None
) -> None:
    """
    A column that is missing or twice, a row with `strict`, a model that aggregates; an optional column may be absent.
    """
    (tmp_path / "t.csv").write_text(content)

    def run() -> ScoringResult:
        return scored(bench, tmp_path / "t.csv", tmp_path / "scores", model=model, strict=strict)[0]

    if why is None:
        assert 1 == run().rows
        return
    with pytest.raises(StepError) as caught:
        run()
    assert why in caught.value.why
    assert [] == list((tmp_path / "scores").glob("[!_]*"))


@pytest.mark.parametrize("output_format", ["jsonl", "parquet", "csv"])
def test_a_model_that_returns_a_table_gives_it_columns(bench: Bench, tmp_path: Path, output_format: str) -> None:
    """
    NaN is a missing value, an object is JSON text, and a column with the name of a key gets another one.
    """
    output = tmp_path / "scores"
    scored(bench, bench.tables / "t.jsonl", output, model="table", output_format=output_format)
    code = (
        "import sys, pandas as pd\n"
        "from pathlib import Path\n"
        "text = {'id': str, 'prediction_id': str}\n"
        "read = {'.csv': lambda f: pd.read_csv(f, dtype=text), '.parquet': pd.read_parquet,"
        " '.jsonl': lambda f: pd.read_json(f, lines=True, dtype=text)}\n"
        "files = sorted(Path(sys.argv[1]).glob('[!_]*'))\n"
        "table = pd.concat([read[f.suffix](f) for f in files])\n"
        "table['day'] = pd.to_datetime(table['day']).dt.strftime('%Y-%m-%d')\n"
        "print(table.to_json(orient='records'))\n"
    )
    rows = json.loads(bench.run_python(code, output))

    by_key = {row["id"]: row for row in rows}
    first, last = by_key["0001"], by_key["0020"]
    assert (1.1, "1.1", "2026-01-02") == (first["low"], first["prediction_id"], first["day"])
    assert {"of": [1.1, 0.5], "n": 1} == json.loads(first["nested"])
    assert (None, "20.1", 20) == (last["low"], last["prediction_id"], last["input_row"])


@pytest.mark.extended
def test_a_model_that_dies_leaves_whole_parts_and_is_continued(bench: Bench, tmp_path: Path) -> None:
    """
    It ends its process at the fourth call: each run gets further, and the one that reaches the end publishes all.
    """
    source, output = bench.tables / "t.parquet", tmp_path / "scores"

    def run() -> int:
        return scored(bench, source, output, model="dying", killed=lambda _: False, part_rows=4)[1]

    kept, reasons = 0, []
    for _ in bench.expected:
        try:
            kept = run()
            break
        except ToolFailed as error:
            reasons.append((error.why, written(output)))

    assert ([("out of luck", [])] * len(reasons), True, True) == (reasons, len(reasons) > 0, kept > 1)
    assert {f"{number:04d}" for number in range(1, 21)} - {f"{EMPTY:04d}"} == predictions(output).keys()
