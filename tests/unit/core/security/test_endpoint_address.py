"""Which URLs and headers may be used to ask a running server, and what is shown of them."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.security.endpoint_address import endpoint_address, endpoint_headers, shown_address

CANARY = "ca-na-ry-42"
CALLER = {"AUTH": f"Bearer {CANARY}", "BROKEN": f"{CANARY}\nX-Other: 1", "EMPTY": ""}


@pytest.mark.parametrize(
    ("url", "requested", "shown"),
    [
        ("https://a.example", "https://a.example/invocations", "https://a.example/invocations"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/invocations", "http://127.0.0.1:8080/invocations"),
        ("https://a.example/x/invocations", "https://a.example/x/invocations", "https://a.example/x/invocations"),
        ("https://a.example/x?v=1", "https://a.example/x/invocations?v=1", "https://a.example/x/invocations"),
    ],
)
def test_a_base_url_is_that_of_its_invocations(url: str, requested: str, shown: str) -> None:
    """
    With its query, which is not shown.
    """
    address = endpoint_address(url)

    assert (requested, shown) == (address.invocations, address.shown)
    assert "v=1" not in repr(address)


@pytest.mark.parametrize("rest", ["", "/", "/infer", "/ready"])
@pytest.mark.parametrize("model", ["/v2/models/wine", "/team/v2/models/wine/versions/3"])
def test_the_url_of_a_model_in_v2_is_told_by_its_path(model: str, rest: str) -> None:
    """
    Whatever follows the model; other paths of it have the same query.
    """
    address = endpoint_address(f"https://a.example{model}{rest}?v=1")

    assert (f"https://a.example{model}/infer", model) == (address.shown, address.model_path)
    assert f"https://a.example{model}?v=1" == address.url_of(model)
    assert "" == endpoint_address("https://a.example/v2").model_path


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example", "file:///etc/passwd", "a.example", "https://", "https://a.example\\@b.example",
        f"https://me:{CANARY}@a.example", f"https://{CANARY}@a.example", f"https://a.example/?api_key={CANARY}",
        "https://a.example/#x y", "https://a b", "https://a.example/\r\nX: 1",
    ],
)  # fmt: skip
def test_other_urls_are_refused_without_their_credential(url: str) -> None:
    """
    A credential is refused because a command line shows it, and the message does not repeat it.
    """
    with pytest.raises(BadInput) as raised:
        endpoint_address(url)

    assert CANARY not in raised.value.text


def test_a_header_is_the_value_of_a_variable() -> None:
    """
    Its value is in no repr, and a text is masked of it and of the token alone.
    """
    headers = endpoint_headers(["Authorization=AUTH"], CALLER, endpoint_address("https://a.example"))

    assert ({"Authorization": "AUTH"}, CALLER["AUTH"]) == (headers.variables, headers.values["AUTH"])
    assert CANARY not in repr(headers)
    assert "no *** here" == headers.masked(f"no {CANARY} here")


@pytest.mark.parametrize(
    ("pair", "url", "what"),
    [
        (f"Authorization:{CANARY}", "https://a.example", "`url-headers` has an item that is not a header"),
        (f"Authorization={CANARY}", "https://a.example", "`url-headers` has an item that is not a header"),
        ("Host=AUTH", "https://a.example", "`url-headers` cannot set Host"),
        ("Transfer-Encoding=AUTH", "https://a.example", "`url-headers` cannot set Transfer-Encoding"),
        ("Authorization=OTHER", "https://a.example", "`url-headers` names OTHER, which is not set here"),
        ("Authorization=EMPTY", "https://a.example", "`url-headers` names EMPTY, which is not set here"),
        ("Authorization=BROKEN", "https://a.example", "the value of BROKEN cannot be a header"),
        ("Authorization=AUTH", "http://a.example", "`url-headers` needs HTTPS"),
        ("Authorization=AUTH", "http://127.0.0.1.example", "`url-headers` needs HTTPS"),
    ],
)
def test_another_header_is_refused_without_its_value(pair: str, url: str, what: str) -> None:
    """
    The message names the header or the variable.
    """
    with pytest.raises(BadInput) as raised:
        endpoint_headers([pair], CALLER, endpoint_address(url))

    assert raised.value.what.startswith(what)
    assert CANARY not in raised.value.text


def test_plain_http_to_this_machine_may_have_headers() -> None:
    """
    Nothing leaves it.
    """
    headers = endpoint_headers(["X-Key=AUTH"], CALLER, endpoint_address("http://localhost:5000"))

    assert {"X-Key": "AUTH"} == headers.variables


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a.example:8080", "http://a.example:8080/invocations"),
        ("https://a.example/x/invocations", "https://a.example/x/invocations"),
        ("https://a.example/v2/models/wine", "https://a.example/v2/models/wine/infer"),
        ("https://a.example/v2/models/wine/infer", "https://a.example/v2/models/wine/infer"),
        ("prod", ""),
        ("", ""),
    ],
)
def test_the_address_that_clients_ask_is_that_of_the_protocol(url: str, shown: str) -> None:
    """
    The name of an endpoint is no address.
    """
    assert shown == shown_address(url)
