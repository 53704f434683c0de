"""The rules that judge buckets: `point` by the figures, `paired` (``guard``, ``noninferior``) by what is proved.

Each gives one row for each `sides.Sides`; which rows there are, and what must hold besides, is `lynxgate.compare`'s.
"""
