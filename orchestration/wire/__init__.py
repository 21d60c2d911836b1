"""The /api/v3.1 that existing managers, their command line and their Python client speak: one module a resource."""
