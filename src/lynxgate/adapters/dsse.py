"""Signatures of evidence: DSSE envelopes with Ed25519 keys. The only file that imports securesystemslib.

- An Ed25519 signature of the same bytes is the same bytes, so that signing again after a crash changes nothing.
- A key's id is that of securesystemslib, by which in-toto's tools name it: a hash of the public key.
- No message holds anything of a private key but its path.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error, VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from lynxgate.errors import CannotJudge, IntegrityFailure, UsageFailure
from minieval.contract.documents import parse_json, pretty_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_MAX_KEY_BYTES = 64 * 1024


class DsseSigner:
    """`lynxgate.ports.Signer` with the Ed25519 private key in a PEM file (PKCS#8, without a password).

    Raises:
        UsageFailure: there is no such file, or no such key in it.
    """

    def __init__(self, path: Path) -> None:
        try:
            key = load_pem_private_key(_read(path), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # What was read may be a key that is merely damaged: neither its text nor a traceback is shown.
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageFailure(
                f"{path}: no Ed25519 private key without a password; make one with "
                "`openssl genpkey -algorithm ed25519 -out key.pem`"
            )
        self._signer = CryptoSigner(key)

    @property
    def key_id(self) -> str:
        """The id of the key, 64 hex digits."""
        return str(self._signer.public_key.keyid)

    def sign(self, payload: bytes) -> bytes:
        """A DSSE envelope that holds ``payload`` and its signature."""
        envelope = Envelope(payload, PAYLOAD_TYPE, {})
        envelope.sign(self._signer)
        return pretty_json(envelope.to_dict())


class DsseVerifier:
    """`lynxgate.ports.Verifier` with the Ed25519 public key in a PEM file.

    Raises:
        UsageFailure: there is no such file, or no such key in it.
    """

    def __init__(self, path: Path) -> None:
        try:
            key = load_pem_public_key(_read(path))
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise UsageFailure(
                f"{path}: no Ed25519 public key; take it from the private one with "
                "`openssl pkey -in key.pem -pubout -out key.pub.pem`"
            )
        self._key = SSlibKey.from_crypto(key)

    @property
    def key_id(self) -> str:
        """The id of the key, 64 hex digits."""
        return str(self._key.keyid)

    def check(self, envelope: bytes, payload: bytes) -> None:
        """Make sure that ``envelope`` is this key's signature of ``payload``.

        Raises:
            IntegrityFailure: it is not.
        """
        try:
            found = Envelope.from_dict(parse_json(envelope, where="the signature"))
            found.verify([self._key], threshold=1)
        except VerificationError as error:
            raise IntegrityFailure("was not signed by this key") from error
        except (CannotJudge, Error, KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityFailure(f"is no DSSE envelope ({type(error).__name__})") from error
        if found.payload_type != PAYLOAD_TYPE or found.payload != payload:
            raise IntegrityFailure("is the signature of something else")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise UsageFailure(f"{path}: the key cannot be read: {error.strerror}") from error
