"""Which addresses lead to the same server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.security.origins import is_plain_web_address, origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://host", "http://host:80"),
        ("https://host/path?x=1", "https://host:443"),
        ("HTTPS://Host:443/", "https://host:443"),
        ("http://user:password@host:5000", "http://host:5000"),
        ("http://[::1]:5000/", "http://[::1]:5000"),
        ("http://host:99999", None),
        ("http:///path", None),
        ("sqlite:///file.db", None),
        ("databricks", None),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str | None) -> None:
    """
    The default port is written, the host is in small letters, and user and path are no part of it.
    """
    assert origin == origin_of(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://user@host",
        "http://host\\@other",
        "http://host#@other",
        "http://host?@other",
        " http://host",
        "http://host\t",
        "http://ho st",
        "http://hôst",
        "http:host",
        "http:///host",
        "//host",
        "ftp://host",
        "http://",
        "http://host/\n",
    ],
)
def test_what_parsers_read_in_two_ways_is_no_plain_address(url: str) -> None:
    """
    One that another program would take to another host is not compared, but refused.
    """
    assert not is_plain_web_address(url)


@given(st.text(alphabet="ahost.:/@\\#?[]%1 \t", max_size=30))
def test_the_origin_of_a_plain_address_is_what_stands_before_its_first_slash(rest: str) -> None:
    """
    No path moves the host.
    """
    url = f"http://{rest}"

    if is_plain_web_address(url) and origin_of(url) is not None:
        assert origin_of(url.partition("://")[0] + "://" + rest.partition("/")[0]) == origin_of(url)
