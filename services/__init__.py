"""The four services. They never import each other; they meet only in the events of `shared.events`.

intake     takes feedback in, gives a number and a code, shows the citizen where it stands
routing    opens the case, decides who answers and by when; the desk
notify     tells people, on their channel, once
analytics  counts, rates, topics; read-only views of everyone's events
"""
