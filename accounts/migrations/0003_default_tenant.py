from django.db import migrations


def make_default_tenant(apps, schema_editor):
    apps.get_model("accounts", "Tenant").objects.get_or_create(name="default_tenant")


class Migration(migrations.Migration):
    """`default_tenant` always exists."""

    dependencies = [("accounts", "0002_audit_chain_and_orderings")]
    operations = [migrations.RunPython(make_default_tenant, migrations.RunPython.noop)]
