"""The operation that looks at all hosts of a cluster at once; its findings are events of its run, and one report."""

from __future__ import annotations

import dataclasses
from typing import Any

from installs.bundle.manifest import BundleError, find_bundle
from installs.externals.logins import Login, logins_of
from installs.packages import packages_of
from installs.preflight.checks import examine, report
from installs.preflight.survey import Survey, survey
from installs.reaching import address_of, credential_of
from inventory.cluster_hosts import record_offered_key
from inventory.connectors.ssh import HostAddress, HostCredential
from inventory.models import Cluster, ClusterNode
from runs.operations import Context, Later, Operation, OperationError, operation

KEY = "cluster.preflight"
FINDING, REPORT = "finding", "preflight"  # kinds of its events


@operation(KEY)
@dataclasses.dataclass(frozen=True)
class Preflight(Operation):
    """Find everything that would keep this cluster from being built. Reads only, also where it is asked to act."""

    cluster: int

    def describe(self) -> str:
        return "Check all hosts before anything is touched"

    def check(self, context: Context) -> bool | Later:
        nodes = _nodes(self.cluster)
        access = {node.name: (address_of(node), credential_of(node)) for node in nodes}
        for _, credential in access.values():
            for value in credential.hidden:
                context.hide(value)
        logins = logins_of(nodes[0].cluster)
        for login in logins.values():
            context.hide(login.password)
        found = look(nodes, access, logins)
        findings = examine(found)
        for finding in findings:
            context.say(finding.sentence, kind=FINDING, finding=finding.as_json())
        told = report(found, findings)
        errors = sum(finding.is_error for finding in findings)
        context.say(_summary(told, errors), kind=REPORT, **told)
        if errors:
            first = next(finding.sentence for finding in findings if finding.is_error)
            more = f" And {errors - 1} more: the events of this step have them all." if errors > 1 else ""
            raise OperationError(f"{first}{more}", cause="preflight")
        return True

    def apply(self, context: Context) -> Later | None:
        return None  # `check` either finds nothing wrong, or raises


def look(
    nodes: list[ClusterNode],
    access: dict[str, tuple[HostAddress, HostCredential]],
    logins: dict[str, Login] | None = None,
) -> Survey:
    """The survey, with what the portal itself knows: new host keys are kept for a person to look at."""
    layout = nodes[0].cluster.layout()
    found = survey(layout, access, logins)
    by_name = {node.name: node for node in nodes}
    for seen in found.hosts:
        if seen.error is not None and seen.error.key:
            record_offered_key(node=by_name[seen.wanted.name], public_key=seen.error.key)
    try:
        bundle = find_bundle(layout.release)
        found.has_bundle = bundle is not None
        if bundle is not None:
            bundle.require({name for host in layout.hosts for name in packages_of(layout, host)})
    except BundleError as error:
        found.bundle_fault = error.message
    return found


def _nodes(cluster_id: int) -> list[ClusterNode]:
    rows = ClusterNode.objects.filter(cluster=cluster_id).prefetch_related("host_keys")
    nodes = list(rows.select_related("cluster", "private_key", "password", "sudo_password"))
    if not nodes:
        exists = Cluster.objects.filter(pk=cluster_id).exists()
        raise OperationError(
            "The cluster has no hosts: add some first." if exists else "This cluster is not there any more.",
            cause="gone",
        )
    return nodes


def _summary(told: dict[str, Any], errors: int) -> str:
    warnings = len(told["findings"]) - errors
    hosts = f"{len(told['hosts'])} hosts and {told['ways']} ways between them"
    if not told["findings"]:
        return f"Looked at {hosts}: nothing is in the way."
    return f"Looked at {hosts}: {errors} errors, {warnings} warnings."
