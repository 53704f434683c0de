"""Edit scripts: how a form comes out of its lemma, as "drop k letters, add s"."""

from __future__ import annotations

from typing import NamedTuple


class Edit(NamedTuple):
    """Drop ``drop`` letters from the end of a lemma and add ``add``."""

    drop: int
    add: str

    def apply(self, lemma: str) -> str:
        """The form this script makes of ``lemma``."""
        return lemma[: max(len(lemma) - self.drop, 0)] + self.add


def derive_edit(lemma: str, form: str) -> Edit:
    """The script that drops the fewest letters."""
    common = 0
    while common < min(len(lemma), len(form)) and lemma[common] == form[common]:
        common += 1
    return Edit(len(lemma) - common, form[common:])
