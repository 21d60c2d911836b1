"""Preflight: where packages come from, what is there already, and what of the system's own may get in the way."""

from __future__ import annotations

from collections.abc import Iterator

from installs.findings import Finding, error, warning
from installs.preflight.survey import Survey


def packages(survey: Survey) -> Iterator[Finding]:
    if survey.bundle_fault:
        yield error("packages.bundle", survey.bundle_fault, "Then check again.")
        return
    if survey.has_bundle:
        return
    release = survey.layout.release
    make = f"Make a bundle here: manage.py bundle --release {release}"
    for seen in survey.asked:
        lacking = [
            name for name, (candidate, installed) in seen.told["packages"].items() if not candidate and not installed
        ]
        if lacking:
            yield error(
                "packages.source",
                f"Its package sources do not have {', '.join(lacking)}, and this portal has no bundle for {release}.",
                f"{make}; or give the host a source of Debian and run apt-get update there.",
                host=seen.wanted.name,
            )


def leftovers(survey: Survey) -> Iterator[Finding]:
    for seen in survey.asked:
        if found := seen.told["leftovers"]:
            yield warning(
                "leftovers.files",
                f"Something is left of another installation: {', '.join(found)}.",
                "If nothing of it is needed, uninstall that first; services that find old data do not start.",
                host=seen.wanted.name,
            )


def package_tools(survey: Survey) -> Iterator[Finding]:
    for seen in survey.asked:
        if holder := seen.told["lock"]:
            yield error(
                "apt.lock", f"{holder} holds the lock of apt.",
                "Wait for its end (an automatic upgrade takes some minutes), then check again.", host=seen.wanted.name,
            )  # fmt: skip
        if broken := seen.told["broken"]:
            yield error(
                "apt.broken", f"dpkg has packages that are half installed: {' '.join(broken.split())[:300]}",
                "Repair it there: dpkg --configure -a && apt-get --fix-broken install", host=seen.wanted.name,
            )  # fmt: skip


def surroundings(survey: Survey) -> Iterator[Finding]:
    for seen in survey.asked:
        name = seen.wanted.name
        if not {"c.utf8", "c.utf-8"} & set(seen.told["locales"]):
            yield warning(
                "surroundings.locale", "It does not have the locale C.UTF-8, with which the database is made.",
                "Install the package libc-bin anew: apt-get install --reinstall libc-bin", host=name,
            )  # fmt: skip
        if seen.told["swap"]:
            yield warning(
                "surroundings.swap", f"It has {seen.told['swap']} MB of swap: a service that is swapped out misses its votes.",
                "Switch it off (swapoff -a, and its line in /etc/fstab), or set vm.swappiness=1.", host=name,
            )  # fmt: skip
        if seen.told["has_updates"]:
            yield warning(
                "surroundings.upgrades", "It upgrades itself automatically, and may restart services of several hosts at once.",
                "Leave out PostgreSQL, etcd and RabbitMQ (Unattended-Upgrade::Package-Blacklist), or stagger the hosts.",
                host=name,
            )  # fmt: skip
        if failed := seen.told["failed"]:
            yield warning(
                "surroundings.failed", f"Units of systemd have failed there: {', '.join(failed[:10])}.",
                "Look at them with `systemctl status`; what is not needed: systemctl disable --now, reset-failed.", host=name,
            )  # fmt: skip
