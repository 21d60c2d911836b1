"""Which executions may be started, steered and resumed, and how that shows at the deployment; nothing is run here."""

from __future__ import annotations

import pytest

from accounts.models import AuditEntry
from inventory.models import Deployment
from orchestration import deployments, executions, states
from orchestration.errors import Refused
from orchestration.models import Execution, StoredOperation, TaskGraph
from orchestration.workflows import listed_workflows
from runs.states import RunState
from tests import factories
from tests.inventory.factories import deployment as bare_deployment
from tests.orchestration import factories as made

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
State = Execution.State


@pytest.fixture
def by(alice):
    return factories.actor(alice, "v3.1")


def refusal(call, **arguments) -> str:
    with pytest.raises(Refused) as refused:
        call(**arguments)
    return refused.value.code


def test_a_started_execution_is_a_run_of_one_step_and_shows_at_its_deployment(acme, by):
    local = made.local(acme, "one", instances=("uninitialized",))
    execution = executions.start(by=by, local=local, workflow="install", parameters={"node_ids": ["app"]})
    assert execution.parameters == {"node_ids": ["app"]} and execution.state == State.PENDING
    assert [(step.operation, step.args["execution"]) for step in execution.run.steps.all()] == [
        ("execution.run_workflow", str(execution.pk))
    ]
    row = Deployment.objects.get(wire_id="one")
    assert (row.latest_execution, row.latest_execution_workflow, row.latest_execution_status) == (
        str(execution.pk),
        "install",
        "in_progress",
    )
    assert row.deployment_status == "in_progress" and row.installation_status == "inactive"
    assert AuditEntry.objects.get(action="execution.start").actor == "alice"


def test_a_second_one_is_refused_queued_or_forced(acme, by):
    local = made.local(acme, instances=("uninitialized",))
    first = executions.start(by=by, local=local, workflow="install")
    assert refusal(executions.start, by=by, local=local, workflow="install") == "existing_running_execution_error"
    queued = executions.start(by=by, local=local, workflow="uninstall", queue=True)
    assert queued.state == State.QUEUED and queued.run.state == RunState.HELD and "deployment:" in queued.run.lock
    forced = executions.start(by=by, local=local, workflow="uninstall", force=True)
    assert forced.state == State.PENDING and forced.run.lock == "" and forced.run.state != RunState.HELD
    assert first.run.lock == queued.run.lock


@pytest.mark.parametrize(
    ("workflow", "parameters", "custom", "code"),
    [
        ("fly", {}, False, "nonexistent_workflow_error"),
        ("install", {"zz": 1}, False, "illegal_execution_parameters_error"),
        ("greet", {}, False, "illegal_execution_parameters_error"),
        ("greet", {"name": "x", "times": "many"}, True, "illegal_execution_parameters_error"),
        ("greet", {"name": 1}, True, "illegal_execution_parameters_error"),
        ("install", {}, False, "unavailable_workflow_error"),
    ],
)
def test_what_cannot_be_started_is_refused_with_the_code_of_the_wire(acme, by, workflow, parameters, custom, code):
    local = made.local(acme, instances=("started",))
    assert (
        refusal(executions.start, by=by, local=local, workflow=workflow, parameters=parameters, allow_custom=custom)
        == code
    )
    assert not Execution.objects.exists()


def test_parameters_get_their_defaults_and_types(acme, by):
    execution = executions.start(
        by=by,
        local=made.local(acme),
        workflow="greet",
        parameters={"name": "x", "times": "3", "more": 1},
        allow_custom=True,
    )
    assert execution.parameters == {"name": "x", "times": 3, "more": 1}


@pytest.mark.parametrize(
    ("instances", "available"),
    [
        ((), {"install", "uninstall"}),
        (("uninitialized",), {"install"}),
        (("started",), {"uninstall"}),
        (("started", "uninitialized"), {"install", "uninstall"}),
        (("creating",), {"install", "uninstall"}),
    ],
)
def test_which_of_the_built_in_workflows_are_available(acme, by, instances, available):

    listed = listed_workflows(made.PLAN, list(instances))
    assert {workflow["name"] for workflow in listed if workflow["is_available"]} - {"greet"} == available


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.PENDING, "deployment_environment_creation_pending_error"),
        (State.STARTED, "deployment_environment_creation_in_progress_error"),
        (State.FAILED, "deployment_creation_error"),
    ],
)
def test_nothing_starts_before_the_environment_is_made(acme, by, state, code):
    local = made.local(acme)
    local.create_execution = str(made.execution(local, executions.CREATE, state).pk)
    local.save()
    assert refusal(executions.start, by=by, local=local, workflow="install") == code


def test_what_has_not_begun_is_cancelled_at_once_and_its_run_with_it(acme, by):
    local = made.local(acme, instances=("uninitialized",))
    first = executions.start(by=by, local=local, workflow="install")
    queued = executions.start(by=by, local=local, workflow="uninstall", queue=True)
    for execution in (queued, first):
        executions.act(by=by, execution=execution, action="cancel")
        execution.refresh_from_db()
        assert execution.state == State.CANCELLED
        assert execution.run.state == RunState.CANCELLED
    assert Deployment.objects.get(pk=local.deployment_id).latest_execution_status == "cancelled"
    assert refusal(executions.act, by=by, execution=first, action="kill") == "illegal_action_error"


