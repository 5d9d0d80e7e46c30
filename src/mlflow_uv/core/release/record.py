"""What is a release, link by link? The record that its steps share: a carrier, never evidence."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

from ... import __version__
from ..lock.selection import Selection
from .commit import Commit
from .digests import canonical, sha256

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class LockLink:
    """`sha256` of uv.lock with line ends normalised."""

    sha256: str
    uv: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelLink:
    """A local package that travels with the model; with a marker it is only installed where that holds."""

    file: str
    name: str
    version: str
    sha256: str
    marker: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementsLink:
    """Digest of the normalised export, whose list the model carries, and the wheels beside it."""

    sha256: str
    source: str
    wheels: tuple[WheelLink, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelLink:
    """A logged model as the store returns it, and the environment that made it."""

    model_id: str
    run_id: str
    name: str
    sha256: str
    store: str
    python: str
    mlflow: str

    @property
    def uri(self) -> str:
        """What loads it. An MLflow 2 calls a model by that in the first place: `runs:/RUN/PATH`."""
        return self.model_id if self.model_id.startswith("runs:/") else f"models:/{self.model_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionLink:
    """A registered model version and the logged model it was made from."""

    name: str
    version: str
    model_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLink:
    """
    What serves: an image by its id, or (`kind` process) an environment by the digest of what is installed in it.

    `serving` says which packages of the lock it holds, `engine` which program has it, `digest` what a registry calls
    its manifest, or the index of several.
    """

    kind: str
    id: str
    tag: str
    base: str
    base_digest: str
    reason: str = ""
    serving: str = "locked"
    engine: str = ""
    digest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswersLink:
    """
    Digests of the cases and of the answers training gave; `observed` of what a server gave, and which kind.

    `tolerance` is how far a floating-point answer could be off and still count as the same, `ignored` are the paths
    that were not compared, `variables` the names of those that the model was given (`serve-env`).
    """

    cases: str
    expected: str
    observed: str | None = None
    served_by: str | None = None
    tolerance: float | None = None
    ignored: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AliasLink:
    """Which version a name pointed to before and after."""

    name: str
    before: str | None
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One object per link of the chain, begun by log-model; a link that is None was not made yet."""

    release_key: str
    commit: Commit
    lock: LockLink
    selection: Selection
    requirements: RequirementsLink
    model: ModelLink
    version: VersionLink | None = None
    image: ImageLink | None = None
    answers: AnswersLink | None = None
    alias: AliasLink | None = None
    timings: tuple[tuple[str, float], ...] = ()

    @property
    def sha256(self) -> str:
        """Digest over every link, without timings: how long a step took is not identity."""
        return sha256(canonical(_plain(replace(self, timings=()))))

    def to_json(self) -> dict[str, Any]:
        """JSON with schema and our version first."""
        return {"schema": SCHEMA, "mlflow-uv": __version__, **_plain(self)}


# Parts that a link has gained since records were first written. Where they hold nothing they are not written, so that a
# record from before them keeps its digest.
_GAINED: Mapping[str, frozenset[str]] = {"answers": frozenset({"ignored", "variables"})}
LINKS: Mapping[str, type] = {
    "commit": Commit,
    "lock": LockLink,
    "selection": Selection,
    "requirements": RequirementsLink,
    "model": ModelLink,
    "version": VersionLink,
    "image": ImageLink,
    "answers": AnswersLink,
    "alias": AliasLink,
}


def from_json(data: object) -> Record:
    """Read a record. Raises ValueError that says what does not fit: unknown schema, missing or unknown parts."""
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"it is not a release record of schema {SCHEMA}")
    links = {name: _link(name, kind, data.get(name)) for name, kind in LINKS.items()}
    missing = [name for name in ("commit", "lock", "selection", "requirements", "model") if links[name] is None]
    if missing or not isinstance(data.get("release_key"), str):
        raise ValueError(f"it lacks {', '.join(missing) or 'release_key'}")
    if surprises := data.keys() - LINKS.keys() - {"schema", "mlflow-uv", "release_key", "timings"}:
        raise ValueError(f"it has parts that nobody knows: {', '.join(sorted(surprises))}")
    return Record(release_key=data["release_key"], timings=_timings(data.get("timings", [])), **links)


def _timings(raw: object) -> tuple[tuple[str, float], ...]:
    try:
        return tuple((str(step), float(seconds)) for step, seconds in raw)  # type: ignore[attr-defined]  # refused below
    except (TypeError, ValueError) as error:
        raise ValueError(f"its timings are not (step, seconds): {error}") from None


def _link(name: str, kind: type, raw: object) -> Any:
    if raw is None:
        return None
    return _read(kind, raw, what=f"its link `{name}`")


def _read(kind: type, raw: object, *, what: str) -> Any:
    hints = get_type_hints(kind)
    if not isinstance(raw, dict) or not raw.keys() <= hints.keys():
        raise ValueError(f"{what} has parts that nobody knows")
    values = {part: _value(hints[part], value, what=f"{what}, `{part}`,") for part, value in raw.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{what} is not whole: {error}") from None


def _value(hint: Any, raw: object, *, what: str) -> Any:
    if get_origin(hint) is tuple and isinstance(raw, list):
        return tuple(_value(get_args(hint)[0], item, what=what) for item in raw)
    if is_dataclass(hint):
        return _read(hint, raw, what=what)  # type: ignore[arg-type]  # a class, never an instance
    if get_origin(hint) is tuple or not isinstance(raw, hint):
        raise ValueError(f"{what} cannot be {raw!r}")
    return raw


def _plain(record: Record) -> dict[str, Any]:
    links = asdict(record)
    for name, gained in _GAINED.items():
        if links[name] is not None:
            links[name] = {part: value for part, value in links[name].items() if value or part not in gained}
    return links


def release_key(*, commit: Commit, parts: Mapping[str, object]) -> str:
    """What makes two releases of a model that somebody else trained the same one: its commit, and what is here."""
    return sha256(canonical([commit.project, commit.sha, commit.dirty, dict(parts)]))
