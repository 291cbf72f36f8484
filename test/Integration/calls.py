"""calls.py FILE.mlir FUNCTION: the kernels that an entry point calls, in order."""
import re
import sys

inside = False
for line in open(sys.argv[1]):
    if line.startswith("  func.func "):
        inside = f"func.func @{sys.argv[2]}(" in line
    call = re.match(r" +call @(\w+)", line) if inside else None
    if call:
        print(call[1])
