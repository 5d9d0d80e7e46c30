"""Classifies errors into kinds and describes them without secrets."""

import enum
import http
import os
import re
import traceback
from collections.abc import Iterable, Iterator

from .messages.request import Failure, SchemaFacts


class ProblemKind(str, enum.Enum):
    """The kinds of errors that the caller distinguishes. The values are the wire format."""

    UNREACHABLE = "unreachable"  # no response, an incomplete one, a timeout, a 5xx
    NOT_MLFLOW = "not-mlflow"  # the server is not an MLflow server, or not the intended one
    DENIED = "denied"  # 401, 403, a database that rejects the password
    LOCKED = "locked"  # another process holds a write lock of the database
    SCHEMA = "schema"  # a database with the schema of another MLflow
    LIBRARY_MISSING = "library-missing"  # a database driver or the client of an artifact store
    NOT_FOUND = "not-found"
    INVALID = "invalid"  # a name, a tag, a folder or a request that MLflow rejects
    PARAMS = "params"  # inference parameters that the signature does not declare
    TRAINING = "training"  # the project's code raised an exception
    CANNOT_LOAD = "cannot-load"
    CANNOT_PREDICT = "cannot-predict"
    AMBIGUOUS_RESPONSE = "ambiguous-response"  # an object of a response has a name twice
    TIMEOUT = "timeout"  # a version that stays pending
    CONFLICT = "conflict"  # another process changed the same thing
    LOCAL_ARTIFACTS = "local-artifacts"  # a location on the client's machine
    FOREIGN_ARTIFACTS = "foreign-artifacts"  # a location on another server, or outside of the folder
    LINKED_ARTIFACTS = "linked-artifacts"  # a symbolic link in the folder of a store, which MLflow does not follow
    MLFLOW_MISSING = "mlflow-missing"
    UNEXPECTED = "unexpected"


