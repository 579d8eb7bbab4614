# SPDX-License-Identifier: GPL-2.0
# What was recorded as python.trace: the words of a text, counted, sorted, and
# written as JSON that is parsed again.
import collections
import json
import re
import sys

with open(sys.argv[1]) as text:
    lines = text.read().split("\n")
lines = lines[:int(sys.argv[2])]
counts = collections.Counter()
places = collections.defaultdict(list)
for number, line in enumerate(lines):
    for word in re.findall("[a-z]+", line.lower()):
        counts[word] += 1
        places[word].append((number, len(word)))
top = {w: {"count": n, "places": places[w][:20]} for w, n in counts.most_common(400)}
back = json.loads(json.dumps(top))
print(len(counts), sum(len(v["places"]) for v in back.values()))
