"""Which of the few things that can go wrong went wrong, in words that hold no secret?"""

import enum
import http
import os
import re
import traceback
from collections.abc import Iterator


class ProblemKind(str, enum.Enum):
    """What the caller can tell apart. The values are the wire format."""

    UNREACHABLE = "unreachable"  # no answer, half an answer, a timeout, a 5xx
    STRANGER = "stranger"  # something answers that is no MLflow server, or is another one than was meant
    DENIED = "denied"  # 401, 403, a database that refuses the password
    LOCKED = "locked"  # somebody else writes into the database and does not end
    SCHEMA = "schema"  # a database made by another MLflow
    LIBRARY_MISSING = "library-missing"  # the driver of a database, the client of an artifact store
    NOT_FOUND = "not-found"
    INVALID = "invalid"  # a name, a tag, a folder or a request that MLflow refuses
    TRAINING = "training"  # the project's own code raised
    CANNOT_LOAD = "cannot-load"
    CANNOT_PREDICT = "cannot-predict"
    TIMEOUT = "timeout"  # a version that stays pending
    CONFLICT = "conflict"  # somebody else did something else at the same time
    LOCAL_ARTIFACTS = "local-artifacts"  # a server that keeps artifacts in a folder of whichever machine asks it
    FOREIGN_ARTIFACTS = "foreign-artifacts"  # a server that names another one, or a path out of the folder
    MLFLOW_MISSING = "mlflow-missing"
    UNEXPECTED = "unexpected"


