"""Which certificate file goes where on a host, for whom to read. The key of a CA is no part of what is known here."""

from __future__ import annotations

from dataclasses import dataclass, field

from installs.pki.making import Pair
from installs.rendering import management
from installs.rendering.pki_paths import BALANCER, MANAGER, MONITORING, OF_PART, PkiFolder
from installs.rendering.values import RenderedFile
from inventory.layout import Balancing, Host, Layout, Part

PUBLIC = 0o644


@dataclass(frozen=True)
class HostMaterial:
    """What one host needs: the CA's certificate, its own pair, and pairs that only some parts show."""

    authority: str
    own: Pair = field(repr=False)
    entrance: Pair | None = field(default=None, repr=False)  # for users, where it is not the host's own
    clients: tuple[tuple[str, Pair], ...] = field(default=(), repr=False)  # by user of the database; for managers


def files_of(layout: Layout, host: Host, material: HostMaterial) -> list[RenderedFile]:
    """Everything of the host's certificates, a folder a service; keys only where a service of this host shows them."""
    found: list[RenderedFile] = []
    for part in Part:
        if host.has(part) and part is not Part.BALANCER:
            found += _folder(OF_PART[part], material)
    if host.has(Part.BALANCER):
        found += _balancer(material)
    if host.has(Part.MANAGER):
        found += _of_manager(layout, material)
    return found + _folder(MONITORING, material)


def _folder(folder: PkiFolder, material: HostMaterial) -> list[RenderedFile]:
    return [
        RenderedFile(folder.ca, material.authority, "root", folder.group, PUBLIC),
        RenderedFile(folder.certificate, material.own.certificate, "root", folder.group, PUBLIC),
        _key(folder, folder.key, material.own.key),
    ]


def _balancer(material: HostMaterial) -> list[RenderedFile]:
    """HAProxy reads certificate and key from one file, as root, before it lets go of that."""
    shown = material.entrance or material.own
    return [
        RenderedFile(BALANCER.ca, material.authority, "root", BALANCER.group, PUBLIC),
        RenderedFile(BALANCER.bundle, shown.certificate.rstrip() + "\n" + shown.key, "root", "root", 0o600),
    ]


def _of_manager(layout: Layout, material: HostMaterial) -> list[RenderedFile]:
    found: list[RenderedFile] = []
    if material.entrance and layout.balancing is not Balancing.OURS:  # no balancer of ours shows it
        found += [
            RenderedFile(f"{management.ENTRANCE}.crt", material.entrance.certificate, "root", MANAGER.group, PUBLIC),
            _key(MANAGER, f"{management.ENTRANCE}.key", material.entrance.key),
        ]
    for user, pair in material.clients:
        found += [
            RenderedFile(f"{MANAGER.path}/{user}.crt", pair.certificate, "root", MANAGER.group, PUBLIC),
            _key(MANAGER, f"{MANAGER.path}/{user}.key", pair.key),
        ]
    return found


def _key(folder: PkiFolder, path: str, key: str) -> RenderedFile:
    """For the service alone: its own file, or one of root's that its group may read."""
    mode = 0o640 if folder.user == "root" else 0o600
    return RenderedFile(path, key, folder.user, folder.group, mode)
