"""Parses the URL of a running model server (`url`) and the headers for it (`url-headers`)."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cached_property
from urllib.parse import urlsplit, urlunsplit

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.wording import option
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .masking import mask, secrets_in
from .origins import is_loopback, is_plain_web_address
from .url_credentials import carries_user

INVOCATIONS, INFER = "/invocations", "/infer"
_PAIR = lazy_pattern(r"(?P<header>[A-Za-z0-9-]+)=(?P<variable>[A-Za-z_][A-Za-z0-9_]*)")
# A model of a server that speaks the V2 protocol (Open Inference), with or without what follows it.
_V2_MODEL = lazy_pattern(r"(?P<model>.*/v2/models/[^/]+(?:/versions/[^/]+)?)(?:/infer|/ready)?")
_VALUE = lazy_pattern(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
# Headers that say how the body is framed or where it goes; the client sets them.
_OWN = frozenset({
    "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host",
    "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip


@lazy_dataclass(kw_only=False)
class EndpointHeaders:
    """Headers with values of environment variables; neither the values nor a `repr` of them is ever shown."""

    variables: Mapping[str, str] = field(default_factory=dict)  # names of variables by header
    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """Every value, and the part of it after a scheme such as `Bearer`, in all forms in which they may be shown."""
        parts = {f"{name}_SECRET": value for name, value in self.values.items()}
        parts |= {f"{name}_TOKEN": value.split()[-1] for name, value in self.values.items()}
        return secrets_in(parts)

    def masked(self, text: str) -> str:
        """The text with all values masked."""
        return mask(text, self.secrets)


NO_HEADERS = EndpointHeaders()


@lazy_dataclass
class EndpointAddress:
    """
    The URL that predictions are requested from, and how it is shown: without its query.

    `model_path` is the path of a model that is served in the V2 protocol, empty for MLflow's protocol.
    """

    invocations: str = field(repr=False)
    shown: str
    model_path: str = ""

    @property
    def host(self) -> str:
        """Its host."""
        return urlsplit(self.invocations).hostname or ""

    @property
    def is_encrypted(self) -> bool:
        """Whether it is HTTPS."""
        return self.invocations.startswith("https:")

    def url_of(self, path: str) -> str:
        """The URL of a path below `model_path`, with the query."""
        return urlunsplit(urlsplit(self.invocations)._replace(path=path))


def endpoint_address(url: str) -> EndpointAddress:
    """
    Parse the base URL of a server, that of its `/invocations`, or that of a model in the V2 protocol.

    Raises BadInput for another scheme than HTTP, and for a credential, which command lines and logs would show.
    """
    if mask(url, ()) != url or carries_user(url):
        why = "command lines and logs are visible to others"
        fix = option("url-headers", "Authorization=VARIABLE")
        raise BadInput(what="`url` has a credential in it", why=why, fix=fix)
    if not is_plain_web_address(url):
        why = "a server has an HTTP address without spaces and without a fragment"
        raise BadInput(what="`url` is not the URL of a server", why=why, fix=option("url", "https://HOST/PATH"))
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if match := _V2_MODEL.fullmatch(path):
        parts = parts._replace(path=f"{match['model']}{INFER}")
        shown = urlunsplit(parts._replace(query=""))
        return EndpointAddress(invocations=urlunsplit(parts), shown=shown, model_path=match["model"])
    if not path.endswith(INVOCATIONS):
        path += INVOCATIONS
    parts = parts._replace(path=path)
    return EndpointAddress(invocations=urlunsplit(parts), shown=urlunsplit(parts._replace(query="")))


def shown_address(url: str) -> str:
    """The URL that predictions are requested from, as it is shown; empty for what is no URL of a server."""
    try:
        return endpoint_address(url).shown
    except BadInput:
        return ""


def endpoint_headers(pairs: Iterable[str], caller: Mapping[str, str], address: EndpointAddress) -> EndpointHeaders:
    """
    Read headers, each as HEADER=VARIABLE, from the caller's environment.

    Raises BadInput, without any value in it, for one that is invalid or not set, and for plain HTTP to another machine.
    """
    variables: dict[str, str] = {}
    for pair in pairs:
        match = _PAIR.fullmatch(pair)
        if match is None:
            why = "an item is HEADER=VARIABLE, and the value of the header comes from that variable"
            what = "`url-headers` has an item that is not a header with the name of a variable"
            raise BadInput(what=what, why=why, fix=option("url-headers", "Authorization=VARIABLE"))
        header, variable = match["header"], match["variable"]
        if header.lower() in _OWN:
            raise BadInput(what=f"`url-headers` cannot set {header}", why="the client sets it for each request")
        _require_usable(header, variable, caller)
        variables[header] = variable
    if variables and not address.is_encrypted and not is_loopback(address.host):
        why = f"{address.host} would be sent them without encryption"
        raise BadInput(what="`url-headers` needs HTTPS", why=why, fix=option("url", "https://HOST/"))
    return EndpointHeaders(variables=variables, values={name: caller[name] for name in set(variables.values())})


def _require_usable(header: str, variable: str, caller: Mapping[str, str]) -> None:
    value = caller.get(variable)
    if not value:
        what = f"`url-headers` names {variable}, which is not set here"
        raise BadInput(what=what, why=f"it is the value of {header}", fix="set it in the environment of this step")
    if _VALUE.fullmatch(value) is None:
        why = "it has a line break, a space at an end, or another character than printable ASCII"
        raise BadInput(what=f"the value of {variable} cannot be a header", why=why, fix="set it without that character")
