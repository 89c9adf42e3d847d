"""Where works are done: one attempt, a worker process, and the pool of them, whatever the engine.

An engine hands requests in and hears what became of them. Nothing here may append to a log or
decide about another attempt.
"""
