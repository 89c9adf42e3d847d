"""Refreshes the player's vendored files: gateway/web/vendor/ and its lock.json.

The pages have no build step and load nothing from other hosts, so the player's libraries are
committed as files. This is the only way those files change: `npm pack` at the versions below,
hls-video with its two small dependencies joined into one file by esbuild (its sources are 17
modules with bare names, which a browser can't load), the rest byte for byte as published. It must
never edit a library's code by hand, and never run a package's install scripts.
"""

import argparse
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

VENDOR_DIR = Path(__file__).resolve().parent.parent / "millrace/gateway/web/vendor"
ESBUILD_VERSION = "0.28.2"
HLS_JS_IMPORT = "hls.js/dist/hls.mjs"


@dataclass(frozen=True, slots=True)
class Library:
    """One vendored file: `source` is its path in the package, `joins` what esbuild adds to it."""

    name: str
    version: str
    licence: str
    source: str
    joins: tuple[tuple[str, str], ...] = ()

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}.min.js"

    @property
    def licence_file(self) -> str:
        return f"{self.name}-{self.version}.LICENSE.txt"


HLS_JS = Library("hls.js", "1.7.4", "Apache-2.0", "dist/hls.min.mjs")
HLS_VIDEO = Library(
    "hls-video-element",
    "1.5.11",
    "MIT",
    "dist/hls-video-element.js",
    joins=(("custom-media-element", "1.4.7"), ("media-tracks", "0.3.5")),
)
MEDIA_CHROME = Library("media-chrome", "4.19.4", "MIT", "dist/iife/all.js")
LIBRARIES = (HLS_JS, HLS_VIDEO, MEDIA_CHROME)


def unpack(name: str, version: str, into: Path) -> Path:
    """Fetches `name@version` with `npm pack` to `into/node_modules/name`; npm checks its hash."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", "--ignore-scripts", f"{name}@{version}"],
        cwd=into,
        check=True,
        capture_output=True,
        text=True,
    )
    package_dir = into / "node_modules" / name
    package_dir.mkdir(parents=True)
    with tarfile.open(into / packed.stdout.strip().splitlines()[-1]) as archive:
        archive.extractall(into / "unpacked", filter="data")
    shutil.copytree(into / "unpacked/package", package_dir, dirs_exist_ok=True)
    shutil.rmtree(into / "unpacked")
    return package_dir


def esbuild(workspace: Path) -> Path:
    """The esbuild program of this machine, from its own package: no install script is run."""
    system = {"Linux": "linux", "Darwin": "darwin"}[platform.system()]
    machine = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64", "arm64": "arm64"}
    package = f"@esbuild/{system}-{machine[platform.machine()]}"
    return unpack(package, ESBUILD_VERSION, workspace) / "bin/esbuild"


def joined(library: Library, entry: Path, workspace: Path) -> bytes:
    """The library and what it imports as one ES module, hls.js apart: that is a file of its own."""
    for name, version in library.joins:
        unpack(name, version, workspace)
    command = [str(esbuild(workspace)), str(entry), "--bundle", "--minify", "--format=esm"]
    built = subprocess.run(
        [*command, f"--external:{HLS_JS_IMPORT}"], cwd=workspace, check=True, capture_output=True
    ).stdout
    return built.replace(f'"{HLS_JS_IMPORT}"'.encode(), f'"./{HLS_JS.file}"'.encode())


def refresh(library: Library, vendor_dir: Path) -> dict[str, object]:
    """Writes the library's file, and its licence where the package carries one; its lock entry."""
    with tempfile.TemporaryDirectory(prefix="vendor-") as folder:
        workspace = Path(folder)
        package_dir = unpack(library.name, library.version, workspace)
        entry = package_dir / library.source
        body = joined(library, entry, workspace) if library.joins else entry.read_bytes()
        (vendor_dir / library.file).write_bytes(body)
        licence = package_dir / "LICENSE"
        if licence.exists():
            shutil.copyfile(licence, vendor_dir / library.licence_file)
    if not (vendor_dir / library.licence_file).exists():
        # hls-video's package has none: its text, from its repository, is committed by hand.
        raise FileNotFoundError(f"{library.licence_file}: add the licence's text")
    return {
        "name": library.name,
        "version": library.version,
        "licence": library.licence,
        "file": library.file,
        "sha256": hashlib.sha256(body).hexdigest(),
        "licenceFile": library.licence_file,
        "joins": [{"name": name, "version": version} for name, version in library.joins],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--into", type=Path, default=VENDOR_DIR, help="folder to write to")
    into: Path = parser.parse_args().into
    lock = {"esbuild": ESBUILD_VERSION, "files": [refresh(one, into) for one in LIBRARIES]}
    (into / "lock.json").write_text(json.dumps(lock, indent=2) + "\n")
    kept = {"lock.json"} | {name for one in LIBRARIES for name in (one.file, one.licence_file)}
    for stale in [path for path in into.iterdir() if path.name not in kept]:
        stale.unlink()
    sys.stdout.write("".join(f"{one.file}\n" for one in LIBRARIES))


if __name__ == "__main__":
    main()
