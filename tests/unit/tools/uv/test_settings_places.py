"""The places of uv's settings outside of a checkout; test_settings reads them."""

import pytest

from mlflow_uv.tools.uv.settings_places import machine_files, users_file


@pytest.mark.parametrize(
    ("variables", "user", "machine"),
    [
        ({"HOME": "/h"}, "/h/.config/uv/uv.toml", ["/etc/xdg/uv/uv.toml", "/etc/uv/uv.toml"]),
        ({}, "/.config/uv/uv.toml", ["/etc/xdg/uv/uv.toml", "/etc/uv/uv.toml"]),
        (
            {"XDG_CONFIG_HOME": "/c", "XDG_CONFIG_DIRS": "/a::/b"},
            "/c/uv/uv.toml",
            ["/a/uv/uv.toml", "/b/uv/uv.toml", "/etc/uv/uv.toml"],
        ),
    ],
)
def test_the_places_are_those_of_uv(variables: dict[str, str], user: str, machine: list[str]) -> None:
    """
    The user's folder, and the machine's in the order of their precedence.
    """
    assert (user, machine) == (users_file(variables), [*machine_files(variables)])
