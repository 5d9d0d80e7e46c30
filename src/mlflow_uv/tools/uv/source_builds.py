"""Installs source distributions; what builds them has neither the network of uv nor the credentials of the caller."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import InvalidRequirement, Requirement

from ...command.lazy_pattern import lazy_pattern
from ...core.lock.package_names import canonicalize_name
from ...core.security.child_environment import for_source_build
from ...core.security.url_credentials import without_credentials, without_user
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.process import Completed
from .inert_python import REFUSAL, InertPython, refused_build
from .messages import SourceNotBuilt

# A backend names requirements of its own when it is started, and may name others once it has these.
_ROUNDS = 3
_NAME = lazy_pattern(r"[A-Za-z0-9][\w.-]*")
_LACKS_NETWORK = lazy_pattern(r"(?i)network was disabled|network connectivity is disabled|not found in the cache")
_UNRESOLVED = lazy_pattern(r"No solution found when resolving: (`[^\n]*`)")
_QUOTED = lazy_pattern(r"`([^`]+)`")


@lazy_dataclass
class SourceBuilds:
    """
    Builds source distributions from uv's cache, offline, and fetches what the cache lacks without running any of it.

    `run` calls `uv pip install` with requirements, flags, variables and `on_line`. `variables` are those with which uv
    fetches, `cache` is its cache, which all calls have to use.
    """

    run: Callable[[Path, tuple[str, ...], Mapping[str, str], Callable[[str], None] | None], Completed]
    variables: Mapping[str, str]
    cache: Path
    on_line: Callable[[str], None]

    def install(
        self, requirements: Path, sources: frozenset[str], interpreter: Path, flags: tuple[str, ...]
    ) -> Completed:
        """
        Install the packages that have wheels, then `sources`, which uv builds unless it has built them before.

        Returns the last call, or the first one that failed. Raises SourceNotBuilt for a build that wants more than uv
        fetches: names with versions, as wheels.
        """
        lines = requirements.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        with TemporaryDirectory(prefix="mlflow-uv-build-") as folder:
            scratch = Path(folder)
            wheels = [line for line in lines if _name_in(line) not in sources]
            if wheels:
                listed = _written(wheels, requirements.with_suffix(".wheels.txt"))
                done = self.run(listed, (*flags, "--python", str(interpreter)), self.variables, self.on_line)
            own = [line for line in lines if _name_in(line) in sources]
            if not own or (wheels and done.code != 0):
                return done
            listed = _written(own, requirements.with_suffix(".sources.txt"))
            only = (*flags, *(f"--no-binary={name}" for name in sorted(sources)))
            done = self._build(listed, interpreter, only, scratch)
        if _lacks_network(done):
            causes = [line.strip().removeprefix("cause: ") for line in done.stderr.split("\n\n")[0].splitlines()]
            why = f"it is built without a network, and {causes[-1]}"
            raise SourceNotBuilt(refused_build(done), what="`uv pip install` failed", why=why)
        return done

    def _build(self, requirements: Path, interpreter: Path, flags: tuple[str, ...], scratch: Path) -> Completed:
        offline = self._without_credentials(scratch / "home")
        flags_here = (*flags, "--python", str(interpreter))
        done = self.run(requirements, flags_here, offline, None)
        if not _lacks_network(done):
            return done
        fetched = self._fetch_sources(requirements, interpreter, flags, scratch)
        for _ in range(_ROUNDS):
            if fetched is not None:
                return fetched
            done = self.run(requirements, flags_here, offline, self.on_line)
            names = _unresolved(done) if _lacks_network(done) else ()
            if not names:
                return done
            fetched = self._fetch_wheels(names, interpreter, scratch)
        return done

    def _fetch_sources(
        self, requirements: Path, interpreter: Path, flags: tuple[str, ...], scratch: Path
    ) -> Completed | None:
        """
        Fetch source distributions and the build requirements that they declare; return a call that failed.

        Each build is refused after that, by an interpreter that starts nothing: one for each call, because uv then ends
        the downloads of others.
        """
        inert = InertPython(cache=scratch, default=interpreter).of(None)
        lines = requirements.read_text(encoding="utf-8").splitlines()
        for name in sorted({_name_in(line) for line in lines}):
            own = [line for line in lines if _name_in(line) == name]
            done = self._fetch(own, (*flags, "--python", str(inert)), scratch)
            if done.code != 0 and REFUSAL not in done.stderr:
                return done
        return None

    def _fetch_wheels(self, names: Sequence[str], interpreter: Path, scratch: Path) -> Completed | None:
        """Fetch wheels that a build backend requires, as it says when it is started; return the call if it failed."""
        done = self._fetch(names, ("--only-binary", ":all:", "--python", str(interpreter)), scratch)
        return done if done.code != 0 else None

    def _fetch(self, lines: Sequence[str], flags: tuple[str, ...], scratch: Path) -> Completed:
        listed = _written(lines, scratch / "fetched.txt")
        with TemporaryDirectory(prefix="fetched-", dir=scratch) as target:
            variables = {**self.variables, "UV_CACHE_DIR": str(self.cache)}
            return self.run(listed, (*flags, "--target", target), variables, None)

    def _without_credentials(self, home: Path) -> dict[str, str]:
        """The variables of a build, and the user's settings of uv in another home: without them it finds no index."""
        user = self.variables.get("HOME", "")
        settings = Path(self.variables.get("XDG_CONFIG_HOME") or f"{user}/.config", "uv", "uv.toml")
        copy = home / ".config" / "uv" / "uv.toml"
        copy.parent.mkdir(parents=True)
        variables = dict(for_source_build(self.variables, home=str(home)).variables)
        if named := variables.get("UV_CONFIG_FILE"):
            settings, variables["UV_CONFIG_FILE"] = Path(named), str(copy)
        if settings.is_file():
            copy.write_text(without_credentials(settings.read_text(encoding="utf-8")), encoding="utf-8")
        uv = {name: without_user(value) for name, value in variables.items() if name.startswith("UV_")}
        rust = Path(user, ".rustup")  # toolchains; a proxy of rustup finds none in another home
        return {
            **variables,
            **uv,
            **({"RUSTUP_HOME": str(rust)} if user and rust.is_dir() else {}),
            "UV_CACHE_DIR": str(self.cache),
            "UV_OFFLINE": "1",
        }


def _written(lines: Sequence[str], file: Path) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def _name_in(requirement: str) -> str:
    match = _NAME.match(requirement)
    return canonicalize_name(match[0]) if match else ""


def _lacks_network(done: Completed) -> bool:
    return done.code != 0 and _LACKS_NETWORK.search(done.stderr) is not None


def _unresolved(done: Completed) -> tuple[str, ...]:
    """The requirements that uv did not find in its cache; none if one is not a name with versions, such as a URL."""
    match = _UNRESOLVED.search(done.stderr)
    names = tuple(_QUOTED.findall(match[1])) if match else ()
    try:
        return () if any(Requirement(name).url for name in names) else names
    except InvalidRequirement:
        return ()
