"""`python -m tests.lab`: the lab by hand."""

from __future__ import annotations

import argparse
import os
import sys

from tests.lab import base
from tests.lab.lab import Lab
from tests.lab.machine import LabError, lacks, require

ABOUT = """\
Debian hosts with systemd, sshd, an address and a disk of their own on this one machine. Needs root.

LAB_DIR      where bases, golden layers and hosts lie (var/lab)
LAB_PREFIX   begins the names of links, namespaces and the cgroup (lab)
LAB_SUBNET   the hosts' network; the machine is its first address (10.77.0.0/24)
Two labs side by side need a prefix and a subnet each, and share bases and golden layers.
"""
# verb: (what it does, whether no name means all hosts)
ON_HOSTS = {
    "start": ("boots hosts and returns at once", True),
    "wait": ("until sshd answers on hosts", True),
    "stop": ("shuts hosts down in good order", True),
    "cut": ("power cut: everything ends at once, nobody is told", False),
    "reboot": ("reboots hosts in good order", False),
    "freeze": ("pauses hosts as a hypervisor would", False),
    "thaw": ("lets frozen hosts go on", False),
    "unplug": ("takes the network cable out: not even this machine reaches the host", False),
    "plug": ("puts the cable back", False),
    "destroy": ("cuts hosts and removes their files", False),
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m tests.lab", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("check", help="says what this machine lacks")
    one = verbs.add_parser("base", help="builds a base, once; create does it where needed")
    one.add_argument(
        "releases", nargs="*", metavar="RELEASE", help=f"{' or '.join(base.RELEASES)} ({base.RELEASES[0]})"
    )
    one.add_argument(
        "--again", action="store_true", help="builds it anew, with today's packages; only while no host lies on it"
    )
    for verb, text in {"create": "makes hosts that are off", "up": "create, start and wait"}.items():
        one = verbs.add_parser(verb, help=text)
        one.add_argument("names", nargs="+", metavar="NAME")
        one.add_argument("--release", default=base.RELEASES[0], choices=base.RELEASES)
        one.add_argument("--golden", metavar="LAYER", help="lays them over a layer that `save` made")
        one.add_argument(
            "--ordinary",
            action="append",
            default=[],
            metavar="NAME",
            help="this one logs in as a user with sudo and a password",
        )
        one.add_argument(
            "--apt-daily", action="append", default=[], metavar="NAME", help="this one keeps its apt timers"
        )
    for verb, (text, all_of_them) in ON_HOSTS.items():
        one = verbs.add_parser(verb, help=text)
        one.add_argument("names", nargs="*" if all_of_them else "+", metavar="NAME")
    one = verbs.add_parser(
        "partition", help="cuts a host from others, without names from all; this machine still reaches it"
    )
    one.add_argument("name", metavar="NAME")
    one.add_argument("names", nargs="*", metavar="OTHER")
    one = verbs.add_parser("heal", help="takes cuts back, without a name all of them")
    one.add_argument("names", nargs="*", metavar="NAME")
    one = verbs.add_parser("save", help="keeps a stopped host's files as a golden layer")
    one.add_argument("name", metavar="NAME")
    one.add_argument("golden", metavar="LAYER")
    one = verbs.add_parser("ssh", help="a shell, or a command, on a host")
    one.add_argument("name", metavar="NAME")
    one.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    verbs.add_parser("status", help="the hosts, and what is cut")
    verbs.add_parser("down", help="takes all hosts away and leaves nothing but bases and golden layers")
    return top


def print_status(lab: Lab) -> None:
    for host in lab.hosts():
        login = f"{host.user}, password {host.password}" if host.password else host.user
        print(f"{host.name:12} {host.address:15} {host.release:9} {host.state:7} {login}")
    for one, other in lab.network.cuts():
        if one < other:
            print(f"cut: {one} and {other}")
    print(f"bases: {', '.join(sorted(path.name for path in (lab.place / 'bases').glob('[a-z]*-*'))) or 'none'}")
    print(
        f"golden layers: {', '.join(sorted(path.parent.name for path in (lab.place / 'golden').glob('*/golden.json'))) or 'none'}"
    )


def make_bases(lab: Lab, releases: list[str], again: bool) -> None:
    require(lab.place)
    for release in releases or base.RELEASES[:1]:
        for other in (lab.place / "labs").glob("*/*/host.json") if again else ():
            if str(base.path_of(release, lab.place)) in other.read_text():
                raise LabError(
                    f"The host {other.parent.name} of the lab {other.parents[1].name} lies on it: take that lab down first."
                )
        print(base.make(release, lab.place, again=again))


def act(lab: Lab, given: argparse.Namespace) -> int:
    """Does one verb; its exit status."""
    if given.verb == "check":
        found = lacks(lab.place)
        print("\n".join(found) or "This machine can be a lab.")
        return 1 if found else 0
    require(lab.place)
    match given.verb:
        case "base":
            make_bases(lab, given.releases, given.again)
        case "create" | "up":
            lab.create(
                *given.names,
                release=given.release,
                golden=given.golden,
                ordinary=given.ordinary,
                apt_daily=given.apt_daily,
            )
            if given.verb == "up":
                lab.start(*given.names)
                lab.wait(*given.names)
                print_status(lab)
        case "start" | "wait" | "stop":
            getattr(lab, given.verb)(*given.names)
        case "partition":
            lab.host(given.name).partition(*given.names)
        case "heal" if not given.names:
            lab.heal()
        case "save":
            print(lab.save(given.name, given.golden))
        case "status":
            print_status(lab)
        case "down":
            lab.down()
        case "ssh":
            command = lab.host(given.name).ssh_command(*given.words)
            os.execvp(command[0], command)
        case _:
            for host in lab.chosen(given.names):
                getattr(host, given.verb)()
    return 0


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    try:
        return act(Lab(), given)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
