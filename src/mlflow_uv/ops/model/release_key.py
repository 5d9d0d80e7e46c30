"""Computes the release key from the training inputs, explains why a model is trained, and reports files left over."""

import json
import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import field, replace
from itertools import chain
from pathlib import Path, PurePosixPath

from ...command.errors import BadInput, ToolFailed
from ...command.report import Finding, Severity, first_names
from ...core.lock.lockfile import NotALock, read_lockfile
from ...core.lock.selection import Selection
from ...core.release.commit import Commit
from ...core.release.digests import canonical, sha256, tree_digest
from ...core.release.path_patterns import PathPatterns, pattern_of
from ...core.release.record import Record
from ...core.release.training_inputs import (
    DOCUMENTATION,
    MANIFEST,
    TrainingInputs,
    changed_files,
    local_folders,
    manifest_id,
)
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import LoggedModelDescription
from ...payloads.messages.tags import COMMIT, DIRTY, PROJECT, TRAINING_INPUTS
from ...tools.git.messages import path_of
from ...tools.project.files import Project
from ...tools.system.content import digests_in, file_digest
from ...tools.toolbox import Tools
from .source import NAMES, ModelSourceKind
from .training import Job

FILES = "files"
SETTING = "not-inputs"
_COMPILED = ".pyc"
_LEFT_BY_BUILDS = frozenset({"build", "dist", "node_modules", "__pycache__"})


@lazy_dataclass
class TrainingFolders:
    """
    The folders whose files a training may read: the project's, and those of the local packages that it needs.

    Also files or folders elsewhere in the repository that symbolic links in them point to. `without` are patterns of
    files that are not inputs, relative to the folder that contains the file.
    """

    project: Project
    folders: tuple[Path, ...]
    without: PathPatterns

    @classmethod
    def of(cls, project: Project, not_inputs: tuple[str, ...]) -> "TrainingFolders":
        """Return the folders of a project, by its lock."""
        try:
            lock = read_lockfile(project.lock.read_bytes())
            local = tuple(local_folders(lock, os.path.relpath(project.folder, project.root)))
        except (OSError, NotALock):
            local = ()
        local_paths = (Path(os.path.normpath(project.root / folder)) for folder in local)
        folders = (project.folder, *(folder for folder in local_paths if folder.is_dir()))
        return cls(
            project=project,
            folders=tuple(dict.fromkeys(folders)),
            without=PathPatterns(lines=(*DOCUMENTATION, *not_inputs)),
        )

    def now(self, tools: Tools) -> dict[str, str]:
        """Return the git ids of all current files by their paths in the repository."""
        return tools.git.contents(self.project.folder, self.folders)

    def outside(self, tools: Tools) -> dict[str, str]:
        """Return the digests of the files in folders outside of the repository, by absolute path; git knows no more."""
        top = Path(os.path.realpath(tools.git.top(self.project.folder) or self.project.folder))
        digests = {}
        for folder in dict.fromkeys(Path(os.path.realpath(folder)) for folder in self.folders):
            if folder.is_relative_to(top):
                continue
            for file in tools.git.files_below(folder, (".",)) or _files_in(folder):
                name = os.path.relpath(file, folder)
                if file.suffix == _COMPILED or file.is_relative_to(top) or self.without.match(name):
                    continue
                with suppress(BadInput):  # not a file, or not readable
                    digests[str(file)] = file_digest(file)
        return digests

    def linked(self, files: Mapping[str, str], tools: Tools) -> tuple[Path, ...]:
        """Return the targets, elsewhere in the repository, of symbolic links among these files."""
        top = Path(os.path.realpath(tools.git.top(self.project.folder) or self.project.folder))
        known = tuple(Path(os.path.realpath(folder)) for folder in self.folders)
        links = (path_of(top, name) for name in files if not self.without.match(self.inside(name, top)))
        targets = dict.fromkeys(Path(os.path.realpath(link)) for link in links if link.is_symlink())
        return tuple(
            target
            for target in targets
            if target.is_relative_to(top)
            and ".git" not in target.relative_to(top).parts
            and target.exists()
            and not any(target.is_relative_to(folder) for folder in known)
        )

    def at(self, commit: str, tools: Tools) -> dict[str, str] | None:
        """Return the git ids of all files at a commit, None if git does not have it."""
        return tools.git.contents_at(self.project.folder, commit, self.folders)

    def counted(self, files: Mapping[str, str], tools: Tools, *, commit: str = "") -> dict[str, str]:
        """Return the files that are inputs, of a manifest only the relevant part; without `commit` as they are now."""
        top = tools.git.top(self.project.folder) or self.project.folder
        lock = os.path.relpath(os.path.realpath(self.project.lock), top)
        counted_files = {}
        for name, blob in files.items():
            if name == lock or self.without.match(self.inside(name, top)):
                continue
            data = _manifest(name, top, tools, commit=commit) if name.rpartition("/")[2] == MANIFEST else None
            counted_files[name] = blob if data is None else manifest_id(data)
        return counted_files

    def inside(self, name: str, top: Path) -> str:
        """Return the path of a file relative to the nearest of the folders, empty if it is in none."""
        path = Path(top, name)
        roots = (Path(os.path.realpath(folder)) for folder in self.folders)
        nearest = max((root for root in roots if root in path.parents), key=lambda root: len(root.parts), default=None)
        return path.relative_to(nearest).as_posix() if nearest else ""

    def place(self, name: str, top: Path) -> tuple[Path, str]:
        """Return the folder to which patterns for a file are relative, and its path there; see `inside`."""
        path = self.inside(name, top) or name
        return Path(os.path.realpath(top), name[: len(name) - len(path)]), path

    @property
    def not_inputs(self) -> tuple[str, ...]:
        """The patterns that the project names."""
        return self.without.lines[len(DOCUMENTATION) :]

    def shown(self, names: tuple[str, ...], tools: Tools) -> tuple[str, ...]:
        """Return paths relative to the project's folder."""
        top = tools.git.top(self.project.folder) or self.project.folder
        project_folder = os.path.realpath(self.project.folder)
        return tuple(os.path.relpath(top / name, project_folder) for name in names)


