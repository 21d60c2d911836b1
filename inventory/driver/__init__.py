"""The idempotent steps that bring a service to one target and take it away again; each is a single look, waiting is the engine's.

A step returns `Done`, `NotYet`, `Differs` or `Failed`, or raises ManagerError. Nothing is remembered here: after a crash
everything is found again at the manager by its id.
"""

from inventory.driver.blueprints import check_blueprint, ensure_blueprint, push_blueprint, remote_blueprint_id
from inventory.driver.deployments import check_deployment, compare, ensure_deployment, read_back, survey
from inventory.driver.installing import cancel, ensure_installed, next_stage, run_workflow
from inventory.driver.order import Order, inputs_hash
from inventory.driver.removing import remove
from inventory.driver.results import Difference, Differs, Done, Failed, NotYet, Outcome, Said, Situation, Survey
from inventory.driver.updating import dependents, update_deployment, update_steps

__all__ = [
    "Difference",
    "Differs",
    "Done",
    "Failed",
    "NotYet",
    "Order",
    "Outcome",
    "Said",
    "Situation",
    "Survey",
    "cancel",
    "check_blueprint",
    "check_deployment",
    "compare",
    "dependents",
    "ensure_blueprint",
    "ensure_deployment",
    "ensure_installed",
    "inputs_hash",
    "next_stage",
    "push_blueprint",
    "read_back",
    "remote_blueprint_id",
    "remove",
    "run_workflow",
    "survey",
    "update_deployment",
    "update_steps",
]
