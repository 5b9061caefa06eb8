"""The one exception that people are meant to read."""


class UnblurError(Exception):
    """Bad input or a state the user can correct; its message is one sentence: what, with what, what to do."""
