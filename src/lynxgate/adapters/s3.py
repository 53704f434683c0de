"""A registry under a prefix of an S3 bucket: `lynxgate.ports.RegistryStore` over conditional writes, with boto3.

- A new key is written with `If-None-Match: *`, a changed one with `If-Match` and the ETag that was read: the
  server decides who wins. The version of a key is its ETag. Nothing is ever written unconditionally.
- A write is tried once: a second try by the client library could meet the first and take it for another writer's.
  Whether a write whose reply was lost was applied is found out by `lynxgate.registry.compare_and_swap.put`.
- Event ``n`` of the index is `index/<n, zero padded to 12>.json`, written once, and only after ``n - 1``.
- Endpoint, region and credentials come from where boto3 users expect them: environment, profile, role. An address
  with credentials in it is refused; no message carries one, nor any text of a server beyond its error code.
- A request ends after `CONNECT_SECONDS + READ_SECONDS` without an answer, a write 1 s later (boto3 waits that long
  for a 100 Continue). Reads are tried `READ_ATTEMPTS` times, with at most 3 s of pauses. A host with several addresses
  takes the time to connect for each; a server that sends its reply byte by byte is not bounded by these.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lynxgate.adapters.s3_errors import is_missing, translated
from lynxgate.errors import Conflict, IntegrityFailure, OutcomeUnknown, StoreFailure, UsageFailure
from lynxgate.ports import Stored

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
READ_ATTEMPTS = 3
_AT_ONCE = 16  # requests under way while an auditor reads the whole index
_BATCH = 512  # events of which an auditor holds the lines at once

_ADDRESS = re.compile(r"s3://(?P<bucket>[a-zA-Z0-9][a-zA-Z0-9._-]{1,62})(?:/(?P<prefix>[^?#]*))?")
_EVENT = re.compile(r"index/[0-9]{12}\.json")
_NO_ETAG_OF_OURS = '"00000000000000000000000000000000"'


class S3Store:
    """The registry at ``s3://bucket/prefix``; safe to use from several threads, not across a fork.

    Raises:
        UsageFailure: ``address`` is not of that form, or it contains credentials.
        StoreFailure: boto3 finds no usable configuration.
    """

    def __init__(
        self, address: str, *, connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS
    ) -> None:
        self._bucket, prefix = parse_address(address)
        self._base = f"{prefix}/" if prefix else ""
        self._location = f"s3://{self._bucket}/{prefix}".rstrip("/")
        self._where = self._location
        config = Config(connect_timeout=connect_seconds, read_timeout=read_seconds, max_pool_connections=_AT_ONCE)
        with self._calling("", "reached"):
            session = boto3.Session()
            config, endpoint = _address_buckets(session, config)
            if endpoint:
                self._where = f"{self._location} (at {endpoint})"
            self._reader = _connect(session, config, READ_ATTEMPTS)
            self._writer = _connect(session, config, 1)

    @property
    def location(self) -> str:
        return self._location

    def read(self, key: str) -> Stored | None:
        with self._calling(key, "read"):
            try:
                reply = self._reader.get_object(Bucket=self._bucket, Key=self._base + key)
                return Stored(reply["Body"].read(), self._etag(key, reply))
            except ClientError as error:
                if is_missing(error):
                    return None
                raise

    def create(self, key: str, data: bytes) -> str:
        with self._calling(key, "written", writes=True):
            reply = self._writer.put_object(Bucket=self._bucket, Key=self._base + key, Body=data, IfNoneMatch="*")
            return self._etag(key, reply)

    def replace(self, key: str, data: bytes, expected: str) -> str:
        with self._calling(key, "written", writes=True):
            reply = self._writer.put_object(Bucket=self._bucket, Key=self._base + key, Body=data, IfMatch=expected)
            return self._etag(key, reply)

    def keys(self, prefix: str) -> Iterator[str]:
        with self._calling(prefix, "listed"):
            pages = self._reader.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._base + prefix
            )
            found = [item["Key"].removeprefix(self._base) for page in pages for item in page.get("Contents", ())]
        # S3 lists in the order of keys; directory buckets, and servers that walk a file tree, do not.
        return iter(sorted(key for key in found if not key.rpartition("/")[2].startswith(".")))

    def now(self) -> datetime:
        """The `Date` of the server's reply: whole seconds, cut off, so up to one second behind the server's clock."""
        with self._calling("", "asked for the time"):
            headers = self._head("registry.json")[1]
        try:
            return parsedate_to_datetime(headers["date"]).astimezone(UTC)
        except (KeyError, ValueError, TypeError) as error:
            raise StoreFailure(
                f"{self._where}: the server's reply has no date; is this an S3 server? See AWS_ENDPOINT_URL"
            ) from error

    def last(self, hint: int = 0) -> tuple[int, bytes] | None:
        """Search by doubling steps, then by halving.

        Two requests when ``hint`` is the last event, about ``2 log2 n`` when ``n`` events follow it; a listing would
        read every key of the index.
        """
        there, step = hint, 1
        while self._has_event(there + step):
            there, step = there + step, step * 2
        beyond = there + step
        while beyond - there > 1:
            middle = (there + beyond) // 2
            there, beyond = (middle, beyond) if self._has_event(middle) else (there, middle)
        if there == 0:
            return None
        line = self.event(there)
        if line is None:
            raise IntegrityFailure(f"{self._where}: event {there} is not there; see lynxgate registry verify")
        return there, line

    def event(self, number: int) -> bytes | None:
        stored = self.read(event_key(number))
        return None if stored is None else stored.data

    def lines(self) -> Iterator[bytes]:
        names = [key for key in self.keys("index/") if _EVENT.fullmatch(key)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for start in range(0, len(names), _BATCH):
                # An event that vanished after the listing is missing in the chain, which its reader checks.
                yield from (found.data for found in pool.map(self.read, names[start : start + _BATCH]) if found)

    def append(self, number: int, line: bytes) -> None:
        if number < 1 or (number > 1 and not self._has_event(number - 1)):
            raise Conflict(f"{self._where}: event {number} cannot be added, the one before it is not there")
        self.create(event_key(number), line)

    def check_conditional_writes(self) -> None:
        """Prove on a scratch key that the server honours both conditions; called before a registry is created.

        No probe can prove that the server also keeps two writes at the same moment apart; AWS S3 guarantees it. The
        scratch key is deleted; where the credentials may not delete, it remains and has no meaning.

        Raises:
            StoreFailure: it accepted a write that it had to refuse, or the check could not be made.
        """
        key = f".check-{uuid.uuid4().hex}"
        try:
            first = self.create(key, b"first")
            self._must_refuse("If-None-Match", lambda: self.create(key, b"over the first"))
            self._must_refuse("If-Match", lambda: self.replace(key, b"over another", _NO_ETAG_OF_OURS))
            second = self.replace(key, b"second", first)
            self._must_refuse("If-Match", lambda: self.replace(key, b"over the second", first))
            found = self.read(key)
            if found != Stored(b"second", second):
                raise StoreFailure(f"{self._where}: a read does not return what was written; choose another server")
        except Conflict as error:
            raise StoreFailure(
                f"{self._where}: a write with the right condition was refused; choose a server with conditional writes"
            ) from error
        finally:
            # A failure is ignored: credentials that may not delete are good practice for a registry.
            with contextlib.suppress(BotoCoreError, ClientError):
                self._writer.delete_object(Bucket=self._bucket, Key=self._base + key)

    def _must_refuse(self, condition: str, write: Callable[[], str]) -> None:
        try:
            write()
        except Conflict:
            return
        raise StoreFailure(
            f"{self._where}: the server ignores {condition}, so two promotions could both win; "
            "choose one with conditional writes (AWS S3 has them)"
        )

    def _has_event(self, number: int) -> bool:
        key = event_key(number)
        with self._calling(key, "read"):
            return self._head(key)[0]

    def _head(self, key: str) -> tuple[bool, Mapping[str, str]]:
        """Return whether ``key`` exists, and the headers of the reply."""
        try:
            reply = self._reader.head_object(Bucket=self._bucket, Key=self._base + key)
        except ClientError as error:
            if is_missing(error, head=True):
                return False, error.response["ResponseMetadata"]["HTTPHeaders"]
            raise
        return True, reply["ResponseMetadata"]["HTTPHeaders"]

    def _etag(self, key: str, reply: Mapping[str, Any]) -> str:
        if etag := reply.get("ETag"):
            return str(etag)
        raise OutcomeUnknown(f"{self._where}/{key}: the reply has no ETag; is this an S3 server? See AWS_ENDPOINT_URL")

    def _calling(self, key: str, doing: str, *, writes: bool = False) -> contextlib.AbstractContextManager[None]:
        return translated(f"{self._where}: {key}" if key else self._where, doing, writes=writes)


def parse_address(address: str) -> tuple[str, str]:
    """Split ``s3://bucket/prefix`` into bucket and prefix (without slashes at its ends; may be empty).

    Raises:
        UsageFailure: it is not of that form; the message does not repeat credentials.
    """
    if "@" in address.removeprefix("s3://").partition("/")[0]:
        raise UsageFailure("credentials do not belong in a registry's address; use AWS_PROFILE and write s3://bucket")
    match = _ADDRESS.fullmatch(address)
    prefix = (match["prefix"] or "").strip("/") if match else ""
    if match is None or (prefix and {"", ".", ".."} & set(prefix.split("/"))):
        raise UsageFailure(f"{address[:200]!r} is not a registry on S3; write s3://bucket/prefix")
    return match["bucket"], prefix


def event_key(number: int) -> str:
    """Return the key of event ``number`` of the index."""
    return f"index/{number:012}.json"


def _connect(session: boto3.Session, config: Config, attempts: int) -> S3Client:
    retries = Config(retries={"mode": "standard", "total_max_attempts": attempts})
    client: S3Client = session.client("s3", config=config.merge(retries))
    return client


def _address_buckets(session: boto3.Session, config: Config) -> tuple[Config, str]:
    """Return ``config`` for the endpoint in force, and that endpoint's host (empty for AWS itself).

    Servers other than AWS's seldom have a host name for each bucket, so buckets are addressed by path there; a style
    that the AWS profile sets is kept.
    """
    try:
        client = session.client("s3", config=config)
    except ValueError:
        # Its text would repeat the address, which may hold a password; so would its traceback.
        raise UsageFailure("AWS_ENDPOINT_URL is not the address of a server; write http://host:port") from None
    try:
        endpoint = urlsplit(client.meta.endpoint_url)
        style = (client.meta.config.s3 or {}).get("addressing_style")
    finally:
        client.close()
    host = endpoint.hostname or ""
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return config, ""
    port = f":{endpoint.port}" if endpoint.port else ""
    return (config if style else config.merge(Config(s3={"addressing_style": "path"}))), f"{host}{port}"
