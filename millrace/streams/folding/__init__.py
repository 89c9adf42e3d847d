"""What folding a record means, the same in every engine: states, timers, parked keys, journal.

Engines differ in where records come from and how a transaction is made durable; everything that a
fold can see or cause is here, once. Nothing here may do I/O, wait, or read a clock.
"""
