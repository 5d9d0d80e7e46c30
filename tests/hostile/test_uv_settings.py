"""Hostile files for uv in a checkout: programs that start, files that are written, passwords that are sent."""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import projects
from tests.checkout import commit, repository
from tests.hostile.listener import Listener, listening
from tests.hostile.surfaces import Ended, in_a_hook, on_the_command_line

CANARY = "canary-51b0de"
PROGRAM = '#!/bin/sh\necho ran >> "{marker}"\nexit 1\n'
PACKAGED = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = """
import zipfile
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "wine-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as archive:
        archive.writestr("wine.py", "")
        archive.writestr("wine-0.1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: wine\\nVersion: 0.1.0\\n")
        wheel = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        archive.writestr("wine-0.1.0.dist-info/WHEEL", wheel)
        archive.writestr("wine-0.1.0.dist-info/RECORD", "")
    return name
build_editable = build_wheel
"""


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A server of somebody who means harm."""
    with listening() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of a repository that can be built, and whose lock is stale: uv looks for a Python."""
    folder = tmp_path / "workspace"
    projects.wheel(tmp_path / "dist", "grape", "1.0")
    projects.wheel(tmp_path / "dist", "plum", "1.0")
    projects.project(folder, "grape==1.0", wheels=tmp_path / "dist", more=PACKAGED)
    (folder / "backend.py").write_text(BACKEND)
    projects.lock(folder)
    repository(folder)
    return folder


