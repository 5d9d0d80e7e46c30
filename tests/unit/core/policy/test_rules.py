"""The conditions that break a rule of a lock policy: addresses of indexes and of folders are compared as uv does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.policy.rules import address

HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z]{2,5}){0,2}", fullmatch=True)


PATHS = st.from_regex(r"(/[A-Za-z0-9_.~-]{1,6}){0,3}", fullmatch=True)


USERS = st.from_regex(r"([a-z0-9%$]{1,5}(:[a-z0-9@%]{0,5})?@)?", fullmatch=True)


@given(HOSTS, PATHS, USERS, st.sampled_from(["", "/", "//"]), st.sampled_from(["http", "https"]))
def test_the_ways_to_write_an_index_are_equal(host: str, path: str, user: str, slash: str, scheme: str) -> None:
    """
    Credentials, default port, case of scheme and host, and slashes at the end.
    """
    port = {"http": ":80", "https": ":443"}[scheme]
    plain = f"{scheme}://{host}{path}"

    written = {address(f"{scheme.upper()}://{user}{host.upper()}{port}{path}{slash}"), address(plain + slash)}

    assert {plain} == written


@given(HOSTS, PATHS, HOSTS, PATHS, st.sampled_from([("http", "http"), ("http", "https")]))
def test_different_indexes_stay_different(
    host: str, path: str, other: str, elsewhere: str, schemes: tuple[str, str]
) -> None:
    """
    No two places become one; the path keeps its case.
    """
    one, two = (schemes[0], host, path), (schemes[1], other, elsewhere)

    equal = address("{}://{}{}".format(*one)) == address("{}://{}{}".format(*two))

    assert (one == two) == equal


@given(st.text() | st.text().map("http://{}".format) | st.text(alphabet="[]:/@ht p.").map("http://{}".format))
def test_any_text_is_an_address(text: str) -> None:
    """
    A lock may name anything: it is compared, and nothing is raised.
    """
    found = address(text)

    assert address(found) == found or "@" in found


@pytest.mark.parametrize(("one", "other"), [("../wheels", "../wheels/"), ("../wheels", "./../wheels"), ("a/b", "a//b")])
def test_a_folder_is_the_same_however_it_is_written(one: str, other: str) -> None:
    """
    As paths are.
    """
    found = {address(one), address(other)}

    assert {one} == found
