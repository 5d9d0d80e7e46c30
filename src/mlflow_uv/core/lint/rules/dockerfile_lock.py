"""The rule `dockerfile-lock`: an image installs the packages of the lock from the lock."""

import re
from collections.abc import Iterator, Sequence

from ..dockerfiles import FILES, LONGEST_FILE, Instruction, ShellCommand, commands_of, instructions_of
from ..install_commands import PipInstall, UvCommand, pip_install, uv_command
from ..project_images import LOCK_SOURCE, context_sources, holds_project
from ..requirement_lines import requirement_lines
from ..rule import (
    LONGEST_LINE,
    Edit,
    LintProblem,
    LintRule,
    LockedPackages,
    ProjectFiles,
    SourceFile,
    is_test,
    joined_path,
)
from ..version_ranges import same_version, satisfies

_FROZEN = frozenset({"--frozen", "--locked", "--check", "--dry-run", "--no-sync", "--script"})
# With one of these, an image in a folder of its own serves or trains a model, and is no other program.
_MODEL_PACKAGES = frozenset({
    "catboost", "joblib", "keras", "lightgbm", "mlflow", "mlflow-skinny", "onnxruntime", "prophet", "scikit-learn",
    "statsmodels", "tensorflow", "torch", "transformers", "xgboost",
})  # fmt: skip
_UNLOCKED = "the image gets other versions than the ones that were tested, with each build"


def _check(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:
    if "RUN" not in source.text and "run" not in source.text:
        return
    lock = files.lock_of(source.folder)
    if lock is None or is_test(source.path):
        return
    if len(source.text) > LONGEST_FILE:
        yield LintProblem(
            line=1,
            what="this Dockerfile is not checked",
            why=f"it has more than {LONGEST_FILE:,} characters",
            fix="copy the data into the image from a file of its own",
        )
        return
    instructions = tuple(instructions_of(source.text))
    commands = [command for run in instructions if run.name == "RUN" for command in commands_of(run)]
    if not any(word.endswith(("pip", "uv")) or "pip" in word for command in commands for word in command.words):
        return
    if not holds_project(instructions, source.folder, files):
        return
    yield from _unlocked_syncs(source, instructions, commands)
    calls = [uv for command in commands if (uv := uv_command(command.words)) is not None]
    from_lock = any(uv.name in ("sync", "export") for uv in calls)
    context = "" if _names_lock_folder(instructions, lock) else source.folder
    for command in commands:
        install = pip_install(command.words)
        if install is not None and from_lock:
            # What is left for pip is the project itself, what was exported, and what is installed already.
            others = tuple(pair for pair in install.packages if _is_excluded(*pair, lock))
            install = install._replace(files=(), projects=(), packages=others)
        if install is not None and install.resolves:
            yield from _unlocked_install(install, command, lock, (source.folder, context, lock.folder), files)


def _unlocked_syncs(
    source: SourceFile, instructions: Sequence[Instruction], commands: Sequence[ShellCommand]
) -> Iterator[LintProblem]:
    if any(re.search(r"\bUV_(FROZEN|LOCKED)\b", instruction.text) for instruction in instructions):
        return
    copied = any(LOCK_SOURCE.search(path) for path in context_sources(instructions))
    for command in commands:
        uv = uv_command(command.words)
        if uv is None or _FROZEN & set(uv.words):
            continue
        if uv.name == "sync":
            yield LintProblem(
                line=command.line,
                what="`uv sync` may change the lock in the image",
                why=(
                    "with a lock that is out of date it resolves again, and the image differs from what was tested"
                    if copied
                    else "uv.lock is not copied into the image, so every build resolves again"
                ),
                fix="uv sync --locked" if copied else "copy uv.lock beside pyproject.toml, and use `uv sync --locked`",
                edits=_locked_edit(source.text, command) if copied else (),
            )
        elif uv.name == "add" and _adds_packages(uv):
            yield LintProblem(
                line=command.line,
                what="`uv add` changes the lock in the image",
                why=_UNLOCKED,
                fix="add the package to the project, commit uv.lock, and use `uv sync --locked`",
            )


def _adds_packages(uv: UvCommand) -> bool:
    return any(not word.startswith("-") for word in uv.words)


def _locked_edit(text: str, command: ShellCommand) -> tuple[Edit, ...]:
    end = command.offset + LONGEST_LINE
    match = re.compile(r"(?<![\w.-])uv[ \t]+sync(?=[\s;&|\\]|$)").search(text, command.offset, end)
    if match is None or "\n" in text[command.offset : match.start()]:
        return ()
    return (Edit(match.end(), match.end(), " --locked"),)


def _names_lock_folder(instructions: Sequence[Instruction], lock: LockedPackages) -> bool:
    """Whether an image copies the manifest or the lock of the project, so that it is built from their folder."""
    prefix = f"{lock.folder}/" if lock.folder else ""
    manifests = {f"{prefix}{name}" for name in ("pyproject.toml", "uv.lock", "uv.lock*")}
    return any(source in manifests for source in context_sources(instructions))


def _unlocked_install(
    install: PipInstall, command: ShellCommand, lock: LockedPackages, folders: tuple[str, ...], files: ProjectFiles
) -> Iterator[LintProblem]:
    own = folders[0] == lock.folder or folders[1] != folders[0]
    for project in install.projects:
        manifest = joined_path(folders[1] if own else folders[0], f"{project.partition('[')[0]}/pyproject.toml")
        if own and (files.exists(manifest) or project.startswith(".")):
            yield _unlocked(command, f"`{project}` is installed without the lock")
            return
    packages = list(install.packages)
    for name in install.files:
        if name.endswith("pyproject.toml"):
            yield _unlocked(command, f"the packages of `{name}` are installed without the lock")
            return
        paths = (joined_path(folder, name.rpartition("/")[2] if "$" in name else name) for folder in folders)
        text = next((text for path in paths if (text := files.text(path)) is not None), None)
        packages += [(line.name, line.ranges) for line in requirement_lines(text or "")]
    loose = [name for name, ranges in packages if _is_loose(name, ranges, lock)]
    if loose and (own or _MODEL_PACKAGES & set(loose)):
        shown = ", ".join(f"`{name}`" for name in sorted(set(loose))[:3])
        more = len(set(loose)) - 3
        where = f"{shown}{f' and {more} more' if more > 0 else ''}"
        yield _unlocked(command, f"{where} {'are' if len(set(loose)) > 1 else 'is'} installed without the lock")


def _is_loose(name: str, ranges: str, lock: LockedPackages) -> bool:
    """Whether a requirement may install another version than the locked one."""
    locked = lock.versions.get(name)
    if not locked:
        return False
    match = re.fullmatch(r"===?\s*([^\s,*]+)", ranges)
    return match is None or not any(same_version(match[1], version) for version in locked)


def _is_excluded(name: str, ranges: str, lock: LockedPackages) -> bool:
    """Whether a requirement replaces the locked version, which is installed already."""
    locked = lock.versions.get(name, ())
    return bool(locked) and all(satisfies(version, ranges) is False for version in locked)


def _unlocked(command: ShellCommand, what: str) -> LintProblem:
    return LintProblem(
        line=command.line,
        what=what,
        why=_UNLOCKED,
        fix="copy uv.lock and pyproject.toml into the image, and use `uv sync --locked`",
    )


RULE = LintRule(
    name="dockerfile-lock",
    summary="A Dockerfile of the project installs packages of the lock without the lock.",
    files=FILES,
    check=_check,
)
