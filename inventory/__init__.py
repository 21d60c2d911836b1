"""What exists and how to reach it: sites, sub-managers, environments, deployments, labels, filters, connectors."""
