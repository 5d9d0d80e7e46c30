"""A table is scored by the command: rows with their origin, a second run, and a container of the version's image."""

import csv
import json
from pathlib import Path

import pytest

from .sample_project import SampleProject, error, training

BAD_INPUT = 2
URI = "models:/wine/1"


def table(path: Path, *, rows: int) -> str:
    """A table with an id and the column of the model, outside of the project."""
    path.write_text("id,x\n" + "".join(f"{number:03d},{number}.5\n" for number in range(rows)))
    return str(path)


def scores(output: Path) -> list[dict[str, str]]:
    """The rows of an output in CSV."""
    parts = sorted(output.glob("*.csv"))
    return [row for part in parts for row in csv.DictReader(part.read_text().splitlines())]


def test_scored_rows_name_the_version_and_a_second_run_scores_nothing(sample: SampleProject, tmp_path: Path) -> None:
    """
    Every row has the model's name, version and release key; the same command again keeps what is there.
    """
    folder, output = tmp_path / "new", tmp_path / "scores é"
    folder.mkdir()
    source = table(folder / "new wines.csv", rows=20)
    folder.chmod(0o555)  # an input may be read-only
    flags = (URI, "--input", source, "--output", str(output), "--key-columns", "id")

    first = sample.run("score", *flags)
    again = sample.run("score", *flags)

    assert (0, 20, 0, "process", 0) == (
        first.code, *(first.outputs[name] for name in ("rows", "rejected", "isolation", "reused-parts")),
    ), first.stderr  # fmt: skip
    assert [source] == [str(path) for path in folder.iterdir()]
    assert (0, 20, "", 1) == (again.code, *(again.outputs[name] for name in ("rows", "isolation", "reused-parts")))
    found = scores(output)
    key = found[0]["release_key"]
    assert 64 == len(key)
    assert [
        (f"{number:03d}", 2 * number + 1.0, "wine", "1", key, "new wines.csv", str(number + 1)) for number in range(20)
    ] == [
        (
            row["id"], float(row["prediction"]), row["model_name"], row["model_version"], row["release_key"],
            row["input_file"], row["input_row"],
        )
        for row in found
    ]  # fmt: skip


@pytest.mark.extended
def test_a_parameter_that_the_model_lacks_is_refused(sample: SampleProject, tmp_path: Path) -> None:
    """
    MLflow would ignore it. Nothing is left, and the command scores without it.
    """
    output = tmp_path / "scores"
    flags = (URI, "--input", table(tmp_path / "t.csv", rows=2), "--output", str(output))

    refused = sample.run("score", *flags, "--params", '{"top_k": 3}')
    left = output.exists()

    sentence = "`params` does not fit the signature of the model: the model has no parameter `top_k`; its signature"
    assert (BAD_INPUT, f"{sentence} declares none", False) == (*error(refused)[::2], left)
    assert 0 == sample.run("score", *flags).code


@pytest.mark.extended
def test_no_secret_of_the_caller_reaches_the_model_or_the_output(sample: SampleProject, tmp_path: Path) -> None:
    """
    Neither logins of package indexes and stores, nor the runner's token; and no line of the model is a command.
    """
    secrets = {
        "MLFLOW_TRACKING_TOKEN": "tok-4711-tracking", "UV_INDEX_PRIVATE_PASSWORD": "pw-4711-index",
        "AWS_SECRET_ACCESS_KEY": "key-4711-aws", "GITHUB_TOKEN": "ghp-4711-github",
    }  # fmt: skip
    seen = (
        "seen = ' '.join(os.environ.values()) + ''.join(open(f'/proc/{pid}/environ').read()"
        " for pid in ('self', os.getppid()) if os.access(f'/proc/{pid}/environ', os.R_OK))"
    )
    # The model knows the values backwards, so that its own text has none of them.
    known = f"sum(value[::-1] in seen for value in {[value[::-1] for value in secrets.values()]!r})"
    shown = "print('::error::obeyed'); raise ValueError(f'::set-output name=x::{found} seen')"
    predict = f"{seen}; found = {known}; {shown}"
    predict = f"if (model_input['x'] > 5).any():\n            {predict}\n        return model_input['x']"
    sample.train_with(training(predict=predict))
    assert 0 == sample.run("release", "--engine", "none", "--steps", "log-model register").code
    source, output = table(tmp_path / "t.csv", rows=8), tmp_path / "scores"

    done = sample.run("score", "models:/wine/2", "--input", source, "--output", str(output), variables=secrets)

    assert (0, 5, 3) == (done.code, done.outputs["rows"], done.outputs["rejected"]), done.stderr
    texts = [done.stderr, done.stdout, *(path.read_text() for path in output.rglob("*") if path.is_file())]
    assert [] == [value for value in secrets.values() for text in texts if value in text]
    assert "::set-output name=x::0 seen" in done.stderr
    assert [] == [line for text in texts for line in text.splitlines() if line.startswith("::")]


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("data/scores", "is inside of the input"),
        ("other", "has other content"),
        ("data/a.csv", "is inside of the input"),
    ],
)
def test_a_folder_that_is_not_an_output_stays_as_it_is(
    sample: SampleProject, tmp_path: Path, output: str, what: str
) -> None:
    """
    Refused before MLflow is started, with nothing created and nothing replaced.
    """
    for folder in ("data", "other"):
        (tmp_path / folder).mkdir()
        table(tmp_path / folder / "a.csv", rows=1)
    before = sorted(tmp_path.rglob("*"))

    refused = sample.run("score", URI, "--input", str(tmp_path / "data"), "--output", str(tmp_path / output))

    code, _, sentence, _ = error(refused)
    assert (BAD_INPUT, True) == (code, what in sentence)
    assert before == sorted(tmp_path.rglob("*"))


