"""What init writes into a repository, and what it leaves alone."""

from pathlib import Path

import pytest
import yaml

from mlflow_uv.core.security.toml_documents import Unparsable, parse_toml
from mlflow_uv.ops.init.plan import TEMPLATES, init_plan, template
from mlflow_uv.ops.lint.folder import LIMIT
from tests.house.files import ROOT

MANIFEST = '[project]\nname = "wine"\nversion = "1"'
TRAIN = 'import mlflow\nmlflow.sklearn.log_model(1)\nif __name__ == "__main__":\n    pass\n'
LOCK = 'version = 1\nrequires-python = ">=3.11"\n\n[[package]]\nname = "mlflow"\nversion = "3.4.0"\n'
WRITTEN = [
    "pyproject.toml",
    ".github/workflows/mlflow-uv-check.yml",
    ".github/workflows/mlflow-uv-comment.yml",
    ".github/workflows/mlflow-uv-release.yml",
    ".pre-commit-config.yaml",
]


@pytest.fixture
def plan(tmp_path: Path):
    """Plan a repository of these files."""

    def planned(files: dict[str, str], *, project: str = ""):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return init_plan(tmp_path, project, tuple(sorted(files)), name="wine", branch="main")

    return planned


def test_a_project_gets_settings_workflows_and_hooks(plan) -> None:
    """
    The settings are appended, and nothing else of the manifest changes.
    """
    found = plan({"pyproject.toml": MANIFEST, "train.py": TRAIN, "uv.lock": LOCK})

    assert (WRITTEN, "python train.py", ()) == ([file.path for file in found.files], found.train, found.notes)
    after = found.files[0].after
    assert after.startswith(f"{MANIFEST}\n\n[tool.mlflow-uv]\n")
    settings = parse_toml(after.encode(), limit=10_000)["tool"]["mlflow-uv"]
    assert {"train": "python train.py", "model-name": "wine"} == settings


@pytest.mark.parametrize(
    ("calls", "name"),
    [
        ('log_model(m, registered_model_name="tracking-quickstart")', "tracking-quickstart"),
        ("log_model(m, registered_model_name = 'a b')\nlog_model(n, registered_model_name='a b')", "a b"),
        ('log_model(m, registered_model_name="a")\nmlflow.sklearn.log_model(n, registered_model_name="b")', "wine"),
        ('log_model(m, registered_model_name=f"{team}")', "wine"),
        ('log_model(m, registered_model_name="team/a")', "wine"),
        ("log_model(m, registered_model_name=NAME)", "wine"),
        ('log_model(m, registered_model_name="test-" + stage)', "wine"),
        ('log_model(m, registered_model_name="a" if stage else "b")', "wine"),
        ('log_model(m, registered_model_name="a")\nmlflow.sklearn.log_model(n, registered_model_name=NAME)', "wine"),
        ('log_model(m, registered_model_name="a" "b")', "ab"),
        ("log_model(m)  # registered_model_name='old'", "wine"),
        ("log_model(m, registered_model_name=None)", "wine"),
    ],
)
def test_the_model_is_called_what_training_registers_it_as(plan, calls: str, name: str) -> None:
    """
    One name, written out: a release under another one would register the model twice.
    """
    written = plan(
        {"pyproject.toml": MANIFEST, "train.py": f"import mlflow\nmlflow.sklearn.{calls}\n", "uv.lock": LOCK}
    )

    settings = parse_toml(written.files[0].after.encode(), limit=10_000)["tool"]["mlflow-uv"]

    assert {"train": "python train.py", "model-name": name} == settings