def program(path: Path, marker: Path) -> None:
    """Write a program that leaves a mark where it was started."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PROGRAM.format(marker=marker))
    path.chmod(0o755)


def check(folder: Path, **variables: str) -> Ended:
    """`check-lock`, as JSON."""
    return on_the_command_line("check-lock", "--format", "json", folder=folder, given={}, variables=variables)


def findings(ended: Ended) -> list[tuple[str, str, int]]:
    """Rule, file and line of what was found."""
    found = json.loads(ended.output[ended.output.index("{") : ended.output.rindex("}") + 1])["findings"]
    return [(one["rule"], Path(one["path"]).name, one["line"]) for one in found]


# programs


@pytest.mark.parametrize("fresh", [True, False])
def test_a_committed_environment_starts_no_program(folder: Path, tmp_path: Path, fresh: bool) -> None:
    """
    uv asks the Python in `.venv` who it is; one that came with the checkout is left alone.
    """
    marker = tmp_path / "marker"
    for name in ("python", "python3"):
        program(folder / ".venv/bin" / name, marker)
    (folder / ".venv/pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.11.7\n")
    if not fresh:
        projects.depend_on(folder, "grape==1.0", "plum==1.0")
    commit(folder)

    ended = check(folder)
    in_a_hook("check-lock", "uv.lock", folder=folder, variables={})
    exported = on_the_command_line(
        "export", folder=folder, given={"requirements-file": "all.txt", "local-packages": "wheels"}, variables={}
    )

    assert (not fresh, not fresh, False) == (bool(ended.code), bool(exported.code), marker.exists()), exported.output


def test_an_environment_that_was_made_here_is_used_as_before(folder: Path, tmp_path: Path) -> None:
    """
    It is not the checkout's: whoever made it may have the only Python that fits in it.
    """
    marker = tmp_path / "marker"
    program(folder / ".venv/bin/python", marker)
    (folder / ".venv/pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.11.7\n")
    projects.depend_on(folder, "grape==1.0", "plum==1.0")

    check(folder)

    assert marker.exists()


@pytest.mark.core_variants(3)
@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".python-version", "./evil"),
        (".python-versions", "3.11\n./evil"),
        (".python-version", "evil-folder"),
        *(
            pytest.param(file, text, marks=pytest.mark.extended)
            for file in (".python-version", ".python-versions")
            for text in ("{folder}/evil", "./evil-folder", "../workspace/evil")
        ),
        pytest.param(".python-versions", "./evil", marks=pytest.mark.extended),
        pytest.param(".python-version", "3.11\n./evil", marks=pytest.mark.extended),
        pytest.param(".python-versions", "evil-folder", marks=pytest.mark.extended),
    ],
)
def test_a_pin_that_names_a_program_starts_none(folder: Path, tmp_path: Path, file: str, text: str) -> None:
    """
    uv takes a path in a `.python-version`; the finding is on its line, and what it says to write there helps.
    """
    marker = tmp_path / "marker"
    program(folder / "evil", marker)
    program(folder / "evil-folder/bin/python", marker)
    (folder / file).write_text(f"# a comment\n{text.format(folder=folder)}\n")
    projects.depend_on(folder, "grape==1.0", "plum==1.0")
    commit(folder)

    ended = check(folder)
    built = on_the_command_line("export", folder=folder, given={"requirements-file": "all.txt"}, variables={})

    assert (1, 16, False) == (ended.code, built.code, marker.exists())
    assert [("lock-unreadable", file, 2 + text.count("\n"))] == findings(ended)
    (folder / file).write_text("3.11\n")
    assert ["lock-requirement"] == [rule for rule, _, _ in findings(check(folder))] or "lock-" in check(folder).output


def test_a_pin_beside_sources_starts_no_program_where_they_are_built(folder: Path, tmp_path: Path) -> None:
    """
    uv looks for a pin in the folder that it builds, too.
    """
    marker = tmp_path / "marker"
    program(folder / "evil", marker)
    (folder / ".python-version").write_text("./evil\n")
    given = {"requirements-file": "all.txt", "local-packages": "wheels"}

    ended = on_the_command_line("export", folder=folder, given=given, variables={})

    assert (True, False) == (".python-version" in ended.output, marker.exists())


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    "place",
    [
        pytest.param("pyproject.toml", id="manifest"),
        pytest.param("above", marks=pytest.mark.extended, id="above"),
        pytest.param("uv.toml", marks=pytest.mark.extended, id="uv.toml"),
        pytest.param("escaped", marks=pytest.mark.extended, id="escaped key"),
    ],
)
def test_no_python_is_downloaded_from_where_the_checkout_says(
    place: str, folder: Path, listener: Listener, tmp_path: Path
) -> None:
    """
    uv would start it. The finding has the line of the setting; the variable that it names lets the job say so.
    """
    key = '"python\\u002ddownloads-json-url"' if place == "escaped" else "python-downloads-json-url"
    text = f'{key} = "{listener.uri}/list.json"\n'
    (folder / ".python-version").write_text("3.8.3\n")  # no machine has it
    if place == "uv.toml":
        (folder / "uv.toml").write_text(
            f"{text}index = [{{ url = '{tmp_path}/dist', format = 'flat', default = true }}]\n"
        )
    else:
        manifest = folder / "pyproject.toml"
        manifest.write_text(f"{manifest.read_text()}\n[tool.uv]\n{text}")
    if place == "above":
        folder = folder / "inner"
        folder.mkdir()
        (folder / "uv.lock").write_bytes((folder.parent / "uv.lock").read_bytes())
        (folder / ".python-version").write_bytes((folder.parent / ".python-version").read_bytes())
        (folder / "pyproject.toml").write_text(
            '[project]\nname = "wine"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = []\n'
        )
    projects.depend_on(folder, "grape==1.0", "plum==1.0")

    ended = check(folder, UV_HTTP_RETRIES="0")
    before = listener.everything
    on_the_command_line("export", folder=folder, given={}, variables={"UV_HTTP_RETRIES": "0"})
    check(folder, UV_HTTP_RETRIES="0", UV_PYTHON_DOWNLOADS_JSON_URL=f"{listener.uri}/list.json")

    file = "uv.toml" if place == "uv.toml" else "pyproject.toml"
    assert ("", True) == (before, "/list.json" in listener.everything)
    assert [("uv-setting-not-followed", file)] == [one[:2] for one in findings(ended) if "uv-setting" in one[0]]
    assert "set UV_PYTHON_DOWNLOADS_JSON_URL in the job" in ended.output


def test_a_python_from_a_mirror_of_the_checkout_is_one_that_uv_knows(folder: Path, tmp_path: Path) -> None:
    """
    So `python-install-mirror` is followed: uv compares what it gets with its own hashes, and starts nothing else.
    """
    marker, data = tmp_path / "marker", io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        text = PROGRAM.format(marker=marker).encode()
        member = tarfile.TarInfo("python/bin/python3.12")
        member.size, member.mode = len(text), 0o755
        archive.addfile(member, io.BytesIO(text))
    (folder / ".python-version").write_text("3.12.1\n")
    projects.depend_on(folder, "grape==1.0", "plum==1.0")
    with listening(answer=data.getvalue()) as mirror:
        with (folder / "pyproject.toml").open("a") as file:
            file.write(f'\n[tool.uv]\npython-install-mirror = "{mirror.uri}"\n')
        own = {"UV_PYTHON_INSTALL_DIR": str(tmp_path / "pythons"), "UV_PYTHON_PREFERENCE": "only-managed"}
        variables = {**os.environ, **own, "UV_HTTP_RETRIES": "0"}
        done = subprocess.run(["uv", "lock"], cwd=folder, env=variables, capture_output=True, text=True, check=False)

    assert (2, True, False) == (done.returncode, "cpython-3.12.1" in mirror.everything, marker.exists())
    assert "Hash mismatch" in done.stderr


# files


def test_the_checkout_names_no_cache(folder: Path, tmp_path: Path) -> None:
    """
    Nothing is written there, and nothing that lies there is taken for what was downloaded before.
    """
    cache = tmp_path / "elsewhere"
    (folder / "uv.toml").write_text(f'cache-dir = "{cache}"\n')
    projects.depend_on(folder, "grape==1.0", "plum==1.0")
    own = {"UV_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path / "own")}

    ended = check(folder, **own)

    assert (False, True) == (cache.exists(), (tmp_path / "own/uv").is_dir())
    assert ("uv-setting-not-followed", "uv.toml", 1) in findings(ended)


# indexes


@pytest.fixture
def asking(folder: Path, listener: Listener) -> Path:
    """The project, with an index called as the team's is."""
    manifest = folder / "pyproject.toml"
    table = f'[[tool.uv.index]]\nname = "corp-pi"\nurl = "{listener.uri}/simple"\n'
    manifest.write_text(f"{manifest.read_text()}\n{table}")
    projects.depend_on(folder, "grape==1.0", "quince")
    return folder


