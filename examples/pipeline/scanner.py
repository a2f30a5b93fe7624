"""The office: each run drops a few papers into in/, now and then one that nobody can read."""
import os
import random
import time

WHO = ["The court", "The bank", "The registry", "A notary", "The port authority", "The tax office"]
WHAT = ["has received", "has rejected", "asks for", "confirms", "has lost", "returns"]
WHICH = ["the annual report", "a certificate of ownership", "the list of creditors", "an invoice", "the minutes of the assembly"]
WHEN = ["without delay.", "until the end of the month.", "for the third time.", "as agreed.", "under protest."]


def paper():
    sentences = (" ".join(random.choice(part) for part in (WHO, WHAT, WHICH, WHEN)) for _ in range(12))
    return "\n".join(sentences).encode()


os.makedirs("in", exist_ok=True)
for number in range(random.randint(2, 6)):
    content = b"\xff\xfe\x00 smudged" + os.urandom(8) if random.random() < 0.05 else paper()
    name = f"in/paper-{time.strftime('%H%M%S')}-{number}.txt"
    # Written beside and then renamed, so that nobody sees half of it.
    with open(name + ".part", "wb") as file:
        file.write(content)
    os.rename(name + ".part", name)
    print(name)