@pytest.mark.parametrize(
    ("calls", "noted"),
    [
        ('log_model(m, registered_model_name="test-" + stage)', True),
        ('log_model(m, registered_model_name="a")\nmlflow.sklearn.log_model(n, registered_model_name="b")', True),
        ('log_model(m, registered_model_name="a")', False),
        ("log_model(m)", False),
    ],
)
def test_a_name_that_is_not_written_out_is_told(plan, calls: str, noted: bool) -> None:
    """
    The setting has the name of the project then, which may be another one.
    """
    text = f"import sys, mlflow\nmlflow.sklearn.{calls}\n"
    written = plan({"pyproject.toml": MANIFEST, "train.py": text, "uv.lock": LOCK})

    assert noted == any("has no single name as its `registered_model_name`" in note for note in written.notes)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\xef\xbb\xbf[project]\r\nname = 1", b"\r\n\r\n[tool.mlflow-uv]\r\nROWS"),
        (b"[project]\nname = 1\n", b"\n[tool.mlflow-uv]\nROWS"),
        (b"[project]\nname = 1\n[tool.mlflow-uv.lint]\nwarn = []\n", b"\n[tool.mlflow-uv]\nROWS"),
        (b"", b"\n[tool.mlflow-uv]\nROWS"),
    ],
    ids=["mark-and-crlf", "lf", "table-of-lint", "empty"],
)
def test_a_manifest_keeps_its_bytes(tmp_path: Path, before: bytes, after: bytes) -> None:
    """
    A byte-order mark and CRLF stay, and what is added has the same line ends. A table of lint is no settings.
    """
    (tmp_path / "pyproject.toml").write_bytes(before)

    plan = init_plan(tmp_path, "", ("pyproject.toml",), name="wine")

    rows = b'model-name = "wine"' + (b"\r\n" if b"\r\n" in before else b"\n")
    assert before + after.replace(b"ROWS", rows) == plan.files[0].after.encode(errors="surrogateescape")


@pytest.mark.parametrize("header", ["[tool.mlflow-uv]", " [ tool . 'mlflow-uv' ] # ours"])
@pytest.mark.parametrize("rest", ["", "\n", "\n\n[tool.other]\na = 1\n", "\r\n[tool.mlflow-uv.lint]\r\nwarn = []\r\n"])
def test_settings_are_written_into_an_empty_table(tmp_path: Path, header: str, rest: str) -> None:
    """
    A table without values is no settings, and a second one of its name would be an error.
    """
    (tmp_path / "pyproject.toml").write_bytes(f"{MANIFEST}\n{header}{rest}".encode())

    after = init_plan(tmp_path, "", ("pyproject.toml",), name="wine").files[0].after

    settings = parse_toml(after.encode(), limit=10_000)["tool"]["mlflow-uv"]
    assert "wine" == settings["model-name"]
    assert (1, rest.replace("\r", "").strip("\n")) == (
        after.count("model-name"), after.partition('"wine"')[2].partition("wine")[2].replace("\r", "").strip('"\n')
    )  # fmt: skip


def test_workflows_of_a_project_in_a_folder_name_it(plan) -> None:
    """
    They are at the root of the repository, where GitHub finds them.
    """
    folder = "modèles/wine"
    found = plan({f"{folder}/pyproject.toml": MANIFEST, f"{folder}/train.py": TRAIN}, project=folder)

    texts = {file.path: file.after for file in found.files}
    assert f"{folder}/pyproject.toml" in texts
    for name in (WRITTEN[1], WRITTEN[3]):
        assert f'    with:\n      project: "{folder}"\n' in texts[name]


def test_nothing_that_is_there_is_replaced(plan) -> None:
    """
    Settings, a workflow that uses the action, and a configuration of hooks stay; the missing hooks are named.
    """
    found = plan(
        {
            "pyproject.toml": f'{MANIFEST}\n[tool.mlflow-uv]\ntrain = "make"\n',
            "train.py": TRAIN,
            "uv.lock": LOCK,
            ".github/workflows/own.yml": "jobs: {a: {uses: org/mlflow-uv-action/.github/workflows/check.yml@v1}}\n",
            ".pre-commit-config.yaml": "repos: []\n",
        }
    )

    assert ((), "make") == (found.files, found.train)
    assert "add to `repos` in .pre-commit-config.yaml, which is not changed:" in found.notes
    assert "      - id: check-lock" in found.notes


