"""Which calls set a literal tracking URI, and which settings are passed to such a call."""

import time
import warnings

import pytest

from mlflow_uv.core.lint.catalog import rule_of
from mlflow_uv.ops.lint.check import broken_rules
from mlflow_uv.ops.lint.folder import CODE_LIMITS, CheckedFolder


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('mlflow.set_tracking_uri("http://localhost:5000")\n', [1]),
        ("URI = 'sqlite:///mlflow.db'\nfrom mlflow import set_tracking_uri\nset_tracking_uri(URI)\n", [3]),
        ('mlflow.set_tracking_uri(\n    uri="file:./mlruns",\n)\n', [1]),
        ('MlflowClient(tracking_uri="http://a.test")\nMlflowClient("http://a.test")\n', [1, 2]),
        ('os.environ["MLFLOW_TRACKING_URI"] = "http://a.test"\n', [1]),
        ('mlflow.set_tracking_uri("databricks")\nMlflowClient()\n', []),
        ('mlflow.set_tracking_uri(os.getenv("MLFLOW_TRACKING_URI", "http://a.test"))\n', []),
        ('if not os.getenv("MLFLOW_TRACKING_URI"):\n    mlflow.set_tracking_uri("http://a.test")\n', []),
        ("mlflow.set_tracking_uri(uri)\nmlflow.set_tracking_uri(f'http://{host}')\n", []),
        ('# mlflow.set_tracking_uri("http://a.test")\n"""mlflow.set_tracking_uri("http://a.test")"""\n', []),
        ('mlflow.set_tracking_uri("http://a.test"\n', []),
        (f'{"(" * 9000}mlflow.set_tracking_uri("http://a.test"){")" * 9000}\n', []),
    ],
)
def test_a_literal_address_is_found(find, text: str, lines: list[int]) -> None:
    """
    Also through a constant; not a default, a profile, a comment, or a text that Python cannot parse.
    """
    assert lines == [line for _, line, _ in find("tracking-uri", {"train.py": text})]


def test_tests_choose_their_store(find) -> None:
    """
    A store of a test is temporary.
    """
    assert [] == find("tracking-uri", {"tests/test_a.py": 'mlflow.set_tracking_uri("sqlite:///a.db")\n'})


PASSES = "import mlflow\n\n\ndef start(config):\n    mlflow.set_tracking_uri(config.mlflow.tracking_uri)\n"


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("conf/mlflow.yaml", "type: mlflow\nparams:\n  tracking_uri: http://127.0.0.1:8080\n", [3]),
        ("a.yml", "mlflow_tracking_uri: 'mlruns' # here\r\n", [1]),
        ("a.yaml", "mlflow:\n  - tracking_uri: file:./mlruns\n", [2]),
        ("params.toml", '[mlflow]\ntracking_uri = "sqlite:///mlflow.db"\n', [2]),
        ("a.yaml", "tracking_uri: ${oc.env:MLFLOW_TRACKING_URI,http://a.test}\n", []),
        ("a.yaml", "tracking_uri: http://{{ host }}:5000\n# tracking_uri: http://a.test\n", []),
        ("a.yaml", "tracking_uri: databricks\ntracking_uri:\ntracking_uri: null\n", []),
        ("compose.yaml", "environment:\n  MLFLOW_TRACKING_URI: http://mlflow:5000\n", []),
        ("tests/a.yaml", "tracking_uri: http://a.test\n", []),
        ("a.json", '{"tracking_uri": "http://a.test"}', []),
    ],
)
def test_a_setting_that_code_passes_to_mlflow_is_found(find, name: str, text: str, lines: list[int]) -> None:
    """
    With a literal address; not a template, the name of a configuration, or the variable of a container.
    """
    assert [(name, line) for line in lines] == [
        (path, line) for path, line, _ in find("tracking-uri", {name: text, "src/a.py": PASSES})
    ]


