"""Collects the secrets of an environment, and masks them in text in every form in which programs print them."""

import json
import re
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote_from_bytes, unquote

# Words in the names of variables with secrets; `TOKEN` too, but not in `MAX_TOKENS` and `TOKENIZERS_PARALLELISM`.
_SECRET_WORDS = (
    "PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIAL", "CONNECTION_STRING", "AUTH_CONFIG", "COOKIE",
    *(f"{what}{joint}KEY" for joint in ("_", "") for what in (
        "PRIVATE", "ACCESS", "API", "ACCOUNT", "STORAGE", "SIGNING", "ENCRYPTION", "SSH", "DEPLOY",
    )),
)  # fmt: skip
_SECRET_ENDS = ("_PASS", "_PAT", "_PWD")
_PLACES = ("_FILE", "_PATH", "_DIR", "_FOLDER", "_HOME")  # the path of a secret is not secret
_NO_SECRETS = frozenset({"", "0", "1", "true", "false", "yes", "no", "on", "off", "none", "null"})
# A user without a password is a token, unless it is one of these, or the URL's scheme uses the user as a name.
_USERS = frozenset({
    "anonymous", "git", "gitlab-ci-token", "hg", "oauth2", "oauth2accesstoken", "private-token", "root", "svn", "token",
    "user", "username", "x-access-token", "x-token-auth", "__token__", "_json_key", "***",
})  # fmt: skip
_NO_PASSWORDS = frozenset({"", "x-oauth-basic"})  # GitHub: the user is the token
# Compiled on first use, since most hooks see no URL and compiling is slow.
_NAMING_SCHEME = (
    r"(?i)(?:git\+|svn\+)?ssh|sftp|scp|abfss?|wasbs?|hdfs|viewfs|databricks(?:-uc)?"
    r"|(?:postgres(?:ql)?|mysql|mariadb|mssql|oracle|snowflake)(?:\+\w+)?"
)
# These patterns take time in proportion to the length of a line, which other programs print.
_USERINFO = r"([A-Za-z][A-Za-z0-9+.-]{0,30})://([^\s/?#\"'`<>]*)@"
# SQLAlchemy allows a slash in a password. Text that begins like a port is not a password.
_USER = r"://[^:/\s@]*:(?!\d{1,5}/)"
_SLASHED_END = r"[\s@\"'`<>]|\Z"
_QUERY = (
    r"(?i)[?&;][\w.-]*(?:token|password|passwd|pwd|secret|signature|sig|credential|api_?key|access_?key)="
    r"([^\s&;#\"'`<>]+)"
)
_HEADER = r"(?i)authorization[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|token)\s+([^\s\"',]+)"
_SHORT = 4  # shorter secrets occur in many words, and are masked only as a whole value
_MASK = "***"


def is_secret_name(name: str) -> bool:
    """Whether a variable with this name holds a secret."""
    upper = name.upper()
    if upper.endswith(_PLACES):
        return False
    after = upper.split("TOKEN")[1:]
    token = any(not rest[:1].isalpha() for rest in after)
    return token or upper.endswith(_SECRET_ENDS) or any(word in upper for word in _SECRET_WORDS)


def secrets_in(variables: Mapping[str, str]) -> tuple[str, ...]:
    """
    Return the secrets of an environment in every form, the longest first.

    Secrets are values of variables with secret names, passwords and tokens in URLs, and secret query parameters. The
    forms are those of URLs, JSON, Python, HTML, shells, and Base64 at any offset, as in an `Authorization` header.
    """
    lines = _lines_in(variables)
    if not lines:
        return ()
    forms = {form for line in lines for form in _forms(line)} | _in_pairs(variables, lines)
    return tuple(sorted(forms - _NO_SECRETS, key=lambda form: (-len(form), form)))


def forms_of(values: Iterable[str]) -> tuple[str, ...]:
    """Return values that are secrets whatever names they have, in the same forms."""
    return secrets_in({f"TOKEN_{number}": value for number, value in enumerate(values)})


def holds_secrets(variables: Mapping[str, str]) -> bool:
    """Whether an environment has any secret."""
    return bool(_lines_in(variables))


def mask(text: str, secrets: Sequence[str]) -> str:
    """Replace secrets, and credentials in URLs and headers, by `***`, including those wrapped over several lines."""
    stream = MaskedLines(secrets)
    lines = (*(line for raw in text.splitlines(keepends=True) for line in stream.feed(raw)), *stream.end())
    return "".join(lines)


