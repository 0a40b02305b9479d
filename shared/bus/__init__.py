"""The log: one topic, `huiyin.events`, in order per key. `port` says what may be relied on; the siblings keep it."""
