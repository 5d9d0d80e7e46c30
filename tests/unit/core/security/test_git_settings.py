"""Which settings in the configuration of a repository git obeys."""

import pytest

from mlflow_uv.core.security.git_settings import Setting, filter_overrides, origin_settings, settings_in

LFS = "git-lfs clean -- %f"


def setting(text: str) -> Setting:
    """`scope key=value`."""
    scope, _, rest = text.partition(" ")
    key, _, value = rest.partition("=")
    return Setting(scope=scope, key=key, value=value)


def test_what_git_lists_is_read_whatever_it_holds() -> None:
    """
    A value may have lines and a name may have signs; a key without a value has an empty one.
    """
    listed = "local\0filter.a=b.clean\none\ntwo\0worktree\0core.bare\0"

    found = settings_in(listed)

    assert (
        Setting(scope="local", key="filter.a=b.clean", value="one\ntwo"),
        Setting(scope="worktree", key="core.bare", value=""),
    ) == found


@pytest.mark.parametrize(
    ("lines", "overrides"),
    [
        ((), {}),
        (("global filter.x.clean=mine", "system filter.x.required=true"), {}),
        (("local filter.x.clean=evil",), {"filter.x.required": "false", "filter.x.clean": ""}),
        (
            ("worktree filter.x.process=evil", "local filter.x.required=true"),
            {"filter.x.required": "false", "filter.x.process": ""},
        ),
        (
            ("global filter.x.clean=mine", "global filter.x.required=true", "local filter.x.clean=evil"),
            {"filter.x.required": "true", "filter.x.clean": "mine"},
        ),
        (
            ("global filter.x.clean=mine", "global filter.x.required=true", "local filter.x.process=evil"),
            {"filter.x.required": "false", "filter.x.clean": "mine", "filter.x.process": ""},
        ),
        (("global filter.x.clean=mine", "local filter.x.clean=mine"), {}),
        ((f"local filter.lfs.clean={LFS}", "local filter.lfs.required=true"), {}),
        (
            (f"local filter.lfs.clean={LFS}; evil",),
            {"filter.lfs.required": "false", "filter.lfs.clean": ""},
        ),
        (
            (f"global filter.lfs.clean={LFS}", "local lfs.extension.x.clean=evil"),
            {"filter.lfs.required": "false", "filter.lfs.clean": ""},
        ),
        (
            ("system filter.lfs.process=/opt/git-lfs filter-process", "global lfs.extension.x.clean=mine"),
            {},
        ),
    ],
    ids=[
        "none", "the user's", "the repository's", "of a work tree", "over the user's", "beside the user's", "the same",
        "git-lfs", "not quite git-lfs", "git-lfs that is extended", "git-lfs that the user extends",
    ],
)  # fmt: skip
def test_a_filter_that_the_repository_names_is_undone(lines: tuple[str, ...], overrides: dict[str, str]) -> None:
    """
    By its name: the user's own takes its place, or none, which then is not required.
    """
    found = filter_overrides(map(setting, lines))

    assert overrides == found


def test_of_a_repository_only_its_address_and_its_header_are_taken() -> None:
    """
    A fetch in another folder goes where the repository came from; how it gets there is the user's own business.
    """
    taken = (
        "local remote.origin.url=https://x.test/y",
        "local url.https://z.test/.insteadof=https://x.test/",
        "local http.https://x.test/.extraheader=AUTHORIZATION: basic x",
        "local http.extraheader=A: b",
    )
    left = (
        "local core.sshcommand=evil", "local credential.helper=evil", "local credential.https://x.test.helper=evil",
        "local remote.origin.uploadpack=evil", "local remote.origin.vcs=ext", "local http.proxy=evil",
        "local http.sslverify=false", "local http.curloptresolve=x.test:443:127.0.0.1", "local include.path=evil",
        "local protocol.ext.allow=always", "global credential.helper=mine", "local remote.other.url=x",
    )  # fmt: skip

    found = origin_settings(map(setting, (*left, *taken)))

    assert tuple((one.key, one.value) for one in map(setting, taken)) == found
