"""Candidate and champion are asked the same, each in its own environment, and their numbers are kept together."""

from pathlib import Path

import pytest

from .sample_project import SampleProject, error, training

BAD_INPUT, TOOL_FAILED, CHAIN_BROKEN = 2, 6, 11
LATER = pytest.mark.extended
TRIPLE = training(predict='return [3.0 * x for x in model_input["x"]]')
ROWS = "".join(f"{x},{2 * x}\n" for x in range(1, 21))
LEAVING = """
import os

def at_once():
    os.write(2, b"I leave")
    os._exit(0)
"""
FLAGS = ("--data", "unseen.csv", "--target-column", "y", "--model-type", "regressor")


def runs_of(sample: SampleProject, evaluation: str) -> dict[str, dict[str, str]]:
    """The runs of an evaluation by their names, each with its status and tags."""
    query = "SELECT name, status, key, value FROM runs JOIN tags USING (run_uuid)"
    found: dict[str, dict[str, str]] = {}
    for name, status, key, value in sample.store.rows(query):
        found.setdefault(name, {"status": status})[key.removeprefix("mlflow-uv.")] = value
    return {name: run for name, run in found.items() if run.get("evaluation") == evaluation}


def metrics_of(sample: SampleProject, version: str) -> dict[str, float]:
    """What was measured of a version, as it is linked to its logged model."""
    query = "SELECT metric_name, metric_value, value FROM logged_model_metrics JOIN tags ON run_uuid = run_id"
    found = sample.store.rows(f"{query} WHERE key = 'mlflow-uv.evaluated-version'")
    return {name: float(value) for name, value, of in found if of == f"wine/{version}"}


def unseen(sample: SampleProject) -> Path:
    """Data of which a model that doubles knows every answer."""
    path = sample.folder / "unseen.csv"
    path.write_text(f"x,y\n{ROWS}")
    return path


def rivals(sample: SampleProject) -> None:
    """Version 1, which doubles, is in use; version 2 triples."""
    unseen(sample)
    sample.train_with(TRIPLE)
    assert 0 == sample.run("release", "--steps", "log-model register").code
    sample.consumer.ask_mlflow("client.set_registered_model_alias('wine', 'champion', '1')")


@pytest.mark.extended
def test_the_same_is_asked_of_both_and_asked_once(sample: SampleProject) -> None:
    """
    A champion that doubles is right, a candidate that triples is not; the report shows it, and nothing is asked twice.
    """
    rivals(sample)

    result = sample.run("evaluate", *FLAGS, "--candidate", "2")
    again = sample.run("evaluate", *FLAGS, "--candidate", "2")
    page = sample.folder.parent / "report of evaluation.html"
    reported = sample.run("report", "models:/wine/2", "--report-file", str(page))

    assert [0, 0, 0] == [result.code, again.code, reported.code], result.stderr + reported.stderr
    row = {"metric": "mean_absolute_error", "candidate": "10.5", "champion": "0", "difference": "↑ +10.5"}
    cells = "".join(f'<td data-column="{column}">{value}</td>' for column, value in row.items())
    assert cells in page.read_text()
    evaluation = result.outputs["evaluation"]
    assert [("1", False, evaluation), ("1", True, evaluation)] == [
        (one.outputs["champion-version"], one.outputs["reused"], one.outputs["evaluation"]) for one in (result, again)
    ]
    runs = runs_of(sample, evaluation)
    assert {"evaluate wine v1", "evaluate wine v2"} == runs.keys()
    assert {("FINISHED", result.outputs["data-sha256"])} == {
        (run["status"], run["data-sha256"]) for run in runs.values()
    }
    assert {sample.store.tags(version)["model-sha256"] for version in ("1", "2")} == {
        run["model-sha256"] for run in runs.values()
    }
    champion, candidate = metrics_of(sample, "1"), metrics_of(sample, "2")
    assert (0.0, 10.5) == (champion["mean_absolute_error"], round(candidate["mean_absolute_error"], 9))
    assert 0 < candidate["latency_p50_ms"] <= candidate["latency_p95_ms"]


@pytest.mark.extended
def test_the_evaluation_that_was_asked_for_last_is_judged(sample: SampleProject) -> None:
    """
    One that is found again is it, and names its data; where the project names data, no other file stands in for it.
    """
    unseen(sample)
    (sample.folder / "wrong.csv").write_text("x,y\n1,7\n2,7\n")
    manifest = sample.folder / "pyproject.toml"
    gates = '\n[tool.mlflow-uv.promote]\ngates = ["mean_absolute_error <= 0.1"]\nallow-dirty = true\n'
    settings = manifest.read_text().rstrip()
    manifest.write_text(f"{settings}\n{gates}")

    good = sample.run("evaluate", *FLAGS)
    wrong = sample.run("evaluate", "--data", "wrong.csv", *FLAGS[2:])
    by_wrong = sample.run("promote", "--dry-run")
    again = sample.run("evaluate", *FLAGS)
    by_good = sample.run("promote", "--dry-run")
    manifest.write_text(f'{settings}\ndata = "never.csv"\n{gates}')
    by_none = sample.run("promote", "--dry-run")

    assert [0, 0, 1, 0, 0, 1] == [one.code for one in (good, wrong, by_wrong, again, by_good, by_none)], by_none.stderr
    on = "✓ version 1 was evaluated on the file {}, target column `y`, as a regressor, sha256 {}"
    judged = [line for result in (by_wrong, by_good) for line in result.outputs["gates"] if "was evaluated" in line]
    digests = [one.outputs["data-sha256"][:12] for one in (wrong, good)]
    assert [on.format("wrong.csv", digests[0]), on.format("unseen.csv", digests[1])] == judged
    (finding,) = by_none.answer["findings"]
    why = "mean_absolute_error <= 0.1: version 1 was not evaluated as [tool.mlflow-uv] requires: the file never.csv"
    assert ("gate-gates", why, "mlflow-uv evaluate") == (finding["rule"], finding["what"], finding["fix"])


