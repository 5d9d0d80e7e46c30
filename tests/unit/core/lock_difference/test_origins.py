"""Where packages and their files come from."""

import pytest

from mlflow_uv.core.lock_difference.origins import UsualOrigins, file_differences, same_source
from tests.unit.core.lock_difference.locks import lock, package

OLD = package("grape")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://evil.test/g.whl", "evil.test"),
        ("https:evil.test/g.whl", "evil.test"),
        ("HTTPS://EVIL.test:8443/g.whl", "evil.test:8443"),
        (r"https://evil.test\\@files.test/g.whl", "evil.test"),
        ("https://files.test@evil.test/g.whl", "evil.test"),
        ("https://evil.test?files.test/g.whl", "evil.test"),
    ],
)
def test_the_host_is_the_one_that_uv_would_contact(url: str, host: str) -> None:
    """
    No user, backslash or missing slash hides it behind a host that the lock has already.
    """
    one, other = (lock(text).packages[0] for text in (OLD, OLD.replace("}]", f'}}, {{ url = "{url}", hash = "x" }}]')))

    assert file_differences(one, other, UsualOrigins.of(lock(OLD))).endswith(f"is new, from {host}")


def test_credentials_are_no_part_of_a_source() -> None:
    """
    uv leaves them out of a lock, and a colleague's lock may still have them.
    """
    one, other, moved = (
        lock(package("grape", source=f'registry = "https://{place}/simple"')).packages[0]
        for place in ("a:b@i.test", "i.test", "a:b@evil.test")
    )

    assert (True, False) == (same_source(one, other), same_source(one, moved))


def test_many_differences_are_shortened() -> None:
    """
    The others are counted.
    """
    wheels = "".join(f', {{ url = "https://evil.test/{number}.whl", hash = "x" }}' for number in range(9))
    one, other = (lock(text).packages[0] for text in (OLD, OLD.replace("}]", f"}}{wheels}]")))

    found = file_differences(one, other, UsualOrigins.of(lock(OLD)))

    assert (5, True) == (found.count("is new"), found.endswith("; and 4 more"))
