"""Every shape of project: the model says what `uv export` says, what it installs is the lock, and it answers there."""

import json
import os
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.model import model_files
from tests import exports, indexes, projects

from .consumer import Consumer, make_consumer
from .sample_project import ONCE, training

# No package of the tests may be found where packages usually are; an index of ours says which it has.
PACKAGED = {
    "uv_build": '[build-system]\nrequires = ["uv_build>=0.9,<0.14"]\nbuild-backend = "uv_build"\n',
    "hatchling": '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n',
    "setuptools": '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n',
}
ASKING = (
    "import json, sys; from mlflow.pyfunc import scoring_server as s; "
    "m = s.load_model_with_mlflow_config(sys.argv[1]); "
    "case = json.load(open(sys.argv[1] + '/mlflow-uv/cases.json'))[0]; "
    "print(s.invocations(json.dumps(case), 'application/json', m, m.metadata.get_input_schema()).response)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What is added to a small project; `{place}` and `{index}` stand for its surroundings, `imports` for its needs."""

    depends: tuple[str, ...] = ()
    manifest: str = ""
    sources: str = ""
    imports: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    selected: tuple[str, ...] = ()
    travels: tuple[str, ...] = ()
    train: str = ""
    files: tuple[tuple[str, str], ...] = field(default=())


LIBRARY = '[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.9"\n{build}'
GRAPE = Shape(
    depends=("grape",),
    sources='grape = { path = "libs/grape" }',
    imports=("grape",),
    travels=("grape",),
    files=(
        ("libs/grape/pyproject.toml", LIBRARY.format(name="grape", build=PACKAGED["uv_build"])),
        ("libs/grape/src/grape/__init__.py", ""),
    ),
)
PLUM = Shape(
    depends=("plum",),
    sources=(
        'plum = [{ path = "{place}/plum-1.0-py3-none-any.whl", marker = "sys_platform != \'win32\'" },'
        ' { path = "{place}/plum-1.0-py3-none-win_amd64.whl", marker = "sys_platform == \'win32\'" }]'
    ),
    imports=("plum",),
    travels=("plum", "plum"),
)
PEAR = Shape(depends=("pear",), sources='pear = { git = "file://{place}/pear" }', imports=("pear",))
FIG = Shape(depends=("fig",), sources='fig = { index = "cellar" }', imports=("fig",))
EXTRA = Shape(
    manifest='[project.optional-dependencies]\nmore = ["iniconfig"]\nless = ["toolz"]\n',
    imports=("iniconfig",),
    flags=("--extras", "more"),
    selected=("--extra", "more"),
)
GROUP = Shape(
    manifest='[dependency-groups]\nserve = ["iniconfig"]\ndev = ["toolz"]\n',
    imports=("iniconfig",),
    flags=("--groups", "serve"),
    selected=("--group", "serve"),
)
BACKENDS = {
    name: Shape(manifest=build, imports=("wine",), travels=("wine",), files=(("src/wine/__init__.py", ""),))
    for name, build in PACKAGED.items()
}
EVERYTHING = Shape(
    depends=("grape", "plum", "pear"),
    manifest=(
        PACKAGED["setuptools"]
        + '[project.optional-dependencies]\nmore = ["fig"]\nless = ["toolz"]\n'
        + '[dependency-groups]\nserve = ["iniconfig"]\ndev = ["toolz"]\n'
    ),
    sources="\n".join(one.sources for one in (GRAPE, PLUM, PEAR, FIG)),
    imports=("wine", "grape", "plum", "pear", "fig", "iniconfig"),
    flags=("--extras", "more", "--groups", "serve"),
    selected=("--extra", "more", "--group", "serve"),
    travels=("grape", "plum", "plum", "wine"),
    files=(*GRAPE.files, *BACKENDS["setuptools"].files),
)
INDEX = '[[tool.uv.index]]\nname = "cellar"\nurl = "{index}"\nexplicit = true\n'
HEAD = 'import mlflow\nimport pandas as pd\n\nmlflow.start_run()\nEXAMPLE = pd.DataFrame({"x": [1.0, 2.5]})\n'
FLAVORS = {
    "scikit-learn": """
        from sklearn.linear_model import LinearRegression
        model = LinearRegression().fit(EXAMPLE, [1.0, 2.0])
        mlflow.sklearn.log_model(model, name="m", input_example=EXAMPLE)
    """,
    "function": """
        def predict(model_input):
            return [2.0 * x for x in model_input["x"]]
        mlflow.pyfunc.log_model(name="m", python_model=predict, input_example=EXAMPLE)
    """,
    "models from code": """
        mlflow.pyfunc.log_model(name="m", python_model="coded.py", input_example=EXAMPLE)
    """,
    "lightgbm": """
        import lightgbm
        data = lightgbm.Dataset(EXAMPLE, [1.0, 2.0], params={"min_data_in_leaf": 1, "min_data_in_bin": 1})
        model = lightgbm.train({"objective": "regression", "verbosity": -1, "min_data_in_leaf": 1}, data, 3)
        mlflow.lightgbm.log_model(model, name="m", input_example=EXAMPLE)
    """,
}
CODED = """
import mlflow


class Double(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [2.0 * x for x in model_input["x"]]


mlflow.models.set_model(Double())
"""


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the projects refer to: wheels in a folder, a git repository, an index on loopback."""
    place = tmp_path_factory.mktemp("surroundings")
    projects.wheel(place, "plum", "1.0")
    projects.wheel(place, "plum", "1.0", tag="py3-none-win_amd64")
    pear = place / "pear"
    (pear / "src" / "pear").mkdir(parents=True)
    (pear / "src" / "pear" / "__init__.py").touch()
    (pear / "pyproject.toml").write_text(LIBRARY.format(name="pear", build=PACKAGED["hatchling"]))
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "pear")):
        subprocess.run((*git, *words), cwd=pear, check=True)
    folder = indexes.index_of(place / "index", projects.wheel(place, "fig", "1.0"))
    with indexes.served(folder) as url:
        yield {"{place}": str(place), "{index}": url}


def made(shape: Shape, place: Path, example: Path, surroundings: dict[str, str]) -> Consumer:
    """A repository of that shape, locked."""
    copy = Path(shutil.copytree(example, place / "example", ignore=shutil.ignore_patterns("__pycache__", ".venv")))
    manifest = (copy / "pyproject.toml").read_text()
    listed = "".join(f'"{one}", ' for one in shape.depends)
    manifest = manifest.replace("dependencies = [", f"dependencies = [{listed}")
    index = (
        '[[tool.uv.index]]\nname = "cellar"\nurl = "{index}"\nexplicit = true\n' if '"cellar"' in shape.sources else ""
    )
    added = f"\n{shape.manifest}\n[tool.uv.sources]\n{shape.sources}\n{index}"
    for word, meant in surroundings.items():
        added = added.replace(word, meant)
    load = f"import {', '.join(shape.imports)}" if shape.imports else "pass"
    program = HEAD + textwrap.dedent(shape.train) if shape.train else training(ONCE, load=load)
    for name, text in (("pyproject.toml", manifest + added), ("train.py", program), *shape.files):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text)
    subprocess.run(("uv", "lock", "--quiet"), cwd=copy, check=True)
    return make_consumer(place / "checkout", place / "home", copy, engine="none")


def exported(consumer: Consumer, *selected: str) -> str:
    """What uv exports of the lock, without the local packages, in normal form."""
    words = ("--frozen", "--quiet", "--no-hashes", "--no-editable", "--no-default-groups", "--no-emit-local", *selected)
    done = subprocess.run(("uv", "export", *words), cwd=consumer.folder, check=True, capture_output=True, text=True)
    return parse_requirements(done.stdout).text


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """Pairs that have to be equal, and lists that have to be empty."""

    exported: str
    listed: str
    travels: tuple[str, ...]
    differences: tuple[str, ...]
    expected: object
    answered: object


def proof(shape: Shape, place: Path, root: Path, surroundings: dict[str, str]) -> Proof:
    """Log a model of that shape, take everything but the model away, and make an environment from what it says."""
    consumer = made(shape, place, root / "examples" / "wine", surroundings)
    for step, *flags in (("log-model", *shape.flags), ("register",)):
        result = consumer.run(step, *flags)
        assert result.code == 0, result.stderr
    assert consumer.git("status", "--porcelain") == ""
    model = Path(shutil.copytree(consumer.model, place / "elsewhere" / "model"))
    listed, wheels = model_files.split_requirements((model / "requirements.txt").read_text())
    expected = exported(consumer, *shape.selected)
    network = {**exports.ONLINE, "UV_INDEX": surroundings["{index}"]}
    locked = exports.synced(consumer.folder, place / "locked", *shape.selected, network=network)
    shutil.rmtree(consumer.folder)
    shutil.rmtree(consumer.home)
    found = exports.installed(model / "requirements.txt", place / "elsewhere" / "env", *exports.UV_PIP, network=network)
    return Proof(
        exported=expected,
        listed=f"{listed}\n",
        travels=tuple(sorted(name.partition("-")[0] for name, _ in wheels)),
        differences=tuple(exports.compared(locked, found)),
        expected=json.loads((model / model_files.ANSWERS).read_text())[0],
        answered=answered(place / "elsewhere", model),
    )


def answered(elsewhere: Path, model: Path) -> object:
    """What the model answers there."""
    argv = (elsewhere / "env" / "bin" / "python", "-I", "-c", ASKING, model)
    done = subprocess.run(argv, cwd=elsewhere, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.extended
def test_everything_at_once(tmp_path: Path, root: Path, surroundings: dict[str, str]) -> None:
    """
    A packaged project with a path, a wheel, a git dependency, an extra from an explicit index and a group.
    """
    shape = EVERYTHING

    found = proof(shape, tmp_path, root, surroundings)

    assert (found.exported, found.expected) == (found.listed, found.answered)
    assert (shape.travels, ()) == (found.travels, found.differences)


@pytest.mark.extended
@pytest.mark.parametrize(
    "shape",
    [*BACKENDS.values(), GRAPE, PLUM, PEAR, FIG, EXTRA, GROUP],
    ids=[*BACKENDS, "path", "wheels with markers", "git", "explicit index", "extra", "group"],
)
def test_a_shape_alone(tmp_path: Path, root: Path, surroundings: dict[str, str], shape: Shape) -> None:
    """
    What is listed equals the export, what is installed equals the lock, and it answers without the checkout.
    """
    place = tmp_path

    found = proof(shape, place, root, surroundings)

    assert (found.exported, found.expected) == (found.listed, found.answered)
    assert (shape.travels, ()) == (found.travels, found.differences)


@pytest.mark.extended
@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_flavor(tmp_path: Path, root: Path, surroundings: dict[str, str], flavor: str) -> None:
    """
    Whatever MLflow wrote of its own accord, the model carries the lock, and answers where it is all there is.
    """
    depends = ("lightgbm",) if flavor == "lightgbm" else ()
    shape = Shape(train=FLAVORS[flavor], depends=depends, files=(("coded.py", CODED),))

    found = proof(shape, tmp_path, root, surroundings)

    assert (found.exported, found.expected) == (found.listed, found.answered)
    assert ((), ()) == (found.travels, found.differences)
