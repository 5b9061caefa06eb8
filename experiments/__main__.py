"""`python -m experiments`: list the experiments."""

import ast
import sys
from pathlib import Path


def experiments() -> dict[str, str]:
    """Return the first line of the docstring of every experiment, by its name; nothing is imported."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        text = path.read_text(encoding="utf-8")
        if 'if __name__ == "__main__":' in text:
            found[path.stem] = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return found


if __name__ == "__main__":
    width = max(map(len, experiments()))
    sys.stdout.write("".join(f"{name:<{width}}  {summary}\n" for name, summary in experiments().items()))
    sys.stdout.write("\n`python -m experiments.NAME --help` shows the options of an experiment.\n")
