"""Validates JSON: schemas.py FOLDER NAME=FILE...

Each FILE must be valid by FOLDER/NAME.json. Every schema of the folder must be one, close all of its objects, so that
a key without a schema is seen, and have a FILE that it takes.
"""
import json
import os
import sys

from jsonschema import Draft202012Validator


def open_objects(schema, path=""):
    """Places where a key that is not listed would pass."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and not isinstance(schema.get("additionalProperties"), (bool, dict)):
            yield path or "/"
        if schema.get("additionalProperties") is True:
            yield path or "/"
        for key, value in schema.items():
            yield from open_objects(value, path + "/" + key)


folder, *files = sys.argv[1:]
names = {name.removesuffix(".json") for name in os.listdir(folder)}
faults, used = [], set()
for item in files:
    name, path = item.split("=", 1)
    used.add(name)
    with open(os.path.join(folder, name + ".json"), encoding="utf-8") as file:
        schema = json.load(file)
    Draft202012Validator.check_schema(schema)
    faults += [f"{name}: open object at {place}" for place in open_objects(schema)]
    with open(path, encoding="utf-8") as file:
        value = json.load(file)
    faults += [f"{path}: {error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(value)]
    # A key more must be seen, at the top and in whatever lists hold.
    for place in [value, *[entry for entry in value.values() if isinstance(entry, list) for entry in entry[:1]]]:
        if isinstance(place, dict):
            place["key without a schema"] = 0
            if Draft202012Validator(schema).is_valid(value):
                faults.append(f"{name}: takes a key that it does not list")
            del place["key without a schema"]
faults += [f"{name}: no file was validated by it" for name in sorted(names - used)]
sys.exit("\n".join(faults) if faults else 0)
