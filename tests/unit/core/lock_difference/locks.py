"""Small locks of a project `wine` for comparisons."""

from mlflow_uv.core.lock.lockfile import Lockfile, read_lockfile

INDEX = "https://index.test/simple"
HEAD = 'version = 1\nrevision = 3\nrequires-python = ">=3.10"\n'


def package(
    name: str,
    version: str = "1.0",
    *,
    source: str = f'registry = "{INDEX}"',
    tag: str = "py3-none-any",
    digest: str = "aa",
    size: int | None = 1_000_000,
) -> str:
    """A package of a lock with one wheel; without a tag, with a source distribution."""
    url = f"https://files.test/{name}-{version}"
    rows = f'hash = "sha256:{digest}"' + (f", size = {size}" if size is not None else "")
    wheel = f'{{ url = "{url}-{tag}.whl", {rows} }}'
    sdist = f'{{ url = "{url}.tar.gz", {rows} }}'
    files = f"wheels = [{wheel}]" if tag else f"sdist = {sdist}"
    return f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ {source} }}\n{files}\n'


def lock_text(*packages: str, needs: tuple[str, ...] = (), develops: tuple[str, ...] = ()) -> str:
    """The text of a lock: the project needs some packages, and its group `dev` others."""
    listed, dev = (", ".join(f'{{ name = "{name}" }}' for name in names) for names in (needs, develops))
    wine = f'[[package]]\nname = "wine"\nversion = "0.1.0"\nsource = {{ editable = "." }}\ndependencies = [{listed}]\n'
    groups = f"[package.dev-dependencies]\ndev = [{dev}]\n" if develops else ""
    return "\n".join((HEAD, *packages, wine + groups))


def lock(*packages: str, needs: tuple[str, ...] = (), develops: tuple[str, ...] = ()) -> Lockfile:
    """The lock of `lock_text`."""
    return read_lockfile(lock_text(*packages, needs=needs, develops=develops).encode())
