"""Which environment files differ from the lock."""

import pytest


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("python_env.yaml", "python: 3.12.1\nbuild_dependencies:\n  - pip\ndependencies:\n  - mlflow==3.4.0\n", []),
        ("python_env.yaml", "python: '3.9'\ndependencies:\n  - -r requirements.txt\n  - mlflow==2.0.0\n", [1, 4]),
        ("conda.yaml", "dependencies:\n- python=3.12\n- conda-forge::mlflow=3.4\n- pip:\n  - ruff==0.14.2\n", []),
        ("conda.yaml", "dependencies:\n- python=3.10\n- pip:\n  - ruff==0.1.0\n", [2, 4]),
        ("environment.yml", "channels:\n- a=1\ndependencies:\n- mlflow>=3\n", []),
        ("MLproject", "name: x\npython_env: python_env.yaml\n", [2]),
        ("MLproject", "name: x\nconda_env: pyproject.toml\n", []),
        ("conda.yaml", "{{ not yaml\n\t- [", []),
    ],
)
def test_a_version_that_the_lock_does_not_have_is_found(find, name: str, text: str, lines: list[int]) -> None:
    """
    In the notations of pip and conda; a missing file of an MLproject too.
    """
    assert lines == [line for _, line, _ in find("environment-drift", {name: text})]


def test_the_environment_of_a_logged_model_is_not_compared(find) -> None:
    """
    It is the copy of what the model was trained with.
    """
    files = {"MLmodel": "flavors: {}\n", "python_env.yaml": "dependencies:\n- mlflow==1.0\n"}

    assert [] == find("environment-drift", files)
