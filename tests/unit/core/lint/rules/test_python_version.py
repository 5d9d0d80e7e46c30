"""Which Pythons the project excludes."""

import pytest

WORKFLOW = ".github/workflows/ci.yml"
DOCKER = "FROM {}\nCOPY pyproject.toml uv.lock ./\n"


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        ({".python-version": "3.10\n"}, [(".python-version", 1)]),
        ({".python-version": "# why\n3.12.4\n"}, []),
        ({".python-version": "pypy@3.9\n"}, []),
        ({"Dockerfile": DOCKER.format("python:3.10-slim AS base")}, [("Dockerfile", 1)]),
        ({"Dockerfile": DOCKER.format("ghcr.io/astral-sh/uv:python3.12-bookworm")}, []),
        ({"Dockerfile": "ARG V=3.9\n" + DOCKER.format("python:${V}-slim")}, [("Dockerfile", 2)]),
        ({"Dockerfile": DOCKER.format("python:3.12"), ".python-version": "3.13"}, [("Dockerfile", 1)]),
        ({"Dockerfile": "FROM python:3.9\nRUN pip install mlflow\n"}, []),
        ({WORKFLOW: "      python-version: '3.12'\n"}, []),
        ({WORKFLOW: "      python-version: 3.10\n"}, [(WORKFLOW, 1)]),
        ({WORKFLOW: "      python-version: ['3.9', \"3.12\"]\n"}, [(WORKFLOW, 1)]),
        ({WORKFLOW: "      python-version: ${{ matrix.python }}\n"}, []),
        ({WORKFLOW: "    working-directory: x\n      python-version: '3.8'\n"}, []),
    ],
)
def test_a_python_outside_of_the_range_is_found(find, files: dict[str, str], lines: list[tuple[str, int]]) -> None:
    """
    In pins, images and workflows; a matrix entry that is no literal is not read.
    """
    assert lines == [(path, line) for path, line, _ in find("python-version", files)]


def test_a_number_that_yaml_shortens_is_found(find) -> None:
    """
    `3.10` without quotes is 3.1.
    """
    found = find("python-version", {WORKFLOW: "      python-version: 3.20\n"})

    assert ["`3.20` without quotes is the number 3.2"] == [what for _, _, what in found]


def test_a_minor_version_stands_for_each_of_its_patch_releases(find) -> None:
    """
    Also if the project takes one of them alone.
    """
    for pin, ranges, found in (
        ("3.13", "==3.13.11", []),
        ("3.13", ">=3.13.2,<3.13.5", []),
        ("3.12", "==3.13.11", [".python-version"]),
        ("3.13.2", "==3.13.11", [".python-version"]),
    ):
        lock = f'version = 1\nrequires-python = "{ranges}"\n'

        assert (
            found == [path for path, *_ in find("python-version", {".python-version": f"{pin}\n", "uv.lock": lock})][:1]
        )
