"""Translate what MLflow, and the storage SDKs under it, raise into the errors of Lynxgate; part of the MLflow adapter.

No message holds a password, a token or the query of an address.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import mlflow.exceptions
import requests

from lynxgate.errors import GateError, OutcomeUnknown, StoreFailure
from lynxgate.redact import scrub, strip_credentials

_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
_REFUSED = {
    "PERMISSION_DENIED": "this account may not do that",
    "UNAUTHENTICATED": "it does not accept the credentials (MLFLOW_TRACKING_USERNAME, _PASSWORD or _TOKEN)",
    "CUSTOMER_UNAUTHORIZED": "it does not accept the credentials (MLFLOW_TRACKING_USERNAME, _PASSWORD or _TOKEN)",
    "ENDPOINT_NOT_FOUND": "there is no MLflow API at this address",
    "INVALID_PARAMETER_VALUE": "",
    "BAD_REQUEST": "",
    "INVALID_STATE": "",
}
_CLIENT_ERRORS = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 400: "BAD_REQUEST"}


class NoSuch(StoreFailure):
    """The run, model, version or tag does not exist."""


@dataclass(frozen=True, slots=True)
class Translator:
    """Translates the errors of one server; ``timeout`` is the seconds that a request may take."""

    uri: str
    timeout: int

    @property
    def location(self) -> str:
        """The tracking URI without user, password, query and fragment."""
        return strip_credentials(self.uri)

    @contextlib.contextmanager
    def translate(self, doing: str) -> Iterator[None]:
        """Translate every exception of MLflow, and of the storage SDKs under it, into one of ours."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except GateError:
            raise
        except mlflow.exceptions.MlflowException as error:
            raise self._failure(doing, str(error.error_code), error) from error
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            raise self._failure(doing, _CLIENT_ERRORS.get(status, "INTERNAL_ERROR"), error) from error
        except Exception as error:
            raise self._failure(doing, "INTERNAL_ERROR", error) from error

    def _failure(self, doing: str, code: str, error: Exception) -> StoreFailure:
        where = f"{self.location} "
        if code in _ABSENT:
            return NoSuch(f"{where}refused to {doing}: {self._scrub(error)}")
        if code in _REFUSED:
            return StoreFailure(f"{where}refused to {doing}: {_REFUSED[code] or self._scrub(error)}")
        text = str(error)
        if "Connection refused" in text:
            reason = "nothing listens there (connection refused)"
        elif "timed out" in text or "timeout" in text.lower():
            reason = f"no answer within {self.timeout} s"
        elif "too many 5" in text or "error responses" in text:
            reason = "the server answered with an error (5xx)"
        else:
            reason = self._scrub(error)
        return OutcomeUnknown(f"{where}failed to {doing}: {reason}")

    def _scrub(self, error: Exception) -> str:
        environment = [os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("PASSWORD", "TOKEN")]
        return scrub(str(error), self.uri, *environment)