class MaskedLines:
    """
    Masks the lines of a stream.

    A line that ends with the beginning of a secret is held back until the next line shows whether the secret continues
    there, since programs wrap long lines.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets
        self._wrapped = tuple(secret for secret in secrets if len(secret) >= 2 * _SHORT)
        self._held: list[str] = []
        self._open: list[tuple[str, int]] = []  # secrets that may continue, and the number of characters held

    def feed(self, line: str) -> list[str]:
        """Add a line with its line end; return the masked lines that are complete."""
        closing = self._closing(line)
        if closing is not None:
            secret, held = closing
            shown = self._without_tail(held) if held >= _SHORT else self.end()
            indent = len(line) - len(line.lstrip())
            self._open = []
            return [*shown, *self.feed(line[:indent] + _MASK + line[indent + len(secret) - held :])]
        going_on = self._going_on(line)
        if going_on:
            self._held.append(line)
            self._open = going_on
            return []
        shown = self.end()
        self._open = self._opening(line)
        if self._open:
            self._held = [line]
            return shown
        return [*shown, _masked(line, self._secrets)]

    def end(self) -> list[str]:
        """Return the masked lines that are still held back."""
        shown = [_masked(line, self._secrets) for line in self._held]
        self._held, self._open = [], []
        return shown

    def _closing(self, line: str) -> tuple[str, int] | None:
        """A secret that this line completes, and the count of its characters on earlier lines (at least 4)."""
        text = line.lstrip()
        for secret, held in self._open:
            if text.startswith(secret[held:]):
                return secret, held
        head = text[:_SHORT]
        if len(head) == _SHORT:
            for secret in self._wrapped:
                held = secret.find(head, 1, 2 * _SHORT - 1)
                if held > 0 and text.startswith(secret[held:]):
                    return secret, held
        return None

    def _going_on(self, line: str) -> list[tuple[str, int]]:
        """The secrets that contain this whole line in the middle."""
        text = line.strip()
        return [(secret, held + len(text)) for secret, held in self._open if text and secret[held:].startswith(text)]

    def _opening(self, line: str) -> list[tuple[str, int]]:
        """The secrets whose beginning is at the end of this line."""
        text = line.rstrip()
        tail = text[-_SHORT:]
        if len(tail) < _SHORT or len(text) == len(line):  # a line without a line end is the last one
            return []
        openings = []
        for secret in self._wrapped:
            at = secret.find(tail)
            while 0 <= at < len(secret) - _SHORT:
                if text.endswith(secret[: at + _SHORT]):
                    openings.append((secret, at + _SHORT))
                at = secret.find(tail, at + 1)
        return openings

    def _without_tail(self, held: int) -> list[str]:
        """The lines held back, with the last `held` characters, which are part of a secret, masked."""
        shown: list[str] = []
        for line in reversed(self._held):
            text = line.rstrip()
            taken = min(held, len(text.lstrip()))  # an indent is not part of the secret, as in `_going_on`
            held -= taken
            cut = text[: len(text) - taken] + (_MASK if taken else "")
            shown.insert(0, _masked(cut, self._secrets) + line[len(text) :])
        self._held = []
        return shown


def _masked(line: str, secrets: Sequence[str]) -> str:
    """Mask the secrets that are complete on one line."""
    spans = [span for secret in secrets for span in _spans_of(secret, line)]
    if "://" in line:
        spans += _spans_of_urls(line)
    spans += _spans_of_headers(line)
    parts: list[str] = []
    until = 0
    for start, end in sorted(spans):
        if end <= until:
            continue
        if start > until or not parts:
            parts += [line[until:start], _MASK]
        until = end
    return "".join((*parts, line[until:]))


def _spans_of(secret: str, line: str) -> Iterator[tuple[int, int]]:
    at = line.find(secret)
    if at >= 0 and len(secret) < _SHORT:
        matches = re.finditer(rf"(?<=[=:'\"`])\s?({re.escape(secret)})(?!\w)", line)
        yield from (match.span(1) for match in matches)
        return
    while at >= 0:
        yield at, at + len(secret)
        at = line.find(secret, at + 1)


def _spans_of_urls(text: str) -> Iterator[tuple[int, int]]:
    """The positions of credentials in URLs: passwords, users that are tokens, and secret parameters."""
    for match in re.finditer(_USERINFO, text):
        scheme, userinfo = match.groups()
        user, _, password = userinfo.partition(":")
        start, end = match.span(2)
        if password not in _NO_PASSWORDS:
            yield start + len(user) + 1, end
        elif user and user.lower() not in _USERS and not re.fullmatch(_NAMING_SCHEME, scheme):
            yield start, start + len(user)
    yield from _spans_of_slashed_passwords(text)
    yield from (match.span(1) for match in re.finditer(_QUERY, text))


def _spans_of_slashed_passwords(text: str) -> Iterator[tuple[int, int]]:
    """The positions of passwords with a slash. The end of each is looked up once, however many users are before it."""
    ending = re.compile(_SLASHED_END)
    end = masked = -1
    for user in re.finditer(_USER, text):
        start = user.end()
        if start > end:
            found = ending.search(text, start)
            end = found.start() if found else len(text)
        if start > masked and text.startswith("@", end) and text.find("/", start, end) >= 0:
            masked = end
            yield start, end


def _spans_of_headers(text: str) -> list[tuple[int, int]]:
    """The positions of credentials in `Authorization` headers."""
    return [match.span(1) for match in re.finditer(_HEADER, text)] if "authorization" in text.lower() else []


def _lines_in(variables: Mapping[str, str]) -> set[str]:
    """The secrets of an environment as they are written, line by line."""
    plain = {value for name, value in variables.items() if is_secret_name(name)}
    for value in variables.values():
        spans = [*(_spans_of_urls(value) if "://" in value else ()), *_spans_of_headers(value)]
        plain.update(value[start:end] for start, end in spans)
    # Output is masked line by line, and keys have several lines.
    lines = {line.strip() for value in plain for line in value.splitlines()}
    return {line for line in lines if line.lower() not in _NO_SECRETS and set(line) != {"*"}}


def _in_pairs(variables: Mapping[str, str], secrets: Iterable[str]) -> set[str]:
    """`user:password` in Base64, for passwords that are too short to be found in Base64 on their own."""
    short = [secret for secret in secrets if len(secret.encode(errors="surrogateescape")) < 2 * _SHORT]
    if not short:
        return set()
    users = {""} | {value for name, value in variables.items() if name.upper().endswith(("USERNAME", "USER"))}
    for value in variables.values():
        users |= {match[2].partition(":")[0] for match in re.finditer(_USERINFO, value)} if "://" in value else set()
    pairs = {f"{user}:{secret}" for user in users for secret in short} | {f"{secret}:" for secret in short}
    return {form for pair in pairs for form in _in_base64(pair.encode(errors="surrogateescape"))[:2]}


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms of a secret: plain, quoted for URLs, escaped for JSON, Python, HTML and shells, in Base64."""
    for plain in {secret, unquote(secret)}:
        raw = plain.encode(errors="surrogateescape")
        strict = quote_from_bytes(raw, safe="")
        quoted = {quote_from_bytes(raw, safe="/"), strict, strict.replace("%20", "+")}
        yield from (plain, *quoted)
        yield from (re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), text) for text in quoted)
        escaped = {plain.replace("\\", "\\\\").replace('"', '\\"'), json.dumps(plain)[1:-1], repr(plain)[1:-1]}
        yield from (*escaped, *(text.replace("/", r"\/") for text in escaped))
        tags = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield from (tags, tags.replace('"', "&quot;").replace("'", "&#x27;"))
        yield plain.replace("'", "'\"'\"'")
        yield plain.replace("'", r"'\''")
        if len(plain) >= _SHORT:
            yield from _in_base64(raw)


def _in_base64(raw: bytes) -> list[str]:
    """The Base64 forms of these bytes, in both alphabets: alone, then as part of something longer."""
    forms = [b2a_base64(raw, newline=False).decode().rstrip("=")]
    for lead in range(3):
        text = b2a_base64(bytes(lead) + raw, newline=False).decode()
        # Only characters whose six bits all belong to these bytes are the same in every text.
        inner = text[(0, 2, 3)[lead] : 8 * (lead + len(raw)) // 6]
        forms += [inner] if len(inner) >= 2 * _SHORT else []
    return [form for text in forms for form in (text, text.replace("+", "-").replace("/", "_"))]