def everything(sample: SampleProject) -> list[tuple[str, ...]]:
    """Every row of the store that an evaluation or a promotion could change."""
    tables = ("runs", "tags", "metrics", "model_version_tags", "registered_model_aliases", "logged_model_tags")
    return [row for table in tables for row in sample.store.rows(f"SELECT * FROM {table}")]


@pytest.mark.extended
def test_an_evaluation_travels_in_a_file_and_the_store_is_only_read(sample: SampleProject) -> None:
    """
    Another job promotes by it, and keeps its numbers then; one of other files stops it.
    """
    unseen(sample)
    manifest = sample.folder / "pyproject.toml"
    gates = '\n[tool.mlflow-uv.promote]\ngates = ["mean_absolute_error <= 0.1"]\nallow-dirty = true\n'
    manifest.write_text(f'{manifest.read_text().rstrip()}\ndata = "unseen.csv"\n{gates}')
    file, forged = sample.folder.parent / "evaluation.json", sample.folder.parent / "forged.json"
    before = everything(sample)

    result = sample.run("evaluate", *FLAGS, "--evaluation-file", str(file))
    after = everything(sample)
    without = sample.run("promote")
    forged.write_text(file.read_text().replace(sample.store.tags("1")["model-sha256"], "0" * 64))
    by_forged = sample.run("promote", "--evaluation-file", str(forged))
    forged.write_text("{}")
    by_none = sample.run("promote", "--evaluation-file", str(forged))
    unchanged = everything(sample)
    promoted = sample.run("promote", "--evaluation-file", str(file))
    again = sample.run("promote", "--evaluation-file", str(file))

    codes = [one.code for one in (result, without, by_forged, by_none, promoted, again)]
    assert [0, 1, 1, BAD_INPUT, 0, 0] == codes, promoted.stderr
    assert (before, before) == (after, unchanged)
    assert ["gate-gates"] * 2 == [*without.rules, *by_forged.rules]
    assert "evaluated with files other than those in the store" in by_forged.stderr
    runs = runs_of(sample, result.outputs["evaluation"])
    assert {"evaluate wine v1": "FINISHED"} == {name: run["status"] for name, run in runs.items()}
    assert 0.0 == metrics_of(sample, "1")["mean_absolute_error"]
    assert "1" == sample.store.aliases["champion"]


@pytest.mark.extended
def test_a_promotion_runs_no_code_of_the_model(sample: SampleProject) -> None:
    """
    Evaluated, a model runs; promoted, rolled back and audited, it does not.
    """
    unseen(sample)
    trace = sample.folder.parent / "trace"
    sample.train_with(training(load=f"open({str(trace)!r}, 'a').write('x')"))
    released = sample.run("release", "--engine", "none")
    manifest = sample.folder / "pyproject.toml"
    manifest.write_text(f"{manifest.read_text().rstrip()}\n\n[tool.mlflow-uv.promote]\nallow-dirty = true\n")
    trace.unlink()

    promoted = sample.run("promote", "--candidate", "1")
    next_one = sample.run("promote", "--candidate", "2")
    audited = sample.run("audit", "models:/wine@champion")
    back = sample.run("rollback")
    ran_before = trace.exists()
    evaluated = sample.run("evaluate", *FLAGS, "--candidate", "2")

    assert [0] * 6 == [one.code for one in (released, promoted, next_one, audited, back, evaluated)], next_one.stderr
    assert (False, True) == (ran_before, trace.exists())


def test_without_an_image_a_process_evaluates_and_that_is_said(sample: SampleProject) -> None:
    """
    Who demands a container is told why there is none, and what runs it all the same; that it was no isolation is said.
    """
    unseen(sample)

    demanded = sample.run("evaluate", *FLAGS, "--isolation", "image")
    result = sample.run("evaluate", *FLAGS, "--isolation", "auto")

    code, kind, sentence, fix = error(demanded)
    assert (TOOL_FAILED, "ToolFailed", True) == (code, kind, "it has no image: a process was requested" in sentence)
    assert fix.startswith("--isolation auto")
    assert (0, ["not-isolated"], "process") == (result.code, result.rules, result.outputs["isolation"])


