"""Translate what boto3 raises into the errors of Lynxgate, for `lynxgate.adapters.s3`.

- A failed write is a `StoreFailure` only when it certainly changed nothing. Everything else is `OutcomeUnknown`: a
  reply that was lost, cut off or unreadable, and a failure of the server, leave open whether it was applied.
- A lost condition is a `Conflict`, and never anything else.
- No text of a server or of boto3 enters a message, only error codes and class names: texts may hold credentials.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from lynxgate.errors import Conflict, GateError, OutcomeUnknown, StoreFailure

_CODE = re.compile(r"[A-Za-z0-9._-]{1,60}")
_NO_CODE = "no code"
_LOST = {"ConditionalRequestConflict", "OperationAborted"}  # 409: another request is writing this key at this moment
_ELSEWHERE = "the bucket is in another region; set AWS_REGION"
_DENIED = "access denied; check AWS_PROFILE: the gate needs s3:GetObject, s3:PutObject and s3:ListBucket there"
_LACKING = "the server lacks something a registry needs; choose one with conditional writes"
_ADVICE = {
    "NoSuchBucket": "there is no such bucket; create it, or correct the registry's address",
    "AccessDenied": _DENIED,
    "InvalidAccessKeyId": "the server does not know the access key; check AWS_PROFILE or AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is not the access key's; check AWS_PROFILE or AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the credentials have expired; log in again",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it",
    "PermanentRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "NotImplemented": _LACKING,
}
_ADVICE_BY_STATUS = {301: _ELSEWHERE, 403: _DENIED, 501: _LACKING}
_NEVER_SENT = (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
)
_REASONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError),
        "no credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    ((ProfileNotFound,), "there is no such profile; correct AWS_PROFILE"),
    ((EndpointConnectionError, ProxyConnectionError), "no connection; check the network and AWS_ENDPOINT_URL"),
    (
        (ConnectTimeoutError, ReadTimeoutError),
        "no answer in time; check the network and AWS_ENDPOINT_URL, and run it again",
    ),
    ((SSLError,), "no secure connection; check AWS_ENDPOINT_URL and AWS_CA_BUNDLE"),
    ((ResponseParserError,), "the answer is not S3's; check AWS_ENDPOINT_URL"),
)


@contextlib.contextmanager
def translated(subject: str, doing: str, *, writes: bool) -> Iterator[None]:
    """Translate errors of the calls in this context: ``subject`` could not be ``doing``, why, and what to do.

    Raises:
        Conflict, OutcomeUnknown: only where the call ``writes``.
        StoreFailure: everything else that boto3 raises.
    """
    try:
        yield
    except ClientError as error:
        raise _refusal(error, subject, doing, writes=writes) from error
    except (BotoCoreError, ResponseParserError) as error:
        text = f"{subject} could not be {doing}: {_reason(error)}"
        raise (OutcomeUnknown if writes and not isinstance(error, _NEVER_SENT) else StoreFailure)(text) from error


def is_missing(error: ClientError, *, head: bool = False) -> bool:
    """Return whether a reply means that the key is missing; that to a HEAD has no body to tell it from a bucket."""
    return _status(error) == 404 and (head or _code(error) == "NoSuchKey")


def _refusal(error: ClientError, subject: str, doing: str, *, writes: bool) -> GateError:
    """Return the error that a reply with an error status means."""
    status, code = _status(error), _code(error)
    if writes and (status == 412 or (status == 409 and code in _LOST) or is_missing(error)):
        return Conflict(f"{subject} was changed by another process")
    named = code not in {str(status), _NO_CODE}
    failed = (
        "the server failed; look at its health"
        if named
        else "the server failed and gave no reason of S3's; check AWS_ENDPOINT_URL"
    )
    advice = _ADVICE.get(code) or _ADVICE_BY_STATUS.get(status, f"{failed}, or run it again later")
    text = f"{subject} could not be {doing}: {advice} ({f'{status} {code}' if named else status})"
    # RequestTimeout has status 400, but may follow a write that was applied.
    surely_refused = (300 <= status < 500 and code != "RequestTimeout") or status == 501
    return OutcomeUnknown(text) if writes and not surely_refused else StoreFailure(text)


def _reason(error: Exception) -> str:
    """Return why there was no reply, or none that could be read."""
    for kinds, reason in _REASONS:
        if isinstance(error, kinds):
            return reason
    return f"boto3 gave up ({type(error).__name__}); try again, and check AWS_ENDPOINT_URL and AWS_REGION"


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    code = str(error.response.get("Error", {}).get("Code", ""))
    return code if _CODE.fullmatch(code) else _NO_CODE
