"""Which variables a model is given, and that their values show nowhere."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.security.child_environment import gives_rights
from mlflow_uv.core.security.serve_env import ServeVariables, require_recorded, serve_variables

CALLER = {"MODEL_KEY": "canary-of-the-model", "REGION": "eu", "EMPTY": "", "PATH": "/usr/bin"}


def test_a_model_gets_what_is_named_and_nothing_else() -> None:
    """
    By name, from the caller; twice is once.
    """
    found = serve_variables(["REGION", "MODEL_KEY", "REGION"], CALLER)

    assert ({"REGION": "eu", "MODEL_KEY": "canary-of-the-model"}, ("MODEL_KEY", "REGION")) == (
        dict(found.variables),
        found.names,
    )


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["ABSENT"], "`serve-env` names ABSENT, which is not set here"),
        (["ABSENT", "EMPTY"], "`serve-env` names ABSENT, EMPTY, which are not set here"),
        (["MODEL_KEY=canary"], "`serve-env` has `MODEL_KEY`, which is not a variable's name"),
        (["1ST"], "`serve-env` has `1ST`, which is not a variable's name"),
        (["PATH"], "`serve-env` cannot name PATH"),
        (["LD_PRELOAD"], "`serve-env` cannot name LD_PRELOAD"),
        (["PYTHONPATH"], "`serve-env` cannot name PYTHONPATH"),
        (["DOCKER_HOST"], "`serve-env` cannot name DOCKER_HOST"),
        (["WORKERS"], "`serve-env` cannot name WORKERS"),
        (["MLFLOW_UV_MODEL"], "`serve-env` cannot name MLFLOW_UV_MODEL"),
    ],
)
def test_what_cannot_be_given_is_refused_before_anything_is_done(names: list[str], what: str) -> None:
    """
    A variable that is not set, or that would steer something else than the model; no value is in the message.
    """
    with pytest.raises(BadInput) as refused:
        serve_variables(names, CALLER)

    assert (what, False) == (refused.value.what, "canary" in str(refused.value))


def test_a_value_is_hidden_whatever_its_variable_is_called() -> None:
    """
    In every form in which a program may print it, and in no `repr`.
    """
    found = ServeVariables({"GREETING": "canary of the model"})

    masked = found.masked("it says 'canary of the model' and canary%20of%20the%20model")

    assert ("it says '***' and ***", False) == (masked, "canary" in repr(found))


@pytest.mark.parametrize(
    ("name", "answer", "shown"),
    [
        ("API_KEY", {"predictions": ["my key is canary-of-the-model"]}, ["API_KEY"]),
        ("API_KEY", {"canary-of-the-model": 1}, ["API_KEY"]),
        ("API_KEY", {"predictions": ["canary"]}, []),
        ("MODEL_TOKEN", {"predictions": ["canary-of-the-model"]}, ["MODEL_TOKEN"]),
        ("GREETING", {"predictions": ["canary-of-the-model"]}, []),
    ],
)
def test_an_answer_that_holds_a_secret_is_found(name: str, answer: object, shown: list[str]) -> None:
    """
    Of a variable whose name says that it holds one: what a model greets with may well be in its answers.
    """
    found = ServeVariables({name: "canary-of-the-model"})

    assert shown == list(found.found_in_answers(answer))


def test_a_file_that_holds_a_secret_is_found(tmp_path: Path) -> None:
    """
    What a model kept of it when it was pickled; an empty file holds nothing.
    """
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "model.pkl").write_bytes(b"\x80\x04" + b"x" * 5000 + b"canary-of-the-model\x94")
    (tmp_path / "empty").touch()

    found = ServeVariables({"MODEL_KEY": "canary-of-the-model", "GREETING": "xxxxxxxx"}).found_in_files(tmp_path)

    assert [("MODEL_KEY", tmp_path / "sub" / "model.pkl")] == list(found)


@pytest.mark.parametrize(
    ("name", "rights"),
    [
        ("GITHUB_TOKEN", True),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", True),
        ("GITHUB_ENV", True),
        ("TWINE_PASSWORD", True),
        ("MLFLOW_TRACKING_PASSWORD", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("OPENAI_API_KEY", False),
        ("MODEL_KEY", False),
        ("AWS_REGION", False),
    ],
)
def test_a_checkout_gives_a_model_no_rights_on_forge_or_store(name: str, *, rights: bool) -> None:
    """
    What training is not given by a setting, a model is not given either; an input or flag may name it.
    """
    found = gives_rights(name)

    assert rights == found


def test_nothing_that_is_handed_is_known_where_an_image_is_described() -> None:
    """
    No value gets into a Dockerfile or a layer.
    """
    package = Path(__file__).parents[4] / "src" / "mlflow_uv"

    places = ("core/image/dockerfile.py", "ops/image/build.py", "ops/image/layers.py", "tools/engines/build_context.py")
    found = [name for name in places if "serve_env" in (package / name).read_text()]

    assert [] == found


def test_variables_that_predictions_depend_on_must_be_named_again() -> None:
    """
    The fix names all recorded ones; more of them do no harm.
    """
    given = ServeVariables({"REGION": "eu", "MORE": "canary of the model"})

    require_recorded((), given)
    require_recorded(("REGION",), given)
    with pytest.raises(BadInput) as refused:
        require_recorded(("MODEL_KEY", "REGION"), given)

    what = "the recorded predictions depend on MODEL_KEY, which `serve-env` does not name here"
    assert (what, "--serve-env MODEL_KEY,REGION") == (refused.value.what, str(refused.value.fix))
