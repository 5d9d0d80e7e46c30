"""Finds the secrets in an environment and masks them in text, in the forms in which programs print them."""

import re
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping, Sequence

# In names of variables whose values are secrets; `TOKEN` too, but in `MAX_TOKENS` and `TOKENIZERS_PARALLELISM`.
_SECRET_WORDS = (
    "PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIAL", "CONNECTION_STRING", "AUTH_CONFIG", "COOKIE",
    *(f"{what}{joint}KEY" for joint in ("_", "") for what in (
        "PRIVATE", "ACCESS", "API", "ACCOUNT", "STORAGE", "SIGNING", "ENCRYPTION", "SSH", "DEPLOY",
    )),
)  # fmt: skip
_SECRET_ENDS = ("_PASS", "_PAT", "_PWD")
_PLACES = ("_FILE", "_PATH", "_DIR", "_FOLDER", "_HOME")  # where a secret lies is none
_NO_SECRETS = frozenset({"", "0", "1", "true", "false", "yes", "no", "on", "off", "none", "null"})
# What stands before `@` without a password is a token, unless it is one of these, or a name by the scheme's own rule.
_USERS = frozenset({
    "anonymous", "git", "gitlab-ci-token", "hg", "oauth2", "oauth2accesstoken", "private-token", "root", "svn", "token",
    "user", "username", "x-access-token", "x-token-auth", "__token__", "_json_key", "***",
})  # fmt: skip
_NO_PASSWORDS = frozenset({"", "x-oauth-basic"})  # GitHub's words for "the user is the token"
# Compiled by `re` when they are needed first: most hooks meet no address, and compiling takes longer than they should.
_NAMING_SCHEME = (
    r"(?i)(?:git\+|svn\+)?ssh|sftp|scp|abfss?|wasbs?|hdfs|viewfs|databricks(?:-uc)?"
    r"|(?:postgres(?:ql)?|mysql|mariadb|mssql|oracle|snowflake)(?:\+\w+)?"
)
_USERINFO = r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s/?#\"'`<>]*)@"
# A driver's own rule (SQLAlchemy's): a password may hold a slash. What begins as a port is no password.
_SLASHED = r"://[^:/\s@]*:(?!\d{1,5}/)([^\s@\"'`<>]*/[^\s@\"'`<>]*)@"
_QUERY = (
    r"(?i)[?&;][\w.-]*(?:token|password|passwd|pwd|secret|signature|sig|credential|api_?key|access_?key)="
    r"([^\s&;#\"'`<>]+)"
)
_HEADER = r"(?i)authorization[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|token)\s+([^\s\"',]+)"
_SHORT = 4  # shorter ones are parts of many words: they are masked as a value alone
_MASK = "***"
_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"  # in URLs (RFC 3986)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret."""
    upper = name.upper()
    if upper.endswith(_PLACES):
        return False
    after = upper.split("TOKEN")[1:]
    token = any(not rest[:1].isalpha() for rest in after)
    return token or upper.endswith(_SECRET_ENDS) or any(word in upper for word in _SECRET_WORDS)


def secrets_in(variables: Mapping[str, str]) -> tuple[str, ...]:
    """
    What must never be shown, the longest first: the secret values of an environment in every form.

    Secrets are the values of variables named like one, passwords and tokens in URLs, and secret parameters of queries.
    The forms are those of URLs, JSON, Python, HTML, shells, and Base64 at any offset, as in an `Authorization` header.
    """
    lines = _lines_in(variables)
    if not lines:
        return ()
    found = {form for line in lines for form in _forms(line)} | _in_pairs(variables, lines)
    return tuple(sorted(found - _NO_SECRETS, key=lambda form: (-len(form), form)))


def holds_secrets(variables: Mapping[str, str]) -> bool:
    """Whether there is anything to hide."""
    return bool(_lines_in(variables))


def mask(text: str, secrets: Sequence[str]) -> str:
    """Replace secrets, and credentials in any URL or header, by asterisks; also those broken over several lines."""
    stream = MaskedLines(secrets)
    lines = (*(line for raw in text.splitlines(keepends=True) for line in stream.feed(raw)), *stream.end())
    return "".join(lines)


