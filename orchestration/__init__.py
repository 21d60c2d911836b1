"""The management service itself: blueprints and executions, served as /api/v3.1."""