class Problem(Exception):
    """An error with its kind; `facts` are values for the caller's message."""

    def __init__(self, kind: ProblemKind, message: str, *, facts: "SchemaFacts | None" = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.facts = facts


_KINDS_OF_CODES = {
    "RESOURCE_DOES_NOT_EXIST": ProblemKind.NOT_FOUND,
    "NOT_FOUND": ProblemKind.NOT_FOUND,
    "ENDPOINT_NOT_FOUND": ProblemKind.NOT_MLFLOW,
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
# By module and name, because not every environment with mlflow has requests or SQLAlchemy.
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
# By message, because database drivers share no classes, MLflow wraps errors without a cause, and errors of threads are
# only available as text. The first match wins.
_MESSAGES = {
    ProblemKind.SCHEMA: "out-of-date database schema|Can't locate revision"
    "|no such (?:table|column)|Undefined(?:Table|Column)",
    ProblemKind.LOCKED: "database is locked|Lock wait timeout|deadlock detected",
    ProblemKind.DENIED: (
        r"password authentication failed|no password supplied|no pg_hba\.conf entry|Access denied|permission denied for"
        "|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|Unable to locate credentials"
        "|invalid_client: |cannot configure default credentials"
    ),
    ProblemKind.UNREACHABLE: (
        "Max retries exceeded|Connection (?:broken|aborted|reset)|Read timed out|Could not connect to the endpoint"
    ),
    ProblemKind.LINKED_ARTIFACTS: "resolved path is outside the artifact directory",
    ProblemKind.NOT_MLFLOW: "response body was not in a valid JSON format|file is not a database",
}
# Packages whose name differs from the module's.
_PACKAGES = {
    "azure": "azure-storage-blob",
    "botocore": "boto3",
    "google": "google-cloud-storage",
    "MySQLdb": "mysqlclient",
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
}
_INCOMPLETE = re.compile(r"IncompleteRead|Connection broken")
_STATUS = re.compile(r"failed with error code (\d{3})\b|too many (\d{3}) error responses")
_CODE = re.compile(r"\A[A-Z]+(?:_[A-Z]+)*: ")  # the prefix that MLflow's HTTP client adds to the server's message
_PAGE = re.compile(r"Response body: '\s*<.*", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>([^<]{1,100})", re.IGNORECASE)
_STATEMENT = re.compile(r"\s*(?:\[SQL: |\(Background on this error at: ).*", re.DOTALL)
_LONGEST = 1000
_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s'\"]+@")
_SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 6
_SERVE_ENV = "MLFLOW_UV_HANDED"  # names of variables that were passed to the model


def mask(text: str) -> str:
    """The text without credentials in URLs and values of variables that are secret by name or by MLFLOW_UV_HANDED."""
    masked = _CREDENTIALS.sub("***@", text)
    serve_env = os.environ.get(_SERVE_ENV, "").split()
    for name, value in os.environ.items():
        if (len(value) >= _SHORTEST_SECRET and _SECRET_NAME.search(name)) or (name in serve_env and len(value) > 1):
            masked = masked.replace(value, "***")
    return masked


def kind_of(error: BaseException) -> ProblemKind:
    """The kind of any error: a Problem's own, else by HTTP status, message, type or error code along its causes."""
    chain = tuple(_chain(error))
    for link in chain:
        if isinstance(link, Problem):
            return link.kind
    by_status = next((kind for kind in map(_kind_by_status, chain) if kind is not None), None)
    if by_status is not None:
        return by_status
    by_message = next(
        (kind for kind, words in _MESSAGES.items() if any(re.search(words, str(link)) for link in chain)), None
    )
    if by_message is not None:
        return by_message
    if _missing_module(error) is not None:
        return ProblemKind.LIBRARY_MISSING
    if any(_is_unreachable(link) for link in chain):
        return ProblemKind.UNREACHABLE
    codes = (_KINDS_OF_CODES.get(str(getattr(link, "error_code", ""))) for link in chain)
    by_code = next((kind for kind in codes if kind is not None), None)
    if by_code is not None:
        return by_code
    if any(type(link).__name__ == "RestException" for link in chain):
        return ProblemKind.UNREACHABLE  # an internal error of the server
    return ProblemKind.NOT_FOUND if isinstance(error, FileNotFoundError) else ProblemKind.UNEXPECTED


def is_incomplete(error: BaseException) -> bool:
    """Whether a response ended early."""
    return any(_INCOMPLETE.search(str(link)) for link in _chain(error))


def describe(error: BaseException) -> Failure:
    """The error as it is sent; a Problem has the traceback of its cause only."""
    problem = isinstance(error, Problem)
    shown = error.__cause__ if problem else error
    detail = None if shown is None else "".join(traceback.format_exception(type(shown), shown, shown.__traceback__))
    return Failure(
        kind=kind_of(error).value,
        message=mask(_message(error)),
        detail=None if detail is None else mask(detail),
        facts=error.facts if isinstance(error, Problem) else None,
    )


def shortened(text: str, longest: int) -> str:
    """A text of at most about `longest` characters, without its middle: the start says what failed, the end why."""
    if len(text) <= longest:
        return text
    head = longest // 3
    return f"{text[:head]} [...] {text[head - longest :]}"


def last_line(error: BaseException) -> str:
    """The line with the reason: the last one of the traceback that MLflow attaches, else the error's message."""
    trace = str(getattr(error, "json_kwargs", {}).get("stack_trace") or "").strip()
    if trace:
        return trace.splitlines()[-1]
    message = str(getattr(error, "message", "") or error).strip()
    return message if hasattr(error, "message") else f"{type(error).__name__}: {message}"


def final_line(error: BaseException) -> str:
    """The last line of an error's text; the name of its class if it has none."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def quoted(names: Iterable[object]) -> str:
    """Names in backticks, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


def first_line(error: BaseException) -> str:
    """The first line of a message: MLflow and scikit-learn append advice and whole tables."""
    return last_line(error).strip().partition("\n")[0]


def _message(error: BaseException) -> str:
    """The error's message, without HTML pages and SQL statements."""
    missing = _missing_module(error)
    if missing is not None and kind_of(error) is ProblemKind.LIBRARY_MISSING:
        module = str(missing.name).partition(".")[0]
        return f"there is no module `{module}`, which the package `{_PACKAGES.get(module, module)}` provides"
    message = _CODE.sub("", str(getattr(error, "message", "") or error).strip())
    message = _STATEMENT.sub("", _PAGE.sub(_title, message)).strip()
    message = message or type(error).__name__
    return shortened(message, _LONGEST)


def _missing_module(error: BaseException) -> ModuleNotFoundError | None:
    """The failed import among the causes; MLflow reports a failed download instead."""
    return next((link for link in _chain(error) if isinstance(link, ModuleNotFoundError)), None)


def _title(page: "re.Match[str]") -> str:
    match = _TITLE.search(page[0])
    return f"A page of HTML, `{' '.join(match[1].split())}`" if match else "A page of HTML"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _kind_by_status(error: BaseException) -> ProblemKind | None:
    """The kind by HTTP status. A 404 for a file is NOT_FOUND; from MLflow's API it means another server."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == http.HTTPStatus.NOT_FOUND:
        return ProblemKind.NOT_FOUND
    if not isinstance(status, int):
        match = _STATUS.search(str(error))
        status = 0 if match is None else int(match.group(1) or match.group(2))
    if status in {401, 403}:
        return ProblemKind.DENIED
    if status in {404, 405}:
        return ProblemKind.NOT_MLFLOW
    return ProblemKind.UNREACHABLE if status in {408, 429} or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR else None


def _is_unreachable(error: BaseException) -> bool:
    classes = {(base.__module__.split(".")[0], base.__name__) for base in type(error).__mro__}
    return bool(classes & _UNREACHABLE) or isinstance(error, (ConnectionError, TimeoutError))