PASSWORD = {"UV_INDEX_CORP_PI_USERNAME": "robot", "UV_INDEX_CORP_PI_PASSWORD": CANARY, "UV_HTTP_RETRIES": "0"}


@pytest.mark.parametrize("step", ["check-lock", "export", "check-targets"])
def test_the_password_of_an_index_goes_to_a_listed_address_alone(step: str, asking: Path, listener: Listener) -> None:
    """
    uv sends it to any index of that name; a list of the job's says which addresses those are.
    """
    variables = {**PASSWORD, "MLFLOW_UV_TRUSTED_INDEXES": "https://corp.example.test, https://other.example.test"}

    ended = on_the_command_line(step, folder=asking, given={}, variables=variables)

    assert ("Authorization" in listener.everything, CANARY in ended.output) == (False, False)


def test_what_is_not_handed_on_is_told_with_its_line_and_its_mend(asking: Path, listener: Listener) -> None:
    """
    Adding the address, as the finding says, lets uv send the password.
    """
    line = 1 + (asking / "pyproject.toml").read_text().splitlines().index(f'url = "{listener.uri}/simple"')

    refused = check(asking, **PASSWORD, MLFLOW_UV_TRUSTED_INDEXES="https://corp.example.test")
    before = listener.everything
    check(asking, **PASSWORD, MLFLOW_UV_TRUSTED_INDEXES=f"https://corp.example.test {listener.uri}")

    told = [one for one in findings(refused) if one[0] == "uv-setting-not-followed"]
    assert [("uv-setting-not-followed", "pyproject.toml", line)] * 2 == told
    assert ("Authorization" in before, "Authorization: Basic" in listener.everything) == (False, True)


def test_without_a_list_uv_decides_by_the_name_of_the_index(asking: Path, listener: Listener) -> None:
    """
    That is uv's own design, and what the documentation says.
    """
    check(asking, **PASSWORD)

    assert "Authorization: Basic" in listener.everything


def test_a_list_that_holds_no_address_is_refused(asking: Path, listener: Listener) -> None:
    """
    A typing error does not open what it should close.
    """
    ended = check(asking, **PASSWORD, MLFLOW_UV_TRUSTED_INDEXES="corp")

    assert (2, "") == (ended.code, listener.everything)
    assert "MLFLOW_UV_TRUSTED_INDEXES" in os.fsdecode(ended.output)


KEYRING = '#!/bin/sh\nenv >> "{marker}"\n'


@pytest.mark.parametrize("untrusted", [True, False])
def test_an_untrusted_checkout_hands_no_credentials_of_a_cloud_to_a_keyring(
    untrusted: bool, folder: Path, listener: Listener, tmp_path: Path
) -> None:
    """
    A project of one's own names its keyring; where builds are refused only the job and the machine do.
    """
    program(tmp_path / "bin/keyring", tmp_path / "marker")
    (tmp_path / "bin/keyring").write_text(KEYRING.format(marker=tmp_path / "marker"))
    manifest = folder / "pyproject.toml"
    index = f'[[tool.uv.index]]\nname = "x"\nurl = "{listener.uri.replace("//", "//robot@")}/simple"\n'
    manifest.write_text(f'{manifest.read_text()}\n{index}[tool.uv]\nkeyring-provider = "subprocess"\n')
    projects.depend_on(folder, "grape==1.0", "quince")
    variables = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "AWS_SECRET_ACCESS_KEY": CANARY}
    given = {"builds": "refuse" if untrusted else "allow"}

    on_the_command_line("check-lock", folder=folder, given=given, variables={**variables, "UV_HTTP_RETRIES": "0"})

    assert untrusted is not (CANARY in (tmp_path / "marker").read_text())
