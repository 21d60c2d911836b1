"""A stand-in for a remote manager that answers fast and fails on demand; imported by tests and the bench alone."""

from inventory.doubles.accounts import Account
from inventory.doubles.certificates import Authority, Certificate
from inventory.doubles.faults import Fault, FaultKind
from inventory.doubles.script import Script
from inventory.doubles.server import ManagerDouble, refused_port

__all__ = ["Account", "Authority", "Certificate", "Fault", "FaultKind", "ManagerDouble", "Script", "refused_port"]