@lazy_dataclass
class Key:
    """
    The inputs of a training, and all files of their folders before it.

    `outside` are the files of local packages outside of the repository. The wheels of these packages are inputs.
    """

    scope: TrainingFolders
    inputs: TrainingInputs
    files: Mapping[str, str] = field(repr=False)
    outside: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the model from which a later release can explain what differs."""
        return {TRAINING_INPUTS: self.inputs.tag, PROJECT: self.project}

    @property
    def project(self) -> str:
        """The project's name without characters that MLflow's search syntax does not accept."""
        return re.sub(r"['`]", "-", self.scope.project.name)


def training_files(
    project: Project, not_inputs: tuple[str, ...], tools: Tools
) -> tuple[TrainingFolders, dict[str, str]]:
    """Return the folders of a training, and the git ids of all files in them as they are now."""
    scope = TrainingFolders.of(project, not_inputs)
    files = scope.now(tools)
    while linked := scope.linked(files, tools):
        scope = replace(scope, folders=(*scope.folders, *linked))
        files = scope.now(tools)
    return scope, files


def key_of(project: Project, not_inputs: tuple[str, ...], parts: Mapping[str, object], tools: Tools) -> Key:
    """
    Return the release key of a project in its current state.

    `parts` are the inputs other than files, by their names in messages; empty values are left out.
    """
    scope, files = training_files(project, not_inputs, tools)
    digests = {name: sha256(canonical(value)) for name, value in parts.items() if value}
    return Key(scope=scope, inputs=TrainingInputs(files=scope.counted(files, tools), parts=digests), files=files)


def parts_of(
    job: Job, selection: Selection, settings: Mapping[str, object], packages: Mapping[str, str], *, python: str
) -> dict[str, object]:
    """
    Return the inputs other than files, by their names in messages.

    `settings` are those of the training by name, `packages` digests of the local packages. A model folder counts with
    all its content, even if git ignores it.
    """
    parts: dict[str, object] = {
        f"`{NAMES[job.source.kind]}`": list(job.source.made_by),
        **{f"`{name}`": value for name, value in settings.items()},
        "uv.lock": job.lock.sha256,
        "the selection": selection.sha256,
        "the Python": python.rpartition(".")[0],
        "the project's path": job.commit.project,
        **{f"package {name}": digest for name, digest in packages.items()},
    }
    if (content := _folder_content(job)) is not None:
        parts[_folder_name(job)] = content
    return parts


def folder_part(job: Job) -> tuple[str, str]:
    """Return the name and the digest of the part for a model folder as it is now; both empty for another source."""
    content = _folder_content(job)
    return ("", "") if content is None else (_folder_name(job), sha256(canonical(content)))


def _folder_name(job: Job) -> str:
    return f"the files of `{job.source.word}`"


def _folder_content(job: Job) -> str | None:
    if job.source.kind is ModelSourceKind.FOLDER and (folder := job.project.folder / job.source.word).is_dir():
        return tree_digest(digests_in(folder))
    return None


def trained_from(tags: Mapping[str, str], current: Commit) -> Commit:
    """
    Return the commit of a reused model: the one that it was trained from, if the tree was clean then.

    Otherwise the current commit, whose inputs are identical.
    """
    sha = tags.get(COMMIT, "")
    if tags.get(DIRTY) != "false" or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", sha):
        return current
    return replace(current, sha=sha, dirty=None)


def explain(job: Job, key: Key | None, reused: Record | None, tools: Tools, *, wanted: bool) -> None:
    """
    Print one line that says why a model is trained or reused; `wanted` says that `retrain` is set.

    Nothing is printed for an adopted model, which has no key.
    """
    if key is None:
        return
    if reused is not None:
        tools.console.say(f"  {reason_to_reuse(key, reused, tools)}")
        return
    latest = None
    if not wanted:
        latest = job.client.find_latest(key.project)
    tools.console.say(f"  {reason_to_train(key, latest, tools, wanted=wanted)}")


def reason_to_reuse(key: Key, record: Record, tools: Tools) -> str:
    """Return why nothing is trained, with the changed files that are not inputs."""
    text = f"not trained again: no input changed since {record.commit.description}"
    before = key.scope.at(record.commit.sha, tools)
    names = changed_files(before, key.files) if before is not None else ()
    return f"{text}; other changes: {first_names(key.scope.shown(names, tools))}" if names else text


def reason_to_train(key: Key, before: LoggedModelDescription | None, tools: Tools, *, wanted: bool) -> str:
    """Return why a model is trained; `before` is the newest model of the project in the store."""
    if wanted:
        return "trained again: `retrain` is set"
    if before is None:
        return "trained: the store has no released model of this project"
    parts = key.inputs.changed_parts(before.tags.get(TRAINING_INPUTS, ""))
    if not parts:
        return f"trained again: model {before.model_id}, which has the same inputs, cannot be used"
    names = tuple(part for part in parts if part != FILES)
    if FILES in parts:
        names = (*_files_since(key, before.tags, tools), *names)
    return f"trained again: since model {before.model_id} these inputs changed: {first_names(names)}"


def _files_since(key: Key, tags: Mapping[str, str], tools: Tools) -> tuple[str, ...]:
    sha = tags.get(COMMIT, "")
    then = key.scope.at(sha, tools)
    if then is None:
        return (f"files (commit {sha[:12]} is not here to compare)",)
    try:
        counted = key.scope.counted(then, tools, commit=sha)
    except ToolFailed:  # it only explains: a training does not depend on it
        return (f"files (git cannot read commit {sha[:12]} to compare)",)
    names = key.scope.shown(changed_files(counted, key.inputs.files), tools)
    return names or (f"files that differed from commit {sha[:12]} then",)


def left_behind(key: Key | None, tools: Tools) -> tuple[Finding, ...]:
    """Report files that training created and git does not ignore: they would count as inputs next time."""
    if key is None:
        return ()
    files_after = key.scope.counted(key.scope.now(tools), tools)
    created = tuple(sorted(files_after.keys() - key.files.keys()))
    if not created:
        return ()
    top = tools.git.top(key.scope.project.folder) or key.scope.project.folder
    kept = {str(folder) for name in key.files if not _is_of_git(name) for folder in PurePosixPath(name).parents}
    ignored: dict[Path, dict[str, None]] = {}
    for name in created:
        folder, path = key.scope.place(name, top)
        ignored.setdefault(folder, {})[_narrowest(name, path, kept)] = None
    patterns = dict.fromkeys((*key.scope.not_inputs, *chain.from_iterable(ignored.values())))
    named = ", ".join(json.dumps(pattern, ensure_ascii=False) for pattern in patterns)
    commands = " && ".join(_ignoring(folder, tuple(ignored[folder]), key.scope.project) for folder in ignored)
    finding = Finding(
        rule="training-left-files",
        severity=Severity.WARNING,
        what=f"training left files that git does not ignore: {first_names(key.scope.shown(created, tools))}",
        why="they count as training inputs from now on, since training may read them, so that the next release trains"
        " again",
        fix=f"{commands}, or `{SETTING} = [{named}]` in [tool.mlflow-uv]",
        path=key.scope.project.folder / MANIFEST,
    )
    return (finding,)


def _is_of_git(name: str) -> bool:
    """Whether a file is there for its folder, such as `.gitkeep`."""
    return PurePosixPath(name).name.startswith(".git")


def _narrowest(name: str, path: str, kept: Collection[str]) -> str:
    """
    Return the pattern for a new file and for what else is new beside it: not for a folder that had files before.

    `name` is its path in the repository, whose folders with files are `kept`, and `path` that in the folder of inputs.
    """
    start = len(name) - len(path)
    for slash in re.finditer("/", path):
        if name[: start + slash.start()] not in kept:
            return f"/{pattern_of(path[: slash.start()])}/"
    return f"/{pattern_of(path)}"


def _ignoring(folder: Path, patterns: tuple[str, ...], project: Project) -> str:
    """Return the command that adds patterns to the `.gitignore` of a folder, after a last line without an end too."""
    file = folder / ".gitignore"
    unfinished = file.is_file() and not f"\n{file.read_text(errors='replace')}".endswith("\n")
    lines = " ".join(map(shlex.quote, (*([""] if unfinished else []), *patterns)))
    return f"printf '%s\\n' {lines} >> {shlex.quote(os.path.relpath(file, os.path.realpath(project.folder)))}"


def _files_in(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder without a repository, without those that builds and tools leave there."""
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _LEFT_BY_BUILDS)
        yield from (Path(base, name) for name in sorted(names))


def _manifest(name: str, top: Path, tools: Tools, *, commit: str) -> bytes | None:
    if commit:
        return tools.git.blob(top, commit, name)
    path = top / name
    return path.read_bytes() if path.is_file() else None
