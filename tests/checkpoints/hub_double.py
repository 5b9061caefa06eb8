"""A small server in the protocol of the Hugging Face hub, as far as huggingface_hub uses it for models."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LFS_SUFFIX = ".safetensors"


@dataclass
class Repository:
    """The commits of a repository, each a dictionary of files, and its branches."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    private: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Add files to a branch, and return the commit."""
        whole = self.commits.get(self.branches.get(branch, ""), {}) | files
        name = hashlib.sha1(repr(sorted(whole.items())).encode()).hexdigest()
        self.commits[name] = whole
        self.branches[branch] = name
        return name


@dataclass
class Faults:
    """Faults that the server has on purpose."""

    content: dict[str, bytes] = field(default_factory=dict)
    """Other contents than those whose hashes are stated."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Other sizes than the true ones."""
    names: tuple[str, ...] = ()
    """Further names in the list of files."""
    commit_header: str | None = None
    tag_header: str | None = None
    cut: bool = False
    """True if transfers of large files end in the middle."""
    status: int | None = None
    """Status of every answer."""


class HubDouble:
    """The repositories of the server, its faults, and the paths that it was asked for."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.address = ""
        self.repositories: dict[str, Repository] = {}
        self.faults = Faults()
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []


def git_name(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def run_hub(token: str = "hf_test") -> Iterator[HubDouble]:
    """Run the server until the context ends."""
    hub = HubDouble(token)

    class Handler(_Handler):
        double = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()


class _Handler(BaseHTTPRequestHandler):
    double: HubDouble
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    do_HEAD = do_GET  # noqa: N815 - the names of the library

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    do_PUT = do_POST  # noqa: N815

    def _answer(self, body: bytes) -> None:
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            body = self._read_chunks()
        url = urlsplit(self.path)
        self.double.asked.append(f"{self.command} {url.path}")
        if self.double.faults.status is not None:
            self._send_json({"error": "on purpose"}, self.double.faults.status)
            return
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        match [self.command, *parts]:
            case ["GET", "api", "models"]:
                query = parse_qs(url.query)
                self._send_json(self._list(query.get("author", [""])[0], query.get("filter", [])))
            case ["GET", "api", "models", owner, name]:
                self._send_info(f"{owner}/{name}", "main")
            case ["GET", "api", "models", owner, name, "revision", revision]:
                self._send_info(f"{owner}/{name}", revision)
            case ["HEAD" | "GET", owner, name, "resolve", revision, file]:
                self._send_file(f"{owner}/{name}", revision, file)
            case ["POST", "api", "repos", "create"]:
                self._create(json.loads(body))
            case ["POST", "api", "validate-yaml"]:
                self._send_json({"errors": [], "warnings": []})
            case ["POST", "api", "models", _, _, "preupload", _]:
                files = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(LFS_SUFFIX) else "regular",
                        "shouldIgnore": False,
                    }
                    for file in json.loads(body)["files"]
                ]
                self._send_json({"files": files})
            case ["POST", _, _, "info", "lfs", "objects", "batch"]:
                objects = [
                    {**one, "actions": {"upload": {"href": f"{self.double.address}/lfs/{one['oid']}"}}}
                    for one in json.loads(body)["objects"]
                ]
                self._send_json({"transfer": "basic", "objects": objects})
            case ["PUT", "lfs", oid]:
                self.double.objects[oid] = body
                self._send(200, b"")
            case ["POST", "api", "models", owner, name, "commit", branch]:
                self._commit(f"{owner}/{name}", branch, body)
            case _:
                self._send_json({"error": "no such path"}, 404)

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _is_owner(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.double.token}"

    def _find(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        repository = self.double.repositories.get(name)
        if repository is None or (repository.private and not self._is_owner()):
            self._send_json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
            return None
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            self._send_json({"error": "Revision not found"}, 404, {"X-Error-Code": "RevisionNotFound"})
            return None
        return commit, repository.commits[commit]

    def _list(self, author: str, tags: list[str]) -> list[dict[str, Any]]:
        return [
            {"id": name, "modelId": name, "tags": list(repository.tags), "private": False}
            for name, repository in self.double.repositories.items()
            if name.startswith(f"{author}/") and set(tags) <= set(repository.tags) and not repository.private
        ]

    def _send_info(self, name: str, revision: str) -> None:
        found = self._find(name, revision)
        if found is None:
            return
        commit, files = found
        siblings: list[dict[str, Any]] = [{"rfilename": extra} for extra in self.double.faults.names]
        for file, data in files.items():
            size = self.double.faults.sizes.get(file, len(data))
            one: dict[str, Any] = {"rfilename": file, "size": size, "blobId": git_name(data)}
            if file.endswith(LFS_SUFFIX):
                one["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 134}
            siblings.append(one)
        self._send_json({"id": name, "modelId": name, "sha": commit, "tags": [], "siblings": siblings})

    def _send_file(self, name: str, revision: str, file: str) -> None:
        found = self._find(name, revision)
        if found is None:
            return
        commit, files = found
        if file not in files:
            self._send_json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        faults, stated = self.double.faults, files[file]
        is_lfs = file.endswith(LFS_SUFFIX)
        tag = faults.tag_header or (hashlib.sha256(stated).hexdigest() if is_lfs else git_name(stated))
        headers = {"X-Repo-Commit": faults.commit_header or commit, "ETag": f'"{tag}"'}
        if is_lfs:
            headers |= {"X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(len(stated))}
        data = faults.content.get(file, stated)
        begins = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self._send(206 if begins else 200, data[begins:], headers, cut=faults.cut and is_lfs)

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        if not self._is_owner():
            self._send_json({"error": "You don't have the rights"}, 403)
            return
        is_new = name not in self.double.repositories
        if is_new:
            private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
            self.double.repositories[name] = Repository(private=private)
        self._send_json({"url": f"{self.double.address}/{name}", "id": name}, 200 if is_new else 409)

    def _commit(self, name: str, branch: str, body: bytes) -> None:
        files = {}
        for line in body.splitlines():
            one = json.loads(line)
            if one["key"] == "file":
                files[one["value"]["path"]] = base64.b64decode(one["value"]["content"])
            elif one["key"] == "lfsFile":
                files[one["value"]["path"]] = self.double.objects[one["value"]["oid"]]
        commit = self.double.repositories[name].commit(files, branch)
        url = f"{self.double.address}/{name}/commit/{commit}"
        self._send_json({"success": True, "commitUrl": url, "commitOid": commit})

    def _send_json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.close_connection = True
