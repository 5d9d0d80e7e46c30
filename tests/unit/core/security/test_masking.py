"""Secrets do not leave, however they are written down."""

import base64
import html
import json
import shlex
import time
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlflow_uv.core.security.masking import MaskedLines, forms_of, is_secret_name, mask, secrets_in

# Anything but asterisks, which the mask is made of, and what would end a line.
PRINTABLE = st.characters(codec="utf-8", categories=("L", "N", "P", "S"), exclude_characters="*")
SECRETS = st.text(PRINTABLE, min_size=8, max_size=40).filter(lambda text: len(set(text)) > 4)
PLAIN = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs"), exclude_characters="*"), max_size=20)
CALLER = {
    "GITHUB_TOKEN": "ghs_secret",
    "UV_INDEX_COMPANY_PASSWORD": "hunter22",
    "MLFLOW_TRACKING_TOKEN": "tracking-secret",
    "AWS_SECRET_ACCESS_KEY": "aws-secret",
    "DATABRICKS_TOKEN": "dapi-secret",
    "UV_INDEX": "https://me:pa55word@index.test/simple, https://tokenAsUser@index.test/simple",
    "MLFLOW_TRACKING_URI": "http://trackingUser@tracking.test:5000",
    "STORE": "postgresql+psycopg://mlflow:sla/shed%40word@db.test/mlflow",
    "CONTAINER": "https://account.blob.test/box?sv=2026&sig=s1gnature",
    "TOKENIZERS_PARALLELISM": "true",
    "MAX_TOKENS": "4096",
    "USE_TOKEN": "false",
    "GOOGLE_APPLICATION_CREDENTIALS_FILE": "/home/me/key.json",
    "REPOSITORY": "git+ssh://alice@git.test/wine.git",
    "PATH": "/usr/bin",
}
IN_BASE64: tuple[Callable[[str], str], ...] = (
    lambda secret: base64.b64encode(secret.encode()).decode(),
    lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    lambda secret: base64.b64encode(f"promoter:{secret}".encode()).decode(),
    lambda secret: base64.b64encode(f"{secret}:".encode()).decode(),
    lambda secret: base64.b64encode(f"ab{secret}cd".encode()).decode(),
)


