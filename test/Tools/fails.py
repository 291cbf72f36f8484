"""Runs a command that must fail: fails.py EXIT-CODE MESSAGE COMMAND...

Passes when it exits with that code, prints nothing on standard output and exactly
one line "NAME: error: ..." with the message on standard error, and the files of the
current directory are what they were.
"""
import os
import subprocess
import sys


def files():
    return {path: os.path.getmtime(path) for path in os.listdir(".")}


code, message, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
before = files()
done = subprocess.run(command, capture_output=True, text=True, timeout=120)
lines = done.stderr.splitlines()
good = done.returncode == code and not done.stdout and len(lines) == 1
good = good and lines[0].startswith(os.path.basename(command[0]) + ": error: ") and message in lines[0]
if not good or files() != before:
    sys.exit(f"exit code {done.returncode}, expected {code} and {message!r}\n{done.stdout}{done.stderr}{files()}")
