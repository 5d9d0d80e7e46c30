"""The server's settings: an invalid value stops it at start-up, with a sentence that names it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.serving import settings
from mlflow_uv.serving.settings import InvalidSetting


@pytest.fixture
def model(tmp_path: Path) -> dict[str, str]:
    """The variable that names a model."""
    (tmp_path / "MLmodel").touch()
    return {"MLFLOW_UV_MODEL": str(tmp_path)}


def test_without_variables_the_machine_decides(model: dict[str, str]) -> None:
    """
    At least one worker and one thread; the timeouts and limits of the documentation; nothing that has to be asked for.
    """
    found = settings.read(model)

    assert ("0.0.0.0", 8080, 60.0, 30.0, 30.0, 104857600) == (  # noqa: S104  # a container is accessed from outside
        found.host, found.port, found.request_timeout, found.drain_timeout, found.head_timeout, found.body_limit,
    )  # fmt: skip
    assert (False, False, False, False) == (found.access_log, found.metrics, found.openapi, found.separate)
    assert min(found.workers, found.threads, found.connections) >= 1


def test_without_a_name_it_is_the_model(model: dict[str, str]) -> None:
    """
    With a key to verify it by, any name and version may be signed.
    """
    found = settings.read(model | {"VERIFY": "key.pub", "ATTESTATIONS": "attestations.jsonl"})

    assert found.trust is not None
    assert ("model", "", "", "") == (found.name, found.version, found.trust.name, found.trust.version)


def test_an_empty_variable_is_none(model: dict[str, str]) -> None:
    """
    Kubernetes and Compose set empty ones.
    """
    names = ("HOST", "PORT", "WORKERS", "THREADS", "REQUEST_TIMEOUT", "BODY_LIMIT", "ACCESS_LOG", "METRICS", "OPENAPI")

    assert settings.read(model) == settings.read(model | dict.fromkeys(names, ""))


@pytest.mark.parametrize(
    ("variables", "port"),
    [
        ({}, 8080), ({"PORT": "9000"}, 9000), ({"SAGEMAKER_BIND_TO_PORT": "7070"}, 7070),
        ({"PORT": "9000", "SAGEMAKER_BIND_TO_PORT": "7070"}, 9000), ({"PORT": "", "SAGEMAKER_BIND_TO_PORT": "7"}, 7),
    ],
)  # fmt: skip
def test_the_port_is_that_of_the_platform(variables: dict[str, str], port: int) -> None:
    """
    PORT comes first: whoever sets it means this server.
    """
    assert port == settings.port(variables)


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 60.0), ({"REQUEST_TIMEOUT": "0.5"}, 0.5), ({"MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": "90"}, 90.0),
        ({"REQUEST_TIMEOUT": "5", "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": "90"}, 5.0),
    ],
)  # fmt: skip
def test_the_timeout_is_ours_or_mlflows(variables: dict[str, str], seconds: float) -> None:
    """
    MLflow's own variable keeps its meaning.
    """
    assert seconds == settings.request_timeout(variables)


@given(st.integers(1, 500))
def test_a_whole_number_within_its_bounds_is_taken(number: int) -> None:
    """
    Leading zeros are no octal number.
    """
    assert number == settings.whole({"N": f"{number:04}"}, "N", "1", (1, 500))


@given(st.text(max_size=8).filter(lambda text: not (text.isascii() and text.isdigit())).filter(bool))
def test_anything_else_is_no_whole_number(text: str) -> None:
    """
    `int` would take spaces, signs, underscores and the digits of other scripts.
    """
    with pytest.raises(InvalidSetting, match="is not a whole number from 1 to 500"):
        settings.whole({"N": text}, "N", "1", (1, 500))


@pytest.mark.parametrize("text", ["0", "501", "1" * 30, "-1", " 7", "7\n", "1_0", "٣", "0x10", "1e2"])
def test_a_number_out_of_bounds_is_refused_with_its_name(text: str) -> None:
    """
    The sentence has the value as it is written.
    """
    with pytest.raises(InvalidSetting) as caught:
        settings.whole({"WORKERS": text}, "WORKERS", "1", (1, 500))

    assert f"WORKERS={text!r} is not a whole number from 1 to 500." == str(caught.value)


@pytest.mark.parametrize("text", ["inf", "nan", "1e3", "-1", ".5", "5.", "1,5", "30s", "٣"])
@pytest.mark.parametrize("zero", [True, False])
def test_what_is_no_number_of_seconds_is_refused(text: str, zero: bool) -> None:
    """
    `float` would take infinity and not-a-number, with which no timeout ends.
    """
    with pytest.raises(InvalidSetting, match="is not a number of seconds"):
        settings.seconds({"T": text}, "T", "1", zero=zero)


def test_zero_seconds_are_a_setting_where_they_mean_something() -> None:
    """
    Not to wait for requests in flight is one; a request without any time is none.
    """
    with pytest.raises(InvalidSetting, match="above zero, such as"):
        settings.seconds({"T": "0.0"}, "T", "1", zero=False)

    assert 0.0 == settings.seconds({"T": "0"}, "T", "1", zero=True)


@pytest.mark.parametrize("text", ["true", "yes", "on", "2", "JSON"])
def test_a_word_that_is_none_of_the_few_is_refused_with_them(text: str) -> None:
    """
    No word is taken for `off`.
    """
    with pytest.raises(InvalidSetting) as caught:
        settings.choice({"ACCESS_LOG": text}, "ACCESS_LOG", "off", {"off": False, "json": True})

    assert f"ACCESS_LOG={text!r} is not one of: off, json." == str(caught.value)
