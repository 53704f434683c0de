"""The S3 servers of the tests, on loopback: SeaweedFS, whose conditional writes hold, and moto, a second opinion.

- One of each for all processes of a test session, started by the first user and stopped after the last, also
  when that one was killed: the same way as `tests.servers` does it for MLflow.
- moto checks and writes without a lock: it is an oracle for the protocol, never for a race.
- `S3Server.environment` is all that a client needs, in this process or in another.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import _end, _lock_now, free_port, once

START_SECONDS = 60
BUCKET = "lynxgate-tests"
WRITER = ("writer-key", "writer-secret-0123456789")
READER = ("reader-key", "reader-secret-0123456789")


@dataclass(frozen=True)
class S3Server:
    """A running S3 server with the bucket `BUCKET`; every test takes a prefix of its own."""

    name: str
    url: str

    def environment(self, *, url: str = "", key: tuple[str, str] = WRITER) -> dict[str, str]:
        """The variables with which boto3 finds this server, or ``url`` in front of it, and nothing of this machine."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": key[0],
            "AWS_SECRET_ACCESS_KEY": key[1],
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def new_registry(self) -> str:
        """The address of a registry that nobody has used."""
        return f"s3://{BUCKET}/{uuid.uuid4().hex}"

    def client(self) -> Any:
        """A plain boto3 client, for what the port does not do."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=WRITER[0],
            aws_secret_access_key=WRITER[1],
        )


@contextlib.contextmanager
def shared_seaweedfs(root: Path) -> Iterator[S3Server]:
    """The session's SeaweedFS (master, volume, filer and S3 gateway in one process); starts in a few seconds."""
    yield from _shared("seaweedfs", root, _seaweedfs_command)


@contextlib.contextmanager
def shared_moto(root: Path) -> Iterator[S3Server]:
    """The session's moto server."""
    yield from _shared("moto", root, _moto_command)


def _shared(name: str, root: Path, command: Callable[[Path, int], list[str]]) -> Iterator[S3Server]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / "users.lock").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield S3Server(name, once(root, "server", lambda: _start_patiently(name, root, command)))


def _seaweedfs_command(root: Path, port: int) -> list[str]:
    rights = {WRITER: ["Admin", "Read", "Write", "List", "Tagging"], READER: ["Read", "List"]}
    identities = [
        {"name": key[0], "credentials": [{"accessKey": key[0], "secretKey": key[1]}], "actions": actions}
        for key, actions in rights.items()
    ]
    config = root / "s3.json"
    config.write_text(json.dumps({"identities": identities}))
    (root / "data").mkdir(exist_ok=True)
    ports = ("master", "volume", "filer")
    return [
        str(Path(sys.executable).with_name("weed")),
        "server",
        f"-dir={root / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-volume.max=200",
        *(f"-{part}.port={free_port()}" for part in ports),
        *(f"-{part}.port.grpc={free_port()}" for part in (*ports, "s3")),
        "-filer",
        "-s3",
        f"-s3.port={port}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={config}",
        "-s3.autoCreateBucket=false",
    ]


def _moto_command(root: Path, port: int) -> list[str]:  # noqa: ARG001 - it keeps everything in memory
    return [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]


def _start_patiently(name: str, root: Path, command: Callable[[Path, int], list[str]]) -> str:
    """Start a server on other ports when somebody took one of its own between the look and the use."""
    for _ in range(2):
        with contextlib.suppress(RuntimeError):
            return _start(name, root, command)
    return _start(name, root, command)


def _start(name: str, root: Path, command: Callable[[Path, int], list[str]]) -> str:
    port = free_port()
    server = S3Server(name, f"http://127.0.0.1:{port}")
    log = root / "server.log"
    with log.open("ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "tests.s3_servers", str(root), *command(root, port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=Path(__file__).parent.parent,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and supervisor.poll() is None:
        if _answers(server.url) and _makes_bucket(server):
            supervisor.returncode = 0  # it outlives this process on purpose; no warning about that
            return server.url
        time.sleep(0.1)
    raise RuntimeError(f"{name} did not start:\n{log.read_text()[-3000:]}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False


def _makes_bucket(server: S3Server) -> bool:
    """Whether the bucket is there and takes an object: the gateway answers before the volumes behind it do."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = server.client()
    try:
        with contextlib.suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="ready", Body=b"yes")
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()
    return True


def _supervise(root: Path, command: list[str]) -> None:
    """Run the server until nobody holds the users' lock any more."""
    server = subprocess.Popen(command, start_new_session=True)
    with (root / "users.lock").open("a") as users:
        while server.poll() is None and not _lock_now(users):
            time.sleep(0.25)
        (root / "server.json").unlink(missing_ok=True)
        _end(server)
    # SeaweedFS leaves its sockets where no option moves all of them.
    for port in re.findall(r"[.]port(?:[.]grpc)?=(\d{2,})", " ".join(command)):
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            left.unlink(missing_ok=True)


if __name__ == "__main__":
    _supervise(Path(sys.argv[1]), sys.argv[2:])
