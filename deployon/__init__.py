"""One service on many environments: services, rollouts and their targets."""
