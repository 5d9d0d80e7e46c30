"""Finds the commands in documents of a project, such as a Makefile, that run a script, a module or an entry."""

import posixpath
from collections.abc import Collection, Iterable, Iterator

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass

_CONTINUED = lazy_pattern(r"(?:\\| `)\r?\n[ \t]*")  # of a POSIX shell and of PowerShell
_ARRAY = lazy_pattern(r"[\"'],[ \t]?[\"']")  # between the words of `CMD ["python", "train.py"]`
_ARRAY_END = lazy_pattern(r"[\"'] ?\]")
_ASCII = lazy_pattern(r"[\x21-\x7e]+")
_PYTHON = lazy_pattern(r"python(?:3(?:\.\d+)?)?")
_TARGET = lazy_pattern(r"[ \t]*(?:- )?(?:name:)?[ \t]*[\[\"'@]*([A-Za-z_][\w .:-]*)")
_HEADING = lazy_pattern(r"[ \t]*(?:#+|\*\*|//|- name:)[ \t]*(.*)")
_TRAINS = lazy_pattern(r"(?:^|_)(?:train|training|trains|fit|entrenar|entrenamiento)(?:_|$)")
_OTHER = lazy_pattern(
    r"(?:^|_)(?:predict|serve|serving|inference|infer|evaluate|eval|deploy|deployments?|register|app|api|demo|utils?)(?:_|$)"
)
_NO_WORD = lazy_pattern(r"[^a-z0-9]+")
_PLACEHOLDER = frozenset("${}<>[]*\\\"'")  # in a command that cannot be run as it is written
_EXPANDED = lazy_pattern(r"(?:^|=)~|%\w+%")  # by a shell: the home of a user, and a variable of Windows
_ENDS = frozenset({"&&", "||", "|", ";", "&", "\\", ")", "]"})
_VALUES = frozenset({  # options of `uv run` that take a value
    "--active-python", "--directory", "--env-file", "--extra", "--group", "--index", "--only-group", "--package",
    "--project", "--python", "-p", "--with", "--with-editable", "--with-requirements",
})  # fmt: skip
_LAUNCHERS = {("accelerate", "launch"): 2, ("torchrun",): 1, ("uv", "run"): 2, ("poetry", "run"): 2, ("pdm", "run"): 2,
              ("hatch", "run"): 2}  # fmt: skip
_ASKS = frozenset({"--help", "-h", "--version"})  # of a command that does no work
_LONGEST = 300  # words of a line, and characters of what may name a target


@lazy_dataclass
class CommandDocument:
    """A text with commands; `decides` is whether its arguments are those of a real training, not of a short check."""

    path: str
    text: str
    decides: bool = True


@lazy_dataclass
class RunCommand:
    """
    A command that runs a program: a path, the name of a module or that of an entry.

    `arguments` is None if the words after it cannot be passed as they are written. `trains` says that the target,
    stage or heading above it, or its first argument, is named after training.
    """

    program: str
    module: bool
    arguments: tuple[str, ...] | None
    trains: bool
    document: CommandDocument


def is_named_after_training(name: str) -> bool:
    """Whether a command, a function or an entry point is named after training."""
    return bool(_TRAINS.search(_NO_WORD.sub("_", name.lower())))


def is_named_after_other_work(name: str) -> bool:
    """Whether it is named after what is done with a trained model."""
    return bool(_OTHER.search(_NO_WORD.sub("_", name.lower())))


def run_commands(documents: Iterable[CommandDocument], entries: Collection[str] = ()) -> tuple[RunCommand, ...]:
    """The commands of documents in their order; an entry is run by its name alone or behind `uv run`."""
    return tuple(command for document in documents for command in _of(document, entries))


def _of(document: CommandDocument, entries: Collection[str]) -> Iterator[RunCommand]:
    label, trains = "", False
    for line in _CONTINUED.sub(" ", document.text).splitlines():
        text = _ARRAY_END.sub(" ", _ARRAY.sub(" ", line)) if "[" in line or "," in line else line
        named = _label(line[:_LONGEST])
        if named and named != label:
            label, trains = named, is_named_after_training(named)
        words = text.split(maxsplit=_LONGEST)[:_LONGEST]
        for place, word in enumerate(words):
            found = _program_at(words, place, _bare(word), entries)
            if found is None:
                continue
            program, module, rest = found
            arguments = () if words[rest - 1].endswith(("`", '"', "'", ";")) else _arguments(words[rest:])
            if arguments and _ASKS & set(arguments):
                continue
            first = arguments[0] if arguments and not arguments[0].startswith("-") else ""
            yield RunCommand(
                program=program,
                module=module,
                arguments=arguments,
                trains=trains
                or (bool(first) and "." not in first and "/" not in first and is_named_after_training(first)),
                document=document,
            )


