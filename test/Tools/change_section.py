"""change_section.py IN.qmod OUT.qmod SECTION OLD NEW: the first OLD in a section becomes NEW, of the same length (with
escapes such as \\x00); the hashes are those of the result, so that only the section is wrong. SECTION may be "header"."""
import hashlib
import json
import struct
import sys

source, target, section, old, new = sys.argv[1:]
data = bytearray(open(source, "rb").read())
(header_bytes,) = struct.unpack_from("<Q", data, 16)
places = {s["name"]: (s["offset"], s["bytes"]) for s in json.loads(data[64 : 64 + header_bytes])["sections"]}
begin, size = places.get(section, (64, header_bytes))
old, new = (text.encode().decode("unicode_escape").encode("latin-1") for text in (old, new))
assert len(old) == len(new), f"{len(old)} bytes cannot become {len(new)}"
at = data.find(old, begin, begin + size)
assert at >= 0, f"{section} has no {old}"
data[at : at + len(old)] = new

# The hashes of the chunks that changed keep their length, so nothing moves.
head_end = (64 + header_bytes + 63) // 64 * 64
header = json.loads(data[64 : 64 + header_bytes])
text = data[64 : 64 + header_bytes]
chunk = header["chunk_bytes"]
for i, digest in enumerate(header["chunk_hashes"]):
    now = hashlib.sha256(data[max(i * chunk, head_end) : (i + 1) * chunk]).hexdigest()
    place = text.index(b'"chunk_hashes"') + text[text.index(b'"chunk_hashes"') :].index(b"[") + 2 + i * 67
    assert text[place : place + 64] == digest.encode()
    text[place : place + 64] = now.encode()
data[64 : 64 + header_bytes] = text
data[32:64] = bytes(32)
data[32:64] = hashlib.sha256(data[:head_end]).digest()
open(target, "wb").write(data)
