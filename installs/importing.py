"""A cluster's description as a file: YAML with everything, or CSV with a line a host; read with a line by line report, and written."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actors import Actor
from accounts.models import Tenant
from installs import services
from installs.describing import Description, described, described_host, read_description
from installs.findings import Finding, errors_of
from installs.serializers import ClusterInSerializer
from installs.topology import findings
from inventory.models import Cluster

LONGEST = 512 * 1024  # characters; a thousand hosts fit
COLUMNS = (
    "name", "private_address", "public_address", "parts", "networks", "machine", "ssh_address", "ssh_port", "ssh_user",
    "private_key_secret", "password_secret", "sudo_password_secret", "host_key",
)  # fmt: skip


@dataclass(frozen=True)
class ReportLine:
    """What becomes of one line: new, changed, same, removed or error."""

    line: int  # of the file, from 1; 0: the cluster as a whole
    host: str
    verdict: str
    messages: tuple[str, ...] = ()


@dataclass
class Report:
    """What a file says. It is imported only where no line has an error."""

    lines: list[ReportLine] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    description: Description | None = None
    cluster: Cluster | None = None
    is_done: bool = False

    @property
    def has_faults(self) -> bool:
        """Something cannot be read at all."""
        return any(line.verdict == "error" for line in self.lines)

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
        report.lines.append(ReportLine(0, "", "error", tuple(refused.messages)))
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
    if format != "csv":
        return yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for host in told["hosts"]:
        networks = ";".join(f"{name}={address}" for name, address in host.get("networks", {}).items())
        writer.writerow(host | {"parts": "+".join(host["parts"]), "networks": networks})
    return out.getvalue()


def _read(text: str, format: str, name: str, tenant: Tenant) -> _File:
    if len(text) > LONGEST:
        raise ValidationError(f"The file has more than {LONGEST // 1024} KiB. Is it the right one?")
    if format == "csv":
        return _read_csv(text, name, tenant)
    if format != "yaml":
        raise ValidationError("Choose the format yaml or csv.")
    return _read_yaml(text, name)


def _read_yaml(text: str, name: str) -> _File:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise ValidationError(
            f"This is no YAML ({where}: {getattr(error, 'problem', '') or 'it breaks off'}). Correct that line."
        ) from None
    if not isinstance(given, dict):
        raise ValidationError("The file holds no description. Begin with `name:` and `hosts:`; an export shows how.")
    lines: tuple[int, ...] = ()
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "hosts" and isinstance(value, yaml.SequenceNode):
            lines = tuple(row.start_mark.line + 1 for row in value.value)
    return _File({"name": name, **given} if name else given, lines)


def _read_csv(text: str, name: str, tenant: Tenant) -> _File:
    """Hosts alone: what else the cluster is stays as it is, or usual."""
    if not name:
        raise ValidationError("CSV has a line a host and no name of the cluster. Say it beside the file.")
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), skipinitialspace=True)
    unknown = [column for column in reader.fieldnames or () if column not in COLUMNS]
    if unknown or not reader.fieldnames:
        raise ValidationError(
            f"The first line must name the columns. Unknown: {', '.join(map(str, unknown)) or 'all'}; "
            f"known: {', '.join(COLUMNS)}."
        )
    hosts, lines = [], []
    for row in reader:
        if None in row:
            raise ValidationError(f"Line {reader.line_num} has more fields than columns. Quote values with commas.")
        told: dict[str, Any] = {column: value.strip() for column, value in row.items() if value and value.strip()}
        if networks := told.get("networks"):
            pairs = (pair.partition("=") for pair in networks.split(";"))
            told["networks"] = {network.strip(): address.strip() for network, _, address in pairs}
        hosts.append(told)
        lines.append(reader.line_num)
    present = Cluster.objects.filter(tenant=tenant, name=name).first()
    given = {key: value for key, value in described(present).items() if key != "hosts"} if present else {"name": name}
    return _File(given | {"hosts": hosts}, tuple(lines))


def _fault_lines(file: _File, faults: Mapping[str, Any]) -> list[ReportLine]:
    """What the fields' own rules refused, at the line of its host."""
    lines = []
    for name, problem in faults.items():
        if name == "hosts" and isinstance(problem, Mapping) and all(str(key).isdigit() for key in problem):
            for number, inner in sorted((int(key), inner) for key, inner in problem.items()):
                row = file.given["hosts"][number]
                host = str(row.get("name", "")) if isinstance(row, dict) else ""
                lines.append(ReportLine(_line(file, number), host, "error", tuple(_words(inner))))
        else:
            lines.append(ReportLine(0, "", "error", tuple(_words({name: problem}))))
    return lines


def _words(problem: Any, place: str = "") -> list[str]:
    if isinstance(problem, Mapping):
        return [word for name, inner in problem.items() for word in _words(inner, f"{place}.{name}".strip("."))]
    if isinstance(problem, list):
        return [word for inner in problem for word in _words(inner, place)]
    return [f"{place}: {problem}" if place and place != "non_field_errors" else str(problem)]


def _verdicts(file: _File, report: Report) -> list[ReportLine]:
    """Each host of the file against what is there; findings are told at their line too."""
    assert report.description is not None
    present = {host.name: host for host in report.cluster.layout().hosts} if report.cluster else {}
    lines = []
    for number, host in enumerate(report.description.layout.hosts):
        known = present.pop(host.name, None)
        verdict = "new" if known is None else "same" if described_host(known) == described_host(host) else "changed"
        told = tuple(finding.sentence for finding in report.findings if finding.host == host.name)
        lines.append(ReportLine(_line(file, number), host.name, verdict, told))
    return lines + [ReportLine(0, name, "removed", ("The file does not name it.",)) for name in present]


def _line(file: _File, number: int) -> int:
    return file.lines[number] if number < len(file.lines) else 0
