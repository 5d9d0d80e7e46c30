"""User names, passwords and tokens in addresses, as uv finds them."""

import pytest

from mlflow_uv.core.security.toml_documents import parse_toml
from mlflow_uv.core.security.url_credentials import (
    carries_user,
    holds_credentials,
    plain_url,
    without_credentials,
    without_user,
    without_userinfo,
)


@pytest.mark.parametrize(
    ("url", "index", "file"),
    [
        ("https://a:b@x.test/s?k=v#f", "https://x.test/s", "https://x.test/s?k=v#f"),
        ("https://token@x.test/s/", "https://x.test/s/", "https://x.test/s/"),
        ("https://x.test/a@b", "https://x.test/a@b", "https://x.test/a@b"),
        ("../wheels", "../wheels", "../wheels"),
        ("https://a:p@ss@x.test/s", "https://x.test/s", "https://x.test/s"),
        ("https://a:p@ss@x.test?k=v", "https://x.test", "https://x.test?k=v"),
        ("https://a:p'\"w x@x.test/s", "https://x.test/s", "https://x.test/s"),
        ("ssh://git@x.test/a", "ssh://x.test/a", "ssh://git@x.test/a"),
        ("git+ssh://git:p@ss@x.test/a", "git+ssh://x.test/a", "git+ssh://x.test/a"),
    ],
)
def test_no_credential_is_left_in_a_url(url: str, index: str, file: str) -> None:
    """
    Of an index nothing but where it is; of a file all but the user.
    """
    found = plain_url(url), without_user(url)

    assert (index, file) == found


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("user:pass@host.test/simple", "host.test/simple"),
        ("user:p@ss@host.test/simple", "host.test/simple"),
        ("//user:pass@host.test/simple", "//host.test/simple"),
        ("https://user:pass@[bad/simple?t=pass", "https://[bad/simple"),
        ("https://user:p@ss@[bad/simple?t=pass", "https://[bad/simple"),
        ("../wheels/a:b@c", "../wheels/a:b@c"),
        ("git@host.test:group/project", "git@host.test:group/project"),
    ],
)
def test_a_malformed_address_is_shown_without_its_password(url: str, plain: str) -> None:
    """
    It is neither an error nor a leak.
    """
    found = plain_url(url)

    assert plain == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('url = "https://user:pass@x.test/simple"', 'url = "https://x.test/simple"'),
        ('url = "https://token@x.test/simple"', 'url = "https://x.test/simple"'),
        ('url = "https://user:p@ss@x.test/simple"', 'url = "https://x.test/simple"'),
        ("url = 'https://user:p@s\"s@x.test/simple'", "url = 'https://x.test/simple'"),
        ('url = "https://user:p\'s s@x.test/simple"', 'url = "https://x.test/simple"'),
        ('[" HTTPS://user:p@ss@x.test?k=a@b"]', '[" HTTPS://x.test?k=a@b"]'),
        ('["https://x.test", "me@y.test"]', '["https://x.test", "me@y.test"]'),
        ('"See https://x.test or write to me@y.test."', '"See https://x.test or write to me@y.test."'),
        ("git+ssh://user:p@ss@x.test/a", "git+ssh://x.test/a"),
        ("git+https://oauth2:glpat@x.test/a", "git+https://x.test/a"),
        ("git+ssh://user:pass@x.test/a", "git+ssh://x.test/a"),
        ("git+ssh://git@x.test/a?rev=v1@2", "git+ssh://git@x.test/a?rev=v1@2"),
        ("https://x.test/a@v1", "https://x.test/a@v1"),
        ('email = "a@x.test"', 'email = "a@x.test"'),
    ],
)
def test_credentials_are_taken_out_and_nothing_else(text: str, expected: str) -> None:
    """
    A token without a name is one too; the user of an SSH address, without whom git cannot ask, is none.
    """
    found = without_credentials(text)

    assert expected == found


def test_a_user_is_taken_away_and_nothing_else() -> None:
    """
    The rest of an address is shown in messages.
    """
    assert ["http://host:1/a@b", "http://host:1/a@b", "postgresql://host/a", "sqlite:///a@b"] == [
        without_userinfo("http://user:password@host:1/a@b"),
        without_userinfo("http://user:p@ssword@host:1/a@b"),
        without_userinfo("postgresql://user@host/a"),
        without_userinfo("sqlite:///a@b"),
    ]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user@x.test", True),
        ("https://a:p@ss@x.test/s", True),
        ("https://user@[bad", True),
        ("//user@x.test/s", True),
        ("https://x.test/a@b", False),
        ("https://x.test?a@b", False),
        ("sqlite:///a@b", False),
        ("me@x.test", False),
    ],
)
def test_a_user_is_before_the_path(url: str, *, expected: bool) -> None:
    """
    Also in an address whose host is malformed.
    """
    assert expected is carries_user(url)


def test_a_variable_with_several_addresses_loses_each_user() -> None:
    """
    As UV_INDEX has them, with names.
    """
    value = "one=https://a:p@ss@x.test/s https://y.test https://token@z.test/a@b"

    assert "one=https://x.test/s https://y.test https://z.test/a@b" == without_user(value)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (r'url = "https://user:pass\u0040x.test/simple"', True),
        ('dependencies = ["a @ https://user:p\'ss@x.test/a.whl"]', True),
        ('url = "https://user:p@ss@x.test/simple"', False),
        ('url = "ssh://git@x.test/a"', False),
        ('description = "See https://x.test or write to me@y.test."', False),
    ],
)
def test_what_is_left_in_a_document_is_found_once_it_is_parsed(line: str, *, expected: bool) -> None:
    """
    Escapes and quotes within quotes hide an address from a search in the text.
    """
    table = parse_toml(without_credentials(f"[[a]]\n{line}\n").encode(), limit=1000)

    assert expected is holds_credentials(table)
