"""Which addresses lead to the same server."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.security.origins import is_loopback, is_plain_web_address, origin_of


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


PART = st.one_of(
    st.sampled_from(["127", "0x7f", "0177", "0X7F", "0", "1", "256", "08", "0x", "2130706433", "017700000001", "x"]),
    st.integers(0, 1 << 33).map(str),
    st.integers(0, 1 << 33).map(hex),
)


@given(st.lists(PART, min_size=1, max_size=5).map(".".join))
def test_a_host_of_numbers_is_loopback_as_the_c_library_reads_it(host: str) -> None:
    """
    A resolver would connect to it: `127.1`, `0x7f.1` and `2130706433` are this machine, and `0127.0.0.1` is not.
    """
    try:
        first = socket.inet_aton(host)[0]
    except OSError:
        first = 0

    assert (first == 127) == is_loopback(host)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("localhost.", False),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("::ffff:127.0.0.1", True),
        ("127.1", True),
        ("::2", False),
        ("::1.", False),
        ("::ffff:10.0.0.1", False),
        ("localhost..", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("127.0.0.300", False),
        ("127.0.0.1 ", False),
        ("", False),
        (".", False),
    ],
)
def test_names_and_addresses_of_this_machine_in_every_form(host: str, *, loopback: bool) -> None:
    """
    Without encryption, a credential is sent to these alone.
    """
    assert loopback == is_loopback(host)
