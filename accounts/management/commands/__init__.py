"""first_admin, rotate_vault, verify_audit."""
