"""The ways out, one file each. `channel.py` is their port, `letters.py` the words, `sender.py` drives them."""
