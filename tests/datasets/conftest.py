"""A tiny dataset, and a server on this machine that can go wrong in every way."""

import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from cvlib.datasets import DatasetError, fetch, registry, sources

NAME = "tiny/set"
FILES = {
    "train/cat/one.jpg": bytes(range(256)) * 1200,  # 300 kB: several chunks
    "train/dog/two & twö #2.jpg": b"two" * 999,
    "test/cat/three.jpg": b"three",
    "empty.txt": b"",
}


ONE = "train/cat/one.jpg"


@dataclass
class Server:
    """What is served, what goes wrong, and what was asked.

    faults: for a path, what happens to its next requests, in order: a status to answer
        with, "cut" (half of the body), "other" (as many other bytes).
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)
    requests: list[str] = field(default_factory=list)

    def fail(self, *faults: int | str, path: str = "train/cat/one.jpg") -> None:
        self.faults[f"/files/{path}"] = list(faults)

    def asked(self, path: str = "train/cat/one.jpg") -> int:
        """How often a file was asked for."""
        return self.requests.count(f"/files/{path}")


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()
    state.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path)
            state.requests.append(path)
            state.gate.wait(30)
            fault = state.faults[path].pop(0) if state.faults.get(path) else None
            if isinstance(fault, int) or path not in state.files:
                return self.send_error(fault if isinstance(fault, int) else 404)
            self.answer(state.files[path], fault)

        def answer(self, body: bytes, fault: str | None) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            body = body[: len(body) // 2] if fault == "cut" else body
            body = b"x" * len(body) if fault == "other" else body
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            """A client that went away is what some tests are about."""

    with Quiet(("127.0.0.1", 0), Handler) as running:
        state.address = f"http://127.0.0.1:{running.server_port}"
        # The default polls twice a second, which each test would wait for at its end.
        thread = threading.Thread(target=running.serve_forever, args=[0.01])
        thread.start()
        yield state
        state.gate.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def tiny(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> registry.Remote:
    """Register the tiny dataset, served file by file; its cache is in tmp_path."""
    for name in ("CI", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CVLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(registry, "MANIFESTS", tmp_path / "manifests")
    folder = write_files(tmp_path / "original")
    (tmp_path / "manifests").mkdir()
    registry.write_manifest(folder, tmp_path / "manifests/tiny-set.sha256.tsv")
    server.files = {f"/files/{path}": body for path, body in FILES.items()}
    source = registry.Remote(
        "https://example.org/tiny", f"{server.address}/files/{{path}}"
    )
    register(source, monkeypatch)
    return source


def register(source: registry.Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(map(len, FILES.values()))
    dataset = registry.Dataset(NAME, "Four files.", "MIT", source, size)
    monkeypatch.setitem(registry.DATASETS, NAME, dataset)


def with_archive(
    source: registry.Remote,
    server: Server,
    archive: bytes,
    monkeypatch: pytest.MonkeyPatch,
    *,
    first: bool = True,
    prefix: str = "",
) -> None:
    """Serve an archive of the tiny dataset beside its files."""
    server.files["/archive"] = archive
    address = f"{server.address}/archive"
    source = replace(source, archive=address, archive_first=first, prefix=prefix)
    register(source, monkeypatch)


def write_files(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    for path, body in (files or FILES).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def tar(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for member in extra:
            archive.addfile(member)
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return packed.getvalue()


def fails(kind: type[DatasetError], *words: str, **options: Any) -> None:
    """Fetching raises this error, in one line that has these words in it."""
    with pytest.raises(kind) as caught:
        fetch(NAME, **options)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    for word in (NAME, *words):
        assert word in str(caught.value)


def finished(cache: Path) -> list[Path]:
    """Folders of datasets that have their final name."""
    return [place for place in cache.glob("*") if place.is_dir() and not place.suffix]
