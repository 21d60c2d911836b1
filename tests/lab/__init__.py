"""The lab: Debian hosts with systemd, sshd, an address and a disk of their own on one machine, to build and to break clusters on."""

from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.machine import LabError

__all__ = ["Host", "Lab", "LabError"]
