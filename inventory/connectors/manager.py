"""The only module that speaks REST v3.1 to a remote manager: one method a call, typed answers, every failure a ManagerError."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from inventory.connectors.conversation import BASE, Conversation, to_json
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.fields import NEEDED
from inventory.connectors.replies import Status, Token, Version, Whoami
from inventory.connectors.resources import (
    Blueprint,
    BlueprintPlan,
    Deployment,
    Event,
    EventPage,
    Execution,
    Node,
    NodeInstance,
    UpdateStep,
)
from inventory.connectors.shapes import items, mapping, number, text, text_or_empty, total
from inventory.connectors.transport import Reply

Query = Iterable[tuple[str, str]]


class ManagerClient(Conversation):
    """A conversation with one tenant of one remote manager, by one thread at a time; a context manager that closes it.

    Lists are read in one page of at most `size` rows. Nothing is retried but a read whose kept connection had been closed.
    """

    # The manager and us

    def ok(self) -> Reply:
        """The raw answer of GET /ok, which needs no credential and is sent none: proof that HTTP works, whatever it says."""
        return self._transport.request("GET", BASE + "/ok", {})

    def version(self) -> Version:
        return self._get("/version", Version.read)

    def status(self) -> Status:
        """Whether the manager's parts are well. Opens a connection to its broker: some 85 ms, seconds when that is down."""
        return self._get("/status", Status.read)

    def whoami(self) -> Whoami:
        return self._get("/user?_get_data=true", Whoami.read)

    def tenants(self) -> list[str]:
        """Names of the tenants that the manager lists; some editions list those that the account may not enter."""
        return self._get("/tenants?_size=1000", lambda content: [str(row.get("name")) for row in items(content)])

    def mint_token(self, description: str, expires: str = "") -> Token:
        """Make a token for this account. `expires` as the manager takes it ('+30 days'); empty: never."""
        body = {"description": description, **({"expiration_date": expires} if expires else {})}
        return self._send("POST", "/tokens", Token.read, body)

    def token_expiration(self, token_id: str) -> str:
        """When a token of ours ends, as text; empty: never."""
        return self._get(f"/tokens/{_id(token_id)}", lambda content: text_or_empty(content, "expiration_date"))

    def revoke_token(self, token_id: str) -> None:
        self._request("DELETE", f"/tokens/{_id(token_id)}", self._headers)

    # Blueprints

    def blueprint(self, blueprint_id: str) -> Blueprint:
        return self._get(f"/blueprints/{_id(blueprint_id)}?_include=id,state,error", Blueprint.read)

    def blueprint_plan(self, blueprint_id: str) -> BlueprintPlan:
        """What a blueprint that is there asks for and offers."""
        return self._get(f"/blueprints/{_id(blueprint_id)}?_include=id,state,description,plan", BlueprintPlan.read)

    def blueprint_archive(self, blueprint_id: str) -> tuple[bytes, str]:
        """(the archive as it was uploaded, its main file)."""
        address = f"/blueprints/{_id(blueprint_id)}"
        main_file = self._get(f"{address}?_include=id,main_file_name", lambda content: text(content, "main_file_name"))
        return self._request("GET", f"{address}/archive", self._headers).body, main_file

    def upload_blueprint(self, blueprint_id: str, archive: bytes | BinaryIO, main_file: str) -> Blueprint:
        """Send an archive (zip, tar, tar.gz or tar.bz2 with one top folder); unpacked there afterwards: poll `blueprint`."""
        query = _query([("application_file_name", main_file), ("visibility", "tenant"), ("async_upload", "true")])
        length = len(archive) if isinstance(archive, bytes) else archive.seek(0, os.SEEK_END)
        if not isinstance(archive, bytes):
            archive.seek(0)
        headers = {**self._headers, "Content-Type": "application/octet-stream", "Content-Length": str(length)}
        path = f"/blueprints/{_id(blueprint_id)}{query}"
        return self._read(
            self._request("PUT", path, headers, archive, self._timeouts.upload), Blueprint.read, is_write=True
        )

    def delete_blueprint(self, blueprint_id: str) -> None:
        self._request("DELETE", f"/blueprints/{_id(blueprint_id)}", self._headers)

    # Deployments

    def deployment(self, deployment_id: str) -> Deployment:
        return self._get(f"/deployments/{_id(deployment_id)}?_include={Deployment.FIELDS}", Deployment.read)

    def create_deployment(
        self,
        deployment_id: str,
        blueprint_id: str,
        inputs: Mapping[str, Any],
        labels: Mapping[str, str],
        *,
        display_name: str = "",
        site_name: str = "",
    ) -> Deployment:
        """Ask for a deployment; the manager makes it afterwards. Poll `deployment` until its creation has ended."""
        body: dict[str, Any] = {
            "blueprint_id": blueprint_id,
            "inputs": inputs,
            "labels": [{key: value} for key, value in labels.items()],
            "visibility": "tenant",
        }
        if display_name:
            body["display_name"] = display_name
        if site_name:
            body["site_name"] = site_name
        return self._send("PUT", f"/deployments/{_id(deployment_id)}?async_create=true", Deployment.read, body)

    def delete_deployment(self, deployment_id: str, *, force: bool = False) -> None:
        """Ask for its removal; it is gone when `deployment` says so. Raises conflict while it has live nodes or executions."""
        self._request("DELETE", f"/deployments/{_id(deployment_id)}{'?force=true' if force else ''}", self._headers)

    def search_deployments(self, rules: list[dict[str, Any]], size: int = 1000, offset: int = 0) -> list[Deployment]:
        """Deployments that match filter rules (`spire` operators); without rules, all of the tenant."""
        query = _query(
            [("_include", Deployment.FIELDS), ("_sort", "id"), ("_size", str(size)), ("_offset", str(offset))]
        )
        reply = self._request(
            "POST",
            f"/searches/deployments{query}",
            self._json_headers,
            to_json({"filter_rules": rules}),
            is_write=False,
        )
        return self._read(reply, lambda content: [Deployment.read(row) for row in items(content)])

    def all_deployments(self, page: int = 1000) -> list[Deployment]:
        """All of the tenant that this account sees, read page by page."""
        rows: list[Deployment] = []
        while True:
            rows += (found := self.search_deployments([], page, len(rows)))
            if len(found) < page:
                return rows

    def count_deployments(self, query: Query = ()) -> int:
        """How many deployments this account sees here; with fields such as ('blueprint_id', 'app') only those."""
        needed = ",".join(sorted(NEEDED))  # asked for, so that a manager without them is found out by the first look
        return self._get(f"/deployments{_query([*query, ('_include', needed), ('_size', '0')])}", _total_of_list)

    def capabilities(self, deployment_id: str) -> dict[str, Any]:
        """Values that the deployment offers to others, evaluated now; empty before it is made."""
        return self._get(
            f"/deployments/{_id(deployment_id)}/capabilities", lambda content: mapping(content, "capabilities")
        )

    def secret_names(self) -> frozenset[str]:
        """Of the secrets that this account sees in the tenant; no value is asked for."""
        query = _query([("_include", "key"), ("_size", "10000")])
        return self._get(f"/secrets{query}", lambda content: frozenset(str(row["key"]) for row in items(content)))

    def outputs(self, deployment_id: str) -> dict[str, Any]:
        return self._get(f"/deployments/{_id(deployment_id)}/outputs", lambda content: mapping(content, "outputs"))

    def nodes(self, deployment_id: str) -> list[Node]:
        query = _query([("deployment_id", deployment_id), ("_include", "id,type,actual_number_of_instances")])
        return self._get(f"/nodes{query}", lambda content: [Node.read(row) for row in items(content)])

    def node_instances(self, deployment_id: str) -> list[NodeInstance]:
        query = _query([("deployment_id", deployment_id), ("_include", "id,node_id,state,runtime_properties")])
        return self._get(f"/node-instances{query}", lambda content: [NodeInstance.read(row) for row in items(content)])

    def set_labels(self, deployment_id: str, labels: Mapping[str, Iterable[str]]) -> None:
        """Replace all labels of a deployment."""
        pairs = [{key: value} for key, values in labels.items() for value in values]
        self._send("PATCH", f"/deployments/{_id(deployment_id)}", Deployment.read, {"labels": pairs})

    def update_deployment(self, deployment_id: str, blueprint_id: str, inputs: Mapping[str, Any]) -> str:
        """Start an update to this blueprint and these inputs; the id of its execution."""
        body = {"blueprint_id": blueprint_id, "inputs": inputs}
        path = f"/deployment-updates/{_id(deployment_id)}/update/initiate"
        return self._send("POST", path, lambda content: text(content, "execution_id"), body)

    def preview_update(self, deployment_id: str, blueprint_id: str, inputs: Mapping[str, Any]) -> list[UpdateStep]:
        """The steps that such an update would take; nothing is changed."""
        body = {"blueprint_id": blueprint_id, "inputs": inputs, "preview": True}
        path = f"/deployment-updates/{_id(deployment_id)}/update/initiate"
        return self._send("POST", path, UpdateStep.read_all, body)

    # Executions and their events

    def start_execution(
        self, deployment_id: str, workflow: str, parameters: Mapping[str, Any] | None = None
    ) -> Execution:
        """Start a workflow. Raises busy while another runs there, conflict where the workflow does not apply now."""
        body = {"deployment_id": deployment_id, "workflow_id": workflow, "parameters": dict(parameters or {})}
        return self._send("POST", "/executions", Execution.read, body)

    def execution(self, execution_id: str) -> Execution:
        return self._get(f"/executions/{_id(execution_id)}?_include={Execution.FIELDS}", Execution.read)

    def executions(
        self, deployment_id: str, statuses: Iterable[str] = (), *, system: bool = False, size: int = 100
    ) -> list[Execution]:
        """Executions of a deployment, newest first; `system` adds those that make and remove deployments."""
        query = [("deployment_id", deployment_id), ("_sort", "-created_at"), ("_size", str(size))]
        query += [("_include", Execution.FIELDS), *(("status", status) for status in statuses)]
        if system:
            query.append(("_include_system_workflows", "true"))
        return self._get(f"/executions{_query(query)}", lambda content: [Execution.read(row) for row in items(content)])

    def cancel_execution(self, execution_id: str, kind: str = "cancel") -> Execution:
        """Ask for an end: kind is cancel, force-cancel or kill. Raises conflict when it has already ended."""
        if kind not in ("cancel", "force-cancel", "kill"):
            raise ValueError(f"no way to cancel is called {kind!r}")
        return self._send("POST", f"/executions/{_id(execution_id)}", Execution.read, {"action": kind})

    def events(self, execution_id: str, *, since: str = "", offset: int = 0, size: int = 500) -> EventPage:
        """Events and logs of an execution by time reported. A log may be reported late: read from a little before the last."""
        query = [("execution_id", execution_id), ("type", "cloudify_event"), ("type", "cloudify_log")]
        query += [("_sort", "reported_timestamp"), ("_size", str(size)), ("_offset", str(offset))]
        if since:
            query.append(("_range", f"reported_timestamp,{since},"))
        return self._get(
            f"/events{_query(query)}",
            lambda content: EventPage(tuple(Event.read(row) for row in items(content)), total(content)),
        )


def _total_of_list(content: Mapping[str, Any]) -> int:
    items(content)
    return number(mapping(mapping(content, "metadata"), "pagination"), "total")


def _id(value: str) -> str:
    if not value or value in (".", ".."):
        raise ManagerError(ErrorKind.INPUT, "An id is missing. Choose what is meant, and try again.")
    return quote(value, safe="")


def _query(pairs: Query) -> str:
    return "?" + urlencode(list(pairs), safe=",:-_.")
