"""The reasons why a request gets no photograph."""


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """The reason why a request is refused: an HTTP status, a sentence, and when to try again."""

    def __init__(self, status: int, sentence: str, retry_after_s: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.retry_after_s = retry_after_s


class ClientGoneError(Exception):
    """The client closed the connection before it had its answer."""
