"""The completion scripts of `unblur`, which `unblur --print-completion` prints, made of the commands' parsers.

They are static, so that a shell answers at once. Without a command, options are those of `unblur restore`.
"""

import argparse
import warnings
from dataclasses import dataclass

import tyro
import tyro.extras

from unblur.app.commands import COMMANDS
from unblur.app.help_texts import join_help_lines

DEFAULT = "restore"
PLACES = ("FILE", "FOLDER", "OUT", "PATH")
"""Beginnings of the names of values that are files or folders."""


@dataclass(frozen=True)
class Option:
    """An option as a shell needs it."""

    names: tuple[str, ...]
    text: str
    value: str | None
    """Name of the value; None for a flag."""
    choices: tuple[str, ...]

    @property
    def is_place(self) -> bool:
        """True if the value is the path of a file or a folder."""
        return self.value is not None and self.value.startswith(PLACES)


def options_of(command: str) -> list[Option]:
    """The options of a command."""
    return [_describe(action) for action in _actions_of(command) if action.option_strings]


def arguments_of(command: str) -> list[str]:
    """The words that the first argument of a command may be, if it is chosen from some."""
    arguments = [action for action in _actions_of(command) if not action.option_strings]
    return [str(choice) for choice in arguments[0].choices or ()] if arguments else []


def _actions_of(command: str) -> list[argparse.Action]:
    with warnings.catch_warnings():
        # tyro will remove it some day; this module then needs another way to the parser.
        warnings.simplefilter("ignore", DeprecationWarning)
        parser = tyro.extras.get_parser(
            join_help_lines(COMMANDS[command].load()), config=(tyro.conf.FlagCreatePairsOff,)
        )
    return parser._actions


def _describe(action: argparse.Action) -> Option:
    metavar = action.metavar if isinstance(action.metavar, str) else None
    choices = [str(choice) for choice in action.choices or () if str(choice) != "None"]
    if not choices and metavar and "|" in metavar and metavar.split("|")[0].islower():
        choices = [choice for choice in metavar.split("|") if choice.islower()]
    return Option(
        names=tuple(action.option_strings),
        text=(action.help or "").replace("%%", "%").split(". ")[0].strip().rstrip("."),
        value=None if action.nargs == 0 else metavar or "VALUE",
        choices=tuple(sorted(choices)),
    )


def bash() -> str:
    """The script for bash. Readline itself completes files, wherever the script has no word to offer."""
    values, names = [], []
    for command in COMMANDS:
        options = options_of(command)
        if arguments_of(command):
            values.append(f'    "{command} {command}") words="{" ".join(arguments_of(command))}" ;;')
        for option in options:
            if option.choices:
                pattern = "|".join(f'"{command} {name}"' for name in option.names)
                values.append(f'    {pattern}) words="{" ".join(option.choices)}" ;;')
        names.append(f'    {command}) names="{" ".join(name for option in options for name in option.names)}" ;;')
    commands = " ".join(COMMANDS)
    return f"""\
# Completion of unblur for bash. Add to ~/.bashrc: eval "$(unblur --print-completion bash)"
_unblur() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command={DEFAULT} words="" names=""
  if [[ $COMP_CWORD -gt 1 ]]; then
    case "${{COMP_WORDS[1]}}" in
      {"|".join(COMMANDS)}) command="${{COMP_WORDS[1]}}" ;;
      help|-h|--help) words="{commands}" ;;
      --print-completion) words="bash fish zsh" ;;
    esac
  else
    words="{commands} help"
  fi
  case "$command" in
{chr(10).join(names)}
  esac
  case "$command $before" in
{chr(10).join(values)}
  esac
  if [[ $current == -* ]]; then
    words="$names"
    [[ $COMP_CWORD -eq 1 ]] && words="$words --version -V --print-completion"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o bashdefault -o default -F _unblur unblur
"""


def zsh() -> str:
    """The script for zsh."""

    def quote(text: str) -> str:
        return "'" + text.replace("'", "'\\''") + "'"

    def specify(option: Option) -> list[str]:
        text = option.text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
        action = f"({' '.join(option.choices)})" if option.choices else "_files" if option.is_place else " "
        value = "" if option.value is None else f":{option.value.replace(':', ' ')}:{action}"
        return [quote(f"{name}[{text}]{value}") for name in option.names]

    lines = []
    for command in COMMANDS:
        specifications = [line for option in options_of(command) for line in specify(option)]
        first = quote(f"1:argument:({' '.join(arguments_of(command))})") if arguments_of(command) else ""
        lines.append(f"    {command}) _arguments {' '.join(specifications)} {first} '*:file:_files' ;;")
    described = " ".join(quote(f"{name}:{command.summary}") for name, command in COMMANDS.items())
    return f"""\
#compdef unblur
# Completion of unblur for zsh. Add to ~/.zshrc, after compinit: eval "$(unblur --print-completion zsh)"
_unblur() {{
  local -a commands
  commands=({described} 'help:Show the help of a command.')
  local command={DEFAULT}
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe -t commands command commands
    _files
    return
  fi
  if (( CURRENT > 2 )); then
    case $words[2] in
      help|-h|--help) _describe -t commands command commands; return ;;
      --print-completion) _values shell bash fish zsh; return ;;
      {"|".join(COMMANDS)}) command=$words[2]; shift words; (( CURRENT-- )) ;;
    esac
  fi
  case $command in
{chr(10).join(lines)}
  esac
}}
if [[ $funcstack[1] == _unblur ]]; then _unblur "$@"; else compdef _unblur unblur; fi
"""


def fish() -> str:
    """The script for fish."""

    def quote(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    others = " ".join(name for name in [*COMMANDS, "help"] if name != DEFAULT)
    lines = [
        "# Completion of unblur for fish. Save as ~/.config/fish/completions/unblur.fish",
        *(
            f"complete -c unblur -n __fish_is_first_arg -a {name} -d {quote(command.summary)}"
            for name, command in COMMANDS.items()
        ),
        "complete -c unblur -n __fish_is_first_arg -a help -d 'Show the help of a command.'",
        "complete -c unblur -n __fish_is_first_arg -s V -l version -d 'Show the version'",
        "complete -c unblur -l print-completion -x -a 'bash fish zsh' -d 'Print this script'",
        f"complete -c unblur -n '__fish_seen_subcommand_from help' -x -a '{' '.join(COMMANDS)}'",
    ]
    for command in COMMANDS:
        no_other = f"not __fish_seen_subcommand_from {others}"
        condition = no_other if command == DEFAULT else f"__fish_seen_subcommand_from {command}"
        if arguments_of(command):
            lines.append(f"complete -c unblur -n '{condition}' -a '{' '.join(arguments_of(command))}'")
        for option in options_of(command):
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            value = ""
            if option.choices:
                value = f" -x -a '{' '.join(option.choices)}'"
            elif option.value is not None:
                value = " -r -F" if option.is_place else " -x"
            lines.append(f"complete -c unblur -n '{condition}' {names}{value} -d {quote(option.text)}")
    return "\n".join(lines) + "\n"
