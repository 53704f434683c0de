"""`verify` on S3: one byte changed in any object of a registry is found, and so is any object that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lynxgate.adapters.s3 import S3Store, parse_address
from lynxgate.audit.verify import audit
from lynxgate.promotion.promote import promote
from lynxgate.promotion.rollback import roll_back
from lynxgate.promotion.tombstones import tombstone
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry, evidence_key, manifest_key, tombstone_key
from tests.promotion.workshop import DEV, Workshop
from tests.s3_servers import S3Server


@dataclass(frozen=True)
class Bucket:
    """A registry on S3 with two promotions, a rollback and a tombstone, and a client that writes past the gate."""

    workshop: Workshop
    store: S3Store
    client: Any
    address: str

    def write(self, key: str, data: bytes) -> None:
        bucket, prefix = parse_address(self.address)
        self.client.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=data)

    def remove(self, key: str) -> None:
        bucket, prefix = parse_address(self.address)
        self.client.delete_object(Bucket=bucket, Key=f"{prefix}/{key}")

    def problems(self) -> list[str]:
        found = audit(self.store, self.workshop.tracking).findings
        return [f"{finding.place}: {finding.problem}" for finding in found]


@pytest.fixture
def bucket(workshop: Workshop, s3_registry: str, seaweedfs: S3Server) -> Iterator[Bucket]:
    """See `Bucket`."""
    store = S3Store(s3_registry)
    create_registry(store, Environment.DEV)
    context = workshop.context(store)
    for name, semver in (("a", "v0.3.0"), ("b", "v0.3.1")):
        promote(workshop.candidate(name).request(semver), context, workshop.tracking, DEV)
    roll_back("v0.3.0", context, DEV)
    tombstone(workshop.candidate("b").sha, "leaks names", context, DEV)
    client = seaweedfs.client()
    yield Bucket(workshop, store, client, s3_registry)
    client.close()


def test_one_byte_anywhere(bucket: Bucket) -> None:
    """In each object, the first, the last and a middle byte, and every byte that matters most: two dozen and more."""
    assert bucket.problems() == []
    keys = sorted(key for key in bucket.store.keys(""))
    sha = bucket.workshop.candidate("b").sha
    assert {"registry.json", "tags.json", manifest_key(sha), tombstone_key(sha), "index/000000000004.json"} <= set(keys)
    tampered = 0
    for key in keys:
        stored = bucket.store.read(key)
        assert stored is not None
        for place in {0, len(stored.data) // 2, len(stored.data) - 1}:
            data = bytearray(stored.data)
            data[place] ^= 1
            if key == "tags.json" and place < stored.data.index(b'"schema"'):
                continue  # a comment, which means nothing
            bucket.write(key, bytes(data))
            assert bucket.problems(), (key, place, stored.data[place : place + 20])
            tampered += 1
        bucket.write(key, stored.data)
    assert bucket.problems() == []
    assert tampered > 24


def test_any_object_that_is_gone(bucket: Bucket) -> None:
    for key in list(bucket.store.keys("")):
        stored = bucket.store.read(key)
        assert stored is not None
        bucket.remove(key)
        assert bucket.problems(), key
        bucket.write(key, stored.data)
    assert bucket.problems() == []


def test_each_finding_names_its_object(bucket: Bucket) -> None:
    held = bucket.workshop.context(bucket.store).journal.read("v0.3.1")
    assert held is not None
    sha = bucket.workshop.candidate("b").sha
    for key in (manifest_key(sha), evidence_key(sha, held.record.evidence)):
        stored = bucket.store.read(key)
        assert stored is not None
        bucket.write(key, stored.data + b" ")
        assert any(problem.startswith(f"{key}: hashes to") for problem in bucket.problems())
        bucket.write(key, stored.data)