def _label(line: str) -> str:
    """The name of the target, stage or key that a line begins, or the words of a heading or comment; or nothing."""
    heading = _HEADING.match(line)
    if heading is not None:
        return heading[1].strip()[:80]
    target = _TARGET.match(line)
    if target is None:
        return ""
    name = target[1]
    behind = line[target.end() :].lstrip("\"']) \t")
    key, colon, _ = name.partition(":")
    if key.strip() in {"cmd", "run", "command", "script", "shell", "args", "CMD", "ENTRYPOINT", "entrypoint", "help"}:
        return ""
    if colon or behind[:1] in {":", "="}:
        return key.strip()
    return ""


def _bare(word: str) -> str:
    return word.lstrip("`\"'@$([-").rstrip("`\"',;")


def _program_at(words: list[str], place: int, word: str, entries: Collection[str]) -> tuple[str, bool, int] | None:
    """The program that a word starts, whether it is a module, and the place of its arguments."""
    name = posixpath.basename(word)
    if name == "kedro" and words[place + 1 : place + 2] and _bare(words[place + 1]) == "run":
        return "kedro", False, place + 1
    if _PYTHON.fullmatch(name):
        return _script_behind(words, place + 1)
    for launcher, length in _LAUNCHERS.items():
        if word == launcher[0] and [_bare(part) for part in words[place + 1 : place + length]] == list(launcher[1:]):
            return _launched(words, place + length, entries)
    begins = place == 0 or words[place - 1].rstrip("`\"'") in {
        "$",
        "&&",
        ";",
        "run:",
        "cmd:",
        "command:",
        "-",
        "=",
        ">",
    }
    if begins and word in entries:
        return word, False, place + 1
    return None


def _script_behind(words: list[str], place: int) -> tuple[str, bool, int] | None:
    """The script or module behind `python` and its options."""
    while place < len(words) and words[place] in {"-u", "-O", "-B", "-I", "-s", "-W", "-X"}:
        place += 2 if words[place] in {"-W", "-X"} else 1
    if place < len(words) and words[place] in {"-m", "--module"}:
        module = _bare(words[place + 1]) if place + 1 < len(words) else ""
        return (module, True, place + 2) if module else None
    if place < len(words) and (path := _bare(words[place])).endswith(".py"):
        return path.removeprefix("./"), False, place + 1
    return None


def _launched(words: list[str], place: int, entries: Collection[str]) -> tuple[str, bool, int] | None:
    """What `uv run` and the like run, behind their options; None for `python`, which is found by its own name."""
    if _bare(words[place - 1]) in {"launch", "torchrun"}:
        place = next((n for n, word in enumerate(words) if n >= place and _bare(word).endswith(".py")), len(words))
    while place < len(words) and words[place].startswith("-") and words[place] not in {"-m", "--module"}:
        place += 2 if words[place] in _VALUES else 1
    if place >= len(words):
        return None
    if words[place] in {"-m", "--module"} or _bare(words[place]).endswith(".py"):
        return _script_behind(words, place)
    name = _bare(words[place])
    return (name, False, place + 1) if name in entries else None


def _arguments(words: list[str]) -> tuple[str, ...] | None:
    arguments: list[str] = []
    for word in words:
        if word in _ENDS or word.startswith(("#", ">", "2>", "1>", "|", "`")):
            break
        bare = word.rstrip("`\"',;)") if word.count('"') + word.count("'") + word.count("`") == 1 else word.rstrip(";`")
        if _PLACEHOLDER & set(bare) or _EXPANDED.search(bare):
            return None
        if bare and not _is_prose(bare):
            arguments.append(bare)
        if bare != word or _is_prose(bare):
            break
    return tuple(arguments)


def _is_prose(word: str) -> bool:
    """Whether a word cannot be an argument, such as one of a sentence or table behind a command."""
    return not _ASCII.fullmatch(word) or word.startswith(("(", "—", "|", "→", "&"))
