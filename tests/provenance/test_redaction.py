"""Secrets do not reach the database; other texts stay as they are."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nbtrack.provenance import redaction
from nbtrack.provenance.redaction import MASK, redact, redact_value

SECRET = "Zq7Xw9Kp2Lm4"
_names = st.sampled_from(
    [
        "password",
        "DB_PASSWORD",
        "passwd",
        "client_secret",
        "api_key",
        "APIKEY",
        "OPENAI-API-KEY",
        "aws_secret_access_key",
        "private_key",
        "auth_token",
        "api_token",
        "credentials",
    ]
)


@pytest.mark.parametrize(
    "text",
    [
        'password = "{}"',
        "password='{}'",
        "connect(user='me', password='{}', port=1)",
        'f(api_key="{}")',
        '{{"api_key": "{}", "a": 1}}',
        "{{'client_secret': '{}'}}",
        'os.environ["WANDB_API_KEY"] = "{}"',
        "os.environ['DB_PASSWORD']='{}'",
        "%env API_KEY={}",
        "API_KEY={}",
        "export DB_PASSWORD={}\n",
        "password: str = '{}'",
        'password = b"{}"',
        'password = r"{}"',
        'password = """{}"""',
        "password = '''{}'''",
        'password = "it\'s {}"',
        "password = 'say \\'{}'",
        "postgres://me:{}@host/db",
        "redis://:{}@host",
        "https://me:{}@host:8080/path?x=1",
        "postgresql+psycopg2://me:p@{}@host/db",
        "read_sql('mysql://me:{}@host/db')",
    ],
)
def test_secrets_go(text: str) -> None:
    redacted = redact(text.format(SECRET))
    assert SECRET not in redacted
    assert MASK in redacted
    assert redact(redacted) == redacted


@pytest.mark.parametrize(
    "token",
    [
        "sk-" + "a1" * 20,
        "ghp_" + "a1" * 18,
        "github_pat_" + "a1" * 20,
        "hf_" + "a1" * 17,
        "xoxb-1234567890-abc",
        "AKIA" + "A1" * 8,
        "AIza" + "a" * 35,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NX0.SflKxwRJSMeKK",
    ],
)
def test_tokens_go_wherever_they_are(token: str) -> None:
    for text in (token, f"login('{token}')", f"# {token}\nfit()"):
        assert token not in redact(text)
        assert redact_value("note", text) == text.replace(token, MASK)


@pytest.mark.parametrize(
    "text",
    [
        "api_key = os.environ['API_KEY']",
        "api_key = getpass.getpass()",
        "password = None",
        "password=True",
        "if password == other:",
        "max_tokens = 512",
        "tokenizer = AutoTokenizer.from_pretrained('bert')",
        "key = 'value'",
        "http://localhost:8080/a@b",
        "https://host/path?mail=me@example.org",
        "http://host:8080?mail=me@example.org",
        "C = 1.0",
        "mail me@example.org at 10:30",
        "secretary = 'Ann'"[:9],
        "",
        "x = {'a': 1}",
        "s3://bucket/key:1",
    ],
)
def test_harmless_text_stays(text: str) -> None:
    assert redact(text) == text


@given(name=_names, value=st.text("abcXYZ019+/=_-.", min_size=8, max_size=30))
def test_values_of_secret_names_go(name: str, value: str) -> None:
    assert redact_value(name, value) == MASK
    assert value not in redact(f"{name} = '{value}'").partition("=")[2]
    assert redact(f"f({name}='{value}')") == f"f({name}='{MASK}')"


@given(word=st.text("abcXYZ019!$&*+,;=._~-@", min_size=1, max_size=30))
@example(word="p@ss")
@example(word="a:b")
def test_passwords_in_urls_go(word: str) -> None:
    assert redact(f"postgres://me:{word}@host/db") == f"postgres://me:{MASK}@host/db"


@given(text=st.text(max_size=100))
def test_redacting_again_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(text=st.text(st.characters(exclude_characters=":=@-_"), max_size=100))
def test_text_without_marks_stays(text: str) -> None:
    assume("AKIA" not in text)
    assume("AIza" not in text)
    assume("." not in text)
    assert redact(text) == text


@given(st.text(st.sampled_from("xoapb-skAKIAghpeyJ._/@\"'"), max_size=14))
@example("xoxb-abcdefghi")
def test_short_texts_have_no_secrets(text: str) -> None:
    """They are not looked at: no token is as short."""
    for pattern in (redaction._URL, redaction._ASSIGNED, redaction._SHAPED):
        assert pattern.search(text) is None
    assert redact(text) == text


def test_the_shortest_token_goes() -> None:
    assert redact("xoxb-0123456789") == MASK


def test_values_that_say_nothing_stay() -> None:
    assert redact_value("password", "") == ""
    assert redact_value("api_key", "None") == "None"
    assert redact_value("C", "1.0") == "1.0"
    assert redact_value("url", f"x://a:{SECRET}@h") == f"x://a:{MASK}@h"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 300_000,
        "a-" * 150_000,
        "password" * 20_000,
        "password" + " " * 300_000,
        "password='" + "a" * 300_000,
        "password='\\" * 30_000,
        "a://" * 50_000,
        "http://a:" * 30_000,
        "eyJ" * 100_000,
        "sk-" * 100_000,
    ],
)
def test_time_grows_with_the_length_only(text: str) -> None:
    """A square of the length would take minutes: bytes as hex digits are one long word."""
    begun = time.perf_counter()
    redact(text)
    assert time.perf_counter() - begun < 5
