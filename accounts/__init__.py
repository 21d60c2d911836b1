"""Who: users, tenants, roles, API tokens, the secrets they keep, the audit trail."""
