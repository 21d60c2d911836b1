"""Which layouts of a cluster work: rules on plain layouts, and ready-made ones. No rows, no network."""

from installs.topology.ready import all_in_one, compact, distributed
from installs.topology.rules import findings, may_be_built

__all__ = ["all_in_one", "compact", "distributed", "findings", "may_be_built"]