def test_secrets_are_found_by_the_name_and_the_shape_of_a_variable() -> None:
    """
    Tokens, passwords, keys, what an address holds before its host, and secret parameters; no switch, number or place.
    """
    secrets = secrets_in(CALLER)

    expected = {
        "ghs_secret", "hunter22", "tracking-secret", "aws-secret", "dapi-secret", "pa55word", "tokenAsUser",
        "trackingUser", "sla/shed%40word", "sla/shed@word", "s1gnature",
    }  # fmt: skip
    assert expected <= set(secrets)
    assert not {"true", "false", "4096", "/home/me/key.json", "alice", "me", "mlflow", "/usr/bin"} & set(secrets)
    assert sorted(secrets, key=len, reverse=True) == sorted(secrets, key=lambda text: -len(text))


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("GITHUB_TOKEN", True),
        ("hf_token", True),
        ("PGPASSWORD", True),
        ("MYSQL_PWD", True),
        ("SMTP_PASS", True),
        ("AZURE_STORAGE_CONNECTION_STRING", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("OPENAI_API_KEY", True),
        ("PWD", False),
        ("OLDPWD", False),
        ("MAX_TOKENS", False),
        ("TOKENIZERS_PARALLELISM", False),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", False),
        ("PATH", False),
        ("SSH_AUTH_SOCK", False),
    ],
)
def test_names_say_what_is_secret(name: str, *, secret: bool) -> None:
    """
    What counts words, names the current folder or says where a secret lies is none.
    """
    assert secret == is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token is ghs_secret.", "token is ***."),
        ("ghs_secret ghs_secret", "*** ***"),
        ("https://me:whatever@index.test/simple", "https://me:***@index.test/simple"),
        ("https://whoever@index.test/simple", "https://***@index.test/simple"),
        ("https://whoever:@index.test", "https://***:@index.test"),
        ("https://whoever:x-oauth-basic@x.test", "https://***:x-oauth-basic@x.test"),
        ("http://trackingUser@tracking.test:5000", "http://***@tracking.test:5000"),
        ("postgresql://u:p/w@db.test/x", "postgresql://u:***@db.test/x"),
        ("https://u:p@ss@host.test", "https://u:***@host.test"),
        ("https://host.test/x?token=abcd&y=1", "https://host.test/x?token=***&y=1"),
        ("Authorization: Bearer abcd", "Authorization: Bearer ***"),
        ('{"Authorization": "Basic abcd"}', '{"Authorization": "Basic ***"}'),
        ("https://index.test/simple?a=b:c@d", "https://index.test/simple?a=b:c@d"),
        ("git+https://host.test:443/x.git@v1", "git+https://host.test:443/x.git@v1"),
        ("ssh://git@host.test git+ssh://alice@host.test", "ssh://git@host.test git+ssh://alice@host.test"),
        ("https://git@host.test https://oauth2@host.test", "https://git@host.test https://oauth2@host.test"),
        ("abfss://box@account.test/x", "abfss://box@account.test/x"),
        ("postgresql://alice@db.test/x", "postgresql://alice@db.test/x"),
        ("alice wrote true to 4096", "alice wrote true to 4096"),
        ("nothing to hide", "nothing to hide"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_secret_is_masked_wherever_it_stands(text: str, shown: str) -> None:
    """
    Known secrets, and the credentials of any address or header even if nobody said that they are some.
    """
    assert shown == mask(text, secrets_in(CALLER))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=abc", "password=***"),
        ('{"password": "abc"}', '{"password": "***"}'),
        ("password: abc, next", "password: ***, next"),
        ("abc of the project, label=abcd", "abc of the project, label=abcd"),
        (f"Basic {base64.b64encode(b'me:abc').decode()}", "Basic ***"),
    ],
)
def test_a_short_secret_is_masked_where_it_is_a_value(text: str, shown: str) -> None:
    """
    Three characters are part of many words: they are masked behind `=`, `:` and quotes, and in an `Authorization`.
    """
    secrets = secrets_in({"SHORT_PASSWORD": "abc", "SHORT_USERNAME": "me"})

    assert shown == mask(text, secrets)


def test_a_value_that_is_a_secret_needs_no_name() -> None:
    """
    It has the forms of one in a variable; without a value there are none.
    """
    assert secrets_in({"A_TOKEN": "a/b c", "B_TOKEN": "hunter2"}) == forms_of(("a/b c", "hunter2"))
    assert () == forms_of(())


def test_every_line_of_a_key_is_a_secret() -> None:
    """
    Output is masked line by line, so a secret of several lines is masked by each of them.
    """
    secrets = secrets_in({"DEPLOY_PRIVATE_KEY": "-----BEGIN\nMIIEvQ\n}\n"})

    assert "read *** from the key" == mask("read MIIEvQ from the key", secrets)


@given(secret=SECRETS, before=PLAIN, after=PLAIN)
def test_no_way_to_write_a_secret_gets_through(secret: str, before: str, after: str) -> None:
    """
    As it stands, percent-encoded, in JSON, Python, HTML and shells: nothing of it is left.
    """
    forms = (
        secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret),
        json.dumps(secret, ensure_ascii=False), repr(secret), html.escape(secret), shlex.quote(secret),
    )  # fmt: skip
    secrets = secrets_in({"A_TOKEN": secret})

    for form in forms:
        assert secret not in mask(f"{before} {form} {after}", secrets)
        assert form.strip("'\"") not in mask(f"{before} {form} {after}", secrets)


