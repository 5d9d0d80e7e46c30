"""Projects as they are found in public go from their lock to a promoted version, in one go each."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .consumer import CommandResult, make_consumer
from .sample_project import SampleProject

IGNORED = "mlflow.db*\nmlruns/\noutputs/\nexecuted/\n"
FIT = """\
import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import Ridge

X = pd.DataFrame({"width": [1.0, 2.0, 3.0, 4.0], "age": [4.0, 3.0, 2.0, 2.0]})
Y = X["width"] * 3 - X["age"]


def fit(alpha, **options):
    model = Ridge(alpha=alpha).fit(X, Y)
    mlflow.log_metric("rmse", float(((model.predict(X) - Y) ** 2).mean() ** 0.5))
    return mlflow.sklearn.log_model(
        model, name="model", serialization_format="cloudpickle", input_example=X.head(2),
        signature=infer_signature(X, model.predict(X)), **options,
    )
"""
HARD_CODED = """\
from fitting import fit, mlflow

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("wines")
with mlflow.start_run():
    fit(0.1)
"""
HYDRA = """\
import hydra
from fitting import fit, mlflow


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(cfg):
    mlflow.set_tracking_uri(cfg.mlflow.tracking_uri)
    mlflow.set_experiment(cfg.mlflow.experiment)
    with mlflow.start_run():
        fit(cfg.model.alpha)


if __name__ == "__main__":
    main()
"""
CONFIG = (
    "mlflow:\n  tracking_uri: sqlite:///${hydra:runtime.cwd}/mlflow.db\n  experiment: wines\nmodel:\n  alpha: 0.5\n"
)
DOTENV = """\
from dotenv import load_dotenv

load_dotenv(override=True)

from fitting import fit, mlflow

with mlflow.start_run():
    fit(0.1)
"""
MLPROJECT = """\
name: wine
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 1.0}
    command: "python train.py --alpha {alpha}"
"""
WITH_ALPHA = """\
import argparse

from fitting import fit, mlflow

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float)
with mlflow.start_run():
    fit(parser.parse_args().alpha)
"""
# As the tutorials of MLflow have it: the best child run is registered, and an alias moves at once.
SEARCH = """\
from fitting import fit, mlflow

best = None
with mlflow.start_run(run_name="search"):
    for alpha in (10.0, 0.1, 1.0):
        with mlflow.start_run(run_name=f"alpha-{alpha}", nested=True) as run:
            info = fit(alpha)
            rmse = mlflow.MlflowClient().get_run(run.info.run_id).data.metrics["rmse"]
            best = min(best or (rmse, info.model_uri), (rmse, info.model_uri))
