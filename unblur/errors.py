"""The exceptions that people are meant to read."""


class UnblurError(Exception):
    """Bad input or a state the user can correct; its message is one sentence: what, with what, what to do."""


class TooManyPixelsError(UnblurError):
    """A photograph with more pixels than are accepted."""


class MemoryShortageError(UnblurError):
    """A photograph for which the memory that is free at this moment is not enough."""