@pytest.mark.engine
@pytest.mark.extended
def test_a_model_that_means_harm_scores_in_its_image(sample: SampleProject, image: str, tmp_path: Path) -> None:
    """
    In a container it sees neither this machine's files nor its network, and its answers are those of a process.
    """
    source = table(tmp_path / "t.csv", rows=500)
    trace = sample.folder.parent / "trace"
    load = f"os.path.isdir({str(trace.parent)!r}) and open({str(trace)!r}, 'a').write('x')"
    factor = "2.0 if not os.path.isdir('/opt/mlflow-uv') or os.listdir('/sys/class/net') == ['lo'] else 3.0"
    sample.train_with(training(load=load, predict=f'return [({factor}) * x for x in model_input["x"]]'))
    released = sample.run("release", "--engine", "any", "--image", image)
    assert 0 == released.code, released.stderr
    trace.unlink()
    flags = ("models:/wine/2", "--input", source, "--batch-rows", "60", "--part-rows", "200")

    inside = sample.run("score", *flags, "--output", str(tmp_path / "inside"), "--isolation", "image")
    traced_inside = trace.exists()
    beside = sample.run("score", *flags, "--output", str(tmp_path / "beside"), "--isolation", "process")

    assert [(0, "image", 500, []), (0, "process", 500, ["not-isolated"])] == [
        (one.code, one.outputs["isolation"], one.outputs["rows"], one.rules) for one in (inside, beside)
    ]
    assert (False, True) == (traced_inside, trace.exists())
    assert [2 * (number + 0.5) for number in range(500)] == [
        float(row["prediction"]) for row in scores(tmp_path / "inside")
    ]
    assert scores(tmp_path / "inside") == scores(tmp_path / "beside")


@pytest.mark.extended
def test_a_model_that_fails_on_every_row_ends_the_step(sample: SampleProject, tmp_path: Path) -> None:
    """
    A few rows that all fail are an error, and their reasons are kept where no reader of the output looks.
    """
    source, output = tmp_path / "t.csv", tmp_path / "scores"
    source.write_text("x\n7\n8\n9\n")
    sample.train_with(training(predict='return [1 / (x < 5) for x in model_input["x"]]'))
    assert 0 == sample.run("release", "--engine", "none", "--steps", "log-model register").code

    failed = sample.run("score", "models:/wine/2", "--input", str(source), "--output", str(output))

    code, _, sentence, _ = error(failed)
    assert (BAD_INPUT, True) == (code, "wine version 2 can score no row of the input" in sentence), sentence
    assert [] == list(output.glob("[!_]*"))
    (reasons,) = output.rglob("t-00000.jsonl")
    assert ["ZeroDivisionError: division by zero"] * 3 == [
        json.loads(line)["reason"] for line in reasons.read_text().splitlines()
    ]


@pytest.mark.extended
@pytest.mark.usefixtures("java_program")
def test_spark_scores_as_one_process(sample: SampleProject, tmp_path: Path) -> None:
    """
    Each row once, with the same values and numbers; rows that cannot be scored have the same reasons.
    """
    (tmp_path / "in").mkdir()
    source = table(tmp_path / "in" / "a.csv", rows=50)
    (tmp_path / "in" / "b.csv").write_text("id,x\na,1\nb,no number\n\nc,3\n")
    flags = (URI, "--input", str(tmp_path / "in"), "--key-columns", "id", "--part-rows", "20")

    alone = sample.run("score", *flags, "--output", str(tmp_path / "alone"))
    spread = sample.run("score", *flags, "--output", str(tmp_path / "spread"), "--spark-master", "local[2]")
    again = sample.run("score", *flags, "--output", str(tmp_path / "spread"), "--spark-master", "local[2]")

    assert [(0, 52, 1, "process"), (0, 52, 1, "spark"), (0, 52, 1, "")] == [
        (done.code, *(done.outputs[name] for name in ("rows", "rejected", "isolation")))
        for done in (alone, spread, again)
    ], spread.stderr
    assert source
    assert scores(tmp_path / "alone") == scores(tmp_path / "spread")
    rejects = [
        "".join(path.read_text() for path in sorted((tmp_path / name / "_rejects").iterdir()))
        for name in ("alone", "spread")
    ]
    assert rejects[0] == rejects[1]


@pytest.mark.extended
@pytest.mark.usefixtures("java_program")
def test_a_model_that_predicts_otherwise_or_ends_on_spark(sample: SampleProject, tmp_path: Path) -> None:
    """
    The comparison sees another value; a worker that ends is an error, and no half-written part is left.
    """
    on_spark = '"pyspark" in __import__("sys").modules'
    flags = ("--input", table(tmp_path / "t.csv", rows=20))
    sample.train_with(training(predict=f'return [(3.0 if {on_spark} else 2.0) * x for x in model_input["x"]]'))
    assert 0 == sample.run("release", "--engine", "none", "--steps", "log-model register").code
    sample.train_with(training(predict=f'return {on_spark} and os._exit(3) or model_input["x"]'))
    assert 0 == sample.run("release", "--engine", "none", "--steps", "log-model register").code
    on, alone, ended = (tmp_path / name for name in ("on", "alone", "ended"))

    done = [
        sample.run("score", "models:/wine/2", *flags, "--output", str(alone)),
        sample.run("score", "models:/wine/2", *flags, "--output", str(on), "--spark-master", "local[2]"),
        sample.run("score", "models:/wine/3", *flags, "--output", str(ended), "--spark-master", "local[2]"),
    ]

    assert [0, 0] == [one.code for one in done[:2]]
    assert scores(alone) != scores(on)
    assert ("Spark cannot score the table" in error(done[2])[2], ended.exists()) == (True, False)
