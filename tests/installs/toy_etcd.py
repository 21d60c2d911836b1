"""etcd on hosts as far as its members are told of: a double that may lose a worker's work after any command."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace

from inventory.connectors.ssh.commands import Output

CHANGING = ("add", "promote", "remove", "move-leader")


class Killed(BaseException):
    """The worker that carried the step out is gone."""


class ToyEtcd:
    """A running etcd of `members` {name: address}, and hosts on which it may begin."""

    def __init__(self, members):
        self.ids = iter(range(1000, 2000))
        self.listed = [self.line(name, address) for name, address in members.items()]
        self.leader = self.listed[0]["ID"]
        self.units: dict[str, str] = dict.fromkeys(members, "active")
        self.data: dict[str, int] = {each["name"]: each["ID"] for each in self.listed}
        self.files: dict[tuple[str, str], bytes] = {}
        self.commands: list[str] = []
        self.kill_after = 0  # so many commands that change something

    def line(self, name, address, **more):
        return {"ID": next(self.ids), "name": name, "peerURLs": [f"https://{address}:2380"]} | more

    def names(self):
        return sorted(each["name"] for each in self.listed if not each.get("isLearner"))

    def snapshot(self):
        return json.dumps([self.listed, sorted(self.units.items()), sorted(self.data.items())])

    @contextmanager
    def session(self, cluster, name):
        yield ToyHost(self, name)

    def change(self, what):
        """Something happened for good; the worker may end right after it."""
        self.commands.append(what)
        if self.kill_after and len(self.commands) == self.kill_after:
            raise Killed(what)


class ToyHost:
    """What an operation may ask of a host."""

    credential = SimpleNamespace(hidden=[])

    def __init__(self, toy, name):
        self.toy, self.name = toy, name
        self.address = SimpleNamespace(host=name)

    def facts(self):
        return SimpleNamespace(memory=1024)

    def test(self, command, **more):
        return self.run(command, codes=None).code == 0

    def make_folder(self, path, **more):
        return True

    def put(self, path, content, **more):
        self.toy.files[self.name, path] = content

    def forget(self, unit):
        """Nothing runs apart."""

    def run(self, command, *, codes=(0,), **more):
        parts = list(command.parts)
        if parts[:1] == ["env"]:
            return self.etcdctl(parts[7:])
        if parts[:1] == ["systemctl"]:
            return self.systemctl(parts[1:])
        if parts[:2] == ["test", "-d"]:
            return said("", self.name not in self.toy.data)
        if parts[:2] == ["rm", "-rf"]:
            if self.toy.data.pop(self.name, None):
                self.toy.change(f"{self.name}: wiped")
            return said()
        if parts[:2] == ["sh", "-euc"] and "sha256sum" in parts[2]:
            return said("-\n" * len(parts[4:]))
        raise AssertionError(f"nobody expected {parts}")

    def systemctl(self, words):
        toy, verb = self.toy, words[0]
        if verb == "is-active":
            state = toy.units.get(self.name, "inactive")
            return said(state, state != "active")
        if verb == "stop" and toy.units.get(self.name, "inactive") != "inactive":
            toy.units[self.name] = "inactive"
            toy.change(f"{self.name}: stopped")
        if verb == "restart":
            self.begin()
        return said()

    def begin(self):
        """As etcd does: with data of a line that is there, or with none below a line that was never started."""
        toy = self.toy
        lines = [each for each in toy.listed if each["ID"] == toy.data.get(self.name)]
        if not lines and self.name not in toy.data:
            text = next(
                content.decode()
                for (host, path), content in toy.files.items()
                if (host, path) == (self.name, "/etc/default/etcd")
            )
            told = next(line for line in text.splitlines() if line.startswith("ETCD_INITIAL_CLUSTER=")).partition("=")[
                2
            ]
            assert "ETCD_INITIAL_CLUSTER_STATE=existing" in text
            assert sorted(each.partition("=")[2] for each in told.split(",")) == sorted(
                each["peerURLs"][0] for each in toy.listed
            )
            lines = [each for each in toy.listed if not each["name"]]
        if not lines:
            toy.units[self.name] = "failed"
            return
        lines[0]["name"], toy.data[self.name], toy.units[self.name] = self.name, lines[0]["ID"], "active"
        toy.change(f"{self.name}: begun")

    def etcdctl(self, words):
        toy = self.toy
        if words[:2] == ["member", "list"]:
            return said(json.dumps({"members": toy.listed}))
        if words[:2] == ["endpoint", "health"]:
            return said(json.dumps([{"endpoint": each["peerURLs"][0].replace("2380", "2379"), "health": True} for each in toy.listed if toy.units.get(each["name"]) == "active"]))  # fmt: skip
        if words[:2] == ["endpoint", "status"]:
            return said(json.dumps([{"Status": {"leader": toy.leader}}]))
        if words[:2] == ["member", "add"]:
            address = words[-1].partition("//")[2].partition(":")[0]
            assert words[3] == "--learner" and not any(each.get("isLearner") for each in toy.listed)
            toy.listed.append(toy.line("", address, isLearner=True))
            toy.change(f"{words[2]}: added")
            return said()
        if words[0] == "move-leader":
            toy.leader = int(words[1], 16)
            toy.change("leader moved")
            return said()
        line = next(each for each in toy.listed if each["ID"] == int(words[2], 16))
        if words[:2] == ["member", "promote"]:
            line.pop("isLearner")
        else:
            assert line["ID"] != toy.leader, "the one that leads was removed"
            toy.listed.remove(line)
        toy.change(f"{line['name'] or 'unnamed'}: {words[1]}d")
        return said()


def said(text="", code=0):
    return Output(int(code), text.encode(), "")
