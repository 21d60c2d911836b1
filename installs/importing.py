"""A cluster's description as a file: YAML with everything, or CSV with a line a host; read with a line by line report, and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actors import Actor
from accounts.models import Tenant
from installs import services
from installs.describing import Description, described, described_host, read_description
from installs.findings import Finding, errors_of
from installs.serializers import ClusterInSerializer
from installs.topology import findings
from inventory import described_files
from inventory.described_files import Line, words_of, write_yaml
from inventory.models import Cluster

LONGEST = 512 * 1024  # characters; a thousand hosts fit
COLUMNS = (
    "name", "private_address", "public_address", "parts", "networks", "machine", "ssh_address", "ssh_port", "ssh_user",
    "private_key_secret", "password_secret", "sudo_password_secret", "host_key",
)  # fmt: skip


@dataclass
class Report(described_files.Report):
    """What a file says of a cluster. It is imported only where no line has an error and the layout no error finding."""

    findings: list[Finding] = field(default_factory=list)
    description: Description | None = None
    cluster: Cluster | None = None

    @property
    def has_errors(self) -> bool:
        return self.has_faults or bool(errors_of(self.findings))


@dataclass(frozen=True)
class _File:
    """A parsed file: the description, and on which line each host begins."""

    given: dict[str, Any]
    lines: tuple[int, ...]


@transaction.atomic
def import_layout(
    *,
    by: Actor,
    tenant: Tenant,
    text: str,
    format: str = "yaml",
    name: str = "",
    is_dry_run: bool = False,
    is_draft: bool = False,
) -> Report:
    """Read a file and, unless it is a dry run or has errors, describe the cluster, or bring the one of that name to it.

    `name` is the cluster's for CSV, which has none of its own. Hosts that the file does not name are removed from an existing one.
    """
    report = inspect(tenant=tenant, text=text, format=format, name=name)
    if is_dry_run or report.has_faults or report.description is None or (report.has_errors and not is_draft):
        return report
    if report.cluster is None:
        report.cluster = services.describe_cluster(
            by=by, tenant=tenant, description=report.description, is_draft=is_draft
        )
    else:
        services.redescribe_cluster(by=by, cluster=report.cluster, description=report.description, is_draft=is_draft)
    report.is_done = True
    return report


def inspect(*, tenant: Tenant, text: str, format: str = "yaml", name: str = "") -> Report:
    """The report alone; nothing is written."""
    report = Report()
    try:
        file = _read(text, format, name, tenant)
    except ValidationError as refused:
        report.lines.append(Line(0, "", "error", tuple(refused.messages)))
        return report
    read = ClusterInSerializer(data=file.given)
    if not read.is_valid():
        report.lines = _fault_lines(file, read.errors)
        return report
    report.description = read_description(read.validated_data)
    layout = report.description.layout
    report.findings = findings(layout)
    report.cluster = Cluster.objects.with_hosts().filter(tenant=tenant, name=layout.name).first()
    report.lines = _verdicts(file, report)
    return report


def export_layout(cluster: Cluster, format: str = "yaml") -> str:
    """The file that `import_layout` reads; names of secrets, never their values."""
    told = described(cluster)
    return described_files.write_csv(COLUMNS, map(_flat, told["hosts"])) if format == "csv" else write_yaml(told)


def _flat(host: dict[str, Any]) -> dict[str, Any]:
    networks = ";".join(f"{name}={address}" for name, address in host.get("networks", {}).items())
    return host | {"parts": "+".join(host["parts"]), "networks": networks}


def _read(text: str, format: str, name: str, tenant: Tenant) -> _File:
    described_files.check_text(text, format, LONGEST)
    return _read_csv(text, name, tenant) if format == "csv" else _read_yaml(text, name)


def _read_yaml(text: str, name: str) -> _File:
    file = described_files.read_yaml(text)
    if not isinstance(file.value, dict):
        raise ValidationError("The file holds no description. Begin with `name:` and `hosts:`; an export shows how.")
    hosts = file.value.get("hosts")
    lines = islice(file.lines_of("hosts"), len(hosts) if isinstance(hosts, list) else 0)
    return _File({"name": name, **file.value} if name else file.value, tuple(lines))


def _read_csv(text: str, name: str, tenant: Tenant) -> _File:
    """Hosts alone: what else the cluster is stays as it is, or usual."""
    if not name:
        raise ValidationError("CSV has a line a host and no name of the cluster. Say it beside the file.")
    hosts, lines = [], []
    for line, told in described_files.read_csv(text, COLUMNS):
        if networks := told.get("networks"):
            pairs = (pair.partition("=") for pair in networks.split(";"))
            told["networks"] = {network.strip(): address.strip() for network, _, address in pairs}
        hosts.append(told)
        lines.append(line)
    present = Cluster.objects.filter(tenant=tenant, name=name).first()
    given = {key: value for key, value in described(present).items() if key != "hosts"} if present else {"name": name}
    return _File(given | {"hosts": hosts}, tuple(lines))


def _fault_lines(file: _File, faults: Mapping[str, Any]) -> list[Line]:
    """What the fields' own rules refused, at the line of its host."""
    lines = []
    for name, problem in faults.items():
        if name == "hosts" and isinstance(problem, Mapping) and all(str(key).isdigit() for key in problem):
            for number, inner in sorted((int(key), inner) for key, inner in problem.items()):
                row = file.given["hosts"][number]
                host = str(row.get("name", "")) if isinstance(row, dict) else ""
                lines.append(Line(_line(file, number), host, "error", tuple(words_of(inner))))
        else:
            lines.append(Line(0, "", "error", tuple(words_of({name: problem}))))
    return lines


def _verdicts(file: _File, report: Report) -> list[Line]:
    """Each host of the file against what is there; findings are told at their line too."""
    assert report.description is not None
    present = {host.name: host for host in report.cluster.layout().hosts} if report.cluster else {}
    lines = []
    for number, host in enumerate(report.description.layout.hosts):
        known = present.pop(host.name, None)
        verdict = "new" if known is None else "same" if described_host(known) == described_host(host) else "changed"
        told = tuple(finding.sentence for finding in report.findings if finding.host == host.name)
        lines.append(Line(_line(file, number), host.name, verdict, told))
    return lines + [Line(0, name, "removed", ("The file does not name it.",)) for name in present]


def _line(file: _File, number: int) -> int:
    return file.lines[number] if number < len(file.lines) else 0
