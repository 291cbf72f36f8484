"""Writes flip0.qmod ... flip3.qmod: the module with one bit changed, from the start to the end."""
import sys

data = open(sys.argv[1], "rb").read()
for number, place in enumerate([9, len(data) // 3, 2 * len(data) // 3, len(data) - 1]):
    changed = bytearray(data)
    changed[place] ^= 4
    open(f"flip{number}.qmod", "wb").write(changed)
