"""A model of LightGBM, whose wheel needs a library that slim images lack, from its lock to promoted."""

import subprocess
from pathlib import Path

import pytest

from .conftest import name_of_image
from .consumer import make_consumer
from .images import remove_image, run_in

TRAINING = """
    import lightgbm

    with mlflow.start_run():
        classifier = lightgbm.LGBMClassifier(n_estimators=20, num_leaves=7, random_state=7, verbose=-1)
        classifier.fit(wines_seen, cultivars_seen)
        guesses = classifier.predict(wines_unseen)
        mlflow.lightgbm.log_model(
            classifier,
            name="wine",
            signature=infer_signature(wines_seen, guesses),
            input_example=wines_unseen.head(5),
        )
"""
# Which files of OpenMP a process has that uses both packages.
ONE = """
import lightgbm, sklearn.ensemble
print(*sorted({line.split()[-1] for line in open("/proc/self/maps") if "gomp" in line}))
"""


@pytest.mark.engine
@pytest.mark.extended
@pytest.mark.parametrize("builder", ["engine", "compose"])
def test_lightgbm_goes_from_lock_to_promoted(tmp_path: Path, root: Path, builder: str) -> None:
    """
    On the slim image, without a package manager: its OpenMP is scikit-learn's, whose wheel the lock hashes.
    """
    image = name_of_image()
    wine = make_consumer(tmp_path / "wine", tmp_path / "home", root / "examples" / "wine", engine="any", image=image)
    wine.edit(wine.folder / "pyproject.toml", '"scikit-learn>=1.7"', '"scikit-learn>=1.7", "lightgbm>=4.6"')
    program = (wine.folder / "train.py").read_text()
    head, _, rest = program.partition("\n    with mlflow.start_run():")
    (wine.folder / "train.py").write_text(f"{head}{TRAINING}\n\n{rest[rest.index('if __name__') :]}")
    subprocess.run(("uv", "lock", "--quiet"), cwd=wine.folder, check=True)
    wine.git("add", "--all")
    wine.git("commit", "--quiet", "--message", "lightgbm")

    try:
        released = wine.run("release", "--engine", "any", "--builder", builder)
        evaluated = wine.run("evaluate") if released.code == 0 else released
        promoted = wine.run("promote") if evaluated.code == 0 else evaluated
        files = run_in(image, "/opt/venv/bin/python", "-I", "-c", ONE).split() if promoted.code == 0 else []
    finally:
        remove_image(image)

    assert (0, 0, 0) == (released.code, evaluated.code, promoted.code), promoted.stderr
    assert "image-library-linked" in released.rules
    assert ["scikit_learn.libs"] == [Path(file).parent.name for file in files], "one runtime serves both"
