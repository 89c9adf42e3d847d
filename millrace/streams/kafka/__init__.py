"""The distributed engine: the same topologies over Apache Kafka, in as many processes as wanted.

Folds are transactional tasks, works and projections are Faust agents; nothing outside this package
imports faust. It must never decide what a transition is: that is streams/folding/, shared with the
embedded engine.
"""
