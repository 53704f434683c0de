"""No credential in what is shown, however it was put into an address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynxgate.redact import scrub, strip_credentials

WORDS = st.text(alphabet="abcXYZ019!$&*;:/?#%+=,@", min_size=6, max_size=20)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://host:5000/base", "http://host:5000/base"),
        ("https://user:secret@host/base?token=secret#secret", "https://host/base"),
        ("https://token-secret@host", "https://host"),
        ("https://user:sec/ret@host", "https://host"),
        ("https://user:s@ec?r#et@host", "https://host"),
        ("postgresql+psycopg2://user:secret@db:5432/mlflow", "postgresql+psycopg2://db:5432/mlflow"),
        ("sqlite:///a@b/mlflow.db", "sqlite:///a@b/mlflow.db"),
        ("sqlite:////abs/mlflow.db", "sqlite:////abs/mlflow.db"),
        ("./mlruns", "./mlruns"),
    ],
)
def test_strip_credentials(uri: str, shown: str) -> None:
    assert strip_credentials(uri) == shown


@given(secret=WORDS)
def test_a_password_of_any_characters_is_in_neither(secret: str) -> None:
    uri = f"https://user:{secret}@host/base"
    assert strip_credentials(uri) == "https://host/base"
    assert secret not in scrub(f"Invalid url: {uri}/api and again {secret}.", uri).replace("/base/api", "")


def test_scrub_takes_urls_queries_and_named_secrets() -> None:
    text = "GET http://a:b@other/x?X-Amz-Signature=abcdef&y=1\n failed with tok3n " + "z" * 400
    line = scrub(text, "http://host", "tok3n", "")
    assert line.startswith("GET http://other/x?X-Amz-Signature=***&y=*** failed with *** zzz")
    assert "\n" not in line
    assert len(line) < 310