def test_a_workflow_of_the_same_name_stays(plan) -> None:
    """
    The others are written.
    """
    found = plan({"pyproject.toml": MANIFEST, WRITTEN[1]: "name: mine\n"})

    assert [name for name in WRITTEN if name != WRITTEN[1]] == [file.path for file in found.files]
    assert f"{WRITTEN[1]} exists; it is not changed" in found.notes


def test_what_is_not_known_is_not_guessed(plan) -> None:
    """
    Two scripts that are equally likely, or none: the settings have no command. A link is not followed.
    """
    found = plan({"pyproject.toml": MANIFEST, "train_a.py": TRAIN, "train_b.py": TRAIN})

    assert ("", ("python train_a.py", "python train_b.py")) == (found.train, found.training.choices)
    assert "train =" not in found.files[0].after
    assert "there is no uv.lock yet: run `uv lock`, and commit it" in found.notes


@pytest.mark.parametrize(
    ("mlproject", "train"),
    [
        ("entry_points:\n  main:\n    command: python train.py\n", "main"),
        ("entry_points:\n  main:\n    parameters:\n      a: path\n    command: python train.py {a}\n", ""),
    ],
)
def test_an_entry_point_that_can_be_run_as_it_is_is_the_training(plan, mlproject: str, train: str) -> None:
    """
    One that requires parameters needs values that nobody knows; the plan says so.
    """
    found = plan({"pyproject.toml": MANIFEST, "MLproject": mlproject})

    assert (train, f'entry-point = "{train}"' in found.files[0].after) == (found.train, bool(train))
    assert bool(train) is not any("entry point" in note for note in found.notes)


def test_a_task_of_the_manifest_names_the_training_and_what_is_required_is_told(plan) -> None:
    """
    Of two scripts that are equally likely, the one that a task runs; no document has a value of its argument.
    """
    train = f'{TRAIN}parser.add_argument("--data", required=True)\n'
    tasks = '[tool.poe.tasks.train]\nsequence = [{cmd = "python train_b.py"}]\n'
    found = plan({"pyproject.toml": f"{MANIFEST}\n{tasks}", "train_a.py": TRAIN, "train_b.py": train, "uv.lock": LOCK})

    notice = "train_b.py requires `--data`: add values to `train` in [tool.mlflow-uv]"
    others = "other commands that may train: `python train_a.py`"
    assert ("python train_b.py", (notice, others)) == (found.train, found.notes)


def test_a_script_with_more_against_it_than_for_it_is_not_taken(plan) -> None:
    """
    It is named, and the choice is left to the user.
    """
    found = plan({"pyproject.toml": MANIFEST, "notebooks/part6.ab_serving.py": TRAIN})

    assert ("", ("python notebooks/part6.ab_serving.py",)) == (found.train, found.training.choices)


def test_a_manifest_to_which_no_table_can_be_added_is_refused(plan) -> None:
    """
    `tool` as an inline table ends there; the file stays as it is.
    """
    with pytest.raises(Unparsable):
        plan({"pyproject.toml": f"tool = {{}}\n{MANIFEST}\n"})


def test_a_lock_without_mlflow_and_a_dockerfile_are_told(plan) -> None:
    """
    The first stops a release, the second is not what build-image uses.
    """
    found = plan({"pyproject.toml": MANIFEST, "uv.lock": LOCK.replace("mlflow", "numpy"), "Dockerfile": "FROM a\n"})

    assert (
        "mlflow is not in the lock: run `uv add mlflow`",
        "build-image makes the serving image, and does not use Dockerfile; lint checks it",
    ) == found.notes


def test_templates_are_the_examples_of_the_documentation() -> None:
    """
    What init writes is what tests and documents show.
    """
    for name in (*TEMPLATES, "pre-commit-config.yaml"):
        assert (ROOT / "examples" / "workflows" / name).read_text() == template(name)