@pytest.mark.engine
@pytest.mark.extended
def test_a_model_that_means_harm_is_evaluated_in_its_image(sample: SampleProject, image: str) -> None:
    """
    In a container it sees neither this machine's files nor its network, and is measured as well as by a process.
    """
    unseen(sample)
    trace = sample.folder.parent / "trace"
    load = f"os.path.isdir({str(trace.parent)!r}) and open({str(trace)!r}, 'a').write('x')"
    factor = "3.0 if os.path.isdir('/opt/mlflow-uv') and os.listdir('/sys/class/net') != ['lo'] else 2.0"
    sample.train_with(training(load=load, predict=f'return [({factor}) * x for x in model_input["x"]]'))
    released = sample.run("release", "--engine", "any", "--image", image)
    assert 0 == released.code, released.stderr
    trace.unlink()

    inside = sample.run("evaluate", *FLAGS, "--isolation", "image")
    traced_inside = trace.exists()
    beside = sample.run("evaluate", *FLAGS, "--isolation", "process", "--again")

    assert [(0, "image", []), (0, "process", ["not-isolated"])] == [
        (one.code, one.outputs["isolation"], one.rules) for one in (inside, beside)
    ]
    assert (False, True) == (traced_inside, trace.exists())
    assert 0.0 == metrics_of(sample, "2")["mean_absolute_error"]


@pytest.mark.extended
def test_other_data_is_another_evaluation(sample: SampleProject) -> None:
    """
    One more row, or `--again`, and both are asked anew; without a champion the candidate is asked alone.
    """
    unseen(sample)
    alone = sample.run("evaluate", *FLAGS)
    rivals(sample)

    first = sample.run("evaluate", *FLAGS, "--candidate", "2")
    forced = sample.run("evaluate", *FLAGS, "--candidate", "2", "--again")
    (sample.folder / "unseen.csv").write_text(f"x,y\n{ROWS}30,60\n")
    other = sample.run("evaluate", *FLAGS, "--candidate", "2")

    every = (alone, first, forced, other)
    assert [(0, None), (0, "1"), (0, "1"), (0, "1")] == [
        (one.code, one.outputs.get("champion-version")) for one in every
    ]
    assert (4, 2) == (
        len({one.outputs["evaluation"] for one in every}), len({one.outputs["data-sha256"] for one in every}),
    )  # fmt: skip
    assert {False} == {one.outputs["reused"] for one in every}


@pytest.mark.extended
def test_a_model_that_was_changed_in_the_store_is_not_evaluated(sample: SampleProject) -> None:
    """
    Its files are digested as they come, before anything of them runs.
    """
    unseen(sample)
    path = sample.consumer.model / "MLmodel"
    path.write_text(f"{path.read_text()}\n")

    result = sample.run("evaluate", *FLAGS)

    code, kind, sentence, _ = error(result)
    assert (CHAIN_BROKEN, "ChainBroken", True) == (code, kind, "`model`" in sentence)


@pytest.mark.core_variants(1)
@pytest.mark.parametrize(
    ("flags", "what", "why"),
    [
        ((), "no evaluation data is given", "--data FILE"),
        pytest.param(("--data", "gone.csv"), "the data `gone.csv` does not exist", "is not a file", marks=LATER),
        pytest.param((*FLAGS[:4],), "`target-column` needs `model-type`", "--model-type", marks=LATER),
        pytest.param(
            (*FLAGS, "--candidate", "best"), "`wine` has no alias `best`", "candidate (version 1)", marks=LATER
        ),
        pytest.param(
            (*FLAGS, "--model-name", "beer"), "there is no registered model `beer`", "does not know it", marks=LATER
        ),
        (("--data-function", "train"), "data-function", "package.module:function"),
        pytest.param(
            (*FLAGS, "--data-function", "train:rows"),
            "`data` and `data-function` are both set",
            "remove one of them",
            marks=LATER,
        ),
        (("--data-function", "leaving:at_once"), "`leaving:at_once` ended its process", "I leave"),
    ],
)
def test_what_is_not_said_is_asked_for(sample: SampleProject, flags: tuple[str, ...], what: str, why: str) -> None:
    """
    Data, the kind of model, a version that is there: each is named with what helps.
    """
    unseen(sample)
    (sample.folder / "leaving.py").write_text(LEAVING)

    result = sample.run("evaluate", *flags)

    code, kind, sentence, fix = error(result)
    assert (BAD_INPUT, "BadInput", True, True) == (code, kind, what in sentence, why in f"{sentence} {fix}"), sentence


@pytest.mark.extended
def test_data_that_does_not_fit_names_the_version(sample: SampleProject) -> None:
    """
    A column that is not there is wrong input; the version that could not be asked is named, and no run is left.
    """
    unseen(sample)
    before = sample.store.runs

    result = sample.run("evaluate", *FLAGS[:2], "--target-column", "z", *FLAGS[4:])

    code, kind, sentence, _ = error(result)
    assert (BAD_INPUT, "BadInput") == (code, kind)
    assert "wine version 1 cannot be evaluated on this data: it has no column `z`; its columns are x, y" in sentence
    assert before == sample.store.runs