class Problem(Exception):
    """A question without an answer, already told apart; `facts` are what the caller makes a better message from."""

    def __init__(self, kind: ProblemKind, message: str, *, facts: "dict[str, object] | None" = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.facts = facts or {}


_KINDS_OF_CODES = {
    "RESOURCE_DOES_NOT_EXIST": ProblemKind.NOT_FOUND,
    "NOT_FOUND": ProblemKind.NOT_FOUND,
    "ENDPOINT_NOT_FOUND": ProblemKind.STRANGER,
    "INVALID_PARAMETER_VALUE": ProblemKind.INVALID,
    "BAD_REQUEST": ProblemKind.INVALID,
    "INVALID_STATE": ProblemKind.INVALID,
    "NOT_IMPLEMENTED": ProblemKind.INVALID,
    "PERMISSION_DENIED": ProblemKind.DENIED,
    "CUSTOMER_UNAUTHORIZED": ProblemKind.DENIED,
    "UNAUTHENTICATED": ProblemKind.DENIED,
    "ALREADY_EXISTS": ProblemKind.CONFLICT,
    "RESOURCE_ALREADY_EXISTS": ProblemKind.CONFLICT,
    "RESOURCE_CONFLICT": ProblemKind.CONFLICT,
    "ABORTED": ProblemKind.CONFLICT,
    "TEMPORARILY_UNAVAILABLE": ProblemKind.UNREACHABLE,
    "DEADLINE_EXCEEDED": ProblemKind.UNREACHABLE,
    "REQUEST_LIMIT_EXCEEDED": ProblemKind.UNREACHABLE,
    "RESOURCE_EXHAUSTED": ProblemKind.UNREACHABLE,
}
# By name and module, because neither requests nor SQLAlchemy is there in every environment that has an mlflow.
_UNREACHABLE = {
    ("requests", "ConnectionError"),
    ("requests", "Timeout"),
    ("requests", "ChunkedEncodingError"),
    ("requests", "RetryError"),
    ("requests", "InvalidURL"),
    ("requests", "MissingSchema"),
    ("sqlalchemy", "OperationalError"),
    ("sqlalchemy", "InterfaceError"),
}
# By what they say, because drivers of databases share no classes, MLflow wraps errors without keeping them, and what a
# thread raised is only there as text. The first that fits wins.
_SAID = {
    ProblemKind.SCHEMA: "out-of-date database schema|Can't locate revision"
    "|no such (?:table|column)|Undefined(?:Table|Column)",
    ProblemKind.LOCKED: "database is locked|Lock wait timeout|deadlock detected",
    ProblemKind.DENIED: (
        r"password authentication failed|no password supplied|no pg_hba\.conf entry|Access denied|permission denied for"
        "|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|Unable to locate credentials"
    ),
    ProblemKind.UNREACHABLE: (
        "Max retries exceeded|Connection (?:broken|aborted|reset)|Read timed out|Could not connect to the endpoint"
    ),
    ProblemKind.STRANGER: "response body was not in a valid JSON format|file is not a database",
}
# Where a module is not called as the package that somebody has to add.
_PACKAGES = {
    "azure": "azure-storage-blob",
    "botocore": "boto3",
    "google": "google-cloud-storage",
    "MySQLdb": "mysqlclient",
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
}
_BROKEN_OFF = re.compile(r"IncompleteRead|Connection broken")
_STATUS = re.compile(r"failed with error code (\d{3})\b|too many (\d{3}) error responses")
_CODE = re.compile(r"\A[A-Z]+(?:_[A-Z]+)*: ")  # what MLflow's HTTP client puts before the server's own words
_PAGE = re.compile(r"Response body: '\s*<.*", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>([^<]{1,100})", re.IGNORECASE)
_STATEMENT = re.compile(r"\s*(?:\[SQL: |\(Background on this error at: ).*", re.DOTALL)
_LONGEST = 1000
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@'\"]+@")
_SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 6
_HANDED = "MLFLOW_UV_HANDED"  # names of variables that were handed to the model


def mask(text: str) -> str:
    """The text without credentials in URLs, and without the values of variables that are secrets by name or by list."""
    masked = _CREDENTIALS.sub("***@", text)
    handed = os.environ.get(_HANDED, "").split()
    for name, value in os.environ.items():
        if (len(value) >= _SHORTEST_SECRET and _SECRET_NAME.search(name)) or (name in handed and len(value) > 1):
            masked = masked.replace(value, "***")
    return masked


def kind_of(error: BaseException) -> ProblemKind:
    """The kind of any error: its own, by MLflow's error code, by HTTP status, or by what lies underneath it."""
    chain = tuple(_chain(error))
    for link in chain:
        if isinstance(link, Problem):
            return link.kind
    by_status = next((kind for kind in map(_kind_by_status, chain) if kind is not None), None)
    if by_status is not None:
        return by_status
    by_word = next((kind for kind, words in _SAID.items() if any(re.search(words, str(link)) for link in chain)), None)
    if by_word is not None:
        return by_word
    if _missing_module(error) is not None:
        return ProblemKind.LIBRARY_MISSING
    if any(_is_unreachable(link) for link in chain):
        return ProblemKind.UNREACHABLE
    codes = (_KINDS_OF_CODES.get(str(getattr(link, "error_code", ""))) for link in chain)
    by_code = next((kind for kind in codes if kind is not None), None)
    if by_code is not None:
        return by_code
    if any(type(link).__name__ == "RestException" for link in chain):
        return ProblemKind.UNREACHABLE  # a server that answers "internal error" has no answer for us
    return ProblemKind.NOT_FOUND if isinstance(error, FileNotFoundError) else ProblemKind.UNEXPECTED


def breaks_off(error: BaseException) -> bool:
    """Whether an answer ended in its middle."""
    return any(_BROKEN_OFF.search(str(link)) for link in _chain(error))


def describe(error: BaseException) -> dict[str, object]:
    """The error as it goes over the wire; a problem that was told apart needs no traceback of its own."""
    problem = isinstance(error, Problem)
    told = error.__cause__ if problem else error
    detail = None if told is None else "".join(traceback.format_exception(type(told), told, told.__traceback__))
    return {
        "kind": kind_of(error).value,
        "message": mask(_message(error)),
        "detail": None if detail is None else mask(detail),
        "facts": error.facts if isinstance(error, Problem) else {},
    }


def shortened(text: str, longest: int) -> str:
    """A text without its middle where it is too long: what was done comes first in it, and the reason last."""
    if len(text) <= longest:
        return text
    head = longest // 3
    return f"{text[:head]} [...] {text[head - longest :]}"


def last_line(error: BaseException) -> str:
    """The line that says why: of the traceback that MLflow carries along if it wraps one, else of the error."""
    carried = str(getattr(error, "json_kwargs", {}).get("stack_trace") or "").strip()
    if carried:
        return carried.splitlines()[-1]
    told = str(getattr(error, "message", "") or error).strip()
    return told if hasattr(error, "message") else f"{type(error).__name__}: {told}"


def _message(error: BaseException) -> str:
    """What it says, without the pages that strangers answer with, and without the SQL that nobody asked for."""
    missing = _missing_module(error)
    if missing is not None and kind_of(error) is ProblemKind.LIBRARY_MISSING:
        module = str(missing.name).partition(".")[0]
        return f"there is no module `{module}`, which the package `{_PACKAGES.get(module, module)}` brings"
    told = _CODE.sub("", str(getattr(error, "message", "") or error).strip())
    told = _STATEMENT.sub("", _PAGE.sub(_title, told)).strip()
    told = told or type(error).__name__
    return shortened(told, _LONGEST)


def _missing_module(error: BaseException) -> ModuleNotFoundError | None:
    """The module that could not be imported; MLflow says instead that a download failed."""
    return next((link for link in _chain(error) if isinstance(link, ModuleNotFoundError)), None)


def _title(page: "re.Match[str]") -> str:
    found = _TITLE.search(page[0])
    return f"A page of HTML, `{' '.join(found[1].split())}`" if found else "A page of HTML"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _kind_by_status(error: BaseException) -> ProblemKind | None:
    """By the HTTP status an error speaks of. Files answer 404 plainly; MLflow's API only where it is not spoken."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == http.HTTPStatus.NOT_FOUND:
        return ProblemKind.NOT_FOUND
    if not isinstance(status, int):
        found = _STATUS.search(str(error))
        status = 0 if found is None else int(found.group(1) or found.group(2))
    if status in {401, 403}:
        return ProblemKind.DENIED
    if status in {404, 405}:
        return ProblemKind.STRANGER
    return ProblemKind.UNREACHABLE if status in {408, 429} or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR else None


def _is_unreachable(error: BaseException) -> bool:
    lineage = {(base.__module__.split(".")[0], base.__name__) for base in type(error).__mro__}
    return bool(lineage & _UNREACHABLE) or isinstance(error, (ConnectionError, TimeoutError))
