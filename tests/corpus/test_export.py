"""Every real lockfile is exported completely, readably and reproducibly."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from packaging.markers import Marker

from mlflow_uv.command.errors import BadInput, StepError
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Severity
from mlflow_uv.core.export.portability import LocalPackages
from mlflow_uv.core.export.pylock import PathReplacements, pins_of_pylock, render_pylock
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.image.sbom import pins_of_sbom, render_sbom
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.lock.targets import parse_target
from mlflow_uv.ops.lock.export import ExportRequest, UvExport, make_lists
from mlflow_uv.tools.lock_toolbox import LockTools, locktools
from mlflow_uv.tools.project.files import Project, read_project
from tests import dryrun, exports
from tests.console import KeptConsole

FEWEST = 40
REQUIREMENTS, PYLOCK, SBOM = "requirements.txt", "pylock.toml", "bill.cdx.json"
# What these would need is not in a lock: a file to compute a hash of, a member that is not there.
WITHOUT_NETWORK, WITHOUT_MEMBER = "nvidia-cosmos__cosmos-predict2.5", "fixtures"


@pytest.fixture(scope="module")
def tools() -> Iterator[LockTools]:
    """Real uv, without a network."""
    host = Host.of(exports.offline(), folder=Path.cwd(), python=Path(sys.executable))
    with locktools(host, console=KeptConsole(), uv=exports.PROGRAM) as found:
        yield found


@dataclass(frozen=True)
class Exported:
    """What uv says of a real project; the freshness of its lock is another question."""

    project: Project
    uv_export: UvExport

    def wish(self, **changes: object) -> ExportRequest:
        """All files, with hashes, without local packages."""
        folder = self.project.folder
        wish = ExportRequest(
            project=self.project,
            requirements_file=folder / REQUIREMENTS,
            pylock_file=folder / PYLOCK,
            sbom_file=folder / SBOM,
            silent=False,
            hashes=True,
            local_packages=LocalPackages.OMIT,
            environment=None,
            command="mlflow-uv export",
        )
        return replace(wish, **changes)  # type: ignore[arg-type]

    def texts(self, tools: LockTools, **changes: object) -> dict[str, str]:
        """The files by their names."""
        lists = make_lists(self.wish(**changes), self.uv_export, tools)
        return {document.path.name: document.text for document in lists.documents}


def ask(folder: Path, tools: LockTools) -> Exported:
    """Everything that uv says."""
    project, nothing = read_project(folder), Selection()
    uv_export = UvExport(
        requirements=tools.uv.export(project, nothing),
        pylock=tools.uv.pylock(project, nothing),
        sbom=tools.uv.sbom(project, nothing),
    )
    return Exported(project, uv_export)


@pytest.fixture(scope="module")
def exported_projects(checkouts: tuple[Path, ...], tools: LockTools) -> tuple[Exported, ...]:
    """Every project of the corpus that has a lock of which uv tells everything."""
    folders = [lock.parent for lock in checkouts if lock.parent.name not in (WITHOUT_NETWORK, WITHOUT_MEMBER)]
    return tuple(ask(folder, tools) for folder in folders if (folder / "pyproject.toml").is_file())


@pytest.fixture(scope="module")
def written(exported_projects: tuple[Exported, ...], tools: LockTools) -> tuple[tuple[Exported, dict[str, str]], ...]:
    """Each with its files, where the lock has all hashes or none."""
    texts = tuple((one, one.texts(tools)) for one in exported_projects)
    return tuple((one, files) for one, files in texts if REQUIREMENTS in files)


Written = tuple[tuple[Exported, dict[str, str]], ...]


@pytest.mark.extended
def test_every_lock_comes_out_the_same_again(written: Written, tools: LockTools) -> None:
    """
    Asked twice, and rendered from what was rendered: the bytes stay, and no folder of this machine is in them.
    """
    different = []
    for one, first in written:
        second = ask(one.project.folder, tools).texts(tools)
        again = {
            REQUIREMENTS: parse_requirements(first[REQUIREMENTS]).hashed_text,
            PYLOCK: render_pylock(first[PYLOCK], PathReplacements()),
            SBOM: render_sbom(first[SBOM], environment=None, licences={}),
        }
        pins = {name: text for name, text in first.items() if name != REQUIREMENTS}
        pins[REQUIREMENTS] = one.uv_export.requirements.hashed_text
        if first != second or any(again[name] != text for name, text in pins.items()):
            different.append(one.project.folder.name)
        different += [name for name, text in first.items() if str(one.project.root) in text]

    assert [] == different
    assert len(written) >= FEWEST


@pytest.mark.extended
def test_all_files_of_a_lock_say_the_same(written: Written) -> None:
    """
    Requirements, pylock.toml and bill name the same distributions in the same versions.
    """
    different = []
    for one, texts in written:
        listed = {(pin.name, pin.version) for pin in one.uv_export.requirements.pins if pin.version}
        billed = {(pin.name, pin.version) for pin in pins_of_sbom(texts[SBOM])}
        locked = {(pin.name, pin.version) for pin in pins_of_pylock(texts[PYLOCK]) if pin.version}
        if not listed <= billed or listed != locked:
            different.append((one.project.folder.name, listed ^ locked, listed - billed))

    assert [] == different


@pytest.mark.extended
def test_every_marker_has_the_form_of_packaging(exported_projects: tuple[Exported, ...]) -> None:
    """
    The normal form is that of `packaging`, also where it was not asked.
    """
    markers = {pin.marker for one in exported_projects for pin in one.uv_export.requirements.pins} - {""}

    different = [marker for marker in markers if str(Marker(marker)) != marker]

    assert [] == different
    assert len(markers) > FEWEST


@pytest.mark.extended
def test_an_explicit_index_of_a_real_project_is_found(
    exported_projects: tuple[Exported, ...], tools: LockTools
) -> None:
    """
    Without hashes such a list is refused, on the line of a package; with hashes it names the index.
    """
    found = {}
    for one in exported_projects:
        lists = make_lists(one.wish(pylock_file=None, hashes=False), one.uv_export, tools)
        for finding in lists.findings:
            if finding.severity is Severity.ERROR and REQUIREMENTS in one.texts(tools):
                line = one.project.lock.read_text().splitlines()[finding.line]
                named = line.removeprefix('name = "').removesuffix('"') in finding.what
                listed = "\n--extra-index-url https://" in f"\n{one.texts(tools)[REQUIREMENTS]}"
                found[one.project.folder.name] = (finding.rule, named, listed)

    assert {("export-explicit-index", True, True)} == set(found.values())
    assert "HwangChulHee__sepsis-mlops" in found


def test_an_explicit_index_without_hashes_is_refused_for_good(checkouts: tuple[Path, ...], tools: LockTools) -> None:
    """
    Where the lock has no hashes of what only one index may serve, no list can be trusted.
    """
    (folder,) = (lock.parent for lock in checkouts if lock.parent.name == WITHOUT_NETWORK)
    project = read_project(folder)
    one = Exported(project, UvExport(requirements=tools.uv.export(project, Selection())))

    lists = make_lists(one.wish(pylock_file=None, sbom_file=None), one.uv_export, tools)

    errors = [finding for finding in lists.findings if finding.severity is Severity.ERROR]
    assert ((), ["export-explicit-index", "export-unhashed"]) == (lists.documents, [one.rule for one in errors])
    assert "" == errors[0].fix
    assert "the lock has no hashes of them" in errors[0].why


def test_a_lock_that_uv_refuses_is_an_answer_in_its_words(checkouts: tuple[Path, ...], tools: LockTools) -> None:
    """
    A member that is not there, a file that has to be fetched: what uv says is passed on, and nothing crashes.
    """
    problems = {}
    for lock in checkouts:
        if lock.parent.name in (WITHOUT_NETWORK, WITHOUT_MEMBER):
            with pytest.raises(StepError) as caught:
                tools.uv.pylock(read_project(lock.parent), Selection())
            problems[lock.parent.name] = caught.value.what, caught.value.why.partition(":")[0]

    assert {"`uv export` failed", "a pylock.toml cannot be written"} == {what for what, _ in problems.values()}
    assert all(why for _, why in problems.values())


RARER = ("linux-aarch64", "macos-arm64", "windows-x86_64")


@pytest.mark.parametrize(
    "platform", [pytest.param(one, marks=[pytest.mark.extended] * (one in RARER)) for one in dryrun.PLATFORMS]
)
def test_the_list_of_a_target_is_what_uv_would_install_there(
    exported_projects: tuple[Exported, ...], tools: LockTools, platform: str
) -> None:
    """
    Equal to a dry run of `uv sync`, without a marker left; what the lock does not cover is refused.
    """
    python = dryrun.pythons()[0]
    environment = parse_target(f"{platform}-py{python.version}").environment
    different, equal, refused = [], 0, 0
    for one in exported_projects:
        name = one.project.name if one.project.named else None
        expected = dryrun.uv_outcome(
            one.project.folder, Selection(), name=name, platform=dryrun.PLATFORMS[platform], python=python
        )
        try:
            texts = one.texts(tools, pylock_file=None, environment=environment)
        except BadInput:
            refused += expected.kind in ("not covered", "not the project's")
            different += [one.project.folder.name] if expected.kind == "installs" else []
            continue
        if expected.kind != "installs":
            continue
        if REQUIREMENTS not in texts:  # some hashes are missing
            texts = one.texts(tools, pylock_file=None, environment=environment, hashes=False)
        if REQUIREMENTS not in texts:  # and without hashes nothing else tells what an explicit index serves
            refused += 1
            continue
        listed = parse_requirements(texts[REQUIREMENTS])
        wanted = {(name, version) for name, version in expected.packages if version != "file"}
        found = {(pin.name, pin.version or pin.exact) for pin in listed.pins}
        billed = {(pin.name, pin.version) for pin in pins_of_sbom(texts[SBOM])}
        direct = {name for name, version in found if " @ " in version}
        plain = {(name, version) for name, version in wanted if name not in direct}
        same = plain == {pin for pin in found if pin[0] not in direct} and direct <= {name for name, _ in wanted}
        if not same or not plain <= billed or any(pin.marker for pin in listed.pins):
            different.append(f"{one.project.folder.name}: {sorted(wanted ^ found)[:6]}")
        equal += same

    assert [] == different
    assert equal >= FEWEST - refused


SMALL = (
    "litestar-org__litestar", "pallets__flask", "ibis-project__ibis", "frontend", "openai__openai-agents-python",
    "aws-pricing-mcp-server",
)  # fmt: skip
PLACEHOLDERS = ("https://default-index.invalid/simple", "https://default-files.invalid")


def real_addresses(root: Path) -> tuple[str, str]:
    """The default index and its file host, as our own lock names them."""
    package = next(one for one in read_lockfile((root / "uv.lock").read_bytes()).packages if one.wheels)
    return package.source.address, package.wheels[0].url.partition("/packages/")[0]


@pytest.mark.extended
@pytest.mark.parametrize("name", SMALL)
def test_a_real_project_is_installed_as_its_lock_says(
    checkouts: tuple[Path, ...], tools: LockTools, root: Path, tmp_path: Path, name: str
) -> None:
    """
    From the index into uv's cache once; then the list and the lock, offline, give the same distributions.
    """
    (found,) = (lock.parent for lock in checkouts if lock.parent.name == name)
    folder = shutil.copytree(found, tmp_path / name)
    text = (folder / "uv.lock").read_text()
    for placeholder, address in zip(PLACEHOLDERS, real_addresses(root), strict=True):
        text = text.replace(placeholder, address)
    (folder / "uv.lock").write_text(text)
    one = ask(folder, tools)
    for file, content in one.texts(tools).items():
        (folder / file).write_text(content)
    exports.installed(folder / REQUIREMENTS, tmp_path / "filled", *exports.UV_PIP, network=exports.ONLINE)

    locked = exports.synced(folder, tmp_path / "synced", "--no-install-local")
    listed = exports.installed(folder / REQUIREMENTS, tmp_path / "listed", *exports.UV_PIP)
    pylocked = exports.installed(folder / PYLOCK, tmp_path / "pylocked", *exports.UV_PIP)

    assert ([], []) == (exports.compared(locked, listed), exports.compared(locked, pylocked))
    assert locked
