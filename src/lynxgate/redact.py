"""Remove credentials from addresses and vendors' messages, before these enter a message, a log or a document."""

from __future__ import annotations

import re
from urllib.parse import unquote


def strip_credentials(uri: str) -> str:
    """Return a URI without user, password, query and fragment; when in doubt, a part is left out."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    if not rest.startswith("/"):  # a path, as in sqlite:///file@home.db, has no account; an @ in it is a character
        rest = rest.rpartition("@")[2]
    return f"{scheme}://{re.split('[?#]', rest)[0]}"


def scrub(text: str, uri: str, *more: str) -> str:
    """Return one line of a vendor's message, at most 300 characters, without credentials.

    Removed are the credentials of ``uri``, those in any URL in the text, and the secrets ``more``.
    """
    account = uri.partition("://")[2].rpartition("@")[0]
    user, _, password = account.partition(":")
    secrets = {account, password or user, unquote(password), *more}
    # The longest first: a secret that is a part of another would leave the rest of the other in the text.
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"://[^/\s'\"]*@", "://", text)
    text = re.sub(r"([?&][^=\s&'\"]+)=[^&\s'\"]+", r"\1=***", text)
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:300]} ..."