@given(secret=SECRETS)
def test_base64_hides_no_secret(secret: str) -> None:
    """
    At most what stands beside it in six bits is left of a secret in Base64, whatever user it was joined with.
    """
    secrets = secrets_in({"A_TOKEN": secret})

    for encode in IN_BASE64:
        shown = mask(f"header {encode(secret)} end", secrets)
        assert "***" in shown
        assert len(shown) <= len("header *** end") + len(base64.b64encode(b"promoter:")) + 8


@example(secret="abcdefghij", cuts=[4, 5, 6], indent="  ")  # of the test
@given(secret=SECRETS, cuts=st.lists(st.integers(1, 39), max_size=3), indent=st.sampled_from(["", "  ", "\t"]))
def test_a_secret_that_was_wrapped_does_not_get_through(secret: str, cuts: list[int], indent: str) -> None:
    """
    However a line is broken, no more than three characters of its pieces are seen.
    """
    places = sorted({0, len(secret), *(cut for cut in cuts if 3 < cut < len(secret) - 3)})
    pieces = [secret[start:end] for start, end in pairwise(places)]
    text = f"\n{indent}".join(pieces)

    shown = mask(f"begin\n{text}\nend\n", secrets_in({"A_TOKEN": secret}))

    assert not [piece for piece in pieces if len(piece) > 3 and piece in shown.replace("begin", "").replace("end", "")]


# Some names of users stand for no account, and are shown.
@given(user=SECRETS.filter(lambda text: text.lower() not in ("username", "x-access-token", "__token__", "_json_key")))
def test_a_token_as_user_does_not_get_through(user: str) -> None:
    """
    What an address holds before its host is masked there, decoded, and by itself.
    """
    secrets = secrets_in({"MLFLOW_TRACKING_URI": f"http://{quote(user, safe='')}@tracking.test:5000"})

    shown = mask(f"{user} http://{quote(user, safe='')}@tracking.test {json.dumps(user)}", secrets)

    assert user not in shown
    assert quote(user, safe="") not in shown


@given(lines=st.lists(PLAIN, max_size=8), secret=SECRETS)
def test_nothing_else_is_changed(lines: list[str], secret: str) -> None:
    """
    A stream gives every line once, in order, as it was, where there is nothing to hide.
    """
    stream = MaskedLines(secrets_in({"A_TOKEN": secret}))
    quiet = [line for line in lines if not set(line) & set(secret) and "@" not in line and "=" not in line]

    shown = [line for raw in quiet for line in stream.feed(f"{raw}\n")] + stream.end()

    assert [f"{line}\n" for line in quiet] == shown


def test_a_line_is_held_back_only_where_a_secret_may_go_on() -> None:
    """
    Who watches a training sees each line at once, but one that ends as a secret begins.
    """
    stream = MaskedLines(secrets_in({"A_TOKEN": "ghs_0123456789"}))

    shown = [stream.feed(line) for line in ("epoch 1\n", "it is ghs_0123\n", "epoch 2\n", "ghs_0123\n", "456789\n")]

    assert [["epoch 1\n"], [], ["it is ghs_0123\n", "epoch 2\n"], [], ["***\n", "***\n"]] == shown


@pytest.mark.parametrize("unit", ["a", "a://", "a://b:", "a://b:/", "a://b:c/d ", "?token", "/"])
def test_a_long_line_is_masked_quickly(unit: str) -> None:
    """
    A megabyte that looks like the beginning of a URL, and a password at its end.
    """
    line = unit * (1_000_000 // len(unit)) + " https://me:pa/ss@host"
    started = time.process_time()

    masked = mask(line, ())

    assert (" https://me:***@host", True) == (masked[-20:], time.process_time() - started < 10)


def test_every_password_with_a_slash_is_masked() -> None:
    """
    After a long scheme too; a port is not a password.
    """
    line = f"{'x' * 40}://me:a/b@h a://b:c/d://e:f/g@h http://h:80/p@q 'a://b:c/d' x@y a://b:c"

    assert f"{'x' * 40}://me:***@h a://b:***@h http://h:80/p@q 'a://b:c/d' x@y a://b:c" == mask(line, ())
