"""Reads a report as others do, and says what it comes to, as JSON.

usage: check.py REPORT SCHEMA…

Counts are those of junitparser, case by case. A schema whose root is `testsuite` is asked about each testsuite by
itself, since it knows nothing around one.
"""

import json
import sys

from junitparser import Error, Failure, JUnitXml, Skipped
from junitparser.xunit2 import JUnitXml as WithReruns
from lxml import etree


def outcome(case):
    results = case.result
    for kind, name in ((Failure, "failures"), (Error, "errors"), (Skipped, "skipped")):
        if any(isinstance(result, kind) for result in results):
            return name
    return "passed"


def counted(path):
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0, "passed": 0}
    for suite in JUnitXml.fromfile(path):
        for case in suite:
            counts["tests"] += 1
            counts[outcome(case)] += 1
    return counts


def declared(path):
    report = JUnitXml.fromfile(path)
    return {name: getattr(report, name) for name in ("tests", "failures", "errors", "skipped")}


def interim(path):
    """How many attempts were lost, over all cases."""
    cases = [case for suite in WithReruns.fromfile(path) for case in suite]
    kinds = ("rerun_failures", "rerun_errors", "flaky_failures", "flaky_errors")
    return sum(len(getattr(case, kind)()) for case in cases for kind in kinds)


def problems(path, schema):
    document = etree.parse(path)
    described = etree.parse(schema)
    rules = etree.XMLSchema(described)
    names = {element.get("name") for element in described.getroot().findall("{*}element")}
    root = document.getroot()
    roots = [root] if root.tag in names else list(root)
    found = []
    for element in roots:
        if not rules.validate(element):
            found.extend(f"{error.path}: {error.message}" for error in rules.error_log)
    return found


def main():
    path, schemas = sys.argv[1], sys.argv[2:]
    said = {
        "counted": counted(path),
        "declared": declared(path),
        "interim": interim(path),
        "problems": {schema: problems(path, schema) for schema in schemas},
    }
    json.dump(said, sys.stdout)


main()
