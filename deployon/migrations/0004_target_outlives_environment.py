import django.db.models.deletion
from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def keep_names(apps, schema_editor):
    """Targets of before learn what their environment is called."""
    names = apps.get_model("inventory", "Environment").objects.filter(pk=OuterRef("environment"))
    apps.get_model("deployon", "Target").objects.update(
        environment_name=Subquery(names.values("deployment__display_name")[:1])
    )


class Migration(migrations.Migration):
    dependencies = [
        ("deployon", "0003_target_has_place"),
        ("inventory", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="target",
            name="environment_name",
            field=models.CharField(default="", max_length=256),
        ),
        migrations.RunPython(keep_names, migrations.RunPython.noop, elidable=True),
        migrations.AlterField(
            model_name="target",
            name="environment",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="targets",
                to="inventory.environment",
            ),
        ),
    ]
