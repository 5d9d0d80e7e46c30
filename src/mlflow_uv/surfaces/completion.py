"""Writes what completes steps, flags and choices in bash, zsh and fish, from the declarations of the steps."""

from collections.abc import Iterable, Iterator

from ..command.step import Field, FieldKind, fields_of
from ..steps.catalog import all_steps

SHELLS = ("bash", "zsh", "fish")
_OURS = ("--format", "--sarif", "--quiet", "--verbose", "--help")
_BASH = """\
_mlflow_uv() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words=
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{steps}"
    else
        case "${{COMP_WORDS[1]}} $before" in
{choices}
            *)
                case "${{COMP_WORDS[1]}}" in
{flags}
                esac
                case "$cur" in -*) ;; *) words= ;; esac ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F _mlflow_uv mlflow-uv
"""
# A configuration that has no completion yet has no `compdef`, which bashcompinit calls.
_ZSH = """\
(( $+functions[compdef] )) || { autoload -U +X compinit && compinit }
autoload -U +X bashcompinit && bashcompinit
"""


def completion(shell: str) -> str:
    """Return the script for a shell, one of SHELLS."""
    if shell == "fish":
        return "\n".join(_fish()) + "\n"
    names = [step.name for step in all_steps()]
    flags, choices = [], []
    for step in all_steps():
        fields = fields_of(step.inputs)
        flags.append(f'                    {step.name}) words="{" ".join((*_flags(fields), *_OURS))}" ;;')
        for flag, values in _choices(fields):
            choices.append(f'            "{step.name} {flag}") words="{" ".join(values)}" ;;')
    text = _BASH.format(steps=" ".join(names), flags="\n".join(flags), choices="\n".join(choices))
    return text if shell == "bash" else f"{_ZSH}{text}"


def _flags(fields: Iterable[Field]) -> Iterator[str]:
    for field in fields:
        yield from (field.flags if field.kind is FieldKind.SWITCH else field.flags[:1])


def _choices(fields: Iterable[Field]) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "--format", ("text", "json")
    for field in fields:
        if field.kind is FieldKind.CHOICE:
            yield field.flags[0], field.choices


def _fish() -> Iterator[str]:
    yield "complete -c mlflow-uv -f -n __fish_use_subcommand"
    for step in all_steps():
        yield f"complete -c mlflow-uv -n __fish_use_subcommand -a {step.name} -d {_quoted(step.summary)}"
        seen = f"-n '__fish_seen_subcommand_from {step.name}'"
        fields = fields_of(step.inputs)
        choices = dict(_choices(fields))
        for flag in (*_flags(fields), *_OURS):
            values = f" -x -a {_quoted(' '.join(choices[flag]))}" if flag in choices else ""
            yield f"complete -c mlflow-uv {seen} -l {flag.removeprefix('--')}{values}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
