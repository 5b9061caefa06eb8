"""A Markdown extension for the site: `bash no-run` blocks, which the tests do not type, are shown as `bash`."""

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor


class PlainFences(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return ["```bash" if line == "```bash no-run" else line for line in lines]


class PlainFencesExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        md.preprocessors.register(PlainFences(md), "plain_fences", 100)


def makeExtension(**options: object) -> PlainFencesExtension:  # noqa: N802
    return PlainFencesExtension(**options)
