"""Millrace: a video-on-demand platform whose only truth is a log of events."""
