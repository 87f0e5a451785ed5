"""Addresses of MLflow stores: what they name, and slips of the pen in them."""

import re
import unicodedata
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from genre_mlflow.errors import ModelError

SQLITE = "sqlite:///"
HERE = f"{SQLITE}mlflow.db"  # MLflow's default, in the working folder
HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(/.*)?$")
SLASHES = re.compile(r"(https?)(?!://)(?::/?|//)([^/].*)|(sqlite)(?!:///)(?::(?://)?|/+)(.+)")
PASSWORD = re.compile(r"(?<=:)[^:/@]+@")


def check_address(name: str, value: str) -> None:
    """Raise `ModelError` for an address that is a slip of the pen, with what may be meant."""
    meant = ""
    slashes = SLASHES.match(value)
    if value and not value.strip():
        wrong, meant = "is blank", HERE
    elif value != value.strip() or (" " in value and is_of_network(value)) or not_a_line(value):
        wrong, meant = "has a blank or a line break in it", "".join(value.split())
    elif slashes:
        parts = [part for part in slashes.groups() if part]
        wrong, meant = "has not the slashes of its scheme", with_slashes(*parts)
    elif HOST_AND_PORT.match(value):
        wrong, meant = "has no scheme", f"http://{value}"
    elif value.startswith("postgres:"):
        wrong, meant = "has a scheme that SQLAlchemy does not know", value.replace(":", "ql:", 1)
    elif is_server(value) and not host_of(value):
        wrong, meant = "names no host", "http://HOST:PORT"
    elif is_server(value) and "#" in value:
        wrong, meant = "is the address of a page", value.partition("#")[0].rstrip("/")
    if meant:
        raise ModelError(f"{name} is {hidden(value)!r}, which {wrong}; is {hidden(meant)} meant?")


def with_slashes(scheme: str, rest: str) -> str:
    """An address whose scheme has the slashes that it needs."""
    return SQLITE + rest if scheme == "sqlite" else f"{scheme}://{rest}"


def is_of_network(uri: str) -> bool:
    """Whether an address names a host; a file may have blanks in its name."""
    return "://" in uri and not uri.startswith((SQLITE, "file:"))


def not_a_line(text: str) -> bool:
    """Whether a text has line breaks or other control letters in it."""
    return any(unicodedata.category(c) == "Cc" for c in text)


def host_of(uri: str) -> str:
    """The host of an address with a port that is a number, else empty."""
    try:
        return urlsplit(uri).hostname or "" if urlsplit(uri).port != 0 else ""
    except ValueError:
        return ""


def is_server(uri: str) -> bool:
    """Whether an address is that of a server that speaks HTTP."""
    return urlsplit(uri).scheme in ("http", "https")


def hidden(uri: str) -> str:
    """An address without its password."""
    return PASSWORD.sub("***@", uri)


def sqlite_file(uri: str) -> Path:
    """The file of a SQLite store."""
    return Path(unquote(uri[len(SQLITE) :])).absolute()


def is_plain(folder: Path) -> bool:
    """Whether a path is the same within an address, as one with `%`, `#` or a blank is not."""
    return quote(str(folder)) == str(folder)
