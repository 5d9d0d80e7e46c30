"""Reading pip's network settings, and which of them are handed to uv."""

from pathlib import Path

import pytest

from mlflow_uv.command.pip_settings import PipSettings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with pip's file for this user."""
    file = tmp_path / "home" / ".config" / "pip" / "pip.conf"
    file.parent.mkdir(parents=True)
    file.write_text(
        "[global]\ncert = ~/ca.pem\nproxy = company:3128\nindex-url = https://me:100%@a.example/simple\n"
        "[install]\nextra_index_url =\n  https://b.example\n  https://c.example\n"
    )
    return tmp_path / "home"


def read(home: Path, **variables: str) -> PipSettings:
    """The settings of somebody with that home, who has a folder of global files too."""
    return PipSettings.read({"HOME": str(home), **variables}, prefix=home / "prefix", machine=home.parent / "etc")


def test_a_file_is_read_as_pip_reads_it(home: Path) -> None:
    """
    Both sections, either spelling, several values, a percent sign that stands for itself.
    """
    settings = read(home)

    assert settings == PipSettings(
        cert=str(home / "ca.pem"),
        proxy="company:3128",
        index_url="https://me:100%@a.example/simple",
        extra_index_urls=("https://b.example", "https://c.example"),
    )


def test_what_is_nearer_wins(home: Path) -> None:
    """
    A variable, then the file that PIP_CONFIG_FILE names, that of the environment, of the user, of the machine.
    """
    seen = [read(home).proxy]
    (home.parent / "etc").mkdir()
    (home.parent / "etc" / "pip.conf").write_text("[global]\nproxy = machine\n")
    seen.append(read(home).proxy)
    (home / "prefix").mkdir()
    (home / "prefix" / "pip.conf").write_text("[global]\nproxy = environment\n")
    seen.append(read(home).proxy)
    (home / "other").write_text("[global]\nproxy = named\n")
    seen.append(read(home, PIP_CONFIG_FILE=str(home / "other")).proxy)
    seen.append(read(home, PIP_CONFIG_FILE=str(home / "other"), PIP_PROXY="variable").proxy)

    assert ["company:3128", "company:3128", "environment", "named", "variable"] == seen


def test_a_file_that_is_named_takes_the_place_of_the_users(home: Path) -> None:
    """
    And the null device that of all files.
    """
    (home / "other").write_text("[global]\nproxy = named\n")

    assert PipSettings(proxy="named") == read(home, PIP_CONFIG_FILE=str(home / "other"))
    assert PipSettings() == read(home, PIP_CONFIG_FILE="/dev/null")


@pytest.mark.parametrize("text", ["", "no section\n", "[global]\ncert\n", "[global\n", "[freeze]\ncert = x\n"])
def test_a_file_that_says_nothing_changes_nothing(home: Path, text: str) -> None:
    """
    pip itself says what is wrong with it.
    """
    (home / ".config" / "pip" / "pip.conf").write_text(text)

    assert PipSettings() == read(home)


@pytest.mark.parametrize(
    "variables",
    [{"SSL_CERT_FILE": "/theirs.pem"}, {"SSL_CERT_DIR": "/theirs"}, {"UV_SYSTEM_CERTS": "1"}, {"UV_NATIVE_TLS": "1"}],
)
def test_what_uv_is_told_itself_is_left_alone(variables: dict[str, str]) -> None:
    """
    Who set it knows why.
    """
    settings = PipSettings(cert="/pip.pem", proxy="http://pip:1")

    assert {} == settings.network(variables | {"HTTPS_PROXY": "http://theirs:1", "HTTP_PROXY": "http://theirs:1"})


@pytest.mark.parametrize(
    ("settings", "variables", "added"),
    [
        (PipSettings(cert="/pip.pem"), {"REQUESTS_CA_BUNDLE": "/requests.pem"}, {"SSL_CERT_FILE": "/pip.pem"}),
        (PipSettings(), {"REQUESTS_CA_BUNDLE": "/r.pem", "CURL_CA_BUNDLE": "/c.pem"}, {"SSL_CERT_FILE": "/r.pem"}),
        (PipSettings(), {"CURL_CA_BUNDLE": "/c.pem"}, {"SSL_CERT_FILE": "/c.pem"}),
        (PipSettings(cert="/"), {}, {"SSL_CERT_DIR": "/"}),
        (PipSettings(proxy="a:1"), {}, {"HTTPS_PROXY": "http://a:1", "HTTP_PROXY": "http://a:1"}),
        (PipSettings(proxy="https://a:1"), {"HTTP_PROXY": "b"}, {"HTTPS_PROXY": "https://a:1"}),
        (PipSettings(proxy="a:1"), {"all_proxy": "b"}, {}),
        (PipSettings(), {}, {}),
    ],
)
def test_the_network_is_said_in_uvs_words(
    settings: PipSettings, variables: dict[str, str], added: dict[str, str]
) -> None:
    """
    In the order of pip itself, whose HTTP library reads two variables of its own.
    """
    assert added == settings.network(variables)


def test_an_index_is_said_for_what_has_hashes() -> None:
    """
    With the hosts whose certificates pip does not look at; what uv is told itself goes first.
    """
    settings = PipSettings(
        index_url="https://a.example", extra_index_urls=("https://b.example", "c"), trusted_hosts=("a.example", "b:1")
    )

    assert {
        "UV_DEFAULT_INDEX": "https://a.example",
        "UV_INDEX": "https://b.example c",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "a.example b:1",
    } == settings.mirror({})
    assert {"UV_INDEX_URL": "https://d.example"} == settings.mirror({"UV_INDEX_URL": "https://d.example"})
    assert {} == PipSettings(extra_index_urls=("https://b.example",)).mirror({})
