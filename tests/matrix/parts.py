"""Code that the models of the matrix bring along (`code_paths`): nothing of this repository."""


def shout(text):  # type: ignore[no-untyped-def]
    """The text in capitals."""
    return text.upper()
