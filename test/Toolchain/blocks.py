#!/usr/bin/env python3
"""Runs what a page of the documentation tells its readers to type.

usage: blocks.py PAGE NAME FOLDER

Takes the fenced blocks of PAGE whose first line says test=NAME, in their order, and works in
FOLDER, which is also $HOME and where whoever calls it has put the files that the text speaks of:

    ```sh test=NAME          commands, all blocks in one shell that stops at the first failure
    ```c file=a.c test=NAME  the text of a file that the reader writes (any language)
    ```text test=NAME        lines that the commands of the block before print, in this order,
                             among others; "..." within a line stands for anything

Prints what the commands print, and exits with 1 if one fails, a line is missing, or no block has the name.
"""
import os
import re
import subprocess
import sys

MARK = "-- block "


def parse(page):
    """(line, language, attributes, text) of each fenced block."""
    fence = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
    for match in fence.finditer(page):
        attributes = dict(item.split("=", 1) for item in match.group(2).split() if "=" in item)
        yield page.count("\n", 0, match.start()) + 1, match.group(1), attributes, match.group(3)


def missing_line(expected, output):
    """The first line of `expected` that `output` lacks, or does not have after those before it."""
    lines = iter(output.splitlines())
    for line in expected.splitlines():
        pattern = re.compile(".*".join(map(re.escape, line.split("..."))))
        if not any(pattern.search(candidate) for candidate in lines):
            return line
    return None


def main():
    path, name, folder = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        blocks = [block for block in parse(file.read()) if block[2].get("test") == name]
    commands = [block for block in blocks if block[1] == "sh"]
    if not commands:
        sys.exit(f"{path}: no block of commands has test={name}")
    script, expectations = ["set -euo pipefail"], []
    for line, language, attributes, text in blocks:
        if "file" in attributes:
            with open(os.path.join(folder, attributes["file"]), "w", encoding="utf-8") as file:
                file.write(text)
        elif language == "sh":
            script += [f"echo '{MARK}{line}'", text]
            last = line
        elif language == "text":
            expectations.append((last, line, text))
        else:
            sys.exit(f"{path}:{line}: a block of {language} needs file=NAME")
    run = subprocess.run(["bash", "-c", "\n".join(script)], cwd=folder, text=True, stdin=subprocess.DEVNULL,
                         env={**os.environ, "HOME": os.path.abspath(folder)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(run.stdout)
    if run.returncode:
        sys.exit(f"{path}: the commands of test={name} failed with {run.returncode}, after what is printed above")
    printed = {int(part.split("\n", 1)[0]): part.split("\n", 1)[1] for part in run.stdout.split(MARK)[1:]}
    for commands_line, line, text in expectations:
        absent = missing_line(text, printed[commands_line])
        if absent is not None:
            sys.exit(f"{path}:{line}: the commands of line {commands_line} do not print: {absent}")


if __name__ == "__main__":
    main()