class MaskedLines:
    """
    Masks the lines of a stream as they come.

    A line that ends with the beginning of a secret is held back until the next one shows whether the secret goes on
    there: programs wrap long lines.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets
        self._wrapped = tuple(secret for secret in secrets if len(secret) >= 2 * _SHORT)
        self._held: list[str] = []
        self._open: list[tuple[str, int]] = []  # secrets that may go on, and how many characters of each are held

    def feed(self, line: str) -> list[str]:
        """Take a line with its end; return the lines that can be shown now."""
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
        """What is still held back."""
        shown = [_masked(line, self._secrets) for line in self._held]
        self._held, self._open = [], []
        return shown

    def _closing(self, line: str) -> tuple[str, int] | None:
        """A secret that this line completes, and how many of its characters stand before: 3 and fewer go unseen."""
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
        """Secrets of which this whole line is a middle part."""
        text = line.strip()
        return [(secret, held + len(text)) for secret, held in self._open if text and secret[held:].startswith(text)]

    def _opening(self, line: str) -> list[tuple[str, int]]:
        """Secrets with whose beginning this line ends."""
        text = line.rstrip()
        tail = text[-_SHORT:]
        if len(tail) < _SHORT or len(text) == len(line):  # a last line without an end is followed by nothing
            return []
        found = []
        for secret in self._wrapped:
            at = secret.find(tail)
            while 0 <= at < len(secret) - _SHORT:
                if text.endswith(secret[: at + _SHORT]):
                    found.append((secret, at + _SHORT))
                at = secret.find(tail, at + 1)
        return found

    def _without_tail(self, held: int) -> list[str]:
        """The lines held back, without the `held` characters of a secret with which they end."""
        shown: list[str] = []
        for line in reversed(self._held):
            text = line.rstrip()
            taken = min(held, len(text))
            held -= taken
            cut = text[: len(text) - taken] + (_MASK if taken else "")
            shown.insert(0, _masked(cut, self._secrets) + line[len(text) :])
        self._held = []
        return shown


def _masked(line: str, secrets: Sequence[str]) -> str:
    """One line without what stands in it as a whole."""
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
        found = re.finditer(rf"(?<=[=:'\"`])\s?({re.escape(secret)})(?!\w)", line)
        yield from (one.span(1) for one in found)
        return
    while at >= 0:
        yield at, at + len(secret)
        at = line.find(secret, at + 1)


def _spans_of_urls(text: str) -> Iterator[tuple[int, int]]:
    """Where the credentials of URLs stand: passwords, users that are tokens, and secret parameters."""
    for found in re.finditer(_USERINFO, text):
        scheme, userinfo = found.groups()
        user, _, password = userinfo.partition(":")
        start, end = found.span(2)
        if password not in _NO_PASSWORDS:
            yield start + len(user) + 1, end
        elif user and user.lower() not in _USERS and not re.fullmatch(_NAMING_SCHEME, scheme):
            yield start, start + len(user)
    yield from (found.span(1) for pattern in (_SLASHED, _QUERY) for found in re.finditer(pattern, text))


def _spans_of_headers(text: str) -> list[tuple[int, int]]:
    """Where what an `Authorization` header says stands."""
    return [found.span(1) for found in re.finditer(_HEADER, text)] if "authorization" in text.lower() else []


def _lines_in(variables: Mapping[str, str]) -> set[str]:
    """The secrets as they stand, line by line."""
    plain = {value for name, value in variables.items() if is_secret_name(name)}
    for value in variables.values():
        spans = [*(_spans_of_urls(value) if "://" in value else ()), *_spans_of_headers(value)]
        plain.update(value[start:end] for start, end in spans)
    # Output is masked line by line, and a key has many.
    lines = {line.strip() for value in plain for line in value.splitlines()}
    return {line for line in lines if line.lower() not in _NO_SECRETS and set(line) != {"*"}}


def _in_pairs(variables: Mapping[str, str], secrets: Iterable[str]) -> set[str]:
    """`user:password` in Base64, for passwords that are too short to be found in it by themselves."""
    short = [secret for secret in secrets if len(secret.encode(errors="surrogateescape")) < 2 * _SHORT]
    if not short:
        return set()
    users = {""} | {value for name, value in variables.items() if name.upper().endswith(("USERNAME", "USER"))}
    for value in variables.values():
        users |= {found[2].partition(":")[0] for found in re.finditer(_USERINFO, value)} if "://" in value else set()
    pairs = {f"{user}:{secret}" for user in users for secret in short} | {f"{secret}:" for secret in short}
    return {form for pair in pairs for form in _in_base64(pair.encode(errors="surrogateescape"))[:2]}


def _forms(secret: str) -> Iterator[str]:
    """
    A secret as it stands, and as others write it down.

    By hand, as far as that goes: the modules that know how take 20 ms to import, which every hook of somebody who has a
    token would pay.
    """
    for plain in {secret, _unquoted(secret)}:
        raw = plain.encode(errors="surrogateescape")
        quoted = {_quoted(raw, safe="/"), _quoted(raw, safe=""), _quoted(raw, safe=" ").replace(" ", "+")}
        yield from (plain, *quoted)
        yield from (re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), text) for text in quoted)
        escaped = {plain.replace("\\", "\\\\").replace('"', '\\"'), _in_json(plain), repr(plain)[1:-1]}
        yield from (*escaped, *(text.replace("/", r"\/") for text in escaped))
        tags = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield from (tags, tags.replace('"', "&quot;").replace("'", "&#x27;"))
        yield plain.replace("'", "'\"'\"'")
        yield plain.replace("'", r"'\''")
        if len(plain) >= _SHORT:
            yield from _in_base64(raw)


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote  # noqa: PLC0415  # see `_forms`

    return unquote(text)


def _quoted(raw: bytes, *, safe: str) -> str:
    return "".join(chr(byte) if chr(byte) in _UNRESERVED + safe else f"%{byte:02X}" for byte in raw)


def _in_json(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text.replace("\\", "\\\\").replace('"', '\\"')
    import json  # noqa: PLC0415  # see `_forms`

    return json.dumps(text)[1:-1]


def _in_base64(raw: bytes) -> list[str]:
    """What Base64 makes of these bytes: alone, in both alphabets, then as part of something longer."""
    forms = [b2a_base64(raw, newline=False).decode().rstrip("=")]
    for lead in range(3):
        text = b2a_base64(bytes(lead) + raw, newline=False).decode()
        # Only characters whose six bits are all ours are the same in every text.
        inner = text[(0, 2, 3)[lead] : 8 * (lead + len(raw)) // 6]
        forms += [inner] if len(inner) >= 2 * _SHORT else []
    return [form for text in forms for form in (text, text.replace("+", "-").replace("/", "_"))]
