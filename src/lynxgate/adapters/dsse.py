"""Signatures of evidence and events, by DSSE with Ed25519 keys. The only file that imports securesystemslib.

- Evidence is signed in an envelope of its own. An event holds its own signature, so only the signature is kept; it is
  over DSSE's encoding of type and payload too, with a type of its own.
- Ed25519 is deterministic: signing the same bytes again, after a crash, gives the same envelope.
- The id of a key is securesystemslib's, which in-toto's tools use too: a hash of the public key.
- No message contains anything of a private key except its path.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error, UnverifiedSignatureError, VerificationError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

from lynxgate.errors import CannotJudge, IntegrityFailure, UsageFailure
from minieval.contract.documents import parse_json, pretty_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
EVENT_TYPE = "application/vnd.lynxgate.event+json"
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
            # The file may be a damaged key: neither its text nor a traceback, which could quote it, is shown.
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageFailure(
                f"{path}: not an Ed25519 private key without a password; create one with "
                "`openssl genpkey -algorithm ed25519 -out key.pem`"
            )
        self._signer = CryptoSigner(key)

    @property
    def key_id(self) -> str:
        """The id of the key, 64 hex digits."""
        return str(self._signer.public_key.keyid)

    def sign(self, payload: bytes) -> bytes:
        """Return a DSSE envelope that holds ``payload`` and its signature."""
        envelope = Envelope(payload, PAYLOAD_TYPE, {})
        envelope.sign(self._signer)
        return pretty_json(envelope.to_dict())

    def sign_event(self, payload: bytes) -> str:
        """Return the signature of an event, 128 hex digits."""
        return str(self._signer.sign(Envelope(payload, EVENT_TYPE, {}).pae()).signature)


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
                f"{path}: not an Ed25519 public key; derive it from the private key with "
                "`openssl pkey -in key.pem -pubout -out key.pub.pem`"
            )
        self._key = SSlibKey.from_crypto(key)

    @property
    def key_id(self) -> str:
        """The id of the key, 64 hex digits."""
        return str(self._key.keyid)

    def check(self, envelope: bytes, payload: bytes) -> None:
        """Check that ``envelope`` is this key's signature of ``payload``.

        Raises:
            IntegrityFailure: it is not.
        """
        try:
            found = Envelope.from_dict(parse_json(envelope, where="the signature"))
            found.verify([self._key], threshold=1)
        except VerificationError as error:
            raise IntegrityFailure("was not signed by this key") from error
        except (CannotJudge, Error, KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityFailure(f"is not a DSSE envelope ({type(error).__name__})") from error
        if found.payload_type != PAYLOAD_TYPE or found.payload != payload:
            raise IntegrityFailure("is the signature of something else")

    def check_event(self, signature: str, payload: bytes) -> None:
        """Check that ``signature`` is this key's of the event ``payload``.

        Raises:
            IntegrityFailure: it is not.
        """
        made = Signature(self.key_id, signature)
        try:
            self._key.verify_signature(made, Envelope(payload, EVENT_TYPE, {}).pae())
        except (Error, UnverifiedSignatureError, ValueError) as error:
            raise IntegrityFailure("was not signed by this key") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise UsageFailure(f"{path}: the key cannot be read: {error.strerror}") from error
