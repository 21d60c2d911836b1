"""PostgreSQL as it is spoken to here: the hosts of a cluster that grows and shrinks are asked for with every new connection."""
