"""sentences.py TOKENS.json OUT.jsonl: the sentences of the references, one text per line."""
import json
import sys

with open(sys.argv[2], "w") as out:
    for text in json.load(open(sys.argv[1]))["seed_sentences"]:
        out.write(json.dumps({"text": text}) + "\n")
