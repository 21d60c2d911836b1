"""What a bundle consists of: its files with their digests, as its manifest says, and where bundles lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from django.conf import settings

from runs.operations import OperationError

NAME = "manifest.json"
FORMAT = 1
PACKAGES, WHEELS, PRODUCT = "packages", "wheels", "product"  # its folders
WORK = ".work"  # beside them: apt's state and archives, and what is known to be complete


class BundleError(OperationError):
    """A bundle that cannot be made or used; the message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message, cause="bundle")


@dataclass(frozen=True)
class BundledFile:
    """One file. `path` is relative to the bundle; `package` and `version` are those of a Debian package."""

    path: str
    size: int
    sha256: str
    package: str = ""
    version: str = ""

    @classmethod
    def of(cls, folder: Path, path: str, *, package: str = "", version: str = "") -> BundledFile:
        return cls(path, (folder / path).stat().st_size, sha256_of(folder / path), package, version)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Bundle:
    """A bundle for one release of Debian."""

    folder: Path
    release: str
    architecture: str
    made_at: str  # ISO 8601
    version: str  # of the product inside
    names: tuple[str, ...]  # packages that were asked for; the others are what these need
    files: tuple[BundledFile, ...]
    wheels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # "3.13" -> paths, sources among them

    @classmethod
    def load(cls, folder: Path) -> Bundle:
        """BundleError where it is none, or not whole; file digests are left to `verify`."""
        try:
            told = json.loads((folder / NAME).read_text())
        except FileNotFoundError:
            raise BundleError(
                f"{folder} holds no bundle. Make one: manage.py bundle --release trixie --out {folder}"
            ) from None
        except ValueError:
            raise BundleError(f"{folder / NAME} is damaged. Make the bundle again; what is whole is kept.") from None
        if told.get("format") != FORMAT:
            raise BundleError(f"{folder} was made by another version of DeployOn. Make the bundle again.")
        files = tuple(BundledFile(**each) for each in told["files"])
        for each in files:
            path = folder / each.path
            if not path.is_file() or path.stat().st_size != each.size:
                raise BundleError(f"{path} is missing or cut short. Make the bundle again; what is whole is kept.")
        wheels = {python: tuple(paths) for python, paths in told["wheels"].items()}
        named = {name: told[name] for name in ("release", "architecture", "made_at", "version")}
        return cls(folder=folder, **named, names=tuple(told["names"]), files=files, wheels=wheels)

    def save(self) -> None:
        told = {"format": FORMAT} | {name: value for name, value in asdict(self).items() if name != "folder"}
        staged = self.folder / f"{NAME}.new"
        staged.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
        staged.replace(self.folder / NAME)

    def verify(self) -> None:
        """Every file has its digest. BundleError names the first that has not."""
        for each in self.files:
            if sha256_of(self.folder / each.path) != each.sha256:
                raise BundleError(
                    f"{self.folder / each.path} is not what was fetched. Remove it, then make the bundle again."
                )

    def files_in(self, folder: str) -> Iterator[BundledFile]:
        return (each for each in self.files if each.path.startswith(f"{folder}/"))

    def file(self, path: str) -> BundledFile:
        return next(each for each in self.files if each.path == path)

    def require(self, names: Iterable[str]) -> None:
        """BundleError where it was made before one of these packages was needed."""
        if lacking := sorted(set(names) - set(self.names)):
            raise BundleError(
                f"The bundle for {self.release} lacks {', '.join(lacking)}: it was made by another version of DeployOn. Make it "
                f"again: manage.py bundle --release {self.release}"
            )

    def package_files(self, chosen: Iterable[tuple[str, str]]) -> list[BundledFile]:
        """Files of (package, version) pairs; KeyError names one that is not here."""
        known = {(each.package, each.version): each for each in self.files_in(PACKAGES) if each.package}
        return [known[pair] for pair in chosen]

    @property
    def digest(self) -> str:
        """Of the manifest: two bundles with the same one are the same."""
        return sha256_of(self.folder / NAME)

    @property
    def size(self) -> int:
        return sum(each.size for each in self.files)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place_of(release: str) -> Path:
    """Where this installation keeps its bundle for a release."""
    return Path(settings.DATA_DIR) / "bundles" / release


def find_bundle(release: str) -> Bundle | None:
    """The bundle of this installation for a release; None where none was made. BundleError where it is damaged."""
    folder = place_of(release)
    return Bundle.load(folder) if (folder / NAME).exists() else None