@pytest.mark.parametrize(
    "code",
    [
        {"src/a.py": PASSES, "src/b.py": 'import os\nURI = os.environ.get("MLFLOW_TRACKING_URI")\n'},
        {"src/a.py": "import mlflow\n"},
        {"src/a.py": "def set_tracking_uri(tracking_uri):\n    pass\n"},
        {"src/a.py": 'mlflow.set_tracking_uri(f"http://{host}")\n'},
        {"src/a.py": 'mlflow.set_tracking_uri( f"http://{host}" ); print(config.tracking_uri)\n'},
        {"src/a.py": 'mlflow.set_tracking_uri(\n    f"http://{host}/tracking_uri"\n)\n'},
        {"src/a.py": '# mlflow.set_tracking_uri(config.tracking_uri)\n"""mlflow.set_tracking_uri(tracking_uri)"""\n'},
        {"src/a.py": "mlflow.set_tracking_uri(mlflow.get_tracking_uri())\n"},
        {"src/a.py": 'mlflow.set_tracking_uri(os.getenv("TRACKING") or config.tracking_uri)\n'},
        {"src/a.py": "mlflow.set_tracking_uri(uri)  # tracking_uri\n"},
        {"tests/a.py": PASSES},
        {".venv/lib/a.py": PASSES},
        {},
    ],
)
def test_a_setting_may_be_a_default_or_unused(find, code: dict[str, str]) -> None:
    """
    Code that mentions the variable, or that never passes a setting on, proves nothing.
    """
    assert [] == find("tracking-uri", {"conf.yaml": "tracking_uri: http://a.test\n", **code})


@pytest.mark.parametrize(
    "call",
    [
        "mlflow.set_tracking_uri(\n    uri=str(\n        config['mlflow']['tracking_uri']),\n)",
        "if tracking_uri:\n    set_tracking_uri(tracking_uri)",
        'set_tracking_uri(config.get("mlflow_tracking_uri"))',
        'set_tracking_uri(f"{config.tracking_uri}/path")',
    ],
)
def test_a_call_passes_a_setting_on_in_any_form(find, call: str) -> None:
    """
    Over several lines, by a key, with a default that is no literal.
    """
    found = find("tracking-uri", {"conf.yaml": "tracking_uri: http://a.test\n", "src/a.py": f"{call}\n"})

    assert [("conf.yaml", 1)] == [(path, line) for path, line, _ in found]


def test_code_of_any_form_is_read_in_a_moment(find) -> None:
    """
    A search that goes back over every space took a minute for these, and hours for the largest file that is read.
    """
    spaces = f"set_tracking_uri({' ' * 60_000}x)\n"
    began = time.process_time()

    found = find("tracking-uri", {"conf.yaml": "tracking_uri: http://a.test\n", "src/a.py": spaces})

    assert [] == found
    assert time.process_time() - began < 5


def test_nothing_is_said_of_more_code_than_is_read(find) -> None:
    """
    The rest may read the variable.
    """
    rest = {f"src/b{number}.py": "" for number in range(CODE_LIMITS.files)}

    assert [] == find("tracking-uri", {"conf.yaml": "tracking_uri: http://a.test\n", "src/a.py": PASSES, **rest})


def test_a_warning_of_python_about_the_code_is_not_shown(find) -> None:
    """
    Such as one about an escape that Python does not know: it is not what the rule is about.
    """
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        found = find("tracking-uri", {"a.py": 'PATTERN = "\\d"\nmlflow.set_tracking_uri("http://a.test")\n'})

    assert [("a.py", 2)] == [(path, line) for path, line, _ in found]
    assert [] == shown


def test_only_code_of_the_same_lock_counts(find) -> None:
    """
    Other projects of the repository have other settings.
    """
    files = {"a/conf.yaml": "tracking_uri: http://a.test\n", "a/uv.lock": "version = 1\n", "b/code.py": PASSES}

    assert [] == find("tracking-uri", files)
    assert ["a/conf.yaml"] == [path for path, _, _ in find("tracking-uri", files | {"a/code.py": PASSES})]


def test_the_message_names_the_call_that_passes_it_on(find, tmp_path) -> None:
    """
    That is where the fix goes, after which nothing is found.
    """
    find("tracking-uri", {"conf.yaml": "tracking_uri: http://a.test\n", "src/a.py": PASSES})
    checked = CheckedFolder(str(tmp_path))

    (broken,) = broken_rules((rule_of("tracking-uri"),), ("conf.yaml",), checked, tracked=())

    assert "src/a.py:5 passes it to MLflow" in broken.problem.why
    assert 'pass os.environ.get("MLFLOW_TRACKING_URI", …) there' in broken.problem.fix
    value = broken.problem.fix.removeprefix("pass ").partition(" there")[0].replace("…", "config.mlflow.tracking_uri")
    mended = PASSES.replace("config.mlflow.tracking_uri", value)
    assert [] == find("tracking-uri", {"conf.yaml": "tracking_uri: http://a.test\n", "src/a.py": mended})
