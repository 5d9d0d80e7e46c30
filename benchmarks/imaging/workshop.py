"""Creates the temporary folders, images and containers of a run, and removes them however it ends."""

import itertools
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from race import VARIABLES

PYTHON_SLIM = "python:3.11-slim"
PYTHON = "3.11"
DOCKER = shutil.which("docker") or "docker"
CACHE = "/dev/mlflow-uv/cache"
# What leads to packages from here, and would steer what is measured: the store, the home and the engine are our own.
STEERING = ("MLFLOW_", "GITHUB_", "PYTHON", "UV_EXCLUDE", "UV_RESOLUTION", "UV_PRERELEASE")
TRUSTED = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
INDEX = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
# What official images tell apt, and look-alikes may not: without it, a third of what apt adds would be its own caches.
APT = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
"""
# Stands before Docker's client: says how long each build took, and gives our builds a download cache of their own.
CLIENT = """\
#!/bin/sh
apart="BUILDKIT_CACHE_MOUNT_NS=$(cat '{folder}/apart')"
case "$1 $2" in
"buildx build") shift 2; set -- buildx build --build-arg "$apart" "$@" ;;
"build "*) shift; set -- build --build-arg "$apart" "$@" ;;
*) exec '{docker}' "$@" ;;
esac
started=$(date +%s%N)
'{docker}' "$@"
code=$?
echo $((($(date +%s%N) - started) / 1000)) >>'{folder}/builds'
exit $code
"""


class Failed(Exception):
    """A program that was needed, and the end of what it said."""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A folder, and a token that everything begins with which is made in an engine."""

    token: str
    folder: Path
    variables: Mapping[str, str]
    count: Iterator[int] = field(default_factory=itertools.count)

    def run(self, *argv: str | Path, folder: Path | None = None, **variables: str) -> str:
        """What a program prints. Raises Failed."""
        environment = {**self.variables, **variables}
        done = subprocess.run(
            argv, cwd=folder or self.folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            last_output = (done.stderr or done.stdout).strip()[-1500:]
            raise Failed(
                f"`{' '.join(Path(str(word)).name for word in argv[:4])}` ended with {done.returncode}: {last_output}"
            )
        return done.stdout

    def timed(self, *argv: str | Path, folder: Path | None = None, **variables: str) -> float:
        """Seconds that a program takes. Raises Failed."""
        started = time.perf_counter()
        self.run(*argv, folder=folder, **variables)
        return time.perf_counter() - started

    def fresh(self, name: str) -> Path:
        """A folder that nothing is in."""
        folder = self.folder / f"{name}-{next(self.count)}"
        folder.mkdir()
        return folder

    def fresh_context(self) -> Path:
        """A folder to build from; a builder keeps what it was sent by the folder's name, so that is always the same."""
        folder = self.fresh("context") / "mlflow-uv-bench"
        folder.mkdir()
        return folder

    def base(self, packages: Sequence[str]) -> str:
        """
        The slim image of Python under a name and with a file that no other image has: no layer above is in any cache.

        It trusts whom this machine trusts and asks the index that this machine asks: the stock build has no other way.
        """
        name = f"python:{self.token}-{next(self.count)}"
        context = self.fresh_context()
        (context / "etc" / "apt" / "apt.conf.d").mkdir(parents=True)
        (context / "etc" / "apt" / "apt.conf.d" / "docker-clean").write_text(APT)
        (context / "etc" / "benchmark").write_text(name)
        settings = ["[global]", f"timeout = {self.variables.get('PIP_DEFAULT_TIMEOUT', '60')}"]
        bundle = next((self.variables[name] for name in TRUSTED if self.variables.get(name)), None)
        if bundle is not None:
            trusted = context / "etc" / "ssl" / "certs" / "ca-certificates.crt"
            trusted.parent.mkdir(parents=True)
            shutil.copyfile(bundle, trusted)
            settings.append("cert = /etc/ssl/certs/ca-certificates.crt")
        settings += [f"index-url = {self.variables[name]}" for name in INDEX if self.variables.get(name)][:1]
        (context / "etc" / "pip.conf").write_text("\n".join((*settings, "")))
        install = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"
        more = f"; {install} && rm -rf /var/lib/apt/lists/*" if packages else ""
        lines = (f"FROM {PYTHON_SLIM}", "COPY etc/ /etc/", f"RUN : {self.token}{more}", "")
        (context / "Dockerfile").write_text("\n".join(lines))
        self.run(DOCKER, "build", "--quiet", "--tag", name, context)
        # What the builder calls the base from here on: see `above`.
        self.run_on(name, f": {self.token}")
        return name

    def run_on(self, base: str, command: str, *flags: str, mount: str = "") -> None:
        """Run a command above a base and forget what comes of it; the builder keeps a record of it."""
        context = self.fresh_context()
        (context / "Dockerfile").write_text(f"FROM {base}\nRUN {mount}{command}\n")
        name = f"{self.token}:{next(self.count)}"
        self.run(DOCKER, "build", "--quiet", "--tag", name, *flags, context)
        self.remove(name)

    def empty_caches(self, base: str) -> None:
        """Empty the download caches of our builds; the builder has no word for removing one of them."""
        for cache in dict.fromkeys((self.folder / "caches").read_text().split()):
            flag = f"BUILDKIT_CACHE_MOUNT_NS={cache}"
            mount = f"--mount=type=cache,target={CACHE} "
            self.run_on(base, f": {cache}; rm -rf {CACHE}/*", "--build-arg", flag, mount=mount)

    def keep_downloads_in(self, cache: str) -> None:
        """Which download cache the next builds have."""
        name = f"{self.token}-{cache}"
        (self.folder / "apart").write_text(name)
        with (self.folder / "caches").open("a") as file:
            file.write(f"{name}\n")

    def last_build(self) -> float:
        """Seconds that the engine took for the last build, of all that its client was asked."""
        return int((self.folder / "builds").read_text().split()[-1]) / 1e6

    def size(self, image: str) -> int:
        """Bytes of an image, its base included."""
        return int(self.run(DOCKER, "image", "inspect", "--format", "{{.Size}}", image))

    def remove(self, *images: str) -> None:
        """Remove images of ours that are no longer needed."""
        subprocess.run((DOCKER, "image", "rm", "--force", *images), capture_output=True, check=False)


@contextmanager
def workshop() -> Iterator[Workshop]:
    """A workshop; nothing of it is left when the block ends."""
    token = f"mlflow-uv-bench-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix=f"{token}-") as folder:
        programs, temporary = Path(folder) / "bin", Path(folder) / "tmp"
        programs.mkdir()
        temporary.mkdir()
        (programs / "docker").write_text(CLIENT.format(docker=DOCKER, folder=folder))
        (programs / "docker").chmod(0o755)
        kept = {name: value for name, value in VARIABLES.items() if not name.startswith(STEERING)}
        kept |= {"PATH": f"{programs}:{kept['PATH']}", "DOCKER_BUILDKIT": "1", "MLFLOW_UV_HOME": f"{folder}/home"}
        kept |= {"TMPDIR": str(temporary)}
        kept |= {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_CONFIG_GLOBAL": "/dev/null"}
        shop = Workshop(token=token, folder=Path(folder), variables=kept)
        shop.keep_downloads_in("first")
        try:
            yield shop
        finally:
            tidy(shop)


def tidy(shop: Workshop) -> None:
    """Remove what was made in the engine: containers, images, and what its builder keeps of them; nothing else."""
    try:
        if listed := shop.run(DOCKER, "ps", "--all", "--quiet", "--filter", f"label={shop.token}").split():
            shop.run(DOCKER, "rm", "--force", "--volumes", *listed)
        names = shop.run(DOCKER, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        ours = [name for name in names if shop.token in name]
        if bases := [name for name in ours if name.startswith("python:")]:
            shop.empty_caches(bases[0])
        build_cache = json.loads(shop.run(DOCKER, "system", "df", "--verbose", "--format", "{{json .BuildCache}}"))
        if ours:
            shop.run(DOCKER, "image", "rm", "--force", *ours)
        for record in above(
            [(entry["ID"], entry["Parent"], entry["Description"]) for entry in build_cache], shop.token
        ):
            shop.run(DOCKER, "builder", "prune", "--force", "--all", "--filter", f"id={record}")
    except Failed as failed:
        print(f"something of {shop.token} may be left in the engine: {failed}", file=sys.stderr)


def above(records: Sequence[tuple[str, str, str]], token: str) -> list[str]:
    """
    What a builder keeps of layers above our bases, and of those; leaves first, since nothing else can be removed.

    `records` are ids, parents and descriptions. Right above each base we ran a command that holds our token.
    """
    children: dict[str, list[str]] = {}
    for record, parent, _ in records:
        children.setdefault(parent, []).append(record)
    record_ids: list[str] = []

    def collect(record: str) -> None:
        for child in children.get(record, ()):
            collect(child)
        if record not in record_ids:
            record_ids.append(record)

    for record, parent, description in records:
        if token in description:
            collect(parent or record)
    return record_ids
