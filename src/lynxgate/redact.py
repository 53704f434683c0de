"""Addresses and vendors' messages without credentials: what may stand in a message, a log or a document."""

from __future__ import annotations

import re
from urllib.parse import unquote


def strip_credentials(uri: str) -> str:
    """A URI without user, password, query and fragment; whatever cannot be told apart is left out."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    if not rest.startswith("/"):
        rest = rest.rpartition("@")[2]
    return f"{scheme}://{re.split('[?#]', rest)[0]}"


def scrub(text: str, uri: str, *more: str) -> str:
    """One short line of a vendor's message without the credentials of ``uri``, of any URL in it, or ``more``."""
    account = uri.partition("://")[2].rpartition("@")[0]
    user, _, password = account.partition(":")
    secrets = {account, password or user, unquote(password), *more}
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"://[^/\s'\"]*@", "://", text)
    text = re.sub(r"([?&][^=\s&'\"]+)=[^&\s'\"]+", r"\1=***", text)
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:300]} ..."