version = mlflow.register_model(best[1], "best-wine")
mlflow.MlflowClient().set_registered_model_alias("best-wine", "production", version.version)
"""
PUBLIC = pytest.mark.extended


@pytest.fixture
def shape(tmp_path: Path, root: Path) -> Callable[..., SampleProject]:
    """A committed project with these files, its training and the fitting that all of them share."""

    def made(files: dict[str, str], *, settings: str = "") -> SampleProject:
        example = shutil.copytree(root / "tests" / "shapes", tmp_path / "example")
        manifest = example / "pyproject.toml"
        manifest.write_text(manifest.read_text() + settings)
        for name, text in {".gitignore": IGNORED, "fitting.py": FIT, **files}.items():
            (example / name).parent.mkdir(exist_ok=True)
            (example / name).write_text(text)
        (tmp_path / "temporary").mkdir()
        consumer = make_consumer(tmp_path / "shapes", tmp_path / "home", example, engine="none")
        return SampleProject(consumer=consumer, temporary=tmp_path / "temporary", untouched=tmp_path / "untouched")

    return made


def released(sample: SampleProject, *flags: str) -> tuple[CommandResult, list[str]]:
    """A release that ends well, and the rules of its findings."""
    result = sample.consumer.run("release", "--engine", "none", *flags)
    assert (0, "tested") == (result.code, result.outputs["state"]), result.stderr
    rules = [finding["rule"] for finding in result.answer["findings"]]
    return result, [
        rule for rule in rules if rule not in ("not-isolated", "no-image", "target-builds", "served-in-process")
    ]


def promoted(sample: SampleProject, *flags: str) -> str:
    """Which version is the champion after a promotion."""
    result = sample.consumer.run("promote", *flags)
    assert 0 == result.code, result.stderr
    return str(result.outputs["version"])


@PUBLIC
@pytest.mark.parametrize(
    "files",
    [{"train.py": HARD_CODED}, {"train.py": HYDRA, "conf/config.yaml": CONFIG}],
    ids=["hard-coded", "hydra"],
)
def test_a_tracking_uri_of_their_own_is_followed_to_the_champion(shape, files: dict[str, str]) -> None:
    """
    In the code, or in a configuration: the release goes on there, says so, and the line it prints is all that is left.
    """
    sample = shape(files)

    result, rules = released(sample)
    (finding,) = [one for one in result.answer["findings"] if one["rule"] == "own-tracking-uri"]
    champion = promoted(sample, "--tracking-uri", result.outputs["tracking-uri"])

    assert ("1", True) == (champion, "own-tracking-uri" in rules)
    assert 'tracking-uri = "sqlite:///mlflow.db"' in finding["fix"]
    assert (sample.folder / "mlflow.db").is_file()


@PUBLIC
def test_a_tracking_uri_from_dotenv_is_followed_to_the_champion(shape) -> None:
    """
    `.env` overrides what the job says, with a folder of files, and opens it for a newer MLflow.
    """
    env = "MLFLOW_TRACKING_URI=./mlruns\nMLFLOW_ALLOW_FILE_STORE=true\n"
    sample = shape({"train.py": DOTENV, ".env": env}, settings='tracking-uri = "./mlruns"\n')

    _, rules = released(sample)

    assert "own-tracking-uri" not in rules
    assert "1" == promoted(sample)
    assert (sample.folder / "mlruns" / "models" / "shapes").is_dir()


@PUBLIC
def test_an_mlproject_with_parameters_goes_to_the_champion(shape) -> None:
    """
    What the file calls parameters is said once, in the project's settings.
    """
    sample = shape(
        {"train.py": WITH_ALPHA, "MLproject": MLPROJECT}, settings='entry-point = "main"\nparameters = ["alpha=0.25"]\n'
    )
    manifest = sample.folder / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace('train = "python train.py"\n', ""))
    sample.commit()

    released(sample)

    assert "1" == promoted(sample)
    assert [("0.25",)] == sample.store.rows("SELECT value FROM params WHERE key = 'alpha'")


@PUBLIC
def test_a_search_that_registers_by_itself_is_told_and_can_be_kept_from_it(shape) -> None:
    """
    The best child run is released; two names and an alias that moved are said; the printed flag ends both.
    """
    sample = shape({"train.py": SEARCH})

    result, rules = released(sample)
    flag = next(one for one in result.answer["findings"] if one["rule"] == "alias-moved-by-training")["fix"].split(",")[
        0
    ]
    kept, quiet = released(sample, flag, "--retrain")
    champion = promoted(sample)

    assert {"alias-moved-by-training", "registered-elsewhere"} <= set(rules)
    assert "train.py:11 calls set_registered_model_alias" in result.stderr
    assert "--withhold-registry" == flag
    assert set() == {"alias-moved-by-training", "registered-elsewhere"} & set(quiet)
    assert [("1",)] == sample.store.rows("SELECT version FROM model_versions WHERE name = 'best-wine'")
    assert ("2", "2") == (kept.outputs["version"], champion)
    metrics = sample.store.rows("SELECT value FROM latest_metrics ORDER BY value")
    run = json.loads(sample.consumer.record.read_text())["model"]["run_id"]
    assert metrics[0] == sample.store.rows(f"SELECT value FROM latest_metrics WHERE run_uuid = '{run}'")[0]


@PUBLIC
def test_a_notebook_goes_to_the_champion(shape) -> None:
    """
    Executed by nbconvert from the lock, as it stands; what it writes is ignored by git.
    """
    source = "from fitting import fit, mlflow\nwith mlflow.start_run():\n    fit(0.1)\n"
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "a",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": source,
    }
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = json.dumps({"cells": [cell], "metadata": spec, "nbformat": 4, "nbformat_minor": 5})
    sample = shape({"train.ipynb": notebook})
    train = "jupyter nbconvert --execute --to notebook --output-dir executed train.ipynb"

    released(sample, "--train", train)

    assert "1" == promoted(sample)
