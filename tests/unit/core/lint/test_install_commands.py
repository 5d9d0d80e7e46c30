"""Command lines of pip and uv are read as these programs read them."""

import shlex

import pytest

from mlflow_uv.core.lint.install_commands import PipInstall, pip_install, uv_command


def install(files: tuple[str, ...], projects: tuple[str, ...], packages: tuple, *, resolves: bool) -> PipInstall:
    """An installation."""
    return PipInstall(files, projects, packages, resolves)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pip install a 'b[x]==1'", install((), (), (("a", ""), ("b", "==1")), resolves=True)),
        ("sudo -H pip3 install a", None),
        ("PIP=1 /opt/venv/bin/pip3.12 install -r r.txt -c c.txt", install(("r.txt",), (), (), resolves=True)),
        ("python -m pip --no-cache-dir install --requirement=r.txt", install(("r.txt",), (), (), resolves=True)),
        ("uv --quiet pip install --system --python 3.12 -e .[x]", install((), (".[x]",), (), resolves=True)),
        ("uv pip install --no-deps ./pkg", install((), ("./pkg",), (), resolves=False)),
        (
            "pip install --index-url https://a.test/s $PKG https://a.test/b.whl ./c.whl",
            install((), (), (), resolves=True),
        ),
        ("pip download a", None),
        ("apt-get install pip", None),
        ("pip", None),
    ],
)
def test_an_installation_has_its_lists_projects_and_packages(line: str, expected: PipInstall | None) -> None:
    """
    Values of flags are none of them.
    """
    assert expected == pip_install(tuple(shlex.split(line)))


def test_a_call_of_uv_has_its_subcommand() -> None:
    """
    After flags and variables.
    """
    calls = [uv_command(tuple(line.split())) for line in ("X=1 /bin/uv --project a sync --locked", "uvx a", "uv")]

    assert [("sync", ("--locked",)), None, None] == calls