def test_the_workflow_of_checks_asks_for_no_other_python_than_the_projects(plan) -> None:
    """
    A project may exclude the Python of the example; it has inputs only where it is in a folder.
    """
    inside = plan({"wine/pyproject.toml": MANIFEST, "wine/train.py": TRAIN, "wine/uv.lock": LOCK}, project="wine")
    alone = plan({"pyproject.toml": MANIFEST, "train.py": TRAIN, "uv.lock": LOCK})

    jobs = [
        yaml.safe_load(file.after)["jobs"]["check"]
        for found in (inside, alone)
        for file in found.files
        if file.path.endswith("mlflow-uv-check.yml")
    ]
    assert [{"project": "wine"}, "none"] == [job.get("with", "none") for job in jobs]


OPTIONAL = """\
version = 1
requires-python = ">=3.11"

[[package]]
name = "mlflow"
version = "3.4.0"
source = { registry = "https://index.test/simple" }

[[package]]
name = "zenith"
version = "1.0"
source = { registry = "https://index.test/simple" }
dependencies = [{ name = "mlflow" }]

[[package]]
name = "wine"
version = "1"
source = { editable = "." }
"""


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        ('[package.optional-dependencies]\nml = [{ name = "mlflow" }]\n', {"extras": ["ml"]}),
        ('[package.dev-dependencies]\nlocal = [{ name = "mlflow" }]\n', {"groups": ["local"]}),
        ('[package.optional-dependencies]\nml = [{ name = "zenith" }]\n', {"extras": ["ml"]}),
        ('dependencies = [{ name = "mlflow" }]\n[package.optional-dependencies]\nml = [{ name = "mlflow" }]\n', {}),
        ('dependencies = [{ name = "zenith" }]\n[package.optional-dependencies]\nml = [{ name = "mlflow" }]\n', {}),
        ('[package.optional-dependencies]\nml = [{ name = "absent" }]\n', {}),
    ],
    ids=["extra", "group", "through-another", "in-both", "through-another-in-both", "nowhere"],
)
def test_the_group_or_extra_with_mlflow_is_served(plan, rows: str, settings: dict[str, list[str]]) -> None:
    """
    Without it a release ends before training; a project that needs MLflow anyway keeps its extras to itself.
    """
    found = plan({"pyproject.toml": MANIFEST, "train.py": TRAIN, "uv.lock": OPTIONAL + rows})

    written = parse_toml(found.files[0].after.encode(), limit=10_000)["tool"]["mlflow-uv"]
    assert {"train": "python train.py", "model-name": "wine", **settings} == written


def test_a_large_lock_is_read_for_the_group_with_mlflow(plan) -> None:
    """
    One larger than the files that `lint` reads, which the locks of large projects are.
    """
    rows = '[package.dev-dependencies]\nml = [{ name = "mlflow" }]\n'
    lock = f"{OPTIONAL}{rows}# {'x' * LIMIT}\n"

    found = plan({"pyproject.toml": MANIFEST, "train.py": TRAIN, "uv.lock": lock})

    assert 'groups = ["ml"]' in found.files[0].after


def test_a_lock_that_is_not_utf_8_selects_nothing(tmp_path: Path) -> None:
    """
    The settings that need no lock are written.
    """
    (tmp_path / "pyproject.toml").write_text(MANIFEST)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "uv.lock").write_bytes(b"version = 1\n# \xff\n")

    found = init_plan(tmp_path, "", ("pyproject.toml", "train.py", "uv.lock"), name="wine", branch="main")

    assert found.files[0].after.endswith('[tool.mlflow-uv]\ntrain = "python train.py"\nmodel-name = "wine"\n')


def test_a_member_of_a_workspace_is_served_with_the_group_in_the_lock_of_the_workspace(plan) -> None:
    """
    The member has no lock of its own.
    """
    lock = OPTIONAL.replace('editable = "."', 'editable = "packages/trainer"')
    rows = '[package.dev-dependencies]\nml = [{ name = "mlflow" }]\n'
    member = {"packages/trainer/pyproject.toml": MANIFEST, "packages/trainer/train.py": TRAIN}
    found = plan({"pyproject.toml": "", **member, "uv.lock": lock + rows}, project="packages/trainer")

    written = parse_toml(found.files[0].after.encode(), limit=10_000)["tool"]["mlflow-uv"]
    assert {"train": "python train.py", "model-name": "wine", "groups": ["ml"]} == written
