#!/usr/bin/env python3
"""Checks an installed tree: nothing in it names the place it was built in, headers find each other, and each program has
a manual page.

usage: check_install.py TREE [FOLDER...]

Prints one line for each file that contains the path of a FOLDER, each #include "qopt/..." (or include of a .td) that
is not in TREE/include, and each program without a page, and exits with 1 if there is any.
"""
import os
import re
import sys


def faults(tree, folders):
    for program in os.listdir(os.path.join(tree, "bin")):
        if not os.path.isfile(os.path.join(tree, "share", "man", "man1", program + ".1")):
            yield f"{program}: has no manual page"
    include = os.path.join(tree, "include")
    for root, _, names in os.walk(tree):
        for path in (os.path.join(root, name) for name in names):
            if os.path.islink(path):
                continue
            with open(path, "rb") as file:
                data = file.read()
            for folder in folders:
                if folder.encode() in data:
                    yield f"{path}: contains {folder}"
            if path.startswith(include):
                for header in re.findall(rb'^\s*#?\s*include\s+"(qopt/[^"]*)"', data, re.MULTILINE):
                    if not os.path.isfile(os.path.join(include, header.decode())):
                        yield f"{path}: includes {header.decode()}, which is not installed"


found = list(faults(sys.argv[1], sys.argv[2:]))
print("\n".join(found))
sys.exit(1 if found else 0)
