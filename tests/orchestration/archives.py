"""Blueprint archives for tests, made from texts."""

from __future__ import annotations

import io
import tarfile
import zipfile

HEAD = "tosca_definitions_version: cloudify_dsl_1_5\nimports:\n  - cloudify/types/types.yaml\n"

APP = (
    HEAD
    + """
description: trivial blueprint
inputs:
  size: {type: integer, default: 3, description: how big, display_label: Size}
  region: {type: string, default: eu, constraints: [{valid_values: [eu, us]}]}
  name: {type: string}
labels:
  csys-obj-type: {values: [service]}
  team: {values: [blue]}
node_templates:
  app:
    type: cloudify.nodes.ApplicationModule
outputs:
  o1: {value: {get_input: region}}
capabilities:
  app_name: {description: name given, value: {concat: [app-, {get_input: name}]}}
  size: {value: {get_input: size}}
"""
)
SCRIPT = (
    HEAD
    + """
inputs:
  word: {type: string, default: hello}
  delay: {type: integer, default: 1}
  fail: {type: boolean, default: false}
node_types:
  demo.Script:
    derived_from: cloudify.nodes.Root
node_templates:
  s:
    type: demo.Script
    interfaces:
      cloudify.interfaces.lifecycle:
        create:
          implementation: scripts/create.sh
          inputs:
            word: {get_input: word}
            delay: {get_input: delay}
            fail: {get_input: fail}
          max_retries: 1
          retry_interval: 3
        delete: {implementation: scripts/delete.sh}
capabilities:
  answer: {value: {get_attribute: [s, answer]}}
  secretlen: {value: 42}
"""
)
CREATE = """#!/bin/bash
ctx logger info "creating ${word}"
sleep $((delay / 2))
if [ "${fail}" = True ] || [ "${fail}" = true ]; then echo boom >&2; exit 3; fi
ctx instance runtime-properties answer "${word}-1795319299"
"""
DELETE = """#!/bin/bash
ctx logger info "deleting $(ctx instance id)"
"""
BAD_TYPE = HEAD + "node_templates:\n  a:\n    type: no.such.Type\n"
FOREIGN_PLUGIN = (
    HEAD
    + """
plugins:
  aws: {executor: central_deployment_agent, package_name: cloudify-aws-plugin, package_version: 3.0.0}
node_types:
  x.Node:
    derived_from: cloudify.nodes.Root
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: aws.cloudify_aws.create}
node_templates:
  a: {type: x.Node}
"""
)


def packed(files: dict[str, str], top: str = "bp") -> bytes:
    """A tar.gz with one top folder; scripts may be run."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{top}/{name}" if top else name)
            info.size, info.mode = len(text.encode()), 0o755
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def zipped(files: dict[str, str], top: str = "bp") -> bytes:
    """The same as zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{top}/{name}", text)
    return buffer.getvalue()


def app() -> bytes:
    """Nothing runs: one application module."""
    return packed({"blueprint.yaml": APP})


def script(blueprint: str = SCRIPT, **scripts: str) -> bytes:
    """One script that may take time and may fail."""
    files = {"blueprint.yaml": blueprint, "scripts/create.sh": CREATE, "scripts/delete.sh": DELETE}
    return packed(files | {f"scripts/{name}.sh": text for name, text in scripts.items()})
