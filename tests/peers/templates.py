"""Renders templates with Ansible's own Templar.

Standard input: {"variables": {...}, "templates": [...]} in JSON. Standard output: a list, for each template {"value": ...}, or {"error": text}.
Texts are trusted as inventories are.
"""
import json
import sys

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template


def trusted(value):
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, list):
        return [trusted(item) for item in value]
    if isinstance(value, dict):
        return {name: trusted(item) for name, item in value.items()}
    return value


def main():
    asked = json.load(sys.stdin)
    variables = trusted(asked["variables"])
    loader = DataLoader()
    results = []
    for template in asked["templates"]:
        try:
            value = Templar(loader, variables=variables).template(trusted(template))
            json.dumps(value)
            results.append({"value": value})
        except Exception as error:  # whatever it is, Ansible would stop here
            results.append({"error": type(error).__name__ + ": " + str(error)})
    json.dump(results, sys.stdout)


main()