def test_what_has_begun_is_asked_to_stop(acme, by):
    execution = made.execution(made.local(acme), state=State.STARTED, held_by="elsewhere|1|x")
    executions.act(by=by, execution=execution, action="cancel")
    assert execution.state == State.CANCELLING
    executions.act(by=by, execution=execution, action="force-cancel")
    executions.act(by=by, execution=execution, action="kill")
    assert execution.state == State.KILL_CANCELLING
    assert refusal(executions.act, by=by, execution=execution, action="explode") == "bad_parameters_error"
    assert refusal(executions.act, by=by, execution=execution, action="requeue") == "illegal_action_error"


@pytest.mark.parametrize(("action", "reset"), [("resume", {"failed"}), ("force-resume", {"failed", "caught"})])
def test_a_resume_repeats_what_failed_and_with_force_what_was_caught_in_the_middle(acme, by, action, reset):
    execution = made.execution(made.local(acme), state=State.FAILED, error="boom")
    graph = TaskGraph.objects.create(execution=execution, name="install")
    for position, (name, state) in enumerate(
        [("done", "succeeded"), ("failed", "failed"), ("caught", "started"), ("tried again", "failed")]
    ):
        StoredOperation.objects.create(
            graph=graph, position=position, name=name, type="RemoteWorkflowTask", state=state
        )
    tried = graph.operations.get(name="tried again")
    StoredOperation.objects.create(
        graph=graph,
        position=9,
        name="second try",
        type="RemoteWorkflowTask",
        state="succeeded",
        parameters={"retried_task": str(tried.pk)},
    )
    executions.act(by=by, execution=execution, action=action)
    assert set(graph.operations.filter(state="pending").values_list("name", flat=True)) == reset
    assert (execution.state, execution.error, execution.is_resume) == (State.PENDING, "", True)
    assert refusal(executions.act, by=by, execution=execution, action="resume") == "conflict_error"


def test_an_execution_cannot_go_back(acme):
    execution = made.execution(made.local(acme), state=State.CANCELLING)
    with pytest.raises(states.IllegalReport):
        states.report(execution, State.STARTED)
    with pytest.raises(states.IllegalReport):
        states.report(execution, State.TERMINATED)
    states.report(execution, State.CANCELLED)
    with pytest.raises(states.IllegalReport):
        states.report(execution, State.FAILED)


def test_a_deployment_is_good_when_all_is_started_and_tells_its_parent(acme):
    parent = bare_deployment(
        acme, "parent", installation_status="active", deployment_status="good", latest_execution_status="completed"
    )
    local = made.local(acme, "child", instances=("started", "started"), parent=parent)
    states.report(made.execution(local, state=State.STARTED), State.TERMINATED)
    row = Deployment.objects.get(wire_id="child")
    parent.refresh_from_db()
    assert (row.installation_status, row.deployment_status, parent.sub_services_status) == ("active", "good", "good")
    execution = made.execution(local, "uninstall", State.STARTED)
    states.note_latest(execution)
    states.report(execution, State.FAILED, "boom")
    row.refresh_from_db()
    parent.refresh_from_db()
    assert (row.deployment_status, parent.deployment_status) == ("requires_attention", "requires_attention")


def test_a_deployment_in_use_is_not_deleted(acme, by):
    local = made.local(acme, "one", instances=("started",))
    with pytest.raises(Refused, match="There are live nodes"):
        deployments.delete(by=by, local=local)
    running = made.execution(local, state=State.STARTED)
    with pytest.raises(Refused, match=f"Running executions ids: {running.pk}"):
        deployments.delete(by=by, local=local)
    child = bare_deployment(acme, "child", parent=local.deployment)
    with pytest.raises(Refused, match="It is the parent of these deployments"):
        deployments.delete(by=by, local=local)
    child.delete()
    execution = deployments.delete(by=by, local=local, force=True)
    assert execution.workflow == executions.DELETE
    assert deployments.delete(by=by, local=local).pk == execution.pk, "asked twice, removed once"


def test_the_same_id_is_free_again_after_a_failed_creation(acme, by):
    local = made.local(acme, "one")
    with pytest.raises(Refused, match="already exists"):
        deployments.create(by=by, tenant=acme, wire_id="one", blueprint=local.blueprint)
    made.execution(local, executions.CREATE, State.FAILED)
    again = deployments.create(
        by=by, tenant=acme, wire_id="one", blueprint=local.blueprint, inputs={"size": 4}, labels=[("env", "prod")]
    )
    assert again.pk != local.pk and again.given_inputs == {"size": 4}
    assert list(again.deployment.labels.values_list("key", "value")) == [("env", "prod")]


def test_a_deployment_is_not_seen_by_more_than_its_blueprint(acme, by):
    blueprint = made.blueprint(acme, visibility="private", created_by=by.user)
    assert refusal(deployments.create, by=by, tenant=acme, wire_id="one", blueprint=blueprint) == "illegal_action_error"
    local = deployments.create(by=by, tenant=acme, wire_id="one", blueprint=blueprint, visibility="private")
    assert (
        refusal(deployments.set_visibility, by=by, deployment=local.deployment, visibility="tenant")
        == "illegal_action_error"
    )
