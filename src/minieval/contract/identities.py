"""The patterns of the identities that both packages read as text: hashes, run ids and commits.

- Each is the text of a regular expression without anchors: match it with `re.fullmatch`, since ``$`` would let a
  newline at the end pass.
- Hex digits are lower-case, as hashlib, DVC, Git and MLflow write them: one identity has one spelling.
"""

from __future__ import annotations

from typing import Final

SHA256: Final = "[0-9a-f]{64}"
RUN_ID: Final = "[0-9a-f]{32}"  # an MLflow run: a UUID without its dashes
DVC_MD5: Final = r"[0-9a-f]{32}(\.dir)?"  # DVC adds ``.dir`` to the md5 of a folder
COMMIT: Final = "[0-9a-f]{40}"  # a Git commit or blob (SHA-1)
