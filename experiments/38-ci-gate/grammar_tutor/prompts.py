"""What the tutor is asked, as text: ``past participle of: abandon``. Written and read here alone."""

from __future__ import annotations

TENSES = ("past_simple", "past_participle", "present_participle", "third_person")
PAST_PARTICIPLE = "past_participle"

_WORDS = {
    "past_simple": "past simple",
    "past_participle": "past participle",
    "present_participle": "present participle",
    "third_person": "third person singular",
}
_TENSE_OF = {words: tense for tense, words in _WORDS.items()}


def write_prompt(tense: str, lemma: str) -> str:
    """The prompt that asks for one form of a verb."""
    return f"{_WORDS[tense]} of: {lemma}"


def read_prompt(prompt: str) -> tuple[str, str]:
    """Tense and lemma of a prompt.

    Raises:
        ValueError: when it does not have the form that `write_prompt` gives.
    """
    words, separator, lemma = prompt.partition(" of: ")
    if not separator or not lemma or words not in _TENSE_OF:
        raise ValueError(f"{prompt[:80]!r} is no prompt of the grammar tutor, such as 'past participle of: abandon'")
    return _TENSE_OF[words], lemma
