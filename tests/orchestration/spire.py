"""Blueprints as people of managers of managers have them: one that exposes a manager, and those that deploy on what was exposed."""

from __future__ import annotations

TYPES = "https://cloudify.co/spec/cloudify/6.4.0/types.yaml"
PLACES = """        host: {get_environment_capability: cloudify_manager_endpoint}
        tenant: {get_environment_capability: cloudify_manager_tenant}
        port: {get_environment_capability: cloudify_manager_port}
        protocol: {get_environment_capability: cloudify_manager_protocol}
        trust_all: {get_input: trust_all}
"""
BY_TOKEN = "        token: {get_secret: {get_input: cloudify_secret_token}}\n"
USER = "        username: {get_secret: {get_input: cloudify_user_secret_name}}\n"
PASSWORD = "        password: {get_secret: {get_input: cloudify_password_secret_name}}\n"
BY_PASSWORD = USER + PASSWORD
PUBLIC = "blueprint_archive: {get_input: blueprint_archive}"
PRIVATE = (
    "blueprint_archive: {concat: [{string_split: [{get_input: blueprint_archive}, '//', 0]}, '//', {get_secret: github_user}, ':', "
    "{get_secret: github_token}, '@', {string_split: [{get_input: blueprint_archive}, '//', 1]}]}"
)

DISCOVERY = f"""tosca_definitions_version: cloudify_dsl_1_4
imports:
  - {TYPES}
  - plugin:cloudify-utilities-plugin
blueprint_labels:
  csys-obj-type: {{values: [environment]}}
labels:
  csys-obj-type: {{values: [environment]}}
inputs:
  cloudify_manager_ip: {{type: string, default: 192.0.2.7}}
  cloudify_tenant: {{type: string, default: default_tenant}}
  cloudify_port: {{type: string, default: 80}}
  cloudify_protocol: {{type: string, default: http}}
node_templates: {{}}
capabilities:
  cloudify_manager_endpoint: {{value: {{get_input: cloudify_manager_ip}}}}
  cloudify_manager_tenant: {{value: {{get_input: cloudify_tenant}}}}
  cloudify_manager_port: {{value: {{get_input: cloudify_port}}}}
  cloudify_manager_protocol: {{value: {{get_input: cloudify_protocol}}}}
"""

APPLICATION = f"""tosca_definitions_version: cloudify_dsl_1_4
imports: [{TYPES}]
inputs:
  hello: {{default: World}}
node_templates:
  app: {{type: cloudify.nodes.ApplicationModule}}
capabilities:
  hello: {{value: {{get_input: hello}}}}
"""


def wrapper(
    login: str = BY_TOKEN, archive: str = PUBLIC, *, is_external: bool = False, inputs: str = "{}", deployment: str = ""
) -> str:
    """A blueprint that has another one deployed at the environment that it is deployed on."""
    return f"""tosca_definitions_version: cloudify_dsl_1_4
imports: [{TYPES}]
inputs:
  main_file_name: {{type: string, default: blueprint.yaml}}
  blueprint_archive: {{type: string, default: 'https://192.0.2.8/app.zip'}}
  blueprint_id: {{type: string, default: example}}
  trust_all: {{type: boolean, default: true}}
  cloudify_secret_token: {{default: admin_token}}
  cloudify_user_secret_name: {{default: cloudify_user}}
  cloudify_password_secret_name: {{default: cloudify_password}}
  name_of_deployment: {{default: mydep1}}
node_templates:
  matched_environment:
    type: cloudify.nodes.Component
    properties:
      client:
{PLACES}{login}      resource_config:
        blueprint:
          id: {{get_input: blueprint_id}}
          main_file_name: {{get_input: main_file_name}}
          external_resource: {str(is_external).lower()}
          {archive if not is_external else "labels: []"}
        deployment:
          id: {deployment or "{get_input: blueprint_id}"}
          inputs: {inputs}
"""
