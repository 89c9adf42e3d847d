"""The player's vendored files are the ones that the lock names, with their licences beside them."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tools import vendor

LOCK: dict[str, Any] = json.loads((vendor.VENDOR_DIR / "lock.json").read_text())
FILES: list[dict[str, Any]] = LOCK["files"]
WEB = vendor.VENDOR_DIR.parent


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: entry["name"])
def test_a_vendored_file_has_the_hash_of_the_lock(entry: dict[str, Any]) -> None:
    body = (vendor.VENDOR_DIR / entry["file"]).read_bytes()
    assert hashlib.sha256(body).hexdigest() == entry["sha256"]


def test_the_lock_names_what_the_tool_would_fetch() -> None:
    locked = {entry["name"]: (entry["version"], entry["licence"], entry["file"]) for entry in FILES}
    wanted = {one.name: (one.version, one.licence, one.file) for one in vendor.LIBRARIES}
    assert locked == wanted
    assert LOCK["esbuild"] == vendor.ESBUILD_VERSION


def test_nothing_lies_beside_the_locked_files_and_their_licences() -> None:
    named = {entry[kind] for entry in FILES for kind in ("file", "licenceFile")}
    assert {path.name for path in vendor.VENDOR_DIR.iterdir()} == named | {"lock.json"}


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: entry["name"])
def test_a_licence_file_holds_the_licence_that_the_lock_names(entry: dict[str, Any]) -> None:
    text = (vendor.VENDOR_DIR / entry["licenceFile"]).read_text()
    sentence = {
        "MIT": "Permission is hereby granted, free of charge",
        "Apache-2.0": "Licensed under the Apache License, Version 2.0",
    }[entry["licence"]]
    assert sentence in text


@pytest.mark.parametrize("path", sorted(WEB.rglob("*.js")), ids=lambda path: path.name)
def test_every_module_imports_files_that_are_there(path: Path) -> None:
    found = re.findall(r'(?:from|import) ?"((?:\.|/web/)[^"]*\.js)"', path.read_text())
    missing = [
        name
        for name in found
        if not (
            WEB / name.removeprefix("/web/") if name.startswith("/web/") else path.parent / name
        ).is_file()
    ]
    assert missing == []


@pytest.mark.parametrize("page", ["index.html", "watch.html"])
def test_a_page_has_no_inline_script_and_loads_nothing_from_elsewhere(page: str) -> None:
    text = (WEB / page).read_text()
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert not re.search(r"\son[a-z]+=", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)
