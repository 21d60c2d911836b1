"""HA manager clusters: what a cluster was asked to be and the plans that build it. Nothing is built here yet."""
