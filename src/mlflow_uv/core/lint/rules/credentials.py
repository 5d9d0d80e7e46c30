"""The rule `credentials`: no password, token or key is written into code or configuration."""

import re
from collections.abc import Iterator

from ....command.lazy_pattern import lazy_pattern
from ..rule import LintProblem, LintRule, ProjectFiles, SourceFile, is_test, lines_of

_URL = lazy_pattern(
    r"\b(?P<scheme>[a-z][a-z0-9+.-]{0,30})://(?P<user>[^\s/:@\"'<>${}]*):(?P<secret>[^\s/@\"'<>`]+)@(?P<host>[\w.\[-]+)"
)
# Forms in which services issue tokens; their prefixes are for being found.
_TOKENS = {
    "an access key of AWS": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b",
    "a token of GitLab": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "a token of Hugging Face": r"\bhf_[A-Za-z0-9]{30,}\b",
    "a token of Databricks": r"\bdapi[0-9a-f]{32}(?:-\d)?\b",
    "a key of OpenAI": r"\bsk-(?:proj-)?[A-Za-z0-9_-]{40,}",
    "a key of Anthropic": r"\bsk-ant-[A-Za-z0-9_-]{40,}",
    "a token of Slack": r"\bxox[abprs]-[A-Za-z0-9-]{20,}",
    "a key of Google": r"\bAIza[A-Za-z0-9_-]{35}\b",
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
}
_STARTS = ("AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "hf_", "dapi", "sk-",
           "xox", "AIza", "PRIVATE KEY-----")  # fmt: skip
_VARIABLES = (
    "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET", "AZURE_STORAGE_ACCESS_KEY", "AZURE_CLIENT_SECRET", "HF_TOKEN",
    "DAGSHUB_USER_TOKEN", "DAGSHUB_TOKEN", "WANDB_API_KEY", "RAY_AUTH_TOKEN", "MLFLOW_UV_SIGNING_PIN",
)  # fmt: skip
_ASSIGNMENT = lazy_pattern(
    rf"\b(?P<name>{'|'.join(_VARIABLES)})['\"]?\]?\s*(?::-|[:=]|,)\s*(?P<quote>['\"]?)(?P<secret>[^\s'\"#,)}}]+)(?P=quote)"
)
# What stands for a secret, or is known to everybody.
_PLACEHOLDER = lazy_pattern(
    r".*(\$|\{|%\(|<|>|\*\*\*|\.\.\.|xxx|example|your|change|replace|placeholder|dummy|fake|redacted|secrets\.|env\.).*"
    r"|(minio|admin|user|root|test|testing|mlflow|none|null|true|false|str|secret|password|passwd|pass|pwd|token|key)"
    r"[\d!]*|minioadmin|minio_?(secret|password|key)\w*|mini[o0]123\w*|os\..*|[A-Z_]+(:.*)?",
    re.IGNORECASE,
)
_GENERIC_PAIRS = frozenset({"user", "username", "usr", "login", ""})
_LONGEST = 10_000  # characters of a line; a longer one is data
_NO_SERVER = frozenset({"http+unix", "ssh", "git"})


def _check(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:  # noqa: ARG001  # as all rules
    text = source.text
    suspicious = (
        ("://" in text and "@" in text)
        or any(start in text for start in _STARTS)
        or any(name in text for name in _VARIABLES)
    )
    if not suspicious or is_test(source.path) or re.search(r"(example|sample|template|\.dist)", source.name.lower()):
        return
    for number, row in enumerate(lines_of(text), 1):
        what = _secret_in(row) if len(row) <= _LONGEST else ""
        if what:
            yield LintProblem(
                line=number,
                what=f"the file contains {what}",
                why="everybody who can read the repository, or its history, can use it",
                fix="revoke it, and read it from the environment or a secret",
            )


def _secret_in(row: str) -> str:
    """What a line contains, without its value; empty if nothing."""
    if "://" in row and "@" in row:
        for url in _URL.finditer(row):
            if _is_password(url["user"], url["secret"], url["host"]) and url["scheme"] not in _NO_SERVER:
                return f"the password of a URL (`{url['scheme']}://`)"
    if any(start in row for start in _STARTS):
        for name, pattern in _TOKENS.items():
            match = re.search(pattern, row)
            if match and "EXAMPLE" not in match[0] and not re.search(r"(.)\1{7}", match[0].removesuffix("-----")):
                return name
    for match in _ASSIGNMENT.finditer(row) if "_" in row else ():
        if len(match["secret"]) > 7 and not _PLACEHOLDER.fullmatch(match["secret"]):  # noqa: PLR2004
            return f"the value of {match['name']}"
    return ""


def _is_password(user: str, secret: str, host: str) -> bool:
    if ("." not in host or host.startswith("127.")) and secret.lower() in {user.lower(), "password", "example"}:
        return False  # of a database that starts beside the program, as in a workflow or docker-compose.yml
    if re.search(r"[${}<>*]|%\(|\.\.\.", secret) or secret.isdigit():
        return False  # a value that is put in, or a port before `@` in a path
    return user.lower() not in _GENERIC_PAIRS and not re.search(
        r"example|your|change|placeholder|xxx", secret, re.IGNORECASE
    )


RULE = LintRule(
    name="credentials",
    summary="A password, token or key is written into code or configuration.",
    files=(
        r"\.(py|ipynb|ya?ml|toml|cfg|ini|conf|json|sh|env|properties)$|(^|/)(\.env[^/]*|MLproject|Makefile|"
        r"(Docker|Container)file[^/]*)$"
    ),
    check=_check,
)
