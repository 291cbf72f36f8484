"""calls.py FILE.mlir FUNCTION: the kernels that an entry point calls, in order, those of a loop of layers for each of them."""
import re
import sys

inside, layers, body = False, None, []
for line in open(sys.argv[1]):
    if line.startswith("  func.func "):
        inside = f"func.func @{sys.argv[2]}(" in line
    if not inside:
        continue
    if repeat := re.match(r" +qopt\.repeat (\d+) as ", line):
        layers, body = int(repeat[1]), []
    elif layers and line.strip() == "}":
        print("\n".join(body * layers))
        layers = None
    elif call := re.match(r" +(?:func\.)?call @(\w+)", line):
        body.append(call[1]) if layers else print(call[1])
