from django.db import migrations, models

from orchestration.drift import OWN, is_drifted


def read_what_was_found(apps, schema_editor):
    """Instances that were checked before the column was there."""
    rows = apps.get_model("orchestration", "NodeInstance").objects
    for row in rows.filter(system_properties__has_key=OWN).only("pk", "system_properties").iterator():
        if is_drifted(row.system_properties):
            rows.filter(pk=row.pk).update(has_drift=True)


class Migration(migrations.Migration):

    dependencies = [
        ('orchestration', '0003_updates'),
    ]

    operations = [
        migrations.AddField(
            model_name='nodeinstance',
            name='has_drift',
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name='nodeinstance',
            index=models.Index(condition=models.Q(('has_drift', True)), fields=['local'], name='drifted_instances'),
        ),
        migrations.RunPython(read_what_was_found, migrations.RunPython.noop, elidable=True),
    ]
