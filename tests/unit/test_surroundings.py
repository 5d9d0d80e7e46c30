"""Where do we keep things?"""

from pathlib import Path

import pytest

from mlflow_uv.surroundings import Surroundings

HOME = {"HOME": "/home/me"}
RUNNER = {**HOME, "GITHUB_ACTIONS": "true", "RUNNER_TEMP": "/runner/temp"}


@pytest.mark.parametrize(
    ("variables", "cache", "state", "forge"),
    [
        (HOME, "/home/me/.cache/mlflow-uv", "/home/me/.local/state/mlflow-uv", False),
        ({**HOME, "XDG_CACHE_HOME": "/c", "XDG_STATE_HOME": "/s"}, "/c/mlflow-uv", "/s/mlflow-uv", False),
        (RUNNER, "/home/me/.cache/mlflow-uv", "/runner/temp/mlflow-uv", True),
        ({**RUNNER, "MLFLOW_UV_HOME": "/mine"}, "/mine/cache", "/mine/state", True),
        ({**HOME, "RUNNER_TEMP": "/t"}, "/home/me/.cache/mlflow-uv", "/home/me/.local/state/mlflow-uv", False),
    ],
)  # fmt: skip
def test_private_folders_follow_the_conventions(variables: dict[str, str], cache: str, state: str, forge: bool) -> None:
    """
    The XDG folders, the runner's temporary folder for what need not outlive a job, or the one folder that was named.
    """
    found = Surroundings.of(variables, folder=Path("/w"), python=Path("/python"))

    assert (Path(cache), Path(state), forge) == (found.cache, found.state, found.forge)


def test_our_own_lock_is_beside_our_manifest() -> None:
    """
    The environment that talks to registries is made from it, in a checkout and where we were installed.
    """
    found = Surroundings.of(HOME, folder=Path("/w"), python=Path("/python"))

    assert [True, True] == [(found.ours / name).is_file() for name in ("pyproject.toml", "uv.lock")]
